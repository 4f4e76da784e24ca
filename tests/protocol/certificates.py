"""Keys, a CA and credentials for tests; the keys are made once a process."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import cryptography_vectors
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from intaglio.certificates import LIFETIME, Authority
from protocol.certificates import Credentials, load_certificates
from protocol.signatures import AVAILABLE_SCHEMES, PrivateKey

#: What the tests take for the present.
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
#: A time at which certificates were valid that no longer are.
LONG_AGO = NOW - 10 * LIFETIME
SERVER_NAME = "server.example"
KEY_KINDS = ("secp256r1", "ed25519", "rsa")
ML_DSA_KINDS = tuple(s.name.lower() for s in AVAILABLE_SCHEMES if s.name.startswith("MLDSA"))

_DATA = Path(__file__).parent / "data" / "certificates"


@cache
def private_key(kind: str, owner: str = "server") -> PrivateKey:
    """A key of one of the kinds of `protocol.signatures.key_kind`; one for each owner."""
    makers = {
        "secp256r1": lambda: ec.generate_private_key(ec.SECP256R1()),
        "secp384r1": lambda: ec.generate_private_key(ec.SECP384R1()),
        "secp521r1": lambda: ec.generate_private_key(ec.SECP521R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "rsa": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    }
    return makers[kind]() if kind in makers else _ml_dsa_key(kind)


def _ml_dsa_key(kind: str) -> PrivateKey:
    from cryptography.hazmat.primitives.asymmetric import mldsa

    return getattr(mldsa, f"{kind.upper()}PrivateKey").generate()


@cache
def authority(name: str = "Test CA", now: datetime = NOW) -> Authority:
    """A root CA with a P-256 key of its own."""
    return Authority.create(name, private_key("secp256r1", name), now)


def certificate(
    name: str, key: PrivateKey, *extensions: x509.ExtensionType, now: datetime = NOW
) -> x509.Certificate:
    """A certificate of the test CA with these extensions, all critical, and no others."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(authority().certificate.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - LIFETIME)
        .not_valid_after(now + LIFETIME)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(authority().private_key, hashes.SHA256())


@cache
def intermediate(name: str, now: datetime = NOW) -> Authority:
    """A CA that the test CA certifies."""
    key = private_key("secp256r1", name)
    extensions = (
        x509.BasicConstraints(ca=True, path_length=None),
        authority().certificate.extensions.get_extension_for_class(x509.KeyUsage).value,
    )
    return Authority(certificate(name, key, *extensions, now=now), key)


@cache
def credentials(
    kind: str = "secp256r1", name: str = SERVER_NAME, ca: str = "Test CA", now: datetime = NOW
) -> Credentials:
    """Credentials for ``name``, issued by the CA of that name at ``now``."""
    key = private_key(kind)
    return Credentials((authority(ca).issue(name, key, now),), key)


@cache
def self_signed(name: str = SERVER_NAME) -> Credentials:
    """Credentials that nobody but their owner stands behind."""
    key = private_key("secp256r1", name)
    return Credentials((Authority.create(name, key, NOW).issue(name, key, NOW),), key)


@cache
def rsa_pss_credentials() -> tuple[Credentials, x509.Certificate]:
    """Credentials whose certificate says id-RSASSA-PSS, and the root that issued it."""
    leaf, root = load_certificates(_DATA / "rsassa-pss.pem")
    pem = "asymmetric/PKCS8/rsa_pss_2048.pem"
    with cryptography_vectors.open_vector_file(pem, "rb") as file:
        key = load_pem_private_key(file.read(), None)
    return Credentials((leaf,), key), root
