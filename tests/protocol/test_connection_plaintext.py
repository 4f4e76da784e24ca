"""Epoch 0, which has no keys: what anyone can forge there does no more harm than it must."""

from dataclasses import replace

import pytest

from protocol.ack import encode_ack
from protocol.alerts import Alert, AlertDescription
from protocol.crypto.provider import RecordNumber
from protocol.crypto.suites import CipherSuite
from protocol.extensions import COOKIE, DTLS_1_3, SERVER_VERSION, Extension, Extensions
from protocol.handshake_framing import Fragment, HandshakeType, parse_fragments
from protocol.handshake_messages import RETRY_RANDOM, ClientHello, ServerHello
from protocol.record import ContentType, build_plaintext, parse_plaintext
from protocol.stats import Drop
from tests.protocol.certificates import authority, credentials
from tests.protocol.pair import Network, Pair, client_config, server_config

SIDES = pytest.mark.parametrize("side", ["client", "server"])
HELLO = {"client": HandshakeType.SERVER_HELLO, "server": HandshakeType.CLIENT_HELLO}
ALERT = build_plaintext(ContentType.ALERT, 0, Alert(AlertDescription.HANDSHAKE_FAILURE).encode())


def handshake(*fragments):
    content = b"".join(fragment.encode() for fragment in fragments)
    return build_plaintext(ContentType.HANDSHAKE, 7, content)


def losing(*lost):
    return Network(lose=lambda sender, index: (sender, index) in lost)


def waiting_pair():
    """The first ClientHello is lost: neither side has heard of the other."""
    pair = Pair(network=losing(("client", 0)))
    pair.run(0.5)
    return pair


def retry_request(*extensions):
    version = SERVER_VERSION.make(DTLS_1_3)
    return ServerHello(
        RETRY_RANDOM, CipherSuite.TLS_AES_128_GCM_SHA256, Extensions([version, *extensions])
    )


def whole(message, message_seq=0):
    body = message.encode()
    return Fragment(message.msg_type, len(body), message_seq, 0, body)


def succeeds(pair):
    pair.run()
    return pair.client.connected and pair.server.connected


MALFORMED = {
    "alert without a description": build_plaintext(ContentType.ALERT, 7, b"\2"),
    "two alerts": build_plaintext(ContentType.ALERT, 7, bytes(4)),
    "ACK of half a number": build_plaintext(ContentType.ACK, 7, b"\0\x08" + bytes(8)),
    "empty handshake record": build_plaintext(ContentType.HANDSHAKE, 7, b""),
    "piece of a header": build_plaintext(ContentType.HANDSHAKE, 7, b"garbage"),
    "fragment out of its message": handshake(Fragment(1, 4, 0, 2, b"abc")),
    "Finished": handshake(Fragment(HandshakeType.FINISHED, 2, 0, 0, b"ab")),
    "unknown message": handshake(Fragment(99, 2, 0, 0, b"ab")),
}


@SIDES
@pytest.mark.parametrize("name", MALFORMED)
def test_what_cannot_be_a_hello_is_dropped_and_counted(side, name):
    pair = waiting_pair()
    pair.inject(side, MALFORMED[name])
    assert pair.sides[side].stats.drops == {Drop.BAD_PLAINTEXT: 1}
    assert succeeds(pair)


@SIDES
@pytest.mark.parametrize(
    ("length", "message_seq"),
    [(100, 1), (100, 65_535), (65_537, 0)],
    ids=["later message", "last message", "too long"],
)
def test_a_hello_that_cannot_come_now_is_dropped_and_counted(side, length, message_seq):
    pair = waiting_pair()
    pair.inject(side, handshake(Fragment(HELLO[side], length, message_seq, 0, b"piece")))
    assert pair.sides[side].stats.drops == {Drop.BAD_PLAINTEXT: 1}
    assert succeeds(pair)


@SIDES
@pytest.mark.parametrize("body", [b"", b"garbage", bytes(300)], ids=["empty", "short", "long"])
def test_a_hello_without_its_syntax_is_dropped_and_counted(side, body):
    pair = waiting_pair()
    pair.inject(side, handshake(Fragment(HELLO[side], len(body), 0, 0, body)))
    assert sum(pair.sides[side].stats.drops.values()) == 1
    assert succeeds(pair)


@pytest.mark.parametrize("number", [10, 13, 44, 0, 51])
def test_a_client_hello_with_an_extension_without_its_syntax_is_dropped(number):
    pair = waiting_pair()
    (fragment,) = parse_fragments(parse_plaintext(pair.datagrams("client")[0]).content)
    hello = ClientHello.parse(fragment.data)
    others = [extension for extension in hello.extensions if extension.type != number]
    broken = replace(hello, extensions=Extensions([*others, Extension(number, b"\0")]))
    pair.inject("server", handshake(whole(broken)))
    assert pair.server.stats.drops == {Drop.BAD_PLAINTEXT: 1}
    assert succeeds(pair)


def test_a_server_hello_with_an_extension_without_its_syntax_is_dropped():
    pair = waiting_pair()
    extensions = Extensions([SERVER_VERSION.make(DTLS_1_3), Extension(51, b"\0")])
    broken = ServerHello(bytes(32), CipherSuite.TLS_AES_128_GCM_SHA256, extensions)
    pair.inject("client", handshake(whole(broken)))
    assert pair.client.stats.drops == {Drop.BAD_PLAINTEXT: 1}
    assert succeeds(pair)


