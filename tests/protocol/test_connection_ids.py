"""Connection IDs (RFC 9146; RFC 9147, 9)."""

from itertools import count, product

import pytest

from protocol.alerts import AlertDescription, UsageError
from protocol.connection_ids import MAX_CONNECTION_IDS
from protocol.crypto.provider import Refusal
from protocol.events import ConnectionIdsReceived, WriteKeysUpdated
from protocol.extensions import CONNECTION_ID
from protocol.handshake_messages import NewConnectionId, RequestConnectionId
from protocol.key_exchange import NamedGroup
from protocol.negotiation import ClientNegotiation, ServerNegotiation
from protocol.record import ContentType
from protocol.stats import Drop
from tests.protocol.pair import Network, Pair, client_config, exchange, server_config
from tests.protocol.providers import PROVIDERS

SIDES = pytest.mark.parametrize("side", ["client", "server"])
ON_EACH_PROVIDER = pytest.mark.parametrize("provider", ["software", "accelerator_model"])


def numbered(letter, length=5):
    """Makes connection IDs like ``c0000``, ``c0001``."""
    numbers = count()
    return lambda: letter + b"%0*d" % (length - 1, next(numbers))


def pair_with_ids(provider="software", client=5, server=5, network=None, **changes):
    """Connected; the lengths are those of what each side asks for, 0 for nothing."""
    asks = {
        "client": numbered(b"c", client) if client else None,
        "server": numbered(b"s", server) if server else None,
    }
    return Pair.connected(
        client_config(provider=PROVIDERS[provider](), connection_id=asks["client"], **changes),
        server_config(provider=PROVIDERS[provider](), connection_id=asks["server"], **changes),
        network,
    )


def other(side):
    return "server" if side == "client" else "client"


def ids_in(pair, sender, length=5):
    """The connection IDs of what a side sent last, each once."""
    return [
        bytes(data[1 : 1 + length]) for data in pair.datagrams(sender) if data[0] & 0xF0 == 0x30
    ]


def last_id(pair, sender):
    """What the next record of a side comes with."""
    exchange(pair)
    return ids_in(pair, sender)[-1]


def send_message(pair, side, message):
    """A handshake message of a side that does not keep the rules."""
    connection = pair.sides[side]
    connection._delivery.send_flight([(connection._epochs.write_epoch, message)], pair.now)
    pair.run()


# In the hellos


@ON_EACH_PROVIDER
@pytest.mark.parametrize(("client", "server"), list(product((0, 2, 5, 20), repeat=2)))
def test_each_side_sees_what_it_asked_for_in_every_protected_record(client, server, provider):
    pair = pair_with_ids(provider, client, server)
    pair.client.update_keys(pair.now, request_peer=True)
    exchange(pair)
    asked = {
        "client": numbered(b"c", client)() if client else b"",
        "server": numbered(b"s", server)() if server else b"",
    }
    for side, sender in (("client", "server"), ("server", "client")):
        result = pair.result(side)
        assert result.receive_connection_id == asked[side]
        assert result.send_connection_id == asked[sender]
        assert pair.sides[side].connection_ids == ({asked[side]} if asked[side] else set())
        protected = [data for data in pair.datagrams(sender) if data[0] & 0xE0 == 0x20]
        assert len(protected) >= 3
        for data in protected:
            assert bool(data[0] & 0x10) == bool(asked[side])
            assert data[1 : 1 + len(asked[side])] == asked[side]


def test_a_client_that_wants_none_still_offers_to_send_with_one():
    """RFC 9147bis, 5.1."""
    hello = Pair().client._handshake._hello
    assert CONNECTION_ID.read(hello.extensions) == b""


@SIDES
def test_without_the_extension_on_both_sides_there_are_none(side, monkeypatch):
    """RFC 9146, 3: a server answers only who offers, and may leave the offer alone."""
    offer = ClientNegotiation.offer
    if side == "client":
        monkeypatch.setattr(
            ClientNegotiation,
            "offer",
            lambda self: [each for each in offer(self) if each.type != CONNECTION_ID.type],
        )
    else:
        monkeypatch.setattr(ServerNegotiation, "_accept_connection_id", lambda self, offers: None)
    pair = Pair(
        client_config(connection_id=numbered(b"c")), server_config(connection_id=numbered(b"s"))
    )
    pair.run()
    for result in map(pair.result, pair.sides):
        assert result.receive_connection_id == result.send_connection_id == b""
    assert pair.client.connection_ids == pair.server.connection_ids == frozenset()
    exchange(pair)


