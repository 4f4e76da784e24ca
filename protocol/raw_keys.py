"""Raw public keys: a key in the place of a certificate, known to the peer beforehand (RFC 7250).

On the wire a key is its SubjectPublicKeyInfo in DER. It is pinned as that: who verifies it compares
bytes, and parses nothing that comes from the peer. So it has to be encoded as everyone does, points
uncompressed and RSA keys as rsaEncryption.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from protocol.alerts import AlertDescription, ProtocolViolation, UsageError
from protocol.certificates import CredentialsError, key_problem, load_private_key, read_file
from protocol.signatures import PrivateKey, PublicKey, VerifyingKey, key_kind


@dataclass(frozen=True)
class RawKey:
    """What one side authenticates itself with; raises `CredentialsError` for an unusable key."""

    private_key: PrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        if problem := key_problem(PublicKey(self.kind, self.private_key)):
            raise CredentialsError(f"the private key is {problem}")

    @property
    def kind(self) -> str:
        """The kind of key, as `protocol.signatures` names it."""
        return key_kind(self.private_key)

    @cached_property
    def chain_der(self) -> tuple[bytes, ...]:
        """What the Certificate message carries: the public key alone."""
        return (public_key_info(self.private_key.public_key()),)

    @classmethod
    def from_pem_file(cls, path: Path, password: bytes | None = None) -> "RawKey":
        """Load the private key from a PEM file; raises `CredentialsError` naming it."""
        return cls(load_private_key(path, password))


def public_key_info(key: VerifyingKey) -> bytes:
    """The SubjectPublicKeyInfo of a key, in DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def load_public_key(path: Path) -> VerifyingKey:
    """The public key of a PEM file, to be trusted; raises `CredentialsError` naming it."""
    try:
        key = load_pem_public_key(read_file(path))
    except (ValueError, UnsupportedAlgorithm):
        raise CredentialsError(f"{path}: no public key in PEM form") from None
    if problem := key_problem(PublicKey(key_kind(key), key)):
        raise CredentialsError(f"{path}: the public key is {problem}")
    return key  # type: ignore[return-value]  # a signature scheme takes it


class TrustedKeys:
    """The keys of peers; raises `UsageError` for one that no signature scheme takes."""

    def __init__(self, keys: Iterable[VerifyingKey]) -> None:
        self._by_info: dict[bytes, VerifyingKey] = {}
        for key in keys:
            if problem := key_problem(PublicKey(key_kind(key), key)):
                raise UsageError(f"trusted_keys has a key that is {problem}")
            self._by_info[public_key_info(key)] = key

    def find(self, info: bytes) -> VerifyingKey | None:
        """The key with this SubjectPublicKeyInfo, if it is trusted."""
        return self._by_info.get(info)

    def verify(self, chain_der: Sequence[bytes]) -> VerifyingKey:
        """The trusted key that a Certificate message carries.

        Raises `ProtocolViolation`: illegal_parameter for more than one entry (RFC 8446, 4.4.2),
        certificate_unknown for any other key.
        """
        if len(chain_der) != 1:
            raise ProtocolViolation(
                AlertDescription.ILLEGAL_PARAMETER, f"{len(chain_der)} raw public keys, not one"
            )
        key = self.find(chain_der[0])
        if key is None:
            raise ProtocolViolation(
                AlertDescription.CERTIFICATE_UNKNOWN, "the peer's raw public key is not trusted"
            )
        return key
