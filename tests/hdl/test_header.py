"""The unified header's parser and builder against their models, in all forms."""

import itertools
import random

import pytest

from hdl.header import HeaderBuilder, HeaderParser, ParsedHeader, build_header, parse_header
from tests.hdl.streams import get_all, pauses, simulate, with_idle_and_stall

CONNECTION_ID = bytes(range(0xC0, 0xD4))

#: Every form: length of the connection ID, S, L; epoch bits 1.
FORMS = [
    (CONNECTION_ID[:size], 0x21 | (0x10 if size else 0) | form)
    for size, form in itertools.product([0, 1, 8, 20], [0x00, 0x04, 0x08, 0x0C])
]


class Store:
    """Where the connection ID of a parser or a builder stands; it answers in the next cycle."""

    def __init__(self, dut):
        self._dut = dut
        self._connection_id = b""

    def set(self, ctx, connection_id):
        self._connection_id = connection_id
        ctx.set(self._dut.connection_id_bytes, len(connection_id))

    async def answer(self, ctx):
        async for *_, index in ctx.tick().sample(self._dut.index):
            ctx.set(self._dut.connection_id_byte, (self._connection_id + bytes(32))[index])


def parse_all(records, *, idle=0.0, seed=0):
    """Parse ``records`` of (record, connection ID) one after the other.

    Returns for each the header or None, the bytes consumed, and the cycles from start to done.
    """
    dut = HeaderParser()
    store = Store(dut)
    results = []
    pending = []
    waits = pauses(seed, idle)

    async def feed(ctx):
        """Offer the bytes of the current record, with idle cycles between them."""
        while True:
            if next(waits):
                await ctx.tick()
            offered = bool(pending)
            ctx.set(dut.bytes.valid, offered)
            ctx.set(dut.bytes.payload, pending[0] if offered else 0xFF)
            *_, ready = await ctx.tick().sample(dut.bytes.ready)
            if offered and ready:
                pending.pop(0)
            ctx.set(dut.bytes.valid, 0)

    async def parse(ctx):
        for record, connection_id in records:
            pending[:] = record
            store.set(ctx, connection_id)
            ctx.set(dut.remaining, len(record))
            ctx.set(dut.start, 1)
            await ctx.tick()
            # While it parses, neither of the two is heeded.
            ctx.set(dut.remaining, 0)
            await ctx.tick()
            ctx.set(dut.start, 0)
            cycles = 1
            while not ctx.get(dut.done):
                await ctx.tick()
                cycles += 1
            await ctx.tick().repeat(2)
            consumed = len(record) - len(pending)
            assert ctx.get(dut.size) == consumed
            header = ParsedHeader(
                *(ctx.get(port) for port in (dut.flags, dut.wire, dut.length, dut.size))
            )
            results.append((None if ctx.get(dut.malformed) else header, consumed, cycles))

    simulate(dut, parse, background=[feed, store.answer])
    return results


def build_all(headers, *, stall=0.0, seed=0):
    """Build each of ``headers`` of (flags, connection ID, wire, length)."""
    dut = HeaderBuilder()
    store = Store(dut)
    results = []
    waits = pauses(seed, stall)

    async def build(ctx):
        for flags, connection_id, wire, length in headers:
            store.set(ctx, connection_id)
            ctx.set(dut.flags, flags)
            ctx.set(dut.wire, wire)
            ctx.set(dut.length, length)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            header = b""
            last = False
            while not last:
                (transfer,) = await get_all(ctx, dut.bytes, 1, waits)
                header += bytes([transfer.data])
                last = bool(transfer.last)
            assert not ctx.get(dut.bytes.valid)
            results.append(header)

    simulate(dut, build, background=[store.answer])
    return results


def record_of(flags, connection_id, wire=0x1234, body=17):
    return build_header(flags, connection_id, wire, body) + bytes(body)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        # RFC 9147, figure 4: full, and minimal.
        ("3e c0 c1 c2 c3 12 34 00 11", ParsedHeader(0x3E, 0x1234, 17, 9)),
        ("22 56", ParsedHeader(0x22, 0x56, 0, 2)),
    ],
)
def test_the_forms_of_figure_4(header, expected):
    header = bytes.fromhex(header)
    connection_id = header[1:-4] if header[0] & 0x10 else b""
    assert parse_header(header + bytes(17), connection_id) == expected
    assert build_header(header[0], connection_id, expected.wire, expected.length) == header


