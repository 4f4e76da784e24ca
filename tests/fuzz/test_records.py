"""Datagrams, protected records, fragments: what is not genuine is dropped and counted, no more."""

import tracemalloc
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import unified_header
from protocol.alerts import ProtocolViolation
from protocol.crypto.provider import OpenedRecord, Refusal
from protocol.crypto.suites import CipherSuite
from protocol.fragments import Reassembler
from protocol.handshake_framing import Fragment, parse_fragments
from protocol.key_schedule import traffic_keys
from protocol.record import ContentType, RecordLayer, build_plaintext
from tests.fuzz.campaign import examples
from tests.fuzz.shapes import damaged, scratched
from tests.fuzz.targets import FRAGMENT, TARGETS
from tests.protocol.providers import PROVIDERS

#: The RTL in the simulator is held to its model, and the model to any input, elsewhere.
PROVIDER = pytest.mark.parametrize("provider", ["software", "accelerator_model"])
SUITE = CipherSuite.TLS_AES_128_GCM_SHA256
IDS = pytest.mark.parametrize("connection_id", [b"", b"id"], ids=["no id", "id"])


@cache
def provider_named(name):
    return PROVIDERS[name]()


def record_layer(provider, connection_id):
    layer = RecordLayer(provider_named(provider))
    layer.use_connection_ids(connection_id, connection_id)
    for epoch in (2, 3):
        keys = traffic_keys(SUITE, bytes(31) + bytes([epoch]))
        layer.install_sealer(epoch, keys)
        layer.install_opener(epoch, keys)
    return layer


def genuine(layer):
    """One datagram with three records, and what is in it."""
    parts = [(2, ContentType.HANDSHAKE, b"abc"), (3, ContentType.APPLICATION_DATA, b"x" * 20)]
    sealed = [layer.seal(*part) for part in parts]
    return build_plaintext(ContentType.HANDSHAKE, 0, b"hello") + b"".join(sealed)


def contents(records):
    return [(record.number.epoch, record.content_type, record.content) for record in records]


GENUINE = [
    (0, ContentType.HANDSHAKE, b"hello"),
    (2, ContentType.HANDSHAKE, b"abc"),
    (3, ContentType.APPLICATION_DATA, b"x" * 20),
]


def noise(data, genuine):
    """Changed bytes of it, or any."""
    chance = data.draw(st.randoms(use_true_random=False))
    return chance.choice([scratched(chance, genuine), chance.randbytes(chance.randint(0, 80))])


@PROVIDER
@IDS
@examples(2)
@given(st.data())
def test_a_damaged_datagram_yields_genuine_records_and_counts_the_rest(
    provider, connection_id, data
):
    layer = record_layer(provider, connection_id)
    try:
        datagram = genuine(layer)
        damaged = noise(data, datagram)
        received = contents(layer.open_datagram(damaged))
        protected = [record for record in received if record[0]]
        assert set(protected) <= set(GENUINE)
        assert len(set(protected)) == len(protected)
        whole = contents(layer.open_datagram(datagram))
        assert set(GENUINE) <= {*whole, *received}
        assert layer.fatal is None
    finally:
        layer.close()


@PROVIDER
@IDS
@examples(2)
@given(st.data())
def test_an_opener_refuses_whatever_it_is_given(provider, connection_id, data):
    keys = traffic_keys(SUITE, bytes(32))
    sealer = provider_named(provider).sealer(keys, 3, connection_id)
    opener = provider_named(provider).opener(keys, 3, connection_id)
    try:
        record = sealer.seal(ContentType.APPLICATION_DATA, b"data")
        damaged = noise(data, record)
        result = opener.open(damaged)
        assert isinstance(result, OpenedRecord) == (damaged == record), result
        if damaged != record:
            assert isinstance(result, Refusal)
            assert isinstance(opener.open(record), OpenedRecord)
    finally:
        sealer.close()
        opener.close()


@examples()
@given(st.binary(max_size=40), st.sampled_from([0, 2, 20]))
def test_a_unified_header_is_there_or_it_is_not(data, connection_id_bytes):
    header = unified_header.parse(data, connection_id_bytes)
    if header is not None:
        again = unified_header.build(
            header.epoch_bits,
            int.from_bytes(header.number_bytes, "big"),
            header.length,
            header.connection_id,
            len(header.number_bytes),
        )
        assert data.startswith(again)


@examples(2)
@given(st.randoms(use_true_random=False))
def test_no_fragment_leaves_its_message(chance):
    with suppress(ProtocolViolation):
        for fragment in parse_fragments(
            damaged(chance, FRAGMENT * 2, TARGETS["fragments"].seeds[0])
        ):
            assert fragment.offset + len(fragment.data) <= fragment.length


FRAGMENTS = st.builds(
    lambda msg_type, length, seq, offset, data: Fragment(
        msg_type, max(length, offset + len(data)), seq, offset, data
    ),
    st.sampled_from([1, 2, 20]),
    st.sampled_from([0, 5, 100, 65_536, 65_537, (1 << 24) - 1]),
    st.sampled_from([0, 1, 2, 15, 16, 17, 65_535]),
    st.sampled_from([0, 1, 50, 65_530, (1 << 24) - 20]),
    st.binary(max_size=10),
)


@examples(2)
@given(st.lists(FRAGMENTS, max_size=60))
def test_fragments_take_no_more_memory_than_two_messages(fragments):
    longest = 65_536
    reassembler = Reassembler(longest)
    tracemalloc.start()
    try:
        for fragment in fragments:
            with suppress(ProtocolViolation):
                reassembler.add(fragment)
        assert tracemalloc.get_traced_memory()[0] < 2 * longest + 1_000 * len(fragments) + 16_384
    finally:
        tracemalloc.stop()


@examples(2)
@given(st.data())
def test_a_message_comes_through_any_fragments_of_others(data):
    """Those of later messages, and pieces of its own in any order."""
    reassembler, body = Reassembler(1_000), bytes(range(60))
    others = st.builds(
        lambda seq, piece: Fragment(1, 50, seq, 0, piece), st.integers(1, 99), st.binary(max_size=9)
    )
    cuts = sorted(data.draw(st.sets(st.integers(1, 59), max_size=5)))
    pieces = [
        Fragment(1, 60, 0, start, body[start:stop])
        for start, stop in zip([0, *cuts], [*cuts, 60], strict=True)
    ]
    for piece in data.draw(st.permutations(pieces)):
        for other in data.draw(st.lists(others, max_size=3)):
            with suppress(ProtocolViolation):
                reassembler.add(other)
        reassembler.add(piece)
    message = reassembler.next_message()
    assert message is not None
    assert message.body == body
