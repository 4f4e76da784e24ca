import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from protocol.alerts import AlertDescription, ProtocolViolation, UsageError
from protocol.key_exchange import (
    AVAILABLE_GROUPS,
    KeyShare,
    NamedGroup,
    _EcdhShare,
    _HybridShare,
    _X25519Share,
    generate,
    respond,
)

#: In bytes: the client's share, the server's, and the secret (RFC 8446, 4.2.8.2 and 7.4;
#: draft-ietf-tls-ecdhe-mlkem, 3).
SIZES = {
    NamedGroup.X25519: (32, 32, 32),
    NamedGroup.SECP256R1: (65, 65, 32),
    NamedGroup.SECP384R1: (97, 97, 48),
    NamedGroup.SECP521R1: (133, 133, 66),
    NamedGroup.X25519MLKEM768: (1216, 1120, 64),
}
CURVES = {
    NamedGroup.SECP256R1: ec.SECP256R1(),
    NamedGroup.SECP384R1: ec.SECP384R1(),
    NamedGroup.SECP521R1: ec.SECP521R1(),
}
HYBRID = NamedGroup.X25519MLKEM768
needs_hybrid = pytest.mark.skipif(HYBRID not in AVAILABLE_GROUPS, reason="no ML-KEM here")


def x25519_share(private: str) -> KeyShare:
    return _X25519Share(x25519.X25519PrivateKey.from_private_bytes(bytes.fromhex(private)))


def ecdh_share(group: NamedGroup, private: str) -> KeyShare:
    return _EcdhShare(ec.derive_private_key(int(private, 16), CURVES[group]), group)


def refuses(group: NamedGroup, public: bytes) -> None:
    """Neither side takes it."""
    for exchange in (generate(group).exchange, lambda public: respond(group, public)):
        with pytest.raises(ProtocolViolation, match=group.name) as caught:
            exchange(public)
        assert caught.value.alert is AlertDescription.ILLEGAL_PARAMETER


@pytest.mark.parametrize("group", AVAILABLE_GROUPS)
def test_both_sides_get_the_same_secret(group: NamedGroup) -> None:
    ours = generate(group)
    answer = respond(group, ours.public)

    assert ours.group is group
    assert ours.public != generate(group).public
    secret = ours.exchange(answer.public)
    assert (len(ours.public), len(answer.public), len(secret)) == SIZES[group]
    assert answer.secret == secret
    assert respond(group, ours.public).secret != secret


