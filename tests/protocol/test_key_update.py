"""KeyUpdate (RFC 9147, 8)."""

import pytest

from protocol.ack import parse_ack
from protocol.alerts import AlertDescription, UsageError
from protocol.events import (
    DataReceived,
    KeyUpdatesExhausted,
    ReadKeysUpdated,
    TicketReceived,
    WriteKeysUpdated,
)
from protocol.handshake_framing import Fragment, HandshakeType
from protocol.record import ContentType
from tests.protocol.pair import Network, Pair, client_config, exchange, server_config

SIDES = pytest.mark.parametrize("side", ["client", "server"])


def other(side):
    return "server" if side == "client" else "client"


def new_events(pair, side):
    """Those after HandshakeCompleted, without data and tickets."""
    others = DataReceived | TicketReceived
    return [event for event in pair.events[side][1:] if not isinstance(event, others)]


def epoch_bits(datagram):
    return datagram[0] & 3


@SIDES
def test_one_side_updates_its_own_keys_only(side):
    pair = Pair.connected()
    pair.sides[side].update_keys(pair.now)
    pair.run()
    assert new_events(pair, side) == [WriteKeysUpdated(4)]
    assert new_events(pair, other(side)) == [ReadKeysUpdated(4)]
    exchange(pair)
    assert epoch_bits(pair.datagrams(side)[-1]) == 0
    assert epoch_bits(pair.datagrams(other(side))[-1]) == 3


@SIDES
def test_a_requested_update_is_answered_by_one_that_requests_nothing(side):
    pair = Pair.connected()
    pair.sides[side].update_keys(pair.now, request_peer=True)
    pair.run()
    for name in pair.sides:
        assert set(new_events(pair, name)) == {WriteKeysUpdated(4), ReadKeysUpdated(4)}
    exchange(pair)


def test_the_new_keys_are_not_used_before_the_ack():
    pair = Pair.connected()
    pair.client.update_keys(pair.now)
    pair.client.send(b"old keys")
    pair.run()
    pair.client.send(b"new keys")
    pair.run()
    assert [epoch_bits(datagram) for datagram in pair.datagrams("client")[2:]] == [3, 3, 0]
    assert pair.data("server") == [b"old keys", b"new keys"]


def test_an_update_waits_for_the_ack_of_the_last_flight_and_for_that_of_the_last_update():
    """RFC 9147, 5.8.4: only one KeyUpdate may be outstanding."""
    pair = Pair(network=Network(lose=lambda sender, index: (sender, index) == ("server", 1)))
    pair.run(0.05)
    pair.client.update_keys(pair.now)
    pair.client.update_keys(pair.now)
    pair.run(0.1)
    assert len(pair.datagrams("client")) == 2
    pair.run()
    assert new_events(pair, "client") == [WriteKeysUpdated(4)]
    pair.client.update_keys(pair.now)
    pair.client.update_keys(pair.now)
    pair.run()
    assert new_events(pair, "client") == [
        WriteKeysUpdated(4),
        WriteKeysUpdated(5),
        WriteKeysUpdated(6),
    ]
    exchange(pair)


def test_updates_of_both_sides_may_cross():
    pair = Pair.connected()
    for side in pair.sides.values():
        side.update_keys(pair.now, request_peer=True)
    pair.run()
    for name in pair.sides:
        assert new_events(pair, name)[-1].epoch == 5
        assert len(new_events(pair, name)) == 4
    exchange(pair)


def test_many_updates_in_a_row():
    pair = Pair.connected()
    for _ in range(20):
        pair.client.update_keys(pair.now, request_peer=True)
        pair.run()
        exchange(pair)
    assert new_events(pair, "client")[-1].epoch == 23


@pytest.mark.parametrize("seed", range(20))
def test_updates_survive_loss(seed):
    pair = Pair.connected(
        client_config(handshake_timeout=1000.0), server_config(handshake_timeout=1000.0)
    )
    pair.network = Network(seed, loss=0.25, duplication=0.2, reordering=0.3)
    for _ in range(3):
        for side in pair.sides.values():
            side.update_keys(pair.now, request_peer=True)
        pair.run(1000)
    pair.network = Network()
    exchange(pair)
    assert pair.client._epochs.write_epoch == pair.server._epochs.read_epoch > 3
    assert pair.server._epochs.write_epoch == pair.client._epochs.read_epoch > 3


def test_a_lost_ack_of_an_update_is_sent_again_and_old_keys_still_work():
    pair = Pair.connected()
    pair.network = Network(lose=lambda sender, index: (sender, index) == ("server", 2))
    pair.client.update_keys(pair.now)
    pair.run(0.5)
    pair.client.send(b"old keys still")
    pair.run()
    assert new_events(pair, "server") == [ReadKeysUpdated(4)]
    assert new_events(pair, "client") == [WriteKeysUpdated(4)]
    assert pair.data("server") == [b"old keys still"]
    exchange(pair)


def test_data_of_the_epoch_before_is_taken_after_a_record_of_the_new_one():
    pair = Pair.connected()
    pair.client.send(b"slow")
    (slow,) = pair.client.datagrams_to_send(pair.now)
    pair.client.update_keys(pair.now)
    pair.run()
    exchange(pair)
    pair.inject("server", slow)
    assert pair.data("server")[-1] == b"slow"