@SIDES
def test_a_forged_piece_of_a_hello_gives_way_to_the_genuine_one(side):
    pair = waiting_pair()
    pair.inject(side, handshake(Fragment(HELLO[side], 90, 0, 10, b"piece")))
    assert not pair.sides[side].stats.drops
    before = pair.now
    assert succeeds(pair)
    assert pair.now - before < 1
    assert pair.sides[side].stats.drops == {Drop.BAD_PLAINTEXT: 1}


def test_a_forged_piece_between_genuine_ones_costs_a_retransmission():
    pair = Pair(client_config(mtu=128))
    first, *others = pair.client.datagrams_to_send(pair.now)
    (genuine,) = parse_fragments(parse_plaintext(first).content)
    pair.inject("server", first)
    pair.inject("server", handshake(replace(genuine, length=genuine.length + 1)))
    for datagram in others:
        pair.inject("server", datagram)
    assert not pair.datagrams("server")
    assert pair.server.stats.drops == {Drop.BAD_PLAINTEXT: 2}
    assert succeeds(pair)


def test_a_piece_of_a_server_hello_does_not_stop_the_retransmission_of_the_client_hello():
    pair = waiting_pair()
    pair.inject("client", handshake(Fragment(HandshakeType.SERVER_HELLO, 90, 0, 0, b"piece")))
    pair.run(1.0)
    assert len(pair.datagrams("client")) >= 2
    assert pair.client.connected


def test_an_ack_before_the_version_is_known_is_dropped_and_counted():
    """RFC 9147bis, 7: a peer of an earlier version does not know ACKs."""
    pair = waiting_pair()
    ack = build_plaintext(ContentType.ACK, 0, encode_ack([RecordNumber(0, 0)]))
    pair.inject("client", ack)
    assert pair.client.stats.drops == {Drop.BAD_PLAINTEXT: 1}
    assert succeeds(pair)


def test_a_forged_ack_after_a_retry_request_is_dropped_and_counted():
    pair = Pair(network=Network(loss=1.0))
    pair.inject("client", handshake(whole(retry_request(COOKIE.make(b"cookie")))))
    for content in (b"\0\1\0", encode_ack([RecordNumber(2, 0)])):
        pair.inject("client", build_plaintext(ContentType.ACK, 7, content))
    assert pair.client.stats.drops == {Drop.BAD_PLAINTEXT: 2}


def test_a_hello_without_syntax_after_a_retry_request_is_dropped_too():
    pair = Pair(network=Network(loss=1.0))
    pair.inject("client", handshake(whole(retry_request(COOKIE.make(b"cookie")))))
    pair.inject("client", handshake(Fragment(HandshakeType.SERVER_HELLO, 3, 1, 0, b"bad")))
    broken = retry_request(Extension(44, b"\0\0"))
    pair.inject("client", handshake(whole(broken, 1)))
    assert pair.client.stats.drops == {Drop.BAD_PLAINTEXT: 2}
    assert pair.client.timer() is not None


# Alerts: believed while a hello of ours is unanswered


def test_an_alert_ends_a_client_that_waits_for_its_server_hello():
    pair = waiting_pair()
    pair.inject("client", ALERT)
    assert pair.end("client").alert is AlertDescription.HANDSHAKE_FAILURE
    assert pair.end("client").by_peer


def test_an_alert_that_answers_nothing_is_dropped_and_counted():
    pair = waiting_pair()
    pair.inject("server", ALERT)
    assert pair.server.stats.drops == {Drop.BAD_PLAINTEXT: 1}
    assert succeeds(pair)


def test_an_alert_after_the_server_hello_is_dropped_by_a_client():
    """The server has keys since its ServerHello."""
    pair = Pair(network=losing(("server", 1)))
    pair.run(0.0)
    pair.inject("server", pair.datagrams("client")[0])
    hello = pair.datagrams("server")[0]
    pair.inject("client", hello[: 13 + int.from_bytes(hello[11:13], "big")])
    pair.inject("client", ALERT)
    assert pair.client.stats.drops == {Drop.LATE_PLAINTEXT: 1}
    assert succeeds(pair)


def test_an_alert_of_a_client_that_rejects_the_server_hello_ends_the_server():
    """It has no keys to protect the alert with."""
    pair = Pair(network=losing(("server", 0)))
    pair.run(0.5)
    pair.inject("server", ALERT)
    assert pair.end("server").alert is AlertDescription.HANDSHAKE_FAILURE


def test_an_alert_is_dropped_by_a_server_that_has_a_genuine_record_of_the_client():
    pair = Pair(
        client_config(credentials=credentials("rsa", "client.example"), mtu=300),
        server_config(trust=(authority().certificate,)),
        losing(*(("client", index) for index in range(2, 20))),
    )
    pair.run(0.2)
    assert not pair.server.connected
    pair.inject("server", ALERT)
    assert pair.server.stats.drops == {Drop.NO_KEY: 1}
    assert succeeds(pair)
