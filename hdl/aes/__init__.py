"""AES encryption (FIPS 197): S-box, key schedule and core.

Whoever uses a core knows it by the ports of `AESCoreSignature` only.
"""

from hdl.aes.core import AESCoreSignature, encrypt_block, expand_key, request_layout
from hdl.aes.key_schedule import KeySchedule
from hdl.aes.sbox import SBOX, SBoxForm

__all__ = [
    "SBOX",
    "AESCoreSignature",
    "KeySchedule",
    "SBoxForm",
    "encrypt_block",
    "expand_key",
    "request_layout",
]
