from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from protocol.certificates import Credentials, CredentialsError, load_certificates
from tests.protocol.certificates import (
    KEY_KINDS,
    ML_DSA_KINDS,
    NOW,
    SERVER_NAME,
    authority,
    certificate,
    credentials,
    intermediate,
    private_key,
    self_signed,
)

TRUST = [authority().certificate]


def write_pem(folder: Path, owner: Credentials, password: bytes | None = None) -> tuple[Path, Path]:
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(b"".join(c.public_bytes(Encoding.PEM) for c in owner.chain))
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    key.write_bytes(owner.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return chain, key


@pytest.mark.parametrize("kind", [*KEY_KINDS, *ML_DSA_KINDS])
@pytest.mark.parametrize("password", [None, b"open sesame"], ids=["plain", "encrypted"])
def test_credentials_are_loaded_from_pem_files(
    tmp_path: Path, kind: str, password: bytes | None
) -> None:
    own = credentials(kind)
    loaded = Credentials.from_pem_files(*write_pem(tmp_path, own, password), password)

    assert loaded.chain == own.chain
    assert loaded.chain_der == own.chain_der


def test_trusted_certificates_are_loaded_from_a_pem_file(tmp_path: Path) -> None:
    path = tmp_path / "trust.pem"
    path.write_bytes(b"".join(c.public_bytes(Encoding.PEM) for c in TRUST * 2))
    assert load_certificates(path) == tuple(TRUST * 2)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    chain, key = write_pem(tmp_path, credentials())
    nowhere = tmp_path / "nowhere.pem"
    for paths in ((nowhere, key), (chain, nowhere)):
        with pytest.raises(CredentialsError, match=r"nowhere\.pem: No such file"):
            Credentials.from_pem_files(*paths)


def test_a_file_that_holds_something_else_is_named(tmp_path: Path) -> None:
    chain, key = write_pem(tmp_path, credentials())
    with pytest.raises(CredentialsError, match=r"key\.pem: no certificate"):
        Credentials.from_pem_files(key, key)
    with pytest.raises(CredentialsError, match=r"chain\.pem: no private key"):
        Credentials.from_pem_files(chain, chain)


@pytest.mark.parametrize(
    ("password", "given", "problem"),
    [
        (b"right", None, "a password is needed"),
        (b"right", b"wrong", "the password is wrong"),
        (None, b"any", "is not encrypted"),
    ],
)
def test_a_password_that_does_not_fit_is_explained(
    tmp_path: Path, password: bytes | None, given: bytes | None, problem: str
) -> None:
    paths = write_pem(tmp_path, credentials(), password)
    with pytest.raises(CredentialsError, match=problem):
        Credentials.from_pem_files(*paths, given)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    chain, key = write_pem(tmp_path, credentials())
    other = private_key("secp256r1", "other")
    key.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(CredentialsError, match=r"chain\.pem.*CN=server\.example"):
        Credentials.from_pem_files(chain, key)
    with pytest.raises(CredentialsError, match="does not belong"):
        Credentials(credentials().chain, private_key("ed25519"))


def test_a_key_that_cannot_sign_is_refused(tmp_path: Path) -> None:
    chain, key = write_pem(tmp_path, credentials())
    other = x25519.X25519PrivateKey.generate()
    key.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(CredentialsError, match="not supported: X25519PrivateKey"):
        Credentials.from_pem_files(chain, key)
    with pytest.raises(CredentialsError, match="no certificate"):
        Credentials((), private_key("ed25519"))


def test_no_key_shows_in_a_repr() -> None:
    for owner in (credentials(), authority()):
        assert "private" not in repr(owner).lower()


def test_a_certificate_that_is_not_for_signatures_is_refused() -> None:
    """RFC 8446, 4.4.2.2: digitalSignature is set if there is a keyUsage."""
    usage = x509.KeyUsage(False, False, True, False, False, False, False, False, False)
    with pytest.raises(CredentialsError, match="not for signatures"):
        Credentials((certificate(SERVER_NAME, private_key("rsa"), usage),), private_key("rsa"))


@pytest.mark.parametrize(
    ("name", "asked", "fits"),
    [
        ("server.example", "server.example", True),
        ("Server.Example", "server.example", True),
        ("server.example", "SERVER.example.", True),
        ("server.example", "other.example", False),
        ("*.server.example", "a.server.example", True),
        ("*.server.example", "server.example", False),
        ("*.server.example", "a.b.server.example", False),
        ("server.example", "example", False),
        ("127.0.0.1", "127.0.0.1", False),
    ],
)
def test_the_names_of_a_certificate_are_those_of_its_alternative_names(
    name: str, asked: str, fits: bool
) -> None:
    assert credentials(name=name).is_for(asked) is fits


def test_a_certificate_without_alternative_names_is_for_nobody() -> None:
    key = private_key("secp256r1")
    assert not Credentials((certificate(SERVER_NAME, key),), key).is_for(SERVER_NAME)


def test_the_signatures_of_a_chain_are_those_that_somebody_verifies() -> None:
    """RFC 8446, 4.2.3: the signature of a self-signed certificate does not count."""
    ecdsa, ed25519 = 0x0403, 0x0807
    assert credentials().signed_with([ecdsa])
    assert not credentials().signed_with([ed25519])
    root = authority().certificate
    assert not Credentials((*credentials().chain, root), credentials().private_key).signed_with([])
    assert Credentials(self_signed().chain, self_signed().private_key).signed_with([])


def test_the_issuers_of_a_chain_are_those_of_all_its_certificates() -> None:
    middle = intermediate("Middle CA")
    leaf = middle.issue(SERVER_NAME, private_key("secp256r1"), NOW)
    own = Credentials((leaf, middle.certificate), private_key("secp256r1"))
    names = {middle.certificate.subject.public_bytes(), TRUST[0].subject.public_bytes()}
    assert own.issuers == names