def test_the_offer_is_the_same_after_a_hello_retry_request():
    pair = Pair.connected(
        client_config(connection_id=numbered(b"c")),
        server_config(connection_id=numbered(b"s"), groups=(NamedGroup.SECP256R1,)),
    )
    assert len(pair.sent) == 6
    assert pair.result("server").send_connection_id == b"c0000"
    assert pair.result("client").send_connection_id == b"s0000"


def test_datagrams_with_connection_ids_fit_the_mtu():
    pair = pair_with_ids(client=200, server=20, mtu=400)
    for side in pair.sides.values():
        side.send(bytes(side.max_payload))
    pair.run()
    assert max(len(data) for _, _, data in pair.sent) == 400
    assert len(pair.datagrams("client")[-1]) == len(pair.datagrams("server")[-1]) == 400
    assert len(pair.data("client")[0]) == len(pair.data("server")[0]) - 180


def test_a_server_does_without_when_its_records_have_no_room_for_the_clients():
    pair = Pair.connected(client_config(connection_id=numbered(b"c", 21)), server_config(mtu=128))
    assert pair.result("server").send_connection_id == b""
    exchange(pair)


@pytest.mark.parametrize(("provider", "longest"), [("software", 255), ("accelerator_model", 20)])
def test_a_connection_id_that_the_provider_cannot_take_is_our_own_mistake(provider, longest):
    own = PROVIDERS[provider]()
    with pytest.raises(UsageError, match=f"of {longest + 1} bytes is over {longest}"):
        Pair(client_config(provider=own, connection_id=numbered(b"c", longest + 1)))
    asks = numbered(b"c", longest)
    pair = Pair.connected(client_config(provider=own, connection_id=asks))
    exchange(pair)
    assert len(pair.result("server").send_connection_id) == longest


def test_records_with_another_connection_id_are_dropped():
    pair = pair_with_ids()
    pair.client.send(b"data")
    (datagram,) = pair.client.datagrams_to_send(pair.now)
    pair.inject("server", datagram[:1] + b"s9999" + datagram[6:])
    assert pair.data("server") == []
    assert pair.server.stats.drops == {Drop.CONNECTION_ID: 1}
    pair.inject("server", datagram)
    assert pair.data("server") == [b"data"]


# NewConnectionId


@ON_EACH_PROVIDER
@SIDES
def test_an_immediate_one_is_used_at_once_even_for_the_ack(side, provider):
    pair = pair_with_ids(provider)
    peer, letter = other(side), b"c" if side == "client" else b"s"
    before = len(ids_in(pair, peer))
    pair.sides[side].issue_connection_ids(2, pair.now, immediate=True)
    assert pair.sides[side].connection_ids == {letter + b"000%d" % n for n in range(3)}
    pair.run()
    exchange(pair)
    assert set(ids_in(pair, peer)[before:]) == {letter + b"0001"}
    assert len(ids_in(pair, peer)[before:]) >= 2  # the ACK, and data
    assert pair.events[peer][1] == ConnectionIdsReceived(spares=1, immediate=True)
    pair.sides[peer].use_next_connection_id(pair.now)
    assert last_id(pair, peer) == letter + b"0002"


@ON_EACH_PROVIDER
def test_what_an_immediate_one_replaced_is_taken_until_the_next_is_acknowledged(provider):
    pair = pair_with_ids(provider)
    pair.client.send(b"slow")
    pair.client.send(b"slower")
    slow, slower = pair.client.datagrams_to_send(pair.now)
    pair.server.issue_connection_ids(1, pair.now, immediate=True)
    exchange(pair)
    pair.inject("server", slow)
    assert pair.data("server")[-1] == b"slow"
    pair.server.issue_connection_ids(1, pair.now, immediate=True)
    exchange(pair)
    assert pair.server.connection_ids == {b"s0001", b"s0002"}
    pair.inject("server", slower)
    assert pair.data("server")[-1] == b"to the server"
    assert pair.server.stats.drops == {Drop.CONNECTION_ID: 1}


