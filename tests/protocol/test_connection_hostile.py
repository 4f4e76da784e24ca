"""Noise from the network changes nothing; a genuine peer that breaks the rules is told which."""

import random
from types import SimpleNamespace

import pytest

from protocol.ack import encode_ack
from protocol.alerts import Alert, AlertDescription
from protocol.crypto.provider import RecordNumber, Refusal
from protocol.crypto.suites import CipherSuite
from protocol.extensions import (
    CLIENT_KEY_SHARES,
    COOKIE,
    DTLS_1_3,
    RETRY_GROUP,
    SERVER_VERSION,
    SIGNATURE_ALGORITHMS,
    SUPPORTED_GROUPS,
    Extension,
    Extensions,
    ExtensionType,
    KeyShareEntry,
)
from protocol.handshake_framing import Fragment, HandshakeType, parse_fragments
from protocol.handshake_messages import (
    RETRY_RANDOM,
    Certificate,
    CertificateEntry,
    CertificateRequest,
    ClientHello,
    Finished,
    KeyUpdate,
    ServerHello,
)
from protocol.key_exchange import NamedGroup
from protocol.key_schedule import traffic_keys
from protocol.record import ContentType, build_plaintext, parse_plaintext
from protocol.signatures import SignatureScheme
from protocol.stats import Drop
from tests.protocol.certificates import authority, credentials
from tests.protocol.pair import Network, Pair, client_config, server_config

SIDES = pytest.mark.parametrize("side", ["client", "server"])


def alive(pair):
    """Both sides still understand each other."""
    assert pair.client.connected
    assert pair.server.connected
    pair.client.send(b"alive")
    pair.server.send(b"alive")
    pair.run()
    return pair.data("client")[-1:] == pair.data("server")[-1:] == [b"alive"]


def sealed_by_client(pair, data=b"data"):
    pair.client.send(data)
    (datagram,) = pair.client.datagrams_to_send(pair.now)
    return datagram


# Noise: dropped, counted, survived


def test_replayed_datagrams_are_dropped_and_counted():
    pair = Pair.connected()
    datagram = sealed_by_client(pair)
    for _ in range(3):
        pair.inject("server", datagram)
    assert pair.data("server") == [b"data"]
    assert pair.server.stats.drops == {Refusal.REPLAYED: 2}
    assert alive(pair)


def test_datagrams_that_are_too_old_are_dropped_and_counted():
    pair = Pair.connected()
    old = sealed_by_client(pair)
    for _ in range(70):
        pair.client.send(b"")
    pair.run()
    pair.inject("server", old)
    assert pair.server.stats.drops == {Refusal.TOO_OLD: 1}
    assert alive(pair)


def test_a_forged_byte_anywhere_is_dropped_and_counted():
    pair = Pair.connected()
    datagram = sealed_by_client(pair)
    for at in range(len(datagram)):
        pair.inject("server", datagram[:at] + bytes([datagram[at] ^ 0x40]) + datagram[at + 1 :])
    assert pair.data("server") == []
    assert sum(pair.server.stats.drops.values()) == len(datagram)
    pair.inject("server", datagram)
    assert pair.data("server") == [b"data"]
    assert alive(pair)


def test_truncated_datagrams_are_dropped_and_counted():
    pair = Pair.connected()
    datagram = sealed_by_client(pair)
    for length in range(1, len(datagram)):
        pair.inject("server", datagram[:length])
    assert pair.data("server") == []
    assert sum(pair.server.stats.drops.values()) == len(datagram) - 1
    assert alive(pair)


@SIDES
@pytest.mark.parametrize("seed", range(5))
def test_random_datagrams_are_dropped(side, seed):
    pair = Pair.connected()
    chance = random.Random(seed)
    for _ in range(200):
        pair.inject(side, chance.randbytes(chance.randrange(60)))
    assert alive(pair)