def test_x25519_vector() -> None:
    """RFC 7748, 6.1."""
    alice = x25519_share("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = x25519_share("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    secret = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"

    assert alice.public.hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert bob.public.hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    assert alice.exchange(bob.public).hex() == secret
    assert bob.exchange(alice.public).hex() == secret


#: RFC 5903, 8.1 to 8.3: our private key, theirs, x of our public key, y, x of the secret.
RFC_5903 = {
    NamedGroup.SECP256R1: (
        "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
        "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
        "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180",
        "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
        "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
    ),
    NamedGroup.SECP384R1: (
        "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655"
        "e35b538041e649ee3faef896783ab194",
        "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942"
        "e0308312916b8ed2960e4bd55a7448fc",
        "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6"
        "de3ac808acb4bdb4c88732aee95f41aa",
        "9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38e"
        "eb9fcff3c2c947dae69b4c634573a81c",
        "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4"
        "d603135569b9e9d09cf5d4a270f59746",
    ),
    NamedGroup.SECP521R1: (
        "0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a0"
        "95aa85a30fe1c2952c6771d937ba9777f5957b2639bab072462f68c27a57382d4a52",
        "0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e"
        "9c677d600b343757a3bdbf2a3163e4c2f869cca7458aa4a4effc311f5cb151685eb9",
        "0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbe"
        "e1e3bf42e00b8e380aeae57c2d107564941885942af5a7f4601723c4195d176ced3e",
        "017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4a10a"
        "d8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3926f9582",
        "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04"
        "d1427e73ca4baa240a34786859810c06b3c715a3a8cc3151f2bee417996d19f3ddea",
    ),
}


@pytest.mark.parametrize("group", RFC_5903)
def test_ecdh_vector(group: NamedGroup) -> None:
    """RFC 5903, 8: an uncompressed point is 04, x, y; the secret is the x coordinate."""
    private, their_private, x, y, secret = RFC_5903[group]
    ours, theirs = ecdh_share(group, private), ecdh_share(group, their_private)

    assert ours.public.hex() == "04" + x + y
    assert ours.exchange(theirs.public).hex() == secret
    assert theirs.exchange(ours.public).hex() == secret


@needs_hybrid
def test_hybrid_vector() -> None:
    """ML-KEM-768 of the KAT file of cryptography's vectors (first entry), X25519 of RFC 7748, 6.1.

    draft-ietf-tls-ecdhe-mlkem, 3: in the shares and in the secret ML-KEM comes first.
    """
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey

    kat = first_kat("asymmetric/MLKEM/kat_MLKEM_768.rsp")
    alice = x25519_share("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = x25519_share("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    secret = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"

    share = _HybridShare(MLKEM768PrivateKey.from_seed_bytes(kat["d"] + kat["z"]), alice)
    assert share.public == kat["pk"] + alice.public
    assert share.exchange(kat["ct"] + bob.public) == kat["ss"] + bytes.fromhex(secret)


def first_kat(name: str) -> dict[str, bytes]:
    entry = {}
    with cryptography_vectors.open_vector_file(name, "r") as file:
        for line in file:
            key, _, value = line.strip().partition(" = ")
            if not key and entry:
                break
            if key not in ("", "count"):
                entry[key] = bytes.fromhex(value)
    return entry


@needs_hybrid
def test_the_hybrid_refuses_a_key_with_a_coefficient_that_is_too_large() -> None:
    """FIPS 203, 7.2: coefficients are below 3329; draft-ietf-tls-ecdhe-mlkem, 4: check it."""
    public = generate(HYBRID).public
    with pytest.raises(ProtocolViolation) as caught:
        respond(HYBRID, b"\xff\xff\xff" + public[3:])
    assert caught.value.alert is AlertDescription.ILLEGAL_PARAMETER


@needs_hybrid
def test_the_hybrid_refuses_a_point_that_leads_to_zero() -> None:
    ours = generate(HYBRID)
    answer = respond(HYBRID, ours.public).public
    with pytest.raises(ProtocolViolation):
        ours.exchange(answer[:-32] + bytes(32))
    with pytest.raises(ProtocolViolation):
        respond(HYBRID, ours.public[:-32] + bytes(32))


@needs_hybrid
def test_the_hybrid_takes_a_ciphertext_for_another_key_as_another_secret() -> None:
    """FIPS 203: implicit rejection, so the Finished fails, and no oracle tells why."""
    ours, theirs = generate(HYBRID), generate(HYBRID)
    answer = respond(HYBRID, theirs.public)
    assert ours.exchange(answer.public) != answer.secret


@pytest.mark.parametrize("public", [bytes(32), b"\1" + bytes(31)], ids=["zero", "one"])
def test_x25519_refuses_points_that_lead_to_zero(public: bytes) -> None:
    """RFC 8446, 7.4.2; points of small order: RFC 7748, 6.1."""
    refuses(NamedGroup.X25519, public)


@pytest.mark.parametrize("group", CURVES)
def test_a_point_off_the_curve_is_refused(group: NamedGroup) -> None:
    public = generate(group).public
    refuses(group, public[:-1] + bytes((public[-1] ^ 1,)))


@pytest.mark.parametrize("group", CURVES)
def test_a_compressed_point_is_refused(group: NamedGroup) -> None:
    """RFC 8446, 4.2.8.2: legacy_form is 4, nothing else."""
    key = ec.generate_private_key(CURVES[group]).public_key()
    refuses(group, key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))


@given(st.sampled_from(AVAILABLE_GROUPS), st.binary(max_size=140))
def test_a_key_of_another_length_is_refused(group: NamedGroup, public: bytes) -> None:
    if len(public) != SIZES[group][0]:
        refuses(group, public)


@pytest.mark.parametrize("group", AVAILABLE_GROUPS)
def test_a_key_with_a_byte_more_or_less_is_refused(group: NamedGroup) -> None:
    share = generate(group)
    answer = respond(group, share.public)
    for changed in (answer.public[:-1], answer.public + b"\0", answer.public[1:]):
        with pytest.raises(ProtocolViolation):
            share.exchange(changed)
    for changed in (share.public[:-1], share.public + b"\0", share.public[1:]):
        with pytest.raises(ProtocolViolation):
            respond(group, changed)


def test_a_group_that_we_do_not_have_is_our_own_mistake() -> None:
    """0x001e is X448."""
    with pytest.raises(UsageError, match="0x001e"):
        generate(0x001E)
    with pytest.raises(UsageError, match="0x001e"):
        respond(0x001E, bytes(56))


@pytest.mark.parametrize("group", AVAILABLE_GROUPS)
def test_no_key_shows_in_a_repr(group: NamedGroup) -> None:
    share = generate(group)
    answer = respond(group, share.public)
    assert "private" not in repr(share).lower()
    assert repr(answer) == f"Answer({len(answer.public)} bytes)"
