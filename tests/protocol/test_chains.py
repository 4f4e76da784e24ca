from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from intaglio.certificates import LIFETIME, Authority, make_demo_credentials
from protocol import chains
from protocol.alerts import AlertDescription, ProtocolViolation, UsageError
from protocol.chains import ChainVerifier
from tests.protocol.certificates import (
    KEY_KINDS,
    LONG_AGO,
    ML_DSA_KINDS,
    NOW,
    SERVER_NAME,
    authority,
    certificate,
    credentials,
    intermediate,
    private_key,
    rsa_pss_credentials,
    self_signed,
)

TRUST = [authority().certificate]


def der(*certificates: x509.Certificate) -> tuple[bytes, ...]:
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in certificates)


def verify_chain(
    chain: Sequence[bytes], name: str, trust: Sequence[x509.Certificate], now: datetime
) -> x509.Certificate:
    return ChainVerifier(trust).verify_server(chain, name, now)


def verify_client_chain(
    chain: Sequence[bytes], trust: Sequence[x509.Certificate], now: datetime
) -> x509.Certificate:
    return ChainVerifier(trust).verify_client(chain, now)


def refusal(
    chain: Sequence[bytes],
    match: str,
    name: str = SERVER_NAME,
    trust: Sequence[x509.Certificate] = TRUST,
    now: datetime = NOW,
) -> AlertDescription:
    with pytest.raises(ProtocolViolation, match=match) as caught:
        verify_chain(chain, name, trust, now)
    return caught.value.alert


@pytest.mark.parametrize("kind", [*KEY_KINDS, "secp384r1", "secp521r1", *ML_DSA_KINDS])
def test_a_chain_that_a_trusted_ca_issued_is_good(kind: str) -> None:
    own = credentials(kind)
    assert verify_chain(own.chain_der, SERVER_NAME, TRUST, NOW) == own.chain[0]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_server_may_be_named_by_its_address(address: str) -> None:
    verify_chain(credentials(name=address).chain_der, address, TRUST, NOW)
    chain = credentials(name=address).chain_der
    assert refusal(chain, "192.0.2.1", "192.0.2.1") is AlertDescription.BAD_CERTIFICATE


def test_an_intermediate_leads_to_the_root() -> None:
    middle = intermediate("Middle CA")
    leaf = middle.issue(SERVER_NAME, private_key("secp256r1"), NOW)

    verify_chain(der(leaf, middle.certificate), SERVER_NAME, TRUST, NOW)
    verify_chain(der(leaf, middle.certificate, *TRUST), SERVER_NAME, TRUST, NOW)
    assert refusal(der(leaf), "Middle CA") is AlertDescription.UNKNOWN_CA


def test_an_expired_intermediate_is_named() -> None:
    middle = intermediate("Old CA", LONG_AGO)
    leaf = middle.issue(SERVER_NAME, private_key("secp256r1"), NOW)
    alert = refusal(der(leaf, middle.certificate), "CN=Old CA")
    assert alert is AlertDescription.CERTIFICATE_EXPIRED


def test_a_wrong_name_is_a_bad_certificate() -> None:
    chain = credentials(name="other.example").chain_der
    alert = refusal(chain, r"server\.example.*subjectAltName")
    assert alert is AlertDescription.BAD_CERTIFICATE


@pytest.mark.parametrize("now", [NOW - 2 * LIFETIME, NOW + 2 * LIFETIME], ids=["early", "late"])
def test_a_certificate_out_of_its_time_is_expired(now: datetime) -> None:
    alert = refusal(credentials().chain_der, "CN=server.example.*not at 2026", now=now)
    assert alert is AlertDescription.CERTIFICATE_EXPIRED


def test_an_expired_root_is_named() -> None:
    root = authority("Old root", LONG_AGO)
    leaf = root.issue(SERVER_NAME, private_key("secp256r1"), NOW)
    alert = refusal(der(leaf), "CN=Old root", trust=[root.certificate])
    assert alert is AlertDescription.CERTIFICATE_EXPIRED


def test_a_ca_that_nobody_trusts_is_unknown() -> None:
    alert = refusal(credentials(ca="Other CA").chain_der, "issued by 'CN=Other CA'")
    assert alert is AlertDescription.UNKNOWN_CA


def test_a_self_signed_certificate_has_an_unknown_ca() -> None:
    assert refusal(self_signed().chain_der, "no trusted CA") is AlertDescription.UNKNOWN_CA
    verify_chain(self_signed().chain_der, SERVER_NAME, self_signed().chain, NOW)


def test_a_ca_with_the_name_of_a_trusted_one_is_unknown() -> None:
    impostor = Authority.create("Test CA", private_key("secp256r1", "impostor"), NOW)
    leaf = impostor.issue(SERVER_NAME, private_key("secp256r1"), NOW)
    assert refusal(der(leaf), "no trusted CA") is AlertDescription.UNKNOWN_CA
    assert refusal(der(leaf, impostor.certificate), "no trusted CA") is AlertDescription.UNKNOWN_CA