@SIDES
@pytest.mark.parametrize(
    "record",
    [
        build_plaintext(ContentType.ALERT, 9, Alert(AlertDescription.HANDSHAKE_FAILURE).encode()),
        build_plaintext(ContentType.ALERT, 9, b"no alert"),
        build_plaintext(ContentType.ACK, 9, b"no ACK"),
        build_plaintext(ContentType.HANDSHAKE, 9, b"no handshake message"),
        build_plaintext(ContentType.HANDSHAKE, 9, Fragment(20, 1, 7, 0, b"a").encode()),
    ],
    ids=["alert", "bad alert", "bad ACK", "bad handshake", "new message"],
)
def test_plaintext_after_the_handshake_is_dropped_and_counted(side, record):
    pair = Pair.connected()
    pair.inject(side, record)
    assert sum(pair.sides[side].stats.drops.values()) == 1
    assert alive(pair)


def test_plaintext_while_the_server_waits_for_the_finished_is_dropped_and_counted():
    pair = Pair(network=Network(lose=lambda sender, index: sender == "client" and index == 1))
    pair.run(0.1)
    pair.inject("server", build_plaintext(ContentType.HANDSHAKE, 9, b"garbage"))
    pair.inject("server", build_plaintext(ContentType.ACK, 9, encode_ack([RecordNumber(0, 0)])))
    pair.inject("server", plaintext(Finished(bytes(32)), 1))
    assert pair.server.stats.drops == {Drop.LATE_PLAINTEXT: 3}
    pair.run()
    assert alive(pair)


def test_a_message_that_is_not_kept_is_not_acknowledged():
    """RFC 9147, 7: else it would be lost for good."""
    pair = Pair.connected()
    before = pair.server.stats.records_sent
    far_ahead = Fragment(HandshakeType.KEY_UPDATE, 1, 50, 0, b"\0").encode()
    pair.client._outbox.send(3, ContentType.HANDSHAKE, far_ahead)
    pair.run()
    assert pair.server.stats.records_sent == before
    assert alive(pair)


def test_a_storm_of_repeated_hellos_is_not_answered_by_a_storm_of_flights():
    pair = Pair(network=Network(lose=lambda sender, index: sender == "server"))
    pair.run(0.5)
    (hello,) = pair.datagrams("client")
    for _ in range(50):
        pair.inject("server", hello)
    assert len(pair.datagrams("server")) == 2


# The hellos: what is well-formed and wrong ends the handshake


def retry_request(*extensions):
    return ServerHello(
        RETRY_RANDOM,
        CipherSuite.TLS_AES_128_GCM_SHA256,
        Extensions([SERVER_VERSION.make(DTLS_1_3), *extensions]),
    )


def plaintext(message, message_seq, number=0):
    body = message.encode()
    fragment = Fragment(message.msg_type, len(body), message_seq, 0, body)
    return build_plaintext(ContentType.HANDSHAKE, number, fragment.encode())


def client_hello(datagram):
    (fragment,) = parse_fragments(parse_plaintext(datagram).content)
    return fragment.message_seq, ClientHello.parse(fragment.data)


def test_a_client_brings_the_cookie_back_and_changes_nothing_else():
    """RFC 8446, 4.1.2 and 4.2.2."""
    pair = Pair(network=Network(loss=1.0))
    pair.run(0.0)
    pair.inject("client", plaintext(retry_request(COOKIE.make(b"cookie")), 0))
    (first_seq, first), (second_seq, second) = map(client_hello, pair.datagrams("client"))
    assert (first_seq, second_seq) == (0, 1)
    assert COOKIE.read(second.extensions) == b"cookie"
    kept = [extension for extension in second.extensions if extension.type != ExtensionType.COOKIE]
    assert kept == list(first.extensions)
    assert (second.random, second.cipher_suites) == (first.random, first.cipher_suites)