@ON_EACH_PROVIDER
def test_spare_ones_are_used_in_their_order_and_the_first_one_until_then(provider):
    pair = pair_with_ids(provider)
    pair.server.issue_connection_ids(2, pair.now)
    pair.run()
    assert pair.events["client"][1] == ConnectionIdsReceived(spares=2, immediate=False)
    assert last_id(pair, "client") == b"s0000"
    for expected in (b"s0001", b"s0002"):
        pair.client.use_next_connection_id(pair.now)
        assert last_id(pair, "client") == expected
    with pytest.raises(UsageError, match="no spare"):
        pair.client.use_next_connection_id(pair.now)


@ON_EACH_PROVIDER
def test_a_record_is_not_accepted_twice_whatever_its_connection_id(provider):
    """RFC 9147, 4.5.1."""
    pair = pair_with_ids(provider)
    pair.server.issue_connection_ids(1, pair.now)
    pair.run()
    datagrams = []
    for number in range(10):
        if number == 5:
            pair.client.use_next_connection_id(pair.now)
        pair.client.send(b"%d" % number)
        datagrams += pair.client.datagrams_to_send(pair.now)
    for datagram in [*datagrams[::-1], *datagrams]:
        pair.inject("server", datagram)
    assert sorted(pair.data("server")) == [b"%d" % number for number in range(10)]
    assert pair.server.stats.drops == {Refusal.REPLAYED: 10}


@ON_EACH_PROVIDER
def test_they_change_again_and_again_and_no_slot_or_key_is_left_behind(provider):
    pair = pair_with_ids(provider)
    for _ in range(30):
        for side in pair.sides.values():
            side.issue_connection_ids(1, pair.now, immediate=True)
        exchange(pair)
    for connection in pair.sides.values():
        records = connection._records
        assert len(connection.connection_ids) == 2
        assert set(records.sealers) == {3}
        assert all(len(openers.by_id) <= 2 for openers in records._openers.values())


@ON_EACH_PROVIDER
def test_the_next_keys_come_with_the_connection_id_in_use(provider):
    """A device then needs one slot for them, not one for each connection ID."""
    pair = pair_with_ids(provider)
    pair.server.issue_connection_ids(3, pair.now)
    pair.run()
    pair.client.use_next_connection_id(pair.now)
    exchange(pair)
    pair.client.update_keys(pair.now)
    pair.run()
    assert list(pair.server._records._openers[4].by_id) == [b"s0001"]
    assert last_id(pair, "client") == b"s0001"
    pair.server.issue_connection_ids(1, pair.now, immediate=True)
    pair.run()
    pair.client.update_keys(pair.now)
    pair.run()
    assert list(pair.server._records._openers[5].by_id) == [b"s0004"]
    assert last_id(pair, "client") == b"s0004"


@ON_EACH_PROVIDER
def test_a_key_update_that_is_sent_again_may_come_with_a_new_connection_id(provider):
    """Its ACK is lost, and the peer has to change the connection ID for all future records."""
    pair = pair_with_ids(provider)
    first_ack = len(pair.datagrams("server"))
    pair.network = Network(lose=lambda sender, index: (sender, index) == ("server", first_ack))
    pair.client.update_keys(pair.now)
    pair.run(0.1)
    pair.server.issue_connection_ids(1, pair.now, immediate=True)
    pair.run()
    assert pair.events["client"][-1] == WriteKeysUpdated(4)
    assert last_id(pair, "client") == b"s0001"


@pytest.mark.parametrize("seed", range(20))
def test_changes_of_keys_and_connection_ids_survive_loss(seed):
    pair = pair_with_ids(handshake_timeout=1000.0)
    pair.network = Network(seed, loss=0.25, duplication=0.2, reordering=0.3)
    for _ in range(3):
        for side in pair.sides.values():
            side.update_keys(pair.now, request_peer=True)
            side.request_connection_ids(2, pair.now)
            side.issue_connection_ids(1, pair.now, immediate=True)
        pair.run(1000)
    pair.network = Network()
    exchange(pair)
    for side in pair.sides:
        sent_with = pair.sides[side]._records.send_id
        assert sent_with in pair.sides[other(side)].connection_ids
        assert not sent_with.endswith(b"0000")
        assert pair.sides[side]._ids.spares >= 2


