"""The signature of CertificateVerify (RFC 8446, 4.2.3 and 4.4.3)."""

from collections.abc import Sequence
from enum import Enum, IntEnum
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
PublicKey: TypeAlias = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


class SignatureScheme(IntEnum):
    """The schemes that this stack signs and verifies with (RFC 8446, 4.2.3)."""

    ECDSA_SECP256R1_SHA256 = 0x0403
    ECDSA_SECP384R1_SHA384 = 0x0503
    ECDSA_SECP521R1_SHA512 = 0x0603
    RSA_PSS_RSAE_SHA256 = 0x0804
    RSA_PSS_RSAE_SHA384 = 0x0805
    RSA_PSS_RSAE_SHA512 = 0x0806
    ED25519 = 0x0807


class Signer(Enum):
    """Who signs: each side has a context string of its own (RFC 8446, 4.4.3)."""

    SERVER = b"TLS 1.3, server CertificateVerify"
    CLIENT = b"TLS 1.3, client CertificateVerify"


def choose_scheme(private_key: PrivateKey, peer_schemes: Sequence[int]) -> SignatureScheme:
    """The first of the peer's schemes that ``private_key`` can sign with.

    Raises `ProtocolViolation` with handshake_failure when there is none.
    """
    raise NotImplementedError


def sign(
    private_key: PrivateKey, scheme: SignatureScheme, signer: Signer, transcript_hash: bytes
) -> bytes:
    """The signature of a CertificateVerify; raises `UsageError` when key and scheme do not fit."""
    raise NotImplementedError


def verify(
    public_key: object,
    scheme: int,
    signer: Signer,
    transcript_hash: bytes,
    signature: bytes,
    offered: Sequence[int] = tuple(SignatureScheme),
) -> None:
    """Verify a CertificateVerify with the key of the peer's certificate.

    Raises `ProtocolViolation`: illegal_parameter for a scheme that was not ``offered`` or that does
    not fit the key, decrypt_error for a wrong signature.
    """
    raise NotImplementedError
