"""A certification authority and who it certifies: for our side, and as PEM files for a peer."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from intaglio.certificates import Authority
from protocol.certificates import Credentials
from tests.protocol.certificates import private_key, rsa_pss_credentials

SERVER_NAME = "server.example"
CLIENT_NAME = "client.example"
#: The kind whose certificate gives the key to PSS alone.
RSA_PSS = "rsa_pss"


@cache
def authority() -> Authority:
    """The one that both sides trust, from now on: peers look at the real clock."""
    return Authority.create("Interop CA", private_key("secp256r1", "CA"), datetime.now(UTC))


@cache
def credentials(kind: str, name: str) -> Credentials:
    """A key of a kind of `protocol.signatures.key_kind`, or of id-RSASSA-PSS, certified."""
    if kind == RSA_PSS:
        own, _ = rsa_pss_credentials()  # as OpenSSL made it: the name is SERVER_NAME in any case
        return own
    key = private_key(kind, name)
    return Credentials((authority().issue(name, key, datetime.now(UTC)),), key)


def root(kind: str) -> x509.Certificate:
    """Who stands behind the `credentials` of a kind."""
    return rsa_pss_credentials()[1] if kind == RSA_PSS else authority().certificate


def write_trust(folder: Path, kind: str = "") -> Path:
    """The root of a kind."""
    return _write(folder / "ca.pem", _pem([root(kind)]))


def write_credentials(folder: Path, own: Credentials) -> dict[str, Path]:
    """The options of a peer that authenticates itself with these."""
    key = own.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        "cert": _write(folder / "cert.pem", _pem(own.chain)),
        "key": _write(folder / "key.pem", key),
    }


def _pem(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def _write(path: Path, text: bytes) -> Path:
    path.write_bytes(text)
    return path
