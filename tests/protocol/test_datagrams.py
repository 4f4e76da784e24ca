"""What whole sessions put on the wire, read by rules of their own (RFC 9147, 4.3, 5.5 and 7.1)."""

import pytest

from protocol.handshake_framing import parse_fragments
from protocol.record import ContentType
from tests.protocol.certificates import credentials
from tests.protocol.pair import Network, Pair, client_config, server_config

SMALL = {"mtu": 128}


def split(datagram):
    """The records of a datagram; each of ours has a length."""
    records = []
    while datagram:
        is_plaintext = datagram[0] & 0xE0 != 0x20
        header_bytes = 13 if is_plaintext else 5
        assert len(datagram) > header_bytes
        length = int.from_bytes(datagram[header_bytes - 2 : header_bytes], "big")
        records.append(datagram[: header_bytes + length])
        assert len(records[-1]) == header_bytes + length
        datagram = datagram[header_bytes + length :]
    return records


def epoch(record):
    """That of a DTLSPlaintext, or the two bits of it."""
    return record[0] & 3 if record[0] & 0xE0 == 0x20 else int.from_bytes(record[3:5], "big")


def session(**changes):
    """One with every kind of record: fragments, data, KeyUpdate, ACKs, close_notify."""
    pair = Pair.connected(
        client_config(**SMALL, **changes), server_config(credentials("rsa"), **SMALL, **changes)
    )
    for side in pair.sides.values():
        side.send(b"data")
        side.update_keys(pair.now, request_peer=True)
    pair.run()
    pair.client.close(pair.now)
    pair.run()
    return pair


def test_a_datagram_is_whole_records_from_its_first_byte_to_its_last():
    types = {record[0] for _, _, data in session().sent for record in split(data)}
    protected = {first for first in types if first & 0xE0 == 0x20}
    assert types - protected == {ContentType.HANDSHAKE}  # and so no ChangeCipherSpec (5)
    assert {first & 3 for first in protected} == {0, 1, 2, 3}


def test_the_pieces_of_a_message_follow_each_other_without_overlap():
    pair = session()
    pieces = [
        fragment
        for datagram in pair.datagrams("client")
        for record in split(datagram)
        if record[0] == ContentType.HANDSHAKE
        for fragment in parse_fragments(record[13:])
    ]
    assert len(pieces) > 1
    position = 0
    for piece in pieces:
        assert piece.offset == position
        position += len(piece.data)
    assert position == pieces[0].length


def test_a_flight_that_is_sent_again_has_the_epochs_of_the_first_time():
    """RFC 9147, 4.2.1."""
    own = credentials("rsa")
    lost = Network(lose=lambda sender, index: sender == "server" and index < 4)
    pair = Pair(client_config(), server_config(own, mtu=400), lost)
    pair.run()
    flights: dict[float, list[int]] = {}
    for time, sender, data in pair.sent:
        if sender == "server":
            flights.setdefault(time, []).extend(epoch(record) for record in split(data))
    first, second, *_ = flights.values()
    assert first == second
    assert set(first) == {0, 2}
    assert pair.client.connected


@pytest.mark.parametrize("side", ["client", "server"])
def test_data_and_what_cannot_be_opened_are_not_acknowledged(side):
    """RFC 9147, 7.1."""
    pair = Pair.connected()
    other = "server" if side == "client" else "client"
    pair.sides[side].send(b"data")
    pair.run()
    pair.sides[side].send(b"data")
    (genuine,) = pair.sides[side].datagrams_to_send(pair.now)
    before = len(pair.datagrams(other))
    pair.inject(other, genuine[:-1] + bytes([genuine[-1] ^ 1]))
    pair.run()
    assert pair.data(other) == [b"data"]
    assert len(pair.datagrams(other)) == before


@pytest.mark.parametrize("cut", [1, 16, 60])
def test_a_record_that_is_longer_than_its_datagram_is_dropped(cut):
    """RFC 9147, appendix C."""
    pair = Pair.connected()
    pair.client.send(bytes(100))
    (datagram,) = pair.client.datagrams_to_send(pair.now)
    before = sum(pair.server.stats.drops.values())
    pair.inject("server", datagram[:-cut])
    assert pair.data("server") == []
    assert sum(pair.server.stats.drops.values()) == before + 1
    pair.inject("server", datagram)
    assert pair.data("server") == [bytes(100)]
