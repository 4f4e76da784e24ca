"""Several handshake messages in one record (RFC 9147, 5.5)."""

from itertools import pairwise

import pytest

from protocol.handshake_framing import HandshakeType, parse_fragments
from protocol.outbox import Outbox
from protocol.packing import pack
from protocol.record import ContentType, RecordLayer
from protocol.retransmit import OutgoingMessage
from tests.protocol.pair import Network, Pair, client_config, exchange, server_config
from tests.protocol.providers import PROVIDERS

HEADER, RECORD_HEADER = 12, 13


def outbox(mtu, content_limit=None):
    box = Outbox(RecordLayer(PROVIDERS["software"]()), mtu)
    if content_limit is not None:
        box.content_limit = content_limit
    return box


def packed(sizes, box, epoch=0):
    """The records for messages of these sizes: (message_seq, start, stop) of each piece in each."""
    messages = [OutgoingMessage(epoch, 11, seq, bytes(size)) for seq, size in enumerate(sizes)]
    records = []
    for _, pieces in pack([(message, 0, len(message.body)) for message in messages], box):
        records.append([(message.message_seq, start, stop) for message, start, stop in pieces])
        content = b"".join(piece.encode() for piece in pieces)
        if epoch:
            box.add(bytes(len(content) + 22))  # as large as a sealed one
        else:
            box.send(0, ContentType.HANDSHAKE, content)
    return records


def test_messages_share_a_record_as_long_as_there_is_room():
    assert packed([100, 200, 300], outbox(1200)) == [[(0, 0, 100), (1, 0, 200), (2, 0, 300)]]


def test_a_message_goes_on_in_the_next_record_where_the_datagram_ends():
    box = outbox(RECORD_HEADER + 2 * HEADER + 150)
    assert packed([100, 200], box) == [[(0, 0, 100), (1, 0, 50)], [(1, 50, 200)]]
    assert [len(datagram) for datagram in box.take()] == [187, 175]


@pytest.mark.parametrize(("left", "fits"), [(15, False), (16, True)])
def test_no_record_ends_with_a_tiny_piece(left, fits):
    records = packed([100, 200], outbox(RECORD_HEADER + 2 * HEADER + 100 + left))
    assert (len(records[0]) == 2) is fits


def test_what_a_peer_takes_in_a_record_ends_a_record_and_no_datagram():
    """RFC 8449."""
    box = outbox(1200, content_limit=100)
    records = packed([50, 60, 70], box, epoch=2)
    assert records == [[(0, 0, 50), (1, 0, 26)], [(1, 26, 60), (2, 0, 42)], [(2, 42, 70)]]
    assert len(box.take()) == 1


def test_messages_of_two_epochs_never_share_a_record():
    messages = [OutgoingMessage(epoch, 11, epoch, bytes(10)) for epoch in (0, 2, 3)]
    due = [(message, 0, 10) for message in messages]
    assert [epoch for epoch, _ in pack(due, outbox(1200))] == [0, 2, 3]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_servers_flight_takes_two_records(provider, monkeypatch):
    contents = []
    seal = RecordLayer.seal

    def spy(self, epoch, content_type, content, padding=0):
        contents.append((epoch, content_type, content))
        return seal(self, epoch, content_type, content, padding)

    monkeypatch.setattr(RecordLayer, "seal", spy)
    own = PROVIDERS[provider]
    pair = Pair.connected(client_config(provider=own()), server_config(provider=own()))
    flight = next(content for epoch, kind, content in contents if (epoch, kind) == (2, 22))
    assert [fragment.msg_type for fragment in parse_fragments(flight)] == [
        HandshakeType.ENCRYPTED_EXTENSIONS,
        HandshakeType.CERTIFICATE,
        HandshakeType.CERTIFICATE_VERIFY,
        HandshakeType.FINISHED,
    ]
    # ClientHello, ServerHello, that flight, Finished; and an ACK of nothing but Finished.
    assert [(epoch, kind) for epoch, kind, _ in contents] == [
        (0, 22), (0, 22), (2, 22), (2, 22), (3, 26),
    ]  # fmt: skip
    exchange(pair)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_lost_record_of_several_messages_is_sent_again(provider):
    own = PROVIDERS[provider]
    lost = Network(lose=lambda sender, index: (sender, index) == ("server", 3))
    pair = Pair(
        client_config(provider=own(), mtu=200), server_config(provider=own(), mtu=200), lost
    )
    pair.run()
    assert pair.client.connected
    assert pair.server.connected
    server = [data for _, who, data in pair.sent if who == "server"]
    assert len(server[3]) == len(server[5]) == 200  # the piece of two messages, once more
    exchange(pair)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_pieces_of_many_messages_in_order_need_no_ack(provider):
    """RFC 9147, 7.1: nothing seems to be lost."""
    own = PROVIDERS[provider]
    pair = Pair.connected(
        client_config(provider=own(), mtu=150), server_config(provider=own(), mtu=150)
    )
    sent = [(time, sender) for time, sender, _ in pair.sent]
    assert sent == sorted(sent)
    changes = [one for (_, one), (_, other) in pairwise([*sent, (0, "")]) if one != other]
    assert changes == ["client", "server", "client", "server"]