def test_a_client_sends_the_key_share_that_it_is_asked_for():
    pair = Pair(network=Network(loss=1.0))
    pair.run(0.0)
    retry = retry_request(RETRY_GROUP.make(NamedGroup.SECP256R1), COOKIE.make(b"cookie"))
    pair.inject("client", plaintext(retry, 0))
    _, second = client_hello(pair.datagrams("client")[1])
    (share,) = CLIENT_KEY_SHARES.require(second.extensions)
    assert share.group == NamedGroup.SECP256R1


@pytest.mark.parametrize(
    ("extensions", "alert"),
    [
        ((), AlertDescription.ILLEGAL_PARAMETER),
        ((RETRY_GROUP.make(NamedGroup.X25519),), AlertDescription.ILLEGAL_PARAMETER),
        ((RETRY_GROUP.make(0x001E),), AlertDescription.ILLEGAL_PARAMETER),
    ],
    ids=["no change", "group already there", "group not offered"],
)
def test_a_hello_retry_request_without_sense_is_refused(extensions, alert):
    pair = Pair(network=Network(loss=1.0))
    for _ in range(2):
        pair.inject("client", plaintext(retry_request(*extensions), 0))
    assert pair.end("client").alert is alert


def test_a_second_hello_retry_request_is_unexpected():
    pair = Pair(network=Network(loss=1.0))
    for message_seq in (0, 1, 1):
        pair.inject("client", plaintext(retry_request(COOKIE.make(b"cookie")), message_seq))
    assert pair.end("client").alert is AlertDescription.UNEXPECTED_MESSAGE


def test_a_server_hello_of_another_version_is_refused():
    pair = Pair(network=Network(loss=1.0))
    hello = ServerHello(bytes(32), CipherSuite.TLS_AES_128_GCM_SHA256, Extensions())
    for _ in range(2):
        pair.inject("client", plaintext(hello, 0))
    assert pair.end("client").alert is AlertDescription.PROTOCOL_VERSION


def test_a_cookie_that_was_never_given_is_illegal():
    """RFC 9147, 5.1."""
    pair = Pair(network=Network(loss=1.0))
    pair.run(0.0)
    _, hello = client_hello(pair.datagrams("client")[0])
    forged = ClientHello(
        hello.random, hello.cipher_suites, Extensions([*hello.extensions, COOKIE.make(b"x")])
    )
    for _ in range(2):
        pair.inject("server", plaintext(forged, 0))
    assert pair.end("server").alert is AlertDescription.ILLEGAL_PARAMETER


def test_a_hello_of_many_groups_and_key_shares_takes_one_walk_over_them(monkeypatch):
    """64 KB of hello from anyone must not cost the product of the two lists."""

    class Shares(tuple):
        walks = 0

        def __iter__(self):
            Shares.walks += 1
            return super().__iter__()

    shares = Shares(KeyShareEntry(0x1000 + number, b"x") for number in range(200))
    codec = SimpleNamespace(require=lambda extensions: shares)
    pair = Pair(network=Network(loss=1.0))
    pair.run(0.0)
    _, hello = client_hello(pair.datagrams("client")[0])
    others = [
        extension
        for extension in hello.extensions
        if extension.type != ExtensionType.SUPPORTED_GROUPS
    ]
    groups = SUPPORTED_GROUPS.make([*range(0x2000, 0x2000 + 200), NamedGroup.SECP256R1])
    wide = ClientHello(hello.random, hello.cipher_suites, Extensions([*others, groups]))
    monkeypatch.setattr("protocol.server.CLIENT_KEY_SHARES", codec)
    pair.inject("server", plaintext(wide, 0))
    (answer,) = pair.datagrams("server")
    (fragment,) = parse_fragments(parse_plaintext(answer).content)
    assert RETRY_GROUP.read(ServerHello.parse(fragment.data).extensions) == NamedGroup.SECP256R1
    assert Shares.walks < 5


# Genuine peers that break the rules


