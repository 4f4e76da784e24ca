"""The signature of CertificateVerify (RFC 8446, 4.2.3 and 4.4.3; draft-ietf-tls-mldsa)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, NamedTuple, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
    CertificateIssuerPublicKeyTypes,
)
from cryptography.x509.oid import PublicKeyAlgorithmOID

from protocol.alerts import AlertDescription, ProtocolViolation, UsageError

try:
    from cryptography.hazmat.primitives.asymmetric import mldsa
except ImportError:  # an older pyca/cryptography
    _ML_DSA_KEYS: dict[str, tuple[type, type]] = {}
else:
    _ML_DSA_KEYS = {
        "mldsa44": (mldsa.MLDSA44PrivateKey, mldsa.MLDSA44PublicKey),
        "mldsa65": (mldsa.MLDSA65PrivateKey, mldsa.MLDSA65PublicKey),
        "mldsa87": (mldsa.MLDSA87PrivateKey, mldsa.MLDSA87PublicKey),
    }

#: A private key, of which `key_kind` tells whether there is a scheme for it.
PrivateKey: TypeAlias = CertificateIssuerPrivateKeyTypes
#: The public half of one.
VerifyingKey: TypeAlias = CertificateIssuerPublicKeyTypes

#: What the signature covers before the context string (RFC 8446, 4.4.3).
_PAD = b" " * 64
#: The kind of an RSA key whose certificate gives it to PSS alone (id-RSASSA-PSS, RFC 5756).
_RSA_PSS = "rsa_pss"


class SignatureScheme(IntEnum):
    """The schemes that this stack signs and verifies with (RFC 8446, 4.2.3), preferred first.

    Those of ML-DSA come last because of their size: 2,420 to 4,627 bytes a signature.
    """

    ED25519 = 0x0807
    ECDSA_SECP256R1_SHA256 = 0x0403
    ECDSA_SECP384R1_SHA384 = 0x0503
    ECDSA_SECP521R1_SHA512 = 0x0603
    RSA_PSS_RSAE_SHA256 = 0x0804
    RSA_PSS_RSAE_SHA384 = 0x0805
    RSA_PSS_RSAE_SHA512 = 0x0806
    RSA_PSS_PSS_SHA256 = 0x0809
    RSA_PSS_PSS_SHA384 = 0x080A
    RSA_PSS_PSS_SHA512 = 0x080B
    MLDSA44 = 0x0904
    MLDSA65 = 0x0905
    MLDSA87 = 0x0906


@dataclass(frozen=True)
class _Algorithm:
    """``kind`` of key, and what the key's sign and verify take after content and signature."""

    kind: str
    arguments: tuple[Any, ...] = ()


def _ecdsa(curve: str, hash_algorithm: hashes.HashAlgorithm) -> _Algorithm:
    return _Algorithm(curve, (ec.ECDSA(hash_algorithm),))


def _pss(kind: str, hash_algorithm: hashes.HashAlgorithm) -> _Algorithm:
    """The salt is as long as the hash (RFC 8446, 4.2.3)."""
    pss = padding.PSS(padding.MGF1(hash_algorithm), hash_algorithm.digest_size)
    return _Algorithm(kind, (pss, hash_algorithm))


#: In the order of `SignatureScheme`. The context string of ML-DSA is empty, the default.
_ALGORITHMS: dict[int, _Algorithm] = {
    SignatureScheme.ED25519: _Algorithm("ed25519"),
    SignatureScheme.ECDSA_SECP256R1_SHA256: _ecdsa("secp256r1", hashes.SHA256()),
    SignatureScheme.ECDSA_SECP384R1_SHA384: _ecdsa("secp384r1", hashes.SHA384()),
    SignatureScheme.ECDSA_SECP521R1_SHA512: _ecdsa("secp521r1", hashes.SHA512()),
    SignatureScheme.RSA_PSS_RSAE_SHA256: _pss("rsa", hashes.SHA256()),
    SignatureScheme.RSA_PSS_RSAE_SHA384: _pss("rsa", hashes.SHA384()),
    SignatureScheme.RSA_PSS_RSAE_SHA512: _pss("rsa", hashes.SHA512()),
    SignatureScheme.RSA_PSS_PSS_SHA256: _pss(_RSA_PSS, hashes.SHA256()),
    SignatureScheme.RSA_PSS_PSS_SHA384: _pss(_RSA_PSS, hashes.SHA384()),
    SignatureScheme.RSA_PSS_PSS_SHA512: _pss(_RSA_PSS, hashes.SHA512()),
    **{SignatureScheme[kind.upper()]: _Algorithm(kind) for kind in _ML_DSA_KEYS},
}

