"""Ephemeral key exchange: X25519 and P-256 (RFC 8446, 4.2.8.2 and 7.4.2)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol.alerts import AlertDescription, ProtocolViolation, UsageError


class NamedGroup(IntEnum):
    """The groups that this stack has, by their numbers (RFC 8446, 4.2.7)."""

    SECP256R1 = 0x0017
    X25519 = 0x001D


class KeyShare(Protocol):
    """Our half of one exchange: use it for one connection only."""

    @property
    def group(self) -> NamedGroup:
        """The group."""

    @property
    def public(self) -> bytes:
        """What key_share carries: 32 bytes for X25519, an uncompressed point of 65 for P-256."""

    def exchange(self, peer_public: bytes) -> bytes:
        """The shared secret, 32 bytes, from the peer's ``public``.

        Raises `ProtocolViolation` with illegal_parameter when that is no public key of the group,
        or leads to the all-zero secret.
        """


@dataclass(frozen=True)
class _X25519Share:
    private_key: x25519.X25519PrivateKey = field(repr=False)
    group = NamedGroup.X25519

    @property
    def public(self) -> bytes:
        return self.private_key.public_key().public_bytes_raw()

    def exchange(self, peer_public: bytes) -> bytes:
        try:
            # pyca/cryptography refuses the all-zero secret (RFC 8446, 7.4.2).
            return self.private_key.exchange(x25519.X25519PublicKey.from_public_bytes(peer_public))
        except ValueError:
            raise _bad_public_key(self.group) from None


@dataclass(frozen=True)
class _EcdhShare:
    private_key: ec.EllipticCurvePrivateKey = field(repr=False)
    group: NamedGroup

    @property
    def public(self) -> bytes:
        return self.private_key.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )

    def exchange(self, peer_public: bytes) -> bytes:
        if peer_public[:1] != b"\x04":  # compressed points are not for TLS (RFC 8446, 4.2.8.2)
            raise _bad_public_key(self.group)
        try:
            peer = ec.EllipticCurvePublicKey.from_encoded_point(self.private_key.curve, peer_public)
        except ValueError:
            raise _bad_public_key(self.group) from None
        return self.private_key.exchange(ec.ECDH(), peer)


#: One entry a group.
_GENERATORS: dict[NamedGroup, Callable[[], KeyShare]] = {
    NamedGroup.X25519: lambda: _X25519Share(x25519.X25519PrivateKey.generate()),
    NamedGroup.SECP256R1: lambda: _EcdhShare(
        ec.generate_private_key(ec.SECP256R1()), NamedGroup.SECP256R1
    ),
}


def generate(group: int) -> KeyShare:
    """A fresh key of the group; raises `UsageError` for a group that we do not have."""
    try:
        return _GENERATORS[NamedGroup(group)]()
    except ValueError:
        raise UsageError(f"no key exchange for group {group:#06x}") from None


def _bad_public_key(group: NamedGroup) -> ProtocolViolation:
    return ProtocolViolation(
        AlertDescription.ILLEGAL_PARAMETER, f"the peer's key is no public key of {group.name}"
    )
