"""Cipher suites of DTLS 1.3 (RFC 8446, B.4), and what each one is made of."""

from dataclasses import dataclass
from enum import IntEnum

from cryptography.hazmat.primitives import hashes


class CipherSuite(IntEnum):
    """The suites that this stack negotiates, by their TLS numbers."""

    TLS_AES_128_GCM_SHA256 = 0x1301
    TLS_AES_256_GCM_SHA384 = 0x1302

    @property
    def parameters(self) -> "SuiteParameters":
        """Key length, hash and AEAD limits of the suite."""
        return _PARAMETERS[self]


@dataclass(frozen=True)
class SuiteParameters:
    """Lengths in bytes; limits in records for one key (RFC 8446, 5.5; RFC 9147, 4.5.3)."""

    key_bytes: int
    hash: hashes.HashAlgorithm
    seal_limit: int
    forgery_limit: int

    @property
    def hash_bytes(self) -> int:
        """Length of the hash's output."""
        return self.hash.digest_size


#: RFC 8446, 5.5: 2**24.5 full-size records.
_GCM_SEAL_LIMIT = 23_726_566

_PARAMETERS = {
    CipherSuite.TLS_AES_128_GCM_SHA256: SuiteParameters(
        16, hashes.SHA256(), _GCM_SEAL_LIMIT, 1 << 36
    ),
    CipherSuite.TLS_AES_256_GCM_SHA384: SuiteParameters(
        32, hashes.SHA384(), _GCM_SEAL_LIMIT, 1 << 36
    ),
}
