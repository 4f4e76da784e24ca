"""The signature of CertificateVerify (RFC 8446, 4.2.3 and 4.4.3)."""

from collections.abc import Sequence
from enum import Enum, IntEnum
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from protocol.alerts import AlertDescription, ProtocolViolation, UsageError

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

#: What the signature covers before the context string (RFC 8446, 4.4.3).
_PAD = b" " * 64


class SignatureScheme(IntEnum):
    """The schemes that this stack signs and verifies with (RFC 8446, 4.2.3), preferred first."""

    ED25519 = 0x0807
    ECDSA_SECP256R1_SHA256 = 0x0403
    ECDSA_SECP384R1_SHA384 = 0x0503
    ECDSA_SECP521R1_SHA512 = 0x0603
    RSA_PSS_RSAE_SHA256 = 0x0804
    RSA_PSS_RSAE_SHA384 = 0x0805
    RSA_PSS_RSAE_SHA512 = 0x0806


#: The kind of key that each scheme needs, as `key_kind` names it, and its hash.
_SCHEMES: dict[int, tuple[str, hashes.HashAlgorithm]] = {
    SignatureScheme.ED25519: ("ed25519", hashes.SHA512()),
    SignatureScheme.ECDSA_SECP256R1_SHA256: ("secp256r1", hashes.SHA256()),
    SignatureScheme.ECDSA_SECP384R1_SHA384: ("secp384r1", hashes.SHA384()),
    SignatureScheme.ECDSA_SECP521R1_SHA512: ("secp521r1", hashes.SHA512()),
    SignatureScheme.RSA_PSS_RSAE_SHA256: ("rsa", hashes.SHA256()),
    SignatureScheme.RSA_PSS_RSAE_SHA384: ("rsa", hashes.SHA384()),
    SignatureScheme.RSA_PSS_RSAE_SHA512: ("rsa", hashes.SHA512()),
}


class Signer(Enum):
    """Who signs: each side has a context string of its own (RFC 8446, 4.4.3)."""

    SERVER = b"TLS 1.3, server CertificateVerify"
    CLIENT = b"TLS 1.3, client CertificateVerify"


def key_kind(key: object) -> str:
    """What kind of key this is, private or public: ``ed25519``, ``rsa`` or the curve's name.

    For any other key it is the name of its class, which no scheme needs.
    """
    match key:
        case ed25519.Ed25519PrivateKey() | ed25519.Ed25519PublicKey():
            return "ed25519"
        case ec.EllipticCurvePrivateKey() | ec.EllipticCurvePublicKey():
            return key.curve.name
        case rsa.RSAPrivateKey() | rsa.RSAPublicKey():
            return "rsa"
    return type(key).__name__


def fits(key: object, scheme: int) -> bool:
    """Whether ``scheme`` is known and a key, private or public, is of the kind that it needs."""
    return scheme in _SCHEMES and _SCHEMES[scheme][0] == key_kind(key)


def choose_scheme(private_key: PrivateKey, peer_schemes: Sequence[int]) -> SignatureScheme:
    """The first of the peer's schemes that ``private_key`` can sign with.

    Raises `ProtocolViolation` with handshake_failure when there is none (RFC 8446, 4.4.2.2).
    """
    for scheme in peer_schemes:
        if fits(private_key, scheme):
            return SignatureScheme(scheme)
    raise ProtocolViolation(
        AlertDescription.HANDSHAKE_FAILURE,
        f"the peer takes no signature of our {key_kind(private_key)} key",
    )


def sign(
    private_key: PrivateKey, scheme: SignatureScheme, signer: Signer, transcript_hash: bytes
) -> bytes:
    """The signature of a CertificateVerify; raises `UsageError` when key and scheme do not fit."""
    if not fits(private_key, scheme):
        raise UsageError(f"a key of kind {key_kind(private_key)} cannot sign with {scheme.name}")
    content, (_, hash_algorithm) = _content(signer, transcript_hash), _SCHEMES[scheme]
    match private_key:
        case ed25519.Ed25519PrivateKey():
            return private_key.sign(content)
        case ec.EllipticCurvePrivateKey():
            return private_key.sign(content, ec.ECDSA(hash_algorithm))
        case rsa.RSAPrivateKey():
            return private_key.sign(content, _pss(hash_algorithm), hash_algorithm)


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
    not fit the key (RFC 8446, 4.4.3), decrypt_error for a wrong signature (RFC 8446, 6.2).
    """
    if scheme not in offered or not fits(public_key, scheme):
        raise ProtocolViolation(
            AlertDescription.ILLEGAL_PARAMETER,
            f"CertificateVerify with scheme {scheme:#06x}: not offered, or not for the "
            f"{key_kind(public_key)} key of the certificate",
        )
    content, (_, hash_algorithm) = _content(signer, transcript_hash), _SCHEMES[scheme]
    try:
        match public_key:
            case ed25519.Ed25519PublicKey():
                public_key.verify(signature, content)
            case ec.EllipticCurvePublicKey():
                public_key.verify(signature, content, ec.ECDSA(hash_algorithm))
            case rsa.RSAPublicKey():
                public_key.verify(signature, content, _pss(hash_algorithm), hash_algorithm)
    except InvalidSignature:
        raise ProtocolViolation(
            AlertDescription.DECRYPT_ERROR, "the signature of CertificateVerify is wrong"
        ) from None


def _content(signer: Signer, transcript_hash: bytes) -> bytes:
    return _PAD + signer.value + b"\0" + transcript_hash


def _pss(hash_algorithm: hashes.HashAlgorithm) -> padding.PSS:
    """The salt is as long as the hash (RFC 8446, 4.2.3)."""
    return padding.PSS(padding.MGF1(hash_algorithm), hash_algorithm.digest_size)
