from collections.abc import Iterable

import pytest

from intaglio.certificates import Authority
from protocol.alerts import AlertDescription, DecodeError, ProtocolViolation
from protocol.authentication import (
    authorities_extension,
    client_credentials,
    server_credentials,
    signature_extensions,
)
from protocol.certificates import Credentials
from protocol.chain_signatures import CHAIN_SCHEMES
from protocol.extensions import (
    CERTIFICATE_AUTHORITIES,
    SERVER_NAME,
    SIGNATURE_ALGORITHMS,
    SIGNATURE_ALGORITHMS_CERT,
    Extension,
    Extensions,
    ExtensionType,
)
from protocol.signatures import AVAILABLE_SCHEMES, SignatureScheme
from tests.protocol.certificates import NOW, authority, credentials, private_key

ALL = tuple(SignatureScheme)
ECDSA, ED25519 = SignatureScheme.ECDSA_SECP256R1_SHA256, SignatureScheme.ED25519
RSA_PKCS1_SHA256 = 0x0401


def issued_by(kind: str, name: str = "server.example") -> Credentials:
    """Credentials with a P-256 key, issued by a CA of that kind."""
    ca, key = Authority.create(f"{kind} CA", private_key(kind, "ca"), NOW), private_key("secp256r1")
    return Credentials((ca.issue(name, key, NOW),), key)


def asks(
    schemes: Iterable[int] = ALL,
    certificate_schemes: Iterable[int] = (),
    authorities: Iterable[Credentials] = (),
    name: str | None = None,
) -> Extensions:
    """Extensions of a ClientHello or a CertificateRequest; CAs as those who issued credentials."""
    names = [own.chain[-1].issuer.public_bytes() for own in authorities]
    found = [SIGNATURE_ALGORITHMS.make(tuple(schemes))]
    if certificate_schemes:
        found.append(SIGNATURE_ALGORITHMS_CERT.make(tuple(certificate_schemes)))
    if names:
        found.append(CERTIFICATE_AUTHORITIES.make(names))
    if name:
        found.append(SERVER_NAME.make(name))
    return Extensions(found)


def test_a_server_uses_a_key_that_fits() -> None:
    own = credentials("rsa"), credentials("ed25519"), credentials("secp256r1")
    assert server_credentials(own, asks()) is own[0]
    assert server_credentials(own, asks([ED25519, ECDSA])) is own[1]
    assert server_credentials(own, asks([ECDSA])) is own[2]


def test_a_server_without_a_key_that_fits_fails_the_handshake() -> None:
    """RFC 8446, 4.4.2.2."""
    own = credentials("rsa"), credentials("ed25519")
    with pytest.raises(ProtocolViolation, match="rsa, ed25519") as caught:
        server_credentials(own, asks([ECDSA]))
    assert caught.value.alert is AlertDescription.HANDSHAKE_FAILURE


def test_who_sends_no_signature_algorithms_lacks_an_extension() -> None:
    for choose in (server_credentials, client_credentials):
        with pytest.raises(ProtocolViolation) as caught:
            choose((credentials(),), Extensions())
        assert caught.value.alert is AlertDescription.MISSING_EXTENSION


def test_a_server_has_credentials_for_several_names() -> None:
    own = tuple(credentials(name=name) for name in ("a.example", "*.b.example", "c.example"))
    for name, expected in (("a.example", 0), ("x.b.example", 1), ("c.example", 2)):
        assert server_credentials(own, asks(name=name)) is own[expected]
    assert server_credentials(own, asks(name="other.example")) is own[0]
    assert server_credentials(own, asks()) is own[0]


def test_a_server_prefers_certificates_with_signatures_that_the_client_takes() -> None:
    """RFC 8446, 4.4.2.2; without signature_algorithms_cert signature_algorithms counts."""
    own = issued_by("rsa"), issued_by("secp256r1")
    assert server_credentials(own, asks(certificate_schemes=[RSA_PKCS1_SHA256])) is own[0]
    assert server_credentials(own, asks(certificate_schemes=[ECDSA])) is own[1]
    assert server_credentials(own, asks([ECDSA])) is own[1]
    assert server_credentials(own, asks([ECDSA, RSA_PKCS1_SHA256])) is own[0]


def test_a_server_sends_a_chain_that_the_client_may_not_take_rather_than_none() -> None:
    """RFC 8446, 4.4.2.2."""
    own = issued_by("rsa")
    assert server_credentials((own,), asks(certificate_schemes=[ECDSA])) is own


def test_a_server_prefers_a_ca_that_the_client_names() -> None:
    own = credentials(ca="One CA"), credentials(ca="Two CA")
    for expected in own:
        assert server_credentials(own, asks(authorities=[expected])) is expected
    assert server_credentials(own, asks(authorities=[credentials(ca="Other CA")])) is own[0]


def test_a_client_prefers_a_ca_that_the_server_names() -> None:
    own = credentials(ca="One CA"), credentials(ca="Two CA")
    for expected in own:
        assert client_credentials(own, asks(authorities=[expected])) is expected
    assert client_credentials(own, asks(authorities=[credentials(ca="Other CA")])) is own[0]


def test_a_client_sends_no_chain_with_signatures_that_the_server_does_not_take() -> None:
    """RFC 8446, 4.4.2.3."""
    own = issued_by("rsa")
    assert client_credentials((own,), asks([ECDSA])) is None
    assert client_credentials((own,), asks([ECDSA], [RSA_PKCS1_SHA256])) is own
    assert client_credentials((own,), asks([ED25519], [RSA_PKCS1_SHA256])) is None
    assert client_credentials((), asks()) is None


def test_signatures_in_certificates_have_a_list_of_their_own() -> None:
    """RSASSA-PKCS1-v1_5 signs certificates, but no handshake; Ed25519 the reverse here."""
    extensions = Extensions(signature_extensions(AVAILABLE_SCHEMES))
    assert SIGNATURE_ALGORITHMS.read(extensions) == AVAILABLE_SCHEMES
    assert SIGNATURE_ALGORITHMS_CERT.read(extensions) == CHAIN_SCHEMES
    assert RSA_PKCS1_SHA256 in CHAIN_SCHEMES
    assert ED25519 not in CHAIN_SCHEMES


def test_the_names_of_the_roots_are_sent_once_each() -> None:
    roots = [authority(name).certificate for name in ("One CA", "Two CA", "One CA")]
    extensions = Extensions(authorities_extension(roots))
    names = [root.subject.public_bytes() for root in roots[:2]]
    assert CERTIFICATE_AUTHORITIES.require(extensions) == tuple(names)
    assert names[0] == bytes.fromhex("3011310f300d06035504030c06") + b"One CA"


def test_the_list_of_names_is_never_empty_and_never_huge() -> None:
    """RFC 8446, 4.2.4: authorities<3..2^16-1>."""
    assert authorities_extension([]) == []
    many = [authority(f"{number:060}").certificate for number in range(60)]
    assert authorities_extension(many) == []
    assert authorities_extension(many[:40])


@pytest.mark.parametrize("data", ["0000", "00020000", "0003000100ff", "00030002aa", "0002aabb"])
def test_a_malformed_list_of_names_is_a_decode_error(data: str) -> None:
    number = ExtensionType.CERTIFICATE_AUTHORITIES
    with pytest.raises(DecodeError):
        CERTIFICATE_AUTHORITIES.read(Extensions([Extension(number, bytes.fromhex(data))]))