def test_old_keys_are_forgotten():
    pair = Pair.connected()
    assert set(pair.server._records._openers) == {2, 3}
    for _ in range(3):
        pair.client.update_keys(pair.now)
        pair.run()
        exchange(pair)
    assert set(pair.server._records._openers) == {5, 6}
    assert set(pair.client._records.sealers) == {6}


def test_keys_are_updated_before_they_wear_out():
    pair = Pair.connected(client_config(update_keys_after=10))
    for _ in range(40):
        pair.client.send(b"")
        pair.run()
    assert new_events(pair, "client") == [WriteKeysUpdated(epoch) for epoch in (4, 5, 6, 7)]
    assert len(pair.data("server")) == 40


def test_a_new_message_in_the_epoch_before_an_update_is_unexpected():
    """RFC 9147bis, 8: a KeyUpdate ends the messages of its epoch."""
    pair = Pair.connected()
    key_update = bytes.fromhex("18 000001 0002 000000 000001 00")
    second = bytes.fromhex("18 000001 0003 000000 000001 00")
    for message in (key_update, second):
        pair.client._outbox.send(3, ContentType.HANDSHAKE, message)
    pair.run()
    assert "old epoch" in pair.end("server").reason


def key_update(message_seq, body=b"\0"):
    fragment = Fragment(HandshakeType.KEY_UPDATE, 1, message_seq, 0, body)
    return fragment.encode()


def ticket(message_seq):
    body = bytes.fromhex("00000e10 00000000 01 00 0001 aa 0000")
    return Fragment(HandshakeType.NEW_SESSION_TICKET, len(body), message_seq, 0, body).encode()


@pytest.mark.parametrize("together", [True, False])
def test_a_message_that_came_before_the_key_update_ahead_of_it_is_unexpected(together):
    """RFC 9147bis, 8: dropping it after an ACK would lose it for good."""
    pair = Pair.connected()
    contents = [key_update(3), key_update(2)]
    for content in [b"".join(contents)] if together else contents:
        pair.client._outbox.send(3, ContentType.HANDSHAKE, content)
    pair.run()
    assert pair.end("server").alert is AlertDescription.UNEXPECTED_MESSAGE
    assert pair.end("client").by_peer


def test_a_key_update_behind_a_missing_message_is_acknowledged_once_it_is_processed():
    pair = Pair.connected()
    acknowledged = []
    pair.server._delivery.receive_ack = lambda record, now: acknowledged.extend(
        parse_ack(record.content)
    )
    pair.server._delivery._next_message_seq = 7
    update = pair.server._outbox.send(3, ContentType.HANDSHAKE, key_update(6))
    pair.run()
    assert new_events(pair, "client") == []
    assert acknowledged == []
    earlier = pair.server._outbox.send(3, ContentType.HANDSHAKE, ticket(5))
    pair.run()
    assert new_events(pair, "client") == [ReadKeysUpdated(4)]
    assert earlier in acknowledged
    assert update not in acknowledged
    again = pair.server._outbox.send(3, ContentType.HANDSHAKE, key_update(6))
    pair.run()
    assert again in acknowledged


def test_a_message_and_the_key_update_after_it_in_one_record_are_acknowledged():
    pair = Pair.connected()
    acknowledged = []
    pair.server._delivery.receive_ack = lambda record, now: acknowledged.extend(
        parse_ack(record.content)
    )
    both = ticket(5) + key_update(6)
    number = pair.server._outbox.send(3, ContentType.HANDSHAKE, both)
    pair.run()
    assert new_events(pair, "client") == [ReadKeysUpdated(4)]
    assert acknowledged == [number]


def test_data_sent_while_a_worn_key_waits_for_its_ack_asks_for_no_second_update():
    pair = Pair.connected(client_config(update_keys_after=10))
    for _ in range(12):
        pair.client.send(b"")
        pair.run(0.0)
    pair.run()
    assert new_events(pair, "client") == [WriteKeysUpdated(4)]


def test_the_epochs_end_with_the_numbers_of_the_messages():
    """RFC 9147bis, 8: each epoch takes a message_seq, so that no epoch can wrap."""
    pair = Pair.connected()
    pair.client._delivery._next_message_seq = 0xFFFF
    pair.server._delivery._reassembler.next_message_seq = 0xFFFF
    pair.client.update_keys(pair.now)
    pair.run()
    assert new_events(pair, "client") == [WriteKeysUpdated(4), KeyUpdatesExhausted()]
    with pytest.raises(UsageError, match="has had all its handshake messages"):
        pair.client.update_keys(pair.now)
    exchange(pair)
    assert new_events(pair, "client")[2:] == []  # it is said once


def test_a_request_for_an_update_that_cannot_be_had_is_ignored():
    """RFC 9147, 8."""
    pair = Pair.connected()
    pair.client._delivery._next_message_seq = 0x10000
    pair.server.update_keys(pair.now, request_peer=True)
    pair.run()
    assert new_events(pair, "client") == [ReadKeysUpdated(4), KeyUpdatesExhausted()]
    assert new_events(pair, "server") == [WriteKeysUpdated(4)]
    exchange(pair)
