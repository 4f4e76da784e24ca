"""Handshakes with external PSKs (RFC 8446, 2.2, 4.2.9 and 4.2.11; RFC 9147, 5.7, figure 8)."""

from dataclasses import replace

import pytest

import protocol.psk_selection
from protocol.alerts import AlertDescription, UsageError
from protocol.connection import Connection
from protocol.crypto.suites import CipherSuite
from protocol.extensions import (
    SIGNATURE_ALGORITHMS,
    Extensions,
    ExtensionType,
)
from protocol.handshake_framing import Fragment, parse_fragments
from protocol.handshake_messages import ClientHello
from protocol.key_exchange import NamedGroup
from protocol.psk import ExternalPsk, same_hash
from protocol.psk_extensions import OFFERED_PSKS, PSK_MODES, PskMode
from protocol.record import ContentType, build_plaintext, parse_plaintext
from tests.protocol.certificates import authority, credentials
from tests.protocol.pair import Network, Pair, client_config, server_config
from tests.protocol.providers import PROVIDERS

SHA256, SHA384 = CipherSuite.TLS_AES_128_GCM_SHA256, CipherSuite.TLS_AES_256_GCM_SHA384
PSK = ExternalPsk(b"sensor 7", bytes(range(32)))
PSK_384 = ExternalPsk(b"sensor 8", bytes(range(48)), SHA384)
KE, DHE_KE = PskMode.PSK_KE, PskMode.PSK_DHE_KE
BOTH_SIDES = ("client", "server")


def psk_client(*psks, **changes):
    """A client that no certificate can convince."""
    return client_config(trust=(), psks=psks or (PSK,), **changes)


def psk_server(*psks, **changes):
    """A server without a certificate."""
    return replace(server_config(), credentials=None, psks=psks or (PSK,), **changes)


def client_hello(datagram):
    (fragment,) = parse_fragments(parse_plaintext(datagram).content)
    return ClientHello.parse(fragment.data)


def offered_hellos(pair):
    return [client_hello(data) for data in pair.datagrams("client") if data[0] == 22]


def altered_hello(config, alter):
    """A ClientHello of that client after ``alter``, and so with a binder that may not fit."""
    (datagram,) = Connection.client(config, 0.0).datagrams_to_send(0.0)
    hello = client_hello(datagram)
    extensions = Extensions(alter(list(hello.extensions)))
    body = ClientHello(hello.random, hello.cipher_suites, extensions).encode()
    fragment = Fragment(hello.msg_type, len(body), 0, 0, body)
    return build_plaintext(ContentType.HANDSHAKE, 0, fragment.encode())


