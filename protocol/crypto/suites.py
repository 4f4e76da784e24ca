"""Cipher suites of DTLS 1.3 (RFC 8446, B.4), and what each one is made of."""

from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from functools import cached_property

from cryptography.hazmat.primitives import hashes


class CipherSuite(IntEnum):
    """The suites that this stack negotiates, by their TLS numbers."""

    TLS_AES_128_GCM_SHA256 = 0x1301
    TLS_AES_256_GCM_SHA384 = 0x1302
    TLS_CHACHA20_POLY1305_SHA256 = 0x1303
    TLS_AES_128_CCM_SHA256 = 0x1304
    TLS_AES_128_CCM_8_SHA256 = 0x1305

    @cached_property
    def parameters(self) -> "SuiteParameters":
        """AEAD, hash, lengths and limits of the suite."""
        return _PARAMETERS[self]


#: What is negotiated unless a configuration says otherwise, preferred first. Its short tag rules
#: AES-128-CCM-8 out: 2**7 forgeries, by anyone, end a connection (RFC 9147, 4.5.3 and B.3).
DEFAULT_SUITES = tuple(
    suite for suite in CipherSuite if suite is not CipherSuite.TLS_AES_128_CCM_8_SHA256
)


class Aead(Enum):
    """The algorithms of the suites (RFC 5116; RFC 6655 and RFC 8439)."""

    AES_GCM = auto()
    AES_CCM = auto()
    CHACHA20_POLY1305 = auto()


@dataclass(frozen=True)
class SuiteParameters:
    """Lengths in bytes; limits in records for one key (RFC 8446, 5.5; RFC 9147, 4.5.3)."""

    aead: Aead
    key_bytes: int
    hash: hashes.HashAlgorithm
    seal_limit: int
    forgery_limit: int
    tag_bytes: int = 16

    @cached_property
    def hash_bytes(self) -> int:
        """Length of the hash's output."""
        return self.hash.digest_size


#: RFC 8446, 5.5: 2**24.5 full-size records.
_GCM_SEAL_LIMIT = 23_726_566
#: The numbers of the records end before the limit of ChaCha20-Poly1305 (RFC 8446, 5.5).
_CHACHA20_SEAL_LIMIT = 1 << 48
_FORGERY_LIMIT = 1 << 36
#: RFC 9147, B.1 and B.2: 2**23, and 2**23.5 rounded down.
_CCM_SEAL_LIMIT = 1 << 23
_CCM_FORGERY_LIMIT = 11_863_283
#: RFC 9147, B.3: with tags of 8 bytes.
_CCM_8_FORGERY_LIMIT = 1 << 7

_PARAMETERS = {
    CipherSuite.TLS_AES_128_GCM_SHA256: SuiteParameters(
        Aead.AES_GCM, 16, hashes.SHA256(), _GCM_SEAL_LIMIT, _FORGERY_LIMIT
    ),
    CipherSuite.TLS_AES_256_GCM_SHA384: SuiteParameters(
        Aead.AES_GCM, 32, hashes.SHA384(), _GCM_SEAL_LIMIT, _FORGERY_LIMIT
    ),
    CipherSuite.TLS_CHACHA20_POLY1305_SHA256: SuiteParameters(
        Aead.CHACHA20_POLY1305, 32, hashes.SHA256(), _CHACHA20_SEAL_LIMIT, _FORGERY_LIMIT
    ),
    CipherSuite.TLS_AES_128_CCM_SHA256: SuiteParameters(
        Aead.AES_CCM, 16, hashes.SHA256(), _CCM_SEAL_LIMIT, _CCM_FORGERY_LIMIT
    ),
    CipherSuite.TLS_AES_128_CCM_8_SHA256: SuiteParameters(
        Aead.AES_CCM, 16, hashes.SHA256(), _CCM_SEAL_LIMIT, _CCM_8_FORGERY_LIMIT, tag_bytes=8
    ),
}
