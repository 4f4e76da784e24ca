"""Signature schemes of certificates: what signature_algorithms_cert is about (RFC 8446, 4.2.3)."""

from cryptography import x509
from cryptography.x509.oid import SignatureAlgorithmOID

from protocol.signatures import AVAILABLE_SCHEMES, SignatureScheme

#: RSASSA-PKCS1-v1_5 signs certificates only; in the handshake it must not be used.
_RSA_PKCS1_SHA256, _RSA_PKCS1_SHA384, _RSA_PKCS1_SHA512 = 0x0401, 0x0501, 0x0601

#: By the signature algorithm of a certificate. Whatever its curve, ECDSA counts by its hash.
_BY_ALGORITHM: dict[str, int] = {
    SignatureAlgorithmOID.ECDSA_WITH_SHA256.dotted_string: SignatureScheme.ECDSA_SECP256R1_SHA256,
    SignatureAlgorithmOID.ECDSA_WITH_SHA384.dotted_string: SignatureScheme.ECDSA_SECP384R1_SHA384,
    SignatureAlgorithmOID.ECDSA_WITH_SHA512.dotted_string: SignatureScheme.ECDSA_SECP521R1_SHA512,
    SignatureAlgorithmOID.RSA_WITH_SHA256.dotted_string: _RSA_PKCS1_SHA256,
    SignatureAlgorithmOID.RSA_WITH_SHA384.dotted_string: _RSA_PKCS1_SHA384,
    SignatureAlgorithmOID.RSA_WITH_SHA512.dotted_string: _RSA_PKCS1_SHA512,
    SignatureAlgorithmOID.ED25519.dotted_string: SignatureScheme.ED25519,
    # RFC 9881; older versions of pyca/cryptography have no names for them.
    "2.16.840.1.101.3.4.3.17": SignatureScheme.MLDSA44,
    "2.16.840.1.101.3.4.3.18": SignatureScheme.MLDSA65,
    "2.16.840.1.101.3.4.3.19": SignatureScheme.MLDSA87,
}
#: RSASSA-PSS by its hash: under a CA's key of either kind.
_BY_PSS_HASH = {
    "sha256": {SignatureScheme.RSA_PSS_RSAE_SHA256, SignatureScheme.RSA_PSS_PSS_SHA256},
    "sha384": {SignatureScheme.RSA_PSS_RSAE_SHA384, SignatureScheme.RSA_PSS_PSS_SHA384},
    "sha512": {SignatureScheme.RSA_PSS_RSAE_SHA512, SignatureScheme.RSA_PSS_PSS_SHA512},
}

#: What `protocol.chains` verifies in the chain of a peer, which pyca/cryptography's verifier
#: decides: no Ed25519, and no CA whose key is for PSS alone.
CHAIN_SCHEMES: tuple[int, ...] = (
    SignatureScheme.ECDSA_SECP256R1_SHA256,
    SignatureScheme.ECDSA_SECP384R1_SHA384,
    SignatureScheme.ECDSA_SECP521R1_SHA512,
    SignatureScheme.RSA_PSS_RSAE_SHA256,
    SignatureScheme.RSA_PSS_RSAE_SHA384,
    SignatureScheme.RSA_PSS_RSAE_SHA512,
    _RSA_PKCS1_SHA256,
    _RSA_PKCS1_SHA384,
    _RSA_PKCS1_SHA512,
    *(scheme for scheme in AVAILABLE_SCHEMES if scheme.name.startswith("MLDSA")),
)


def certificate_schemes(certificate: x509.Certificate) -> frozenset[int]:
    """The schemes that the signature of a certificate counts as; none for one without a number."""
    algorithm = certificate.signature_algorithm_oid
    if algorithm == SignatureAlgorithmOID.RSASSA_PSS:
        pss_hash = certificate.signature_hash_algorithm
        return frozenset(_BY_PSS_HASH.get(pss_hash.name, ()) if pss_hash else ())
    scheme = _BY_ALGORITHM.get(algorithm.dotted_string)
    return frozenset() if scheme is None else frozenset({scheme})