#: The schemes that can be used here: those whose algorithms pyca/cryptography has.
AVAILABLE_SCHEMES = tuple(SignatureScheme(scheme) for scheme in _ALGORITHMS)

_CLASSES: dict[str, tuple[type, type]] = {
    "ed25519": (ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey),
    "rsa": (rsa.RSAPrivateKey, rsa.RSAPublicKey),
    **_ML_DSA_KEYS,
}


class Signer(Enum):
    """Who signs: each side has a context string of its own (RFC 8446, 4.4.3)."""

    SERVER = b"TLS 1.3, server CertificateVerify"
    CLIENT = b"TLS 1.3, client CertificateVerify"


class PublicKey(NamedTuple):
    """A public key, and what kind it is by its certificate: that says more than the key alone."""

    kind: str
    key: Any

    @classmethod
    def of_certificate(cls, certificate: x509.Certificate) -> "PublicKey":
        """Raises what pyca/cryptography raises for a key that it cannot read.

        Parameters of an id-RSASSA-PSS key, which may restrict its hash, are not looked at.
        """
        key = certificate.public_key()
        for_pss = certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS
        return cls(_RSA_PSS if for_pss else key_kind(key), key)

    @classmethod
    def raw(cls, key: VerifyingKey) -> "PublicKey":
        """A key that comes without a certificate."""
        return cls(key_kind(key), key)


def key_kind(key: object) -> str:
    """What kind of key this is, private or public.

    ``ed25519``, ``rsa``, ``mldsa44``, ``mldsa65``, ``mldsa87`` or the curve's name; for any other
    key the name of its class, which no scheme needs.
    """
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return key.curve.name
    for kind, classes in _CLASSES.items():
        if isinstance(key, classes):
            return kind
    return type(key).__name__


def fits(kind: str, scheme: int) -> bool:
    """Whether ``scheme`` is available and needs this kind of key."""
    algorithm = _ALGORITHMS.get(scheme)
    return algorithm is not None and algorithm.kind == kind


def choose_scheme(kind: str, peer_schemes: Sequence[int]) -> SignatureScheme:
    """The first of the peer's schemes that a key of this kind can sign with.

    Raises `ProtocolViolation` with handshake_failure when there is none (RFC 8446, 4.4.2.2).
    """
    for scheme in peer_schemes:
        if fits(kind, scheme):
            return SignatureScheme(scheme)
    raise ProtocolViolation(
        AlertDescription.HANDSHAKE_FAILURE, f"the peer takes no signature of our {kind} key"
    )


def sign(
    private_key: PrivateKey, scheme: SignatureScheme, signer: Signer, transcript_hash: bytes
) -> bytes:
    """The signature of a CertificateVerify; raises `UsageError` when key and scheme do not fit."""
    algorithm, kind = _ALGORITHMS.get(scheme), key_kind(private_key)
    if algorithm is None or algorithm.kind not in (kind, f"{kind}_pss"):
        raise UsageError(f"a key of kind {kind} cannot sign with {scheme.name}")
    key: Any = private_key
    signature: bytes = key.sign(_content(signer, transcript_hash), *algorithm.arguments)
    return signature


def verify(
    public_key: PublicKey,
    scheme: int,
    signer: Signer,
    transcript_hash: bytes,
    signature: bytes,
    offered: Sequence[int] = AVAILABLE_SCHEMES,
) -> None:
    """Verify a CertificateVerify with the key of the peer's certificate.

    Raises `ProtocolViolation`: illegal_parameter for a scheme that was not ``offered`` or that does
    not fit the key (RFC 8446, 4.4.3), decrypt_error for a wrong signature (RFC 8446, 6.2).
    """
    if scheme not in offered or not fits(public_key.kind, scheme):
        raise ProtocolViolation(
            AlertDescription.ILLEGAL_PARAMETER,
            f"CertificateVerify with scheme {scheme:#06x}: not offered, or not for the "
            f"{public_key.kind} key of the certificate",
        )
    content = _content(signer, transcript_hash)
    try:
        public_key.key.verify(signature, content, *_ALGORITHMS[scheme].arguments)
    except InvalidSignature:
        raise ProtocolViolation(
            AlertDescription.DECRYPT_ERROR, "the signature of CertificateVerify is wrong"
        ) from None


def _content(signer: Signer, transcript_hash: bytes) -> bytes:
    return _PAD + signer.value + b"\0" + transcript_hash