def test_only_so_many_spare_ones_are_kept():
    pair = pair_with_ids()
    send_message(pair, "server", NewConnectionId(tuple(b"%05d" % n for n in range(200)), False))
    assert pair.events["client"][-1].spares == MAX_CONNECTION_IDS - 1
    assert pair.client.connected


@SIDES
def test_the_limit_of_valid_ones_is_kept_and_said(side):
    pair = pair_with_ids()
    pair.sides[side].issue_connection_ids(4, pair.now)
    with pytest.raises(UsageError, match="5 connection IDs are valid: there is no room for 4 more"):
        pair.sides[side].issue_connection_ids(4, pair.now)
    pair.sides[side].issue_connection_ids(3, pair.now)
    assert len(pair.sides[side].connection_ids) == MAX_CONNECTION_IDS


def test_the_earliest_ones_make_room_once_the_peer_has_gone_on():
    """RFC 9147, 9: they are used in the order in which they were provided."""
    pair = pair_with_ids()
    pair.server.issue_connection_ids(7, pair.now)
    pair.run()
    for _ in range(20):
        pair.client.use_next_connection_id(pair.now)
        pair.client.request_connection_ids(1, pair.now)
        exchange(pair)
    assert last_id(pair, "client") == b"s0020"
    assert pair.server.connection_ids == {b"s00%d" % n for n in range(20, 28)}


def test_new_connection_ids_have_the_length_of_the_first_one_and_are_new():
    lengths = iter((4, 5))
    pair = Pair.connected(server=server_config(connection_id=lambda: bytes(next(lengths))))
    pair_of_same = Pair.connected(server=server_config(connection_id=lambda: b"same"))
    for connection in (pair.server, pair_of_same.server):
        with pytest.raises(UsageError, match="not new, or not as long"):
            connection.issue_connection_ids(1, 0.0)


# RequestConnectionId


@ON_EACH_PROVIDER
@SIDES
def test_a_request_is_answered_with_spare_ones(side, provider):
    pair = pair_with_ids(provider)
    pair.sides[side].request_connection_ids(3, pair.now)
    pair.run()
    assert pair.events[side][1] == ConnectionIdsReceived(spares=3, immediate=False)
    assert pair.sides[other(side)].connection_ids > {pair.result(side).send_connection_id}
    pair.sides[side].use_next_connection_id(pair.now)
    exchange(pair)
    pair.sides[side].request_connection_ids(1, pair.now)
    pair.run()
    assert pair.events[side][-1].spares == 3


def test_a_request_waits_for_the_answer_to_the_one_before():
    """RFC 9147, 9."""
    pair = pair_with_ids()
    pair.client.request_connection_ids(1, pair.now)
    with pytest.raises(UsageError, match="has not answered"):
        pair.client.request_connection_ids(1, pair.now)
    pair.run()
    pair.client.request_connection_ids(1, pair.now)


def test_requests_for_more_than_there_is_room_for_get_less_then_nothing_then_an_alert():
    """RFC 9147, 9: too_many_cids_requested."""
    pair = pair_with_ids()
    for spares in (MAX_CONNECTION_IDS - 1, *[MAX_CONNECTION_IDS - 1] * 4):
        send_message(pair, "client", RequestConnectionId(255))
        assert pair.events["client"][-1] == ConnectionIdsReceived(spares, immediate=False)
    send_message(pair, "client", RequestConnectionId(255))
    assert pair.end("server").alert is AlertDescription.TOO_MANY_CIDS_REQUESTED
    assert pair.end("client").by_peer


def test_only_one_message_of_each_kind_is_outstanding():
    """RFC 9147, 5.8.4 and 9."""
    pair = pair_with_ids()
    pair.server.issue_connection_ids(1, pair.now)
    pair.server.issue_connection_ids(1, pair.now, immediate=True)
    pair.server.request_connection_ids(1, pair.now)
    before = len(pair.sent)
    pair.run(0.005)
    assert [sender for _, sender, _ in pair.sent[before:]] == ["server"]
    pair.run()
    assert last_id(pair, "client") == b"s0002"


# What breaks the rules