def test_a_server_certificate_issues_nothing() -> None:
    key = private_key("secp256r1", "middle")
    no_ca = Authority(authority().issue("middle.example", key, NOW), key)
    leaf = no_ca.issue(SERVER_NAME, private_key("secp256r1"), NOW)
    alert = refusal(der(leaf, no_ca.certificate), "CA certificate")
    assert alert is AlertDescription.BAD_CERTIFICATE


def test_an_ed25519_ca_is_unsupported() -> None:
    root = Authority.create("Ed CA", private_key("ed25519", "ca"), NOW)
    leaf = root.issue(SERVER_NAME, private_key("secp256r1"), NOW)
    alert = refusal(der(leaf), "kind ed25519", trust=[root.certificate])
    assert alert is AlertDescription.UNSUPPORTED_CERTIFICATE


@pytest.mark.parametrize("kind", ["rsa", "secp384r1", "secp521r1", *ML_DSA_KINDS])
def test_a_ca_may_have_a_key_of_other_kinds(kind: str) -> None:
    root = Authority.create("Other kind", private_key(kind, "ca"), NOW)
    leaf = root.issue(SERVER_NAME, private_key("secp256r1"), NOW)
    verify_chain(der(leaf), SERVER_NAME, [root.certificate], NOW)


def test_a_server_key_may_be_for_pss_alone() -> None:
    own, root = rsa_pss_credentials()
    assert verify_chain(own.chain_der, SERVER_NAME, [root], NOW) == own.chain[0]


def test_a_short_rsa_key_is_unsupported() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    alert = refusal(der(authority().issue(SERVER_NAME, key, NOW)), "1024 bits")
    assert alert is AlertDescription.UNSUPPORTED_CERTIFICATE


def test_a_key_of_another_kind_is_unsupported() -> None:
    key = ec.generate_private_key(ec.BrainpoolP256R1())
    alert = refusal(der(authority().issue(SERVER_NAME, key, NOW)), "brainpoolP256r1")
    assert alert is AlertDescription.UNSUPPORTED_CERTIFICATE


def test_a_certificate_that_is_not_for_signatures_is_bad() -> None:
    """RFC 8446, 4.4.2.2: digitalSignature is set if there is a keyUsage."""
    usage = x509.KeyUsage(False, False, True, False, False, False, False, False, False)
    alert = refusal(der(certificate("server", private_key("rsa"), usage)), "not for signatures")
    assert alert is AlertDescription.BAD_CERTIFICATE


def test_a_certificate_without_alternative_names_is_bad() -> None:
    alert = refusal(der(certificate(SERVER_NAME, private_key("rsa"))), "subjectAltName")
    assert alert is AlertDescription.BAD_CERTIFICATE


def test_no_certificate_has_an_alert_for_each_side() -> None:
    """RFC 8446, 4.4.2.4."""
    assert refusal((), "no certificate") is AlertDescription.DECODE_ERROR
    with pytest.raises(ProtocolViolation) as caught:
        verify_client_chain((), TRUST, NOW)
    assert caught.value.alert is AlertDescription.CERTIFICATE_REQUIRED


def test_too_many_certificates_are_bad() -> None:
    chain = credentials().chain_der * 11
    assert refusal(chain, "11 certificates") is AlertDescription.BAD_CERTIFICATE


def test_a_client_needs_no_name_but_a_ca() -> None:
    own = credentials(name="client.example")

    assert verify_client_chain(own.chain_der, TRUST, NOW) == own.chain[0]
    with pytest.raises(ProtocolViolation, match="Other CA") as caught:
        verify_client_chain(credentials(ca="Other CA").chain_der, TRUST, NOW)
    assert caught.value.alert is AlertDescription.UNKNOWN_CA


@given(st.binary(max_size=100))
def test_bytes_that_are_no_certificate_are_bad(data: bytes) -> None:
    assert refusal((data,), "malformed") is AlertDescription.BAD_CERTIFICATE


def test_an_odd_name_in_the_peers_certificate_warns_nobody() -> None:
    """Python's warnings go to our user's log, or are errors there; the peer has no say in them."""
    common_name, country_name = bytes.fromhex("0603550403"), bytes.fromhex("0603550406")
    (plain,) = der(*self_signed().chain)
    odd = plain.replace(common_name, country_name)  # of two letters, by its definition
    assert refusal((odd,), "no trusted CA") is AlertDescription.UNKNOWN_CA