@SIDES
def test_a_finished_that_does_not_match_is_a_decrypt_error(side):
    """RFC 8446, 4.4.4."""
    pair = Pair()
    wrong = pair.sides[side]._handshake
    wrong._finished = lambda secret: (2, Finished(bytes(32)))
    pair.run()
    other = "server" if side == "client" else "client"
    assert pair.end(other).alert is AlertDescription.DECRYPT_ERROR
    assert pair.end(side).alert is AlertDescription.DECRYPT_ERROR
    assert pair.end(side).by_peer


def test_a_server_without_a_certificate_is_a_decode_error():
    """RFC 8446, 4.4.2.4."""
    pair = Pair()
    pair.server._handshake._server_authentication = lambda schemes: [(2, Certificate(()))]
    pair.run()
    assert pair.end("client").alert is AlertDescription.DECODE_ERROR


def test_a_server_that_skips_its_certificate_is_unexpected():
    pair = Pair()
    pair.server._handshake._server_authentication = lambda schemes: []
    pair.run()
    assert pair.end("client").alert is AlertDescription.UNEXPECTED_MESSAGE
    assert "WAIT_SERVER_CERTIFICATE" in pair.end("client").reason


@pytest.mark.parametrize(
    ("content_type", "content", "alert"),
    [
        (ContentType.HANDSHAKE, b"", AlertDescription.DECODE_ERROR),
        (ContentType.HANDSHAKE, b"short", AlertDescription.DECODE_ERROR),
        (
            ContentType.HANDSHAKE,
            Fragment(HandshakeType.FINISHED, 1, 2, 0, b"a").encode(),
            AlertDescription.UNEXPECTED_MESSAGE,
        ),
        (
            ContentType.HANDSHAKE,
            Fragment(HandshakeType.KEY_UPDATE, 1, 2, 0, b"\x02").encode(),
            AlertDescription.ILLEGAL_PARAMETER,
        ),
        (ContentType.ALERT, b"", AlertDescription.DECODE_ERROR),
        (ContentType.ACK, b"\0", AlertDescription.DECODE_ERROR),
        (24, b"heartbeat", AlertDescription.UNEXPECTED_MESSAGE),
        (0, b"", AlertDescription.UNEXPECTED_MESSAGE),
    ],
    ids=["empty", "short", "Finished", "KeyUpdate", "alert", "ACK", "type 24", "no type"],
)
def test_a_genuine_record_with_bad_content_is_fatal(content_type, content, alert):
    pair = Pair.connected()
    pair.client._outbox.send(3, content_type, content)
    pair.run()
    assert pair.end("server").alert is alert
    assert pair.end("client").alert is alert
    assert pair.end("client").by_peer


def test_application_data_in_the_handshakes_epoch_is_unexpected():
    pair = Pair.connected()
    pair.client._records.install_sealer(2, _client_handshake_keys(pair))
    for _ in range(3):  # the first numbers are used up
        pair.client._outbox.send(2, ContentType.APPLICATION_DATA, b"too early")
    pair.run()
    assert pair.end("server").alert is AlertDescription.UNEXPECTED_MESSAGE


def _client_handshake_keys(pair):
    handshake = pair.client._handshake
    return traffic_keys(handshake._suite, handshake._secrets.client)


def test_an_ack_during_the_handshake_for_a_later_epoch_is_illegal():
    """RFC 9147bis, 7.2."""
    pair = Pair(network=Network(lose=lambda sender, index: (sender, index) == ("client", 1)))
    pair.run(0.025)
    pair.client._outbox.send(2, ContentType.ACK, encode_ack([RecordNumber(3, 0)]))
    pair.run(0.1)
    assert pair.end("server").alert is AlertDescription.ILLEGAL_PARAMETER


def test_a_ticket_is_acknowledged():
    pair = Pair.connected()
    ticket = bytes.fromhex("00000e10 00000000 01 00 0001 aa 0000")
    message = Fragment(HandshakeType.NEW_SESSION_TICKET, len(ticket), 5, 0, ticket).encode()
    seen = []
    pair.server._delivery.receive_ack = lambda record, now: seen.append(record)
    pair.server._delivery._next_message_seq = 6
    pair.server._outbox.send(3, ContentType.HANDSHAKE, message)
    pair.run()
    assert len(seen) == 1
    assert alive(pair)


