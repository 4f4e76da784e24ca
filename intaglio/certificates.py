"""A throw-away CA and the certificates that it issues, for the demo and for tests.

The keys live in memory only. They are fit for nothing more: there is no revocation, and the key of
the CA lies beside that of the server.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocol.certificates import Credentials
from protocol.signatures import PrivateKey

#: How far before and after its making a certificate is valid.
LIFETIME = timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """A CA: its self-signed certificate, and the key that signs what it issues."""

    certificate: x509.Certificate
    private_key: PrivateKey = field(repr=False)

    @classmethod
    def create(cls, name: str, private_key: PrivateKey, now: datetime) -> "Authority":
        """A root of that common name."""
        subject = _common_name(name)
        builder = (
            _builder(subject, subject, private_key, private_key, now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
        )
        return cls(_sign(builder, private_key), private_key)

    def issue(self, name: str, private_key: PrivateKey, now: datetime) -> x509.Certificate:
        """A certificate for a server of that DNS name or IP address, or for a client."""
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        issuer = self.certificate.subject
        builder = (
            _builder(_common_name(name), issuer, private_key, self.private_key, now)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName([_general_name(name)]), critical=False)
        )
        return _sign(builder, self.private_key)


def make_demo_credentials(server_name: str) -> tuple[x509.Certificate, Credentials]:
    """A fresh CA's certificate to trust, and P-256 credentials for ``server_name`` issued by it.

    They are valid for a day from now.
    """
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    authority = Authority.create("Intaglio demo CA", ec.generate_private_key(ec.SECP256R1()), now)
    return authority.certificate, Credentials((authority.issue(server_name, key, now),), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    private_key: PrivateKey,
    issuer_key: PrivateKey,
    now: datetime,
) -> x509.CertificateBuilder:
    subject_key, issuer_key_public = private_key.public_key(), issuer_key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(subject_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LIFETIME)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(subject_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key_public), critical=False
        )
    )


def _sign(builder: x509.CertificateBuilder, private_key: PrivateKey) -> x509.Certificate:
    takes_hash = isinstance(private_key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    return builder.sign(private_key, hashes.SHA256() if takes_hash else None)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _common_name(name: str) -> x509.Name:
    """It is for people: the subjectAltName counts, and may be longer than 64 (RFC 5280, A.1)."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