def test_every_form_is_parsed():
    records = [(record_of(flags, cid, body=17 + len(cid)), cid) for cid, flags in FORMS]
    results = parse_all(records)
    assert [header for header, _, _ in results] == [parse_header(*record) for record in records]
    assert None not in [header for header, _, _ in results]


@with_idle_and_stall
def test_every_form_is_built(idle, stall, seed):
    headers = [(flags, cid, 0xA1B2, 0x3C4D) for cid, flags in FORMS]
    assert build_all(headers, stall=stall, seed=seed) == [build_header(*h) for h in headers]


def mutated(rng, record, connection_id):
    """The record as it is, with one byte changed, cut, extended, or for another slot."""
    changed = bytearray(record)
    changed[rng.randrange(min(len(record), 26))] ^= 1 << rng.randrange(8)
    return rng.choice(
        [
            (record, connection_id),
            (bytes(changed), connection_id),
            (record[: rng.randrange(len(record))], connection_id),
            (record + b"?", connection_id),
            (record, CONNECTION_ID[: rng.randrange(21)]),
        ]
    )


@pytest.mark.parametrize("idle", [0, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_parser_equals_model_on_mutated_records(seed, idle):
    rng = random.Random(seed)
    records = []
    for _ in range(150):
        connection_id, flags = rng.choice(FORMS)
        record = record_of(flags, connection_id, rng.randrange(1 << 16), rng.randint(15, 40))
        records.append(mutated(rng, record, connection_id))
    headers = [header for header, _, _ in parse_all(records, idle=idle, seed=seed)]
    assert headers == [parse_header(*record) for record in records]
    assert 20 < headers.count(None) < 130


@pytest.mark.parametrize(("connection_id", "flags"), [FORMS[0], FORMS[7], FORMS[-1]])
def test_a_record_cut_anywhere_is_malformed_and_ends(connection_id, flags):
    record = record_of(flags, connection_id)
    size = len(record) - 17
    results = parse_all([(record[:cut], connection_id) for cut in range(len(record))])
    assert [header for header, _, _ in results] == [None] * len(record)
    assert [consumed for _, consumed, _ in results] == [
        min(cut, size) for cut in range(len(record))
    ]
    # No byte at all counts as the shortest form; with the first one the form is known.
    assert results[0][2] == 2
    assert {cycles for _, _, cycles in results[1:]} == {size}


def test_the_form_decides_what_is_consumed_if_it_is_not_that_of_the_slot():
    without, with_one = record_of(0x2C, b""), record_of(0x3C, CONNECTION_ID)
    assert parse_all([(without, CONNECTION_ID), (with_one, b"")]) == [(None, 5, 5), (None, 5, 5)]


@pytest.mark.parametrize(("connection_id", "flags"), FORMS)
def test_time_and_consumption_do_not_depend_on_what_mismatches(connection_id, flags):
    record = record_of(flags, connection_id)
    size = len(record) - 17
    wrong = [bytearray(record) for _ in range(size)]
    for position, changed in enumerate(wrong):
        changed[position] ^= 0x80
    results = parse_all([(bytes(r), connection_id) for r in [record, *wrong]])
    assert {(consumed, cycles) for _, consumed, cycles in results} == {(size, size)}


def test_a_builder_is_ready_for_the_next_header_after_the_last_byte():
    dut = HeaderBuilder()

    async def build(ctx):
        ctx.set(dut.flags, 0x2C)
        ctx.set(dut.bytes.ready, 1)
        for _ in range(2):
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            for index in range(5):
                assert ctx.get(dut.bytes.valid)
                assert ctx.get(dut.bytes.payload.last) == (index == 4)
                ctx.set(dut.start, index == 2)  # not heeded in the middle of a header
                await ctx.tick()

    simulate(dut, build)
