import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from protocol.alerts import AlertDescription, ProtocolViolation, UsageError
from protocol.key_exchange import KeyShare, NamedGroup, _EcdhShare, _X25519Share, generate

PUBLIC_BYTES = {NamedGroup.X25519: 32, NamedGroup.SECP256R1: 65}


def x25519_share(private: str) -> KeyShare:
    return _X25519Share(x25519.X25519PrivateKey.from_private_bytes(bytes.fromhex(private)))


def p256_share(private: str) -> KeyShare:
    key = ec.derive_private_key(int(private, 16), ec.SECP256R1())
    return _EcdhShare(key, NamedGroup.SECP256R1)


def refuses(group: NamedGroup, public: bytes) -> None:
    with pytest.raises(ProtocolViolation, match=group.name) as caught:
        generate(group).exchange(public)
    assert caught.value.alert is AlertDescription.ILLEGAL_PARAMETER


@pytest.mark.parametrize("group", NamedGroup)
def test_both_sides_get_the_same_secret(group: NamedGroup) -> None:
    ours, theirs = generate(group), generate(group)

    assert ours.group is group
    assert len(ours.public) == PUBLIC_BYTES[group]
    assert ours.public != theirs.public
    secret = ours.exchange(theirs.public)
    assert len(secret) == 32
    assert theirs.exchange(ours.public) == secret


def test_x25519_vector() -> None:
    """RFC 7748, 6.1."""
    alice = x25519_share("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = x25519_share("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    secret = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"

    assert alice.public.hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert bob.public.hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    assert alice.exchange(bob.public).hex() == secret
    assert bob.exchange(alice.public).hex() == secret


def test_p256_vector() -> None:
    """RFC 5903, 8.1: an uncompressed point is 04, x, y; the secret is the x coordinate."""
    ours = p256_share("c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433")
    theirs = p256_share("c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53")
    secret = "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"

    assert ours.public.hex() == (
        "04"
        "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
        "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3"
    )
    assert ours.exchange(theirs.public).hex() == secret
    assert theirs.exchange(ours.public).hex() == secret


@pytest.mark.parametrize("public", [bytes(32), b"\1" + bytes(31)], ids=["zero", "one"])
def test_x25519_refuses_points_that_lead_to_zero(public: bytes) -> None:
    """RFC 8446, 7.4.2; points of small order: RFC 7748, 6.1."""
    refuses(NamedGroup.X25519, public)


def test_p256_refuses_a_point_off_the_curve() -> None:
    public = generate(NamedGroup.SECP256R1).public
    refuses(NamedGroup.SECP256R1, public[:-1] + bytes((public[-1] ^ 1,)))


def test_p256_refuses_a_compressed_point() -> None:
    """RFC 8446, 4.2.8.2: legacy_form is 4, nothing else."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    refuses(NamedGroup.SECP256R1, key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))


@given(st.sampled_from(NamedGroup), st.binary(max_size=70))
def test_a_key_of_another_length_is_refused(group: NamedGroup, public: bytes) -> None:
    if len(public) != PUBLIC_BYTES[group]:
        refuses(group, public)


def test_a_group_that_we_do_not_have_is_our_own_mistake() -> None:
    with pytest.raises(UsageError, match="0x11ec"):
        generate(0x11EC)


@pytest.mark.parametrize("group", NamedGroup)
def test_no_key_shows_in_a_repr(group: NamedGroup) -> None:
    assert "private" not in repr(generate(group)).lower()