@pytest.mark.parametrize("mode", PskMode)
@pytest.mark.parametrize("psk", [PSK, PSK_384], ids=["SHA-256", "SHA-384"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_psk_authenticates_both_sides_without_certificates(provider, psk, mode):
    own = [{"provider": PROVIDERS[provider](), "psk_modes": (mode,)} for _ in BOTH_SIDES]
    pair = Pair.connected(psk_client(psk, **own[0]), psk_server(psk, **own[1]))
    for side in BOTH_SIDES:
        result = pair.result(side)
        assert (result.psk_identity, result.peer_certificate) == (psk.identity, None)
        assert same_hash(result.suite, psk.suite)
        assert result.group is (NamedGroup.X25519 if mode is DHE_KE else None)
        assert not result.resumed
    # ServerHello; EncryptedExtensions and Finished; ACK.
    assert pair.server.stats.records_sent == 3
    pair.client.send(b"to the server")
    pair.server.send(b"to the client")
    pair.run()
    assert pair.data("server") == [b"to the server"]
    assert pair.data("client") == [b"to the client"]


@pytest.mark.parametrize("seed", range(20))
def test_a_psk_handshake_succeeds_whatever_the_network_does(seed):
    network = Network(seed, loss=0.2, duplication=0.2, reordering=0.3)
    client, server = psk_client(mtu=200), psk_server(mtu=200)
    pair = Pair.connected(client, server, network)
    assert pair.result("server").psk_identity == PSK.identity


def test_a_server_that_does_not_know_the_psk_shows_its_certificate():
    pair = Pair.connected(client_config(psks=(PSK,)))
    assert pair.result("client").peer_certificate == credentials().chain[0]
    for side in BOTH_SIDES:
        assert pair.result(side).psk_identity is None


def test_the_first_psk_of_the_client_that_the_server_knows_is_taken():
    unknown = ExternalPsk(b"unknown", bytes(16))
    other = ExternalPsk(b"other", bytes(32))
    pair = Pair.connected(psk_client(unknown, PSK, other), psk_server(other, PSK))
    assert pair.result("client").psk_identity == pair.result("server").psk_identity == PSK.identity


def test_a_psk_decides_on_the_suite():
    """RFC 8446, 4.2.11: PSKs should influence the choice, although SHA-256 is preferred here."""
    pair = Pair.connected(psk_client(PSK_384), psk_server(PSK_384))
    assert pair.result("client").suite is SHA384


def test_a_psk_is_as_good_as_the_certificate_that_a_server_asks_clients_for():
    server = server_config(psks=(PSK,), trust=(authority().certificate,))
    pair = Pair.connected(client_config(psks=(PSK,)), server)
    assert pair.result("server").psk_identity == PSK.identity
    pair = Pair(client_config(), server)
    pair.run()
    assert pair.end("server").alert is AlertDescription.CERTIFICATE_REQUIRED


def test_a_psk_is_used_alone_only_if_both_sides_ask_for_it():
    both = {"psk_modes": (KE, DHE_KE)}
    assert Pair.connected(psk_client(**both), psk_server()).result("client").group
    assert Pair.connected(psk_client(), psk_server(**both)).result("client").group
    assert Pair.connected(psk_client(**both), psk_server(**both)).result("client").group is None
    pair = Pair(psk_client(psk_modes=(KE,)), psk_server())
    pair.run()
    assert pair.end("server").alert is AlertDescription.UNKNOWN_PSK_IDENTITY
    pair = Pair.connected(client_config(psks=(PSK,), psk_modes=(KE,)), server_config(psks=(PSK,)))
    assert pair.result("client").peer_certificate == credentials().chain[0]


# HelloRetryRequest


def test_the_binder_covers_the_first_hello_and_the_request_to_send_another():
    """RFC 8446, 4.2.11.2."""
    pair = Pair.connected(psk_client(), psk_server(groups=(NamedGroup.SECP256R1,)))
    assert pair.result("client").group is NamedGroup.SECP256R1
    assert pair.result("server").psk_identity == PSK.identity
    first, second = [OFFERED_PSKS.require(hello.extensions) for hello in offered_hellos(pair)]
    assert first.identities == second.identities
    assert first.binders != second.binders


def test_after_a_retry_only_psks_of_the_hash_of_the_suite_are_offered():
    """RFC 8446, 4.1.4."""
    pair = Pair.connected(
        psk_client(PSK_384, PSK), psk_server(groups=(NamedGroup.SECP256R1,), suites=(SHA256,))
    )
    identities = [
        [name for name, _ in OFFERED_PSKS.require(hello.extensions).identities]
        for hello in offered_hellos(pair)
    ]
    assert identities == [[PSK_384.identity, PSK.identity], [PSK.identity]]
    assert pair.result("server").psk_identity == PSK.identity


# What a genuine peer does not do


def test_a_wrong_key_is_a_decrypt_error():
    pair = Pair(psk_client(replace(PSK, key=bytes(32))), psk_server())
    pair.run()
    assert pair.end("server").alert is AlertDescription.DECRYPT_ERROR
    assert "binder" in pair.end("server").reason


def test_a_psk_that_nobody_knows_is_an_unknown_identity_to_a_server_without_a_certificate():
    pair = Pair(psk_client(replace(PSK, identity=b"other")), psk_server())
    pair.run()
    assert pair.end("server").alert is AlertDescription.UNKNOWN_PSK_IDENTITY


def test_a_client_that_trusts_nobody_needs_its_psk_to_be_taken():
    """It has no signature_algorithms, so the server must refuse (RFC 8446, 4.2.3)."""
    pair = Pair(psk_client(), server_config())
    pair.run()
    assert pair.end("server").alert is AlertDescription.MISSING_EXTENSION
    hello, again = offered_hellos(pair)
    assert SIGNATURE_ALGORITHMS.read(hello.extensions) is None
    assert again == hello


def test_psks_without_modes_are_a_missing_extension():
    """RFC 8446, 4.2.9."""
    pair = Pair(server=psk_server())
    modes = ExtensionType.PSK_KEY_EXCHANGE_MODES
    hello = altered_hello(psk_client(), lambda all: [e for e in all if e.type != modes])
    for _ in range(2):
        pair.inject("server", hello)
    assert pair.end("server").alert is AlertDescription.MISSING_EXTENSION


def test_a_hello_that_was_changed_has_not_its_binder():
    pair = Pair(server=psk_server())
    more = PSK_MODES.make([DHE_KE, 99])
    hello = altered_hello(
        psk_client(), lambda all: [more if e.type == more.type else e for e in all]
    )
    for _ in range(2):
        pair.inject("server", hello)
    assert pair.end("server").alert is AlertDescription.DECRYPT_ERROR


def test_pre_shared_key_must_be_the_last_extension():
    """RFC 8446, 4.2.11."""
    pair = Pair(server=psk_server())
    hello = altered_hello(psk_client(), lambda all: [all[-1], *all[:-1]])
    for _ in range(2):
        pair.inject("server", hello)
    assert pair.end("server").alert is AlertDescription.ILLEGAL_PARAMETER


def test_a_server_looks_at_a_few_identities_only(monkeypatch):
    looked_at = []
    monkeypatch.setattr(protocol.psk_selection, "_find", lambda _, name, __: looked_at.append(name))
    psks = [ExternalPsk(b"%d" % number, bytes(16)) for number in range(40)]
    Pair(client_config(psks=tuple(psks)), server_config(psks=(PSK,))).run()
    assert looked_at == [b"%d" % number for number in range(8)]


def selecting(monkeypatch, **changes):
    """A server whose ServerHello says something else about the PSK than it does."""
    original = protocol.server.select_psk

    def select(*args):
        found = original(*args)
        return found and replace(found, **changes)

    monkeypatch.setattr("protocol.server.select_psk", select)
    monkeypatch.setattr("protocol.server.check_binder", lambda *_: None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"index": 1}, "PSK 1 of 1"),
        ({"suite": SHA384}, "hash of the PSK"),
        ({"mode": KE}, "by PSK_KE"),
    ],
)
def test_a_selection_that_was_not_offered_is_illegal(monkeypatch, changes, words):
    """RFC 8446, 4.2.11."""
    if "index" in changes:
        monkeypatch.setattr(
            protocol.psk_selection.SelectedPsk, "binder", property(lambda _: bytes(32))
        )
    selecting(monkeypatch, **changes)
    pair = Pair(psk_client(), psk_server())
    pair.run()
    assert pair.end("client").alert is AlertDescription.ILLEGAL_PARAMETER
    assert words in pair.end("client").reason