@SIDES
@pytest.mark.parametrize(
    "message", [NewConnectionId((b"new",), True), RequestConnectionId(1)], ids=["new", "request"]
)
@pytest.mark.parametrize("asked", ["neither", "sender", "receiver"])
def test_a_message_that_does_not_fit_the_negotiation_is_unexpected(side, message, asked):
    """RFC 9147, 9: nor without negotiation, nor for a direction with empty connection IDs."""
    wants = {
        side: 5 if asked == "sender" else 0,
        other(side): 5 if asked == "receiver" else 0,
    }
    pair = pair_with_ids(**wants)
    send_message(pair, side, message)
    allowed = "sender" if isinstance(message, NewConnectionId) else "receiver"
    if asked == allowed:
        assert pair.sides[side].connected
    else:
        assert pair.end(other(side)).alert is AlertDescription.UNEXPECTED_MESSAGE
        assert pair.end(side).by_peer


@SIDES
@pytest.mark.parametrize(
    ("message", "alert"),
    [
        ("0000 00", AlertDescription.ILLEGAL_PARAMETER),
        ("0001 00 00", AlertDescription.ILLEGAL_PARAMETER),
        ("0002 01 aa 02", AlertDescription.ILLEGAL_PARAMETER),
        ("0002 02 aa 00", AlertDescription.DECODE_ERROR),
        ("0002 01 aa", AlertDescription.DECODE_ERROR),
    ],
    ids=["none at once", "an empty one", "usage unknown", "cut off", "without usage"],
)
def test_new_connection_ids_that_nobody_can_use_are_refused(side, message, alert):
    pair = pair_with_ids()
    odd = NewConnectionId((), False)
    object.__setattr__(odd, "encode", lambda: bytes.fromhex(message))
    send_message(pair, side, odd)
    assert pair.end(other(side)).alert is alert


@SIDES
def test_misuse_is_refused(side):
    pair = pair_with_ids(client=0, server=0)
    connection = pair.sides[side]
    with pytest.raises(UsageError, match="for what the peer sends"):
        connection.issue_connection_ids(1, pair.now)
    with pytest.raises(UsageError, match="for what this side sends"):
        connection.request_connection_ids(1, pair.now)
    with pytest.raises(UsageError, match="no spare"):
        connection.use_next_connection_id(pair.now)
    pair = pair_with_ids()
    connection = pair.sides[side]
    for number in (0, MAX_CONNECTION_IDS):
        with pytest.raises(UsageError, match=f"{number} connection IDs"):
            connection.issue_connection_ids(number, pair.now)
        with pytest.raises(UsageError, match=f"{number} connection IDs"):
            connection.request_connection_ids(number, pair.now)
    connection.close(pair.now)
    assert connection.connection_ids == frozenset()
    with pytest.raises(UsageError, match="not established"):
        connection.issue_connection_ids(1, pair.now)


# The peer's address


def test_a_datagram_tells_whether_it_is_newer_than_all_before():
    """RFC 9146, 6: only then the address it came from may be the peer's new one."""
    pair = pair_with_ids()
    for number in range(3):
        pair.client.send(b"%d" % number)
    first, second, third = pair.client.datagrams_to_send(pair.now)
    forged = third[:-1] + bytes((third[-1] ^ 1,))
    newer = [
        pair.server.receive_datagram(datagram, pair.now)
        for datagram in (second, first, second, forged, b"noise", third)
    ]
    assert newer == [True, False, False, False, False, True]


def test_a_datagram_of_plaintext_never_tells_of_a_new_address():
    pair = Pair()
    (hello,) = pair.client.datagrams_to_send(pair.now)
    assert not pair.server.receive_datagram(hello, pair.now)
    flight = pair.server.datagrams_to_send(pair.now)
    assert pair.client.receive_datagram(flight[0], pair.now)


def test_the_old_epoch_is_older_whatever_its_numbers():
    pair = pair_with_ids()
    pair.client.send(b"old")
    (old,) = pair.client.datagrams_to_send(pair.now)
    pair.client.update_keys(pair.now)
    pair.run()
    exchange(pair)
    assert not pair.server.receive_datagram(old, pair.now)
    assert pair.server.next_event().data == b"old"


def test_a_datagram_that_ends_the_connection_is_genuine_all_the_same():
    pair = pair_with_ids()
    pair.client._outbox.send(3, ContentType.ALERT, b"\x02\x28")
    (alert,) = pair.client.datagrams_to_send(pair.now)
    assert pair.server.receive_datagram(alert, pair.now)
    assert not pair.server.receive_datagram(alert, pair.now)
