import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.alerts import AlertDescription, ProtocolViolation, UsageError
from protocol.signatures import (
    AVAILABLE_SCHEMES,
    PrivateKey,
    PublicKey,
    SignatureScheme,
    Signer,
    _content,
    choose_scheme,
    fits,
    key_kind,
    sign,
    verify,
)
from tests.protocol.certificates import (
    ML_DSA_KINDS,
    credentials,
    private_key,
    rsa_pss_credentials,
)

KINDS = ("ed25519", "secp256r1", "secp384r1", "secp521r1", "rsa", "rsa_pss", *ML_DSA_KINDS)
HASH = bytes(range(32))

FITTING = [(kind, scheme) for kind in KINDS for scheme in SignatureScheme if fits(kind, scheme)]


def own_key(kind: str) -> PrivateKey:
    return private_key("rsa" if kind == "rsa_pss" else kind)


def public_key(kind: str) -> PublicKey:
    return PublicKey(kind, own_key(kind).public_key())


def refusal(public: PublicKey, scheme: int, *rest: object, **options: object) -> AlertDescription:
    with pytest.raises(ProtocolViolation) as caught:
        verify(public, scheme, *rest, **options)
    return caught.value.alert


def test_every_scheme_has_its_kind_of_key() -> None:
    assert [scheme for _, scheme in FITTING] == list(AVAILABLE_SCHEMES)


@pytest.mark.parametrize(("kind", "scheme"), FITTING)
def test_what_one_side_signs_the_other_verifies(kind: str, scheme: SignatureScheme) -> None:
    key = own_key(kind)
    verify(public_key(kind), scheme, Signer.SERVER, HASH, sign(key, scheme, Signer.SERVER, HASH))


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
    good = sign(own_key(kind), scheme, Signer.SERVER, HASH)
    forged = good[:-1] + bytes((good[-1] ^ 1,))
    public = public_key(kind)

    error = AlertDescription.DECRYPT_ERROR
    assert refusal(public, scheme, Signer.SERVER, HASH, forged) is error
    assert refusal(public, scheme, Signer.SERVER, HASH[::-1], good) is error
    assert refusal(public, scheme, Signer.CLIENT, HASH, good) is error
    assert refusal(public, scheme, Signer.SERVER, HASH, b"") is error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", [*SignatureScheme, 0x0401, 0x0203, 0xFFFF])
def test_a_scheme_that_does_not_fit_the_key_is_an_illegal_parameter(kind: str, scheme: int) -> None:
    """0x0401 is rsa_pkcs1_sha256, which must not sign a CertificateVerify (RFC 8446, 4.2.3)."""
    if not fits(kind, scheme):
        alert = refusal(public_key(kind), scheme, Signer.SERVER, HASH, bytes(64))
        assert alert is AlertDescription.ILLEGAL_PARAMETER


def test_a_scheme_that_was_not_offered_is_an_illegal_parameter() -> None:
    key, scheme = private_key("ed25519"), SignatureScheme.ED25519
    good = sign(key, scheme, Signer.SERVER, HASH)
    offered = [SignatureScheme.ECDSA_SECP256R1_SHA256]

    alert = refusal(public_key("ed25519"), scheme, Signer.SERVER, HASH, good, offered=offered)
    assert alert is AlertDescription.ILLEGAL_PARAMETER


def test_the_peers_preference_chooses_among_what_the_key_can_do() -> None:
    wanted = [0x0401, 0x0403, 0x0806, 0x0804]
    assert choose_scheme("rsa", wanted) is SignatureScheme.RSA_PSS_RSAE_SHA512
    ecdsa = SignatureScheme.ECDSA_SECP256R1_SHA256
    assert choose_scheme("secp256r1", wanted) is ecdsa


def test_no_common_scheme_is_a_handshake_failure() -> None:
    with pytest.raises(ProtocolViolation, match="ed25519") as caught:
        choose_scheme("ed25519", [0x0403, 0x0A0A])
    assert caught.value.alert is AlertDescription.HANDSHAKE_FAILURE


def test_to_sign_with_a_scheme_that_does_not_fit_is_our_own_mistake() -> None:
    with pytest.raises(UsageError, match="ED25519"):
        sign(private_key("rsa"), SignatureScheme.ED25519, Signer.CLIENT, HASH)


def test_another_kind_of_key_fits_no_scheme() -> None:
    assert key_kind(object()) == "object"
    assert not any(fits("object", scheme) for scheme in SignatureScheme)


@pytest.mark.parametrize("kind", [*KINDS[:5], *ML_DSA_KINDS])
def test_a_certificate_says_what_kind_its_key_is(kind: str) -> None:
    assert PublicKey.of_certificate(credentials(kind).chain[0]).kind == kind


def test_an_rsa_key_for_pss_alone_is_a_kind_of_its_own() -> None:
    """RFC 8446, 4.2.3: rsa_pss_rsae is for rsaEncryption, rsa_pss_pss for id-RSASSA-PSS."""
    own, _ = rsa_pss_credentials()
    public = PublicKey.of_certificate(own.chain[0])
    assert public.kind == own.kind == "rsa_pss"

    for_pss, for_any = SignatureScheme.RSA_PSS_PSS_SHA256, SignatureScheme.RSA_PSS_RSAE_SHA256
    signature = sign(own.private_key, for_pss, Signer.SERVER, HASH)
    verify(public, for_pss, Signer.SERVER, HASH, signature)
    alert = refusal(public, for_any, Signer.SERVER, HASH, signature)
    assert alert is AlertDescription.ILLEGAL_PARAMETER
    alert = refusal(public_key("rsa"), for_pss, Signer.SERVER, HASH, signature)
    assert alert is AlertDescription.ILLEGAL_PARAMETER


@pytest.mark.parametrize("kind", ML_DSA_KINDS)
def test_ml_dsa_has_an_empty_context(kind: str) -> None:
    """draft-ietf-tls-mldsa: the context of FIPS 204 is the empty string."""
    signature = sign(private_key(kind), SignatureScheme[kind.upper()], Signer.CLIENT, HASH)
    key = private_key(kind).public_key()
    key.verify(signature, _content(Signer.CLIENT, HASH), b"")
    with pytest.raises(InvalidSignature):
        key.verify(signature, _content(Signer.CLIENT, HASH), b"TLS")


@settings(max_examples=50)
@given(st.sampled_from(FITTING), st.binary(max_size=300))
def test_no_other_bytes_are_a_signature(
    fitting: tuple[str, SignatureScheme], signature: bytes
) -> None:
    kind, scheme = fitting
    alert = refusal(public_key(kind), scheme, Signer.SERVER, HASH, signature)
    assert alert is AlertDescription.DECRYPT_ERROR
