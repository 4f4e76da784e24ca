import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.alerts import AlertDescription, ProtocolViolation
from protocol.fragments import Arrival, Reassembler
from protocol.handshake_framing import Fragment

TYPE = 11


def fragment(body, seq=0, start=0, stop=None, msg_type=TYPE):
    return Fragment(msg_type, len(body), seq, start, body[start:stop])


def whole(reassembler):
    messages = []
    while (message := reassembler.next_message()) is not None:
        messages.append(message)
    return [(message.message_seq, message.body) for message in messages]


def test_a_message_in_one_piece_is_delivered_at_once():
    reassembler = Reassembler(1000)
    assert reassembler.add(fragment(b"abc")) is Arrival.IN_ORDER
    message = reassembler.next_message()
    assert (message.msg_type, message.message_seq, message.body) == (TYPE, 0, b"abc")
    assert reassembler.next_message() is None


def test_an_empty_message_is_a_message():
    reassembler = Reassembler(1000)
    reassembler.add(fragment(b""))
    assert whole(reassembler) == [(0, b"")]


@given(st.integers(0, 2**32), st.integers(1, 200), st.integers(0, 30))
def test_pieces_in_any_order_with_repeats_and_overlaps_make_the_message(seed, length, extra):
    chance = random.Random(seed)
    body = chance.randbytes(length)
    cuts = sorted({0, length, *(chance.randrange(length) for _ in range(5))})
    ranges = list(pairwise(cuts))
    for _ in range(extra):
        start = chance.randrange(length)
        ranges.append((start, chance.randint(start, length)))
    chance.shuffle(ranges)
    reassembler = Reassembler(1000)
    for start, stop in ranges:
        assert reassembler.add(fragment(body, 0, start, stop)) is not Arrival.NOT_KEPT
    assert whole(reassembler) == [(0, body)]


@given(st.permutations(range(5)))
def test_messages_in_any_order_are_delivered_in_theirs(order):
    reassembler, delivered = Reassembler(1000), []
    for seq in order:
        reassembler.add(fragment(bytes([seq]) * 3, seq))
        delivered += whole(reassembler)
    assert delivered == [(seq, bytes([seq]) * 3) for seq in range(5)]


def test_pieces_say_whether_they_are_the_next_one():
    reassembler = Reassembler(1000)
    body = bytes(10)
    assert reassembler.add(fragment(body, 0, 0, 4)) is Arrival.IN_ORDER
    assert reassembler.add(fragment(body, 0, 6, 8)) is Arrival.OUT_OF_ORDER
    assert reassembler.add(fragment(body, 1)) is Arrival.OUT_OF_ORDER
    assert reassembler.add(fragment(body, 0, 3, 10)) is Arrival.IN_ORDER
    whole(reassembler)
    assert reassembler.add(fragment(body, 0)) is Arrival.OLD


def test_messages_of_one_record_follow_each_other():
    """RFC 9147, 5.5: they all come before the first of them is asked for."""
    reassembler = Reassembler(1000)
    body = bytes(10)
    assert reassembler.add(fragment(body, 0)) is Arrival.IN_ORDER
    assert reassembler.add(fragment(body, 1, 0, 4)) is Arrival.IN_ORDER
    assert reassembler.add(fragment(body, 2)) is Arrival.OUT_OF_ORDER
    assert reassembler.add(fragment(body, 1, 4)) is Arrival.IN_ORDER
    assert reassembler.add(fragment(body, 3, 5)) is Arrival.OUT_OF_ORDER
    assert reassembler.add(fragment(body, 3, 0, 5)) is Arrival.IN_ORDER


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(Fragment(TYPE, 9, 0, 4, b"ef"), id="length"),
        pytest.param(Fragment(TYPE + 1, 8, 0, 4, b"ef"), id="type"),
        pytest.param(Fragment(TYPE, 8, 0, 3, b"xe"), id="byte"),
    ],
)
def test_a_piece_that_contradicts_an_earlier_one_is_illegal(second):
    reassembler = Reassembler(1000)
    reassembler.add(Fragment(TYPE, 8, 0, 0, b"abcd"))
    with pytest.raises(ProtocolViolation) as violation:
        reassembler.add(second)
    assert violation.value.alert is AlertDescription.ILLEGAL_PARAMETER


def test_a_message_that_is_too_long_is_illegal_when_it_is_next():
    with pytest.raises(ProtocolViolation, match="1001 bytes, over 1000") as violation:
        Reassembler(1000).add(Fragment(TYPE, 1001, 0, 0, b"a"))
    assert violation.value.alert is AlertDescription.ILLEGAL_PARAMETER


def test_messages_ahead_are_kept_within_the_bound_only():
    reassembler = Reassembler(1000)
    assert reassembler.add(fragment(bytes(600), 1)) is Arrival.OUT_OF_ORDER
    assert reassembler.add(fragment(bytes(600), 2)) is Arrival.NOT_KEPT
    assert reassembler.add(fragment(bytes(400), 2)) is Arrival.OUT_OF_ORDER
    assert reassembler.add(fragment(bytes(1000), 0)) is Arrival.IN_ORDER
    assert [seq for seq, _ in whole(reassembler)] == [0, 1, 2]


def test_messages_far_ahead_are_not_kept():
    assert Reassembler(1000).add(fragment(b"a", 17)) is Arrival.NOT_KEPT


def test_the_count_of_separate_pieces_is_bounded():
    reassembler = Reassembler(1000)
    body = bytes(range(250)) * 4
    arrivals = [reassembler.add(fragment(body, 0, at, at + 1)) for at in range(1, 1000, 2)]
    assert arrivals.count(Arrival.OUT_OF_ORDER) == 64
    assert set(arrivals[64:]) == {Arrival.NOT_KEPT}
    assert reassembler.add(fragment(body)) is Arrival.IN_ORDER
    assert whole(reassembler) == [(0, body)]


def test_forgotten_pieces_have_to_come_again():
    reassembler = Reassembler(1000)
    reassembler.add(fragment(b"abcd", 0, 0, 2))
    reassembler.forget_pieces()
    reassembler.add(fragment(b"abcd", 0, 2, 4))
    assert whole(reassembler) == []
