import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.alerts import AlertDescription, ProtocolViolation, UsageError
from protocol.signatures import (
    SignatureScheme,
    Signer,
    _content,
    choose_scheme,
    fits,
    key_kind,
    sign,
    verify,
)
from tests.protocol.certificates import private_key

KINDS = ("ed25519", "secp256r1", "secp384r1", "secp521r1", "rsa")
HASH = bytes(range(32))

FITTING = [(kind, s) for kind in KINDS for s in SignatureScheme if fits(private_key(kind), s)]


def refusal(public_key: object, scheme: int, *rest: object, **options: object) -> AlertDescription:
    with pytest.raises(ProtocolViolation) as caught:
        verify(public_key, scheme, *rest, **options)
    return caught.value.alert


def test_every_scheme_has_its_kind_of_key() -> None:
    assert [scheme for _, scheme in FITTING] == list(SignatureScheme)


@pytest.mark.parametrize(("kind", "scheme"), FITTING)
def test_what_one_side_signs_the_other_verifies(kind: str, scheme: SignatureScheme) -> None:
    key = private_key(kind)
    verify(key.public_key(), scheme, Signer.SERVER, HASH, sign(key, scheme, Signer.SERVER, HASH))


def test_the_content_is_that_of_the_standard() -> None:
    """RFC 8446, 4.4.3, the example: a transcript hash of 32 bytes 01."""
    expected = bytes.fromhex(
        "20202020202020202020202020202020"
        "20202020202020202020202020202020"
        "20202020202020202020202020202020"
        "20202020202020202020202020202020"
        "544c5320312e332c207365727665722043657274696669636174655665726966"
        "79"
        "00"
        "01010101010101010101010101010101"
        "01010101010101010101010101010101"
    )
    assert _content(Signer.SERVER, b"\1" * 32) == expected


@pytest.mark.parametrize(("kind", "scheme"), FITTING)
def test_a_wrong_signature_is_a_decrypt_error(kind: str, scheme: SignatureScheme) -> None:
    key = private_key(kind)
    good = sign(key, scheme, Signer.SERVER, HASH)
    forged = good[:-1] + bytes((good[-1] ^ 1,))
    public = key.public_key()

    error = AlertDescription.DECRYPT_ERROR
    assert refusal(public, scheme, Signer.SERVER, HASH, forged) is error
    assert refusal(public, scheme, Signer.SERVER, HASH[::-1], good) is error
    assert refusal(public, scheme, Signer.CLIENT, HASH, good) is error
    assert refusal(public, scheme, Signer.SERVER, HASH, b"") is error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", [*SignatureScheme, 0x0401, 0x0203, 0xFFFF])
def test_a_scheme_that_does_not_fit_the_key_is_an_illegal_parameter(kind: str, scheme: int) -> None:
    """0x0401 is rsa_pkcs1_sha256, which must not sign a CertificateVerify (RFC 8446, 4.2.3)."""
    if not fits(private_key(kind), scheme):
        public = private_key(kind).public_key()
        alert = refusal(public, scheme, Signer.SERVER, HASH, bytes(64))
        assert alert is AlertDescription.ILLEGAL_PARAMETER


def test_a_scheme_that_was_not_offered_is_an_illegal_parameter() -> None:
    key, scheme = private_key("ed25519"), SignatureScheme.ED25519
    good = sign(key, scheme, Signer.SERVER, HASH)
    offered = [SignatureScheme.ECDSA_SECP256R1_SHA256]

    alert = refusal(key.public_key(), scheme, Signer.SERVER, HASH, good, offered=offered)
    assert alert is AlertDescription.ILLEGAL_PARAMETER


def test_the_peers_preference_chooses_among_what_the_key_can_do() -> None:
    wanted = [0x0401, 0x0403, 0x0806, 0x0804]
    assert choose_scheme(private_key("rsa"), wanted) is SignatureScheme.RSA_PSS_RSAE_SHA512
    ecdsa = SignatureScheme.ECDSA_SECP256R1_SHA256
    assert choose_scheme(private_key("secp256r1"), wanted) is ecdsa


def test_no_common_scheme_is_a_handshake_failure() -> None:
    with pytest.raises(ProtocolViolation, match="ed25519") as caught:
        choose_scheme(private_key("ed25519"), [0x0403, 0x0A0A])
    assert caught.value.alert is AlertDescription.HANDSHAKE_FAILURE


def test_to_sign_with_a_scheme_that_does_not_fit_is_our_own_mistake() -> None:
    with pytest.raises(UsageError, match="ED25519"):
        sign(private_key("rsa"), SignatureScheme.ED25519, Signer.CLIENT, HASH)


def test_another_kind_of_key_fits_no_scheme() -> None:
    assert key_kind(object()) == "object"
    assert not any(fits(object(), scheme) for scheme in SignatureScheme)


@settings(max_examples=50)
@given(st.sampled_from(FITTING), st.binary(max_size=300))
def test_no_other_bytes_are_a_signature(
    fitting: tuple[str, SignatureScheme], signature: bytes
) -> None:
    kind, scheme = fitting
    public = private_key(kind).public_key()
    alert = refusal(public, scheme, Signer.SERVER, HASH, signature)
    assert alert is AlertDescription.DECRYPT_ERROR
