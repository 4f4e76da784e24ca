"""A certification authority and who it certifies: for our side, and as PEM files for a peer."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from intaglio.certificates import Authority
from protocol.certificates import Credentials
from tests.protocol.certificates import private_key

SERVER_NAME = "server.example"
CLIENT_NAME = "client.example"


@cache
def authority() -> Authority:
    """The one that both sides trust, from now on: peers look at the real clock."""
    return Authority.create("Interop CA", private_key("secp256r1", "CA"), datetime.now(UTC))


@cache
def credentials(kind: str, name: str) -> Credentials:
    """A key of a kind of `protocol.signatures.key_kind`, certified for ``name``."""
    key = private_key(kind, name)
    return Credentials((authority().issue(name, key, datetime.now(UTC)),), key)


def write_trust(folder: Path) -> Path:
    """The authority's certificate."""
    return _write(folder / "ca.pem", _pem([authority().certificate]))


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
