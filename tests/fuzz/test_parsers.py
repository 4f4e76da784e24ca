"""Every parser takes any bytes: a value or a documented refusal, in bounded memory."""

import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.alerts import ProtocolViolation
from tests.fuzz.campaign import examples
from tests.fuzz.shapes import damaged, scratched
from tests.fuzz.targets import CODECS, MESSAGES, REFUSED, SEEDS, SHAPES, TARGETS

EACH = pytest.mark.parametrize("name", TARGETS)

#: What a parser may take at once: for each byte of input, and for an input of any length. The
#: costly ones are extensions of 4 bytes each, and fragments of 12.
BYTES_PER_BYTE = 64
BYTES_PER_CALL = 16_384


def parse(name, data):
    """The value, or None for what the parser refuses as it may."""
    with suppress(ProtocolViolation):
        return TARGETS[name].parse(data)
    return None


def check(name, data):
    value, target = parse(name, data), TARGETS[name]
    assert value is None or target.sound(value)
    if value is not None and target.encode is not None:
        again = target.encode(value)
        assert target.parse(again) == value
        assert again == data or (not target.exact and len(again) == len(data))


CHANCE = st.randoms(use_true_random=False)


def damage_to(name, data):
    target = TARGETS[name]
    return damaged(data.draw(CHANCE), target.shape, data.draw(st.sampled_from(target.seeds)))


def test_every_message_and_extension_is_a_target():
    missing = {*MESSAGES, *CODECS} - (SEEDS.keys() & SHAPES.keys())
    assert not missing, "these need a shape and seeds in tests/fuzz/targets.py"


@pytest.mark.parametrize("name", REFUSED)
def test_some_messages_are_refused_as_what_they_are(name):
    for seed in TARGETS[name].seeds:
        with pytest.raises(ProtocolViolation) as caught:
            TARGETS[name].parse(seed)
        assert caught.value.alert is REFUSED[name]


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in REFUSED])
def test_the_seeds_are_valid_and_come_back_byte_for_byte(name):
    target = TARGETS[name]
    for seed in target.seeds:
        value = target.parse(seed)
        assert value is not None
        if target.encode is not None:
            assert target.encode(value) == seed


@EACH
@examples()
@given(st.data())
def test_any_bytes_are_a_value_or_a_documented_refusal(name, data):
    check(name, data.draw(st.binary(max_size=300)))


@EACH
@examples()
@given(st.data())
def test_so_is_any_damage_to_the_structure_of_a_valid_encoding(name, data):
    check(name, damage_to(name, data))


@EACH
@examples()
@given(st.data())
def test_and_any_damage_to_its_bytes(name, data):
    check(name, scratched(data.draw(CHANCE), data.draw(st.sampled_from(TARGETS[name].seeds))))


def most_taken(name, data):
    tracemalloc.start()
    try:
        parse(name, data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@EACH
@examples(4)
@given(st.data())
def test_announced_lengths_take_no_memory(name, data):
    hostile = damage_to(name, data)
    parse(name, hostile)  # What is imported or cached at the first use is not the input's.
    assert most_taken(name, hostile) < BYTES_PER_CALL + BYTES_PER_BYTE * len(hostile)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("ACK", (65_520).to_bytes(2, "big") + bytes(65_520)),
        ("fragments", bytes(12) * 1_365),
        (
            "Extensions in CH",
            b"\xff\xfc"
            + b"".join(number.to_bytes(2, "big") + b"\0\0" for number in range(1_000, 17_383)),
        ),
        ("SUPPORTED_GROUPS", b"\xff\xfe" + bytes(65_534)),
        (
            "CLIENT_KEY_SHARES",
            b"\xff\xff"
            + b"".join(number.to_bytes(2, "big") + b"\0\1x" for number in range(13_107)),
        ),
        ("Certificate", b"\0\0\xff\xfc" + bytes.fromhex("000001300000") * 10_922),
    ],
)
def test_the_largest_input_stays_within_the_bound(name, data):
    assert parse(name, data)
    assert most_taken(name, data) < BYTES_PER_CALL + BYTES_PER_BYTE * len(data)


SMALL = st.integers(0, 12)


@examples()
@given(SMALL, SMALL, SMALL)
def test_a_fragment_is_taken_exactly_if_it_lies_in_its_message(length, offset, size):
    """RFC 9147, 5.5."""
    numbers = [(1, 1), (length, 3), (0, 2), (offset, 3), (size, 3)]
    header = b"".join(number.to_bytes(width, "big") for number, width in numbers)
    taken = parse("fragments", header + bytes(size)) is not None
    assert taken == (offset + size <= length)
