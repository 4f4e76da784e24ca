"""AES encryption (FIPS 197): S-box, key schedule and cores.

Every core has the ports of `AESCoreSignature`; `CORES` lists them by the name that a profile gives.
"""

from hdl.aes.core import AESCoreSignature, encrypt_block, expand_key, request_layout
from hdl.aes.iterative import IterativeAES
from hdl.aes.key_schedule import KeySchedule
from hdl.aes.sbox import SBOX, SBoxForm

__all__ = [
    "CORES",
    "SBOX",
    "AESCoreSignature",
    "IterativeAES",
    "KeySchedule",
    "SBoxForm",
    "encrypt_block",
    "expand_key",
    "request_layout",
]

#: The cores, smallest first; each is made with (keys, sbox).
CORES = {"iterative": IterativeAES}