def test_a_key_share_is_illegal_where_only_psk_ke_was_offered(monkeypatch):
    selecting(monkeypatch, mode=DHE_KE)
    pair = Pair(psk_client(psk_modes=(KE,)), psk_server(psk_modes=(KE,)))
    pair.run()
    assert pair.end("client").alert is AlertDescription.ILLEGAL_PARAMETER
    assert "by PSK_DHE_KE" in pair.end("client").reason


# Configuration


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((b"", bytes(32)), "identity of 0 bytes"),
        ((bytes(1 << 16), bytes(32)), "identity of 65536 bytes"),
        ((b"short", bytes(15)), "PSK of 15 bytes"),
    ],
)
def test_a_psk_that_cannot_work_is_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        ExternalPsk(*arguments)


def test_a_config_names_what_cannot_work():
    with pytest.raises(UsageError, match="psks"):
        client_config(psks=(PSK_384,), suites=(SHA256,))
    with pytest.raises(UsageError, match="psk_modes"):
        client_config(psk_modes=())
    with pytest.raises(UsageError, match="credentials"):
        Connection.server(replace(server_config(), credentials=None), 0.0)


def test_a_client_with_psks_needs_no_server_name():
    pair = Pair.connected(psk_client(server_name=None), psk_server())
    assert pair.result("server").server_name is None


def test_no_key_is_in_a_repr():
    key = b"\x5a" * 32
    psk = replace(PSK, key=key)
    texts = (repr(psk), repr(psk.psk()), repr(client_config(psks=(psk,))))
    assert not any("\\x5a" in text or "ZZZ" in text for text in texts)
