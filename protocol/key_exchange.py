"""Ephemeral key exchange (RFC 8446, 4.2.8 and 7.4; draft-ietf-tls-ecdhe-mlkem for the hybrid).

A KEM is not symmetric: the client generates a share, and the server answers that very share. So
there are two calls, for groups of both kinds::

    client   share = generate(group)                 sends share.public
    server   answer = respond(group, client_public)  sends answer.public, has answer.secret
    client   share.exchange(answer.public)           the same secret

Points are encoded as in RFC 8446, 4.2.8.2: 04, x, y, each coordinate big-endian.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol.alerts import AlertDescription, ProtocolViolation, UsageError

try:
    from cryptography.hazmat.primitives.asymmetric import mlkem
except ImportError:  # an older pyca/cryptography
    _HAS_MLKEM = False
else:
    try:
        mlkem.MLKEM768PrivateKey.generate()
        _HAS_MLKEM = True
    except UnsupportedAlgorithm:  # its OpenSSL is older than 3.5
        _HAS_MLKEM = False

_X25519_BYTES = 32
_MLKEM768_KEY_BYTES = 1184


class NamedGroup(IntEnum):
    """The groups that this stack has, by their numbers (RFC 8446, 4.2.7)."""

    SECP256R1 = 0x0017
    SECP384R1 = 0x0018
    SECP521R1 = 0x0019
    X25519 = 0x001D
    #: ML-KEM-768 and X25519 at once: secret as long as one of them holds.
    X25519MLKEM768 = 0x11EC


class KeyShare(Protocol):
    """The client's half of one exchange: use it for one connection only."""

    @property
    def group(self) -> NamedGroup:
        """The group."""

    @property
    def public(self) -> bytes:
        """What key_share of a ClientHello carries.

        32 bytes for X25519; an uncompressed point of 65, 97 or 133 bytes for P-256, P-384 and
        P-521; the encapsulation key of ML-KEM-768 and the X25519 key, 1,216 bytes, for the hybrid.
        """

    def exchange(self, peer_public: bytes) -> bytes:
        """The shared secret from the server's answer: 32, 48 or 66 bytes; 64 for the hybrid.

        Raises `ProtocolViolation` with illegal_parameter when the answer cannot be one of the
        group, or leads to the all-zero secret.
        """


class Answer(NamedTuple):
    """The server's half of one exchange."""

    #: What key_share of a ServerHello carries: as the client's, but 1,120 bytes for the hybrid.
    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"Answer({len(self.public)} bytes)"


@dataclass(slots=True)
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


@dataclass(frozen=True)
class _HybridShare:
    """ML-KEM-768, then X25519, in the shares as in the secret."""

    decapsulation_key: "mlkem.MLKEM768PrivateKey" = field(repr=False)
    x25519: _X25519Share
    group = NamedGroup.X25519MLKEM768

    @property
    def public(self) -> bytes:
        return self.decapsulation_key.public_key().public_bytes_raw() + self.x25519.public

    def exchange(self, peer_public: bytes) -> bytes:
        ciphertext, x25519_public = peer_public[:-_X25519_BYTES], peer_public[-_X25519_BYTES:]
        try:
            secret = self.decapsulation_key.decapsulate(ciphertext)
        except ValueError:
            raise _bad_public_key(self.group) from None
        return secret + self.x25519.exchange(x25519_public)


def _generate_x25519() -> _X25519Share:
    return _X25519Share(x25519.X25519PrivateKey.generate())


def _generate_hybrid() -> _HybridShare:
    return _HybridShare(mlkem.MLKEM768PrivateKey.generate(), _generate_x25519())


def _ecdh_generator(group: NamedGroup, curve: ec.EllipticCurve) -> Callable[[], KeyShare]:
    return lambda: _EcdhShare(ec.generate_private_key(curve), group)


#: One entry a group; preferred first, since X25519 is fastest, and fits one datagram.
_GENERATORS: dict[int, Callable[[], KeyShare]] = {
    NamedGroup.X25519: _generate_x25519,
    **({NamedGroup.X25519MLKEM768: _generate_hybrid} if _HAS_MLKEM else {}),
    NamedGroup.SECP256R1: _ecdh_generator(NamedGroup.SECP256R1, ec.SECP256R1()),
    NamedGroup.SECP384R1: _ecdh_generator(NamedGroup.SECP384R1, ec.SECP384R1()),
    NamedGroup.SECP521R1: _ecdh_generator(NamedGroup.SECP521R1, ec.SECP521R1()),
}

#: The groups that can be used here: those whose algorithms pyca/cryptography has.
AVAILABLE_GROUPS = tuple(NamedGroup(group) for group in _GENERATORS)


def generate(group: int) -> KeyShare:
    """A client's fresh share of the group; raises `UsageError` for a group that we do not have."""
    generator = _GENERATORS.get(group)
    if generator is None:
        raise UsageError(f"no key exchange for group {group:#06x}")
    return generator()


def respond(group: int, client_public: bytes) -> Answer:
    """A server's answer to the ``public`` of a client's share.

    Raises as `generate`, and `ProtocolViolation` with illegal_parameter as `KeyShare.exchange`.
    """
    if group == NamedGroup.X25519MLKEM768 and _HAS_MLKEM:
        return _encapsulate(client_public)
    share = generate(group)
    return Answer(share.public, share.exchange(client_public))


def _encapsulate(client_public: bytes) -> Answer:
    encapsulation_key = client_public[:_MLKEM768_KEY_BYTES]
    try:
        # Checks the key as FIPS 203, 7.2 demands.
        secret, ciphertext = mlkem.MLKEM768PublicKey.from_public_bytes(
            encapsulation_key
        ).encapsulate()
    except ValueError:
        raise _bad_public_key(NamedGroup.X25519MLKEM768) from None
    share = _generate_x25519()
    x25519_secret = share.exchange(client_public[_MLKEM768_KEY_BYTES:])
    return Answer(ciphertext + share.public, secret + x25519_secret)


def _bad_public_key(group: NamedGroup) -> ProtocolViolation:
    return ProtocolViolation(
        AlertDescription.ILLEGAL_PARAMETER, f"the peer's key is no public key of {group.name}"
    )