@given(st.data())
def test_a_damaged_certificate_is_never_good(data: st.DataObject) -> None:
    signed = credentials().chain[0].tbs_certificate_bytes
    damaged = bytearray(credentials().chain_der[0])
    place = damaged.index(signed) + data.draw(st.integers(0, len(signed) - 1))
    damaged[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ProtocolViolation):
        verify_chain((bytes(damaged),), SERVER_NAME, TRUST, NOW)


@pytest.mark.parametrize("name", ["", "two words", "under_score", "*.example", "ä.example"])
def test_a_server_name_that_cannot_be_is_our_own_mistake(name: str) -> None:
    with pytest.raises(UsageError, match="server name"):
        verify_chain(credentials().chain_der, name, TRUST, NOW)
    with pytest.raises(UsageError, match="server name"):
        ChainVerifier(TRUST).check_server_name(name)


def test_no_trust_or_a_time_without_zone_is_our_own_mistake() -> None:
    with pytest.raises(UsageError, match="no trusted"):
        verify_chain(credentials().chain_der, SERVER_NAME, [], NOW)
    with pytest.raises(UsageError, match="time zone"):
        verify_chain(credentials().chain_der, SERVER_NAME, TRUST, NOW.replace(tzinfo=None))


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", ".".join(["a" * 60] * 4)])
def test_demo_credentials_pass_for_their_name(name: str) -> None:
    ca, own = make_demo_credentials(name)
    made = own.chain[0].not_valid_before_utc + LIFETIME

    verify_chain(own.chain_der, name, [ca], made)
    with pytest.raises(ProtocolViolation):
        verify_chain(own.chain_der, "other.example", [ca], made)


class CountingVerifier(ChainVerifier):
    """Counts what is really verified."""

    def __init__(self, trust: Sequence[x509.Certificate] = TRUST) -> None:
        super().__init__(trust)
        self.count = 0

    def _verify(self, *arguments: object) -> object:
        self.count += 1
        return super()._verify(*arguments)


def test_a_chain_that_was_good_is_not_verified_again() -> None:
    verifier = CountingVerifier()
    for _ in range(3):
        assert verifier.verify_server(credentials().chain_der, SERVER_NAME, NOW)
    assert verifier.count == 1
    for _ in range(3):
        assert verifier.verify_client(credentials().chain_der, NOW)
    assert verifier.count == 2


def test_a_chain_that_was_good_is_so_for_one_name_and_one_order_only() -> None:
    verifier = CountingVerifier()
    middle = intermediate("Middle CA")
    leaf = middle.issue(SERVER_NAME, private_key("secp256r1"), NOW)
    good = der(leaf, middle.certificate)
    verifier.verify_server(good, SERVER_NAME, NOW)

    for chain, name in (
        (good, "other.example"),
        (good[:1], SERVER_NAME),
        (good[::-1], SERVER_NAME),
        ((b"".join(good),), SERVER_NAME),
    ):
        with pytest.raises(ProtocolViolation):
            verifier.verify_server(chain, name, NOW)
    assert verifier.count == 5


def test_a_chain_that_was_good_expires_with_its_path() -> None:
    """The root's validity is the shortest here, in both directions."""
    root = authority("Short root", NOW - LIFETIME)
    leaf = root.issue(SERVER_NAME, private_key("secp256r1"), NOW)
    verifier = CountingVerifier([root.certificate])
    begin, end = NOW - LIFETIME, NOW
    verifier.verify_server(der(leaf), SERVER_NAME, begin)
    verifier.verify_server(der(leaf), SERVER_NAME, end)
    assert verifier.count == 1

    for now in (begin - timedelta(seconds=1), end + timedelta(seconds=1)):
        with pytest.raises(ProtocolViolation) as caught:
            verifier.verify_server(der(leaf), SERVER_NAME, now)
        assert caught.value.alert is AlertDescription.CERTIFICATE_EXPIRED
    verifier.verify_server(der(leaf), SERVER_NAME, end)
    assert verifier.count == 3


def test_a_chain_that_was_bad_is_verified_again() -> None:
    verifier = CountingVerifier()
    for now in (NOW + 2 * LIFETIME, NOW + 2 * LIFETIME, NOW):
        try:
            verifier.verify_server(credentials().chain_der, SERVER_NAME, now)
        except ProtocolViolation:
            assert now > NOW
    assert verifier.count == 3


def test_the_count_of_chains_that_are_remembered_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chains, "_REMEMBERED", 2)
    verifier = CountingVerifier()
    kinds = ("secp256r1", "ed25519", "rsa")
    for kind in (*kinds, "rsa", "ed25519"):  # the last two are remembered
        verifier.verify_client(credentials(kind).chain_der, NOW)
    assert verifier.count == 3
    verifier.verify_client(credentials("secp256r1").chain_der, NOW)
    verifier.verify_client(credentials("ed25519").chain_der, NOW)
    assert verifier.count == 4