def test_a_key_that_may_seal_no_more_ends_the_connection(monkeypatch):
    pair = Pair.connected(client_config(), server_config())
    monkeypatch.setattr(pair.client._records.sealers[3], "_limit", 0)
    pair.client.send(b"too much")
    pair.run()
    assert pair.end("client").alert is None
    assert not pair.end("client").by_peer


def test_a_violation_ends_the_connection_even_when_no_alert_can_be_sealed(monkeypatch):
    pair = Pair.connected()
    monkeypatch.setattr(pair.client._records.sealers[3], "_limit", 0)
    pair.server._outbox.send(3, ContentType.ALERT, b"")
    pair.run()
    assert pair.end("client").alert is None
    assert "alert record of 0 bytes" in pair.end("client").reason


def test_key_update_of_a_handshake_that_is_not_over_is_unexpected():
    pair = Pair()
    pair.server._handshake._server_authentication = lambda schemes: [(2, KeyUpdate(False))]
    pair.run()
    assert pair.end("client").alert is AlertDescription.UNEXPECTED_MESSAGE


def test_a_certificate_request_after_the_handshake_is_unexpected():
    """RFC 8446, 4.6.2: our client does not offer post_handshake_auth."""
    pair = Pair.connected()
    assert ExtensionType.POST_HANDSHAKE_AUTH not in pair.client._handshake._hello.extensions
    request = CertificateRequest(
        Extensions([SIGNATURE_ALGORITHMS.make(tuple(SignatureScheme))]), b"context"
    )
    pair.server._delivery.send_flight([(3, request)], pair.now)
    pair.run()
    assert pair.end("client").alert is AlertDescription.UNEXPECTED_MESSAGE
    assert pair.end("server").by_peer


@SIDES
@pytest.mark.parametrize("msg_type", [0, 3, 5, 6, 25, 67, 254, 255])
def test_a_message_of_an_unknown_type_is_unexpected(side, msg_type):
    pair = Pair.connected()
    pair.sides[side]._delivery.send_flight(
        [(3, SimpleNamespace(msg_type=msg_type, encode=lambda: b"x"))], pair.now
    )
    pair.run()
    other = "server" if side == "client" else "client"
    assert pair.end(other).alert is AlertDescription.UNEXPECTED_MESSAGE


# Client authentication


def authenticating_pair(client=None, **changes):
    own = credentials("ed25519", "client.example")
    server = server_config(trust=(authority().certificate,), **changes)
    return Pair(client or client_config(credentials=own), server)


def test_a_client_without_a_suitable_certificate_says_so_with_an_empty_one():
    """RFC 8446, 4.4.2: none of its key's schemes is among those of the CertificateRequest."""
    pair = authenticating_pair(signature_schemes=(SignatureScheme.RSA_PSS_RSAE_SHA256,))
    pair.run()
    assert pair.end("server").alert is AlertDescription.CERTIFICATE_REQUIRED
    assert pair.end("client").alert is AlertDescription.CERTIFICATE_REQUIRED
    assert pair.end("client").by_peer


@SIDES
def test_an_extension_of_a_certificate_that_nobody_offered_is_unsupported(side, monkeypatch):
    """RFC 8446, 4.4.2."""
    stapled = Extensions([Extension(ExtensionType.STATUS_REQUEST, b"")])

    def of_chain(chain, context=b""):
        return Certificate(tuple(CertificateEntry(der, stapled) for der in chain), context)

    pair = authenticating_pair()
    other = "server" if side == "client" else "client"
    if side == "client":
        pair.run(0.015)
    monkeypatch.setattr(Certificate, "of_chain", of_chain)
    pair.run()
    assert pair.end(other).alert is AlertDescription.UNSUPPORTED_EXTENSION
    assert pair.end(side).by_peer
