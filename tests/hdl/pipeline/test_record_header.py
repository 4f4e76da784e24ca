"""Headers in blocks against the model of headers in bytes, in all forms."""

import itertools
import random

import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from driver.messages import CONNECTION_ID_BYTES, TAG_BYTES
from hdl.header import build_header, parse_header
from hdl.pipeline.record_header import HeaderReader, tail_lanes, template, turn_tail
from tests.hdl.streams import simulate

FORMS = (0x00, 0x04, 0x08, 0x0C)
with_width = pytest.mark.parametrize("width", [4, 16])
with_size = pytest.mark.parametrize("size", range(CONNECTION_ID_BYTES + 1))


def flags_of(size: int, form: int) -> int:
    return 0x21 | (0x10 if size else 0) | form


def header_bytes(size: int, form: int) -> int:
    return 1 + size + (2 if form & 8 else 1) + (2 if form & 4 else 0)


async def read_header(ctx, dut, record: bytes, connection_id: bytes, form: int):
    """The number, or None for a malformed one; of two blocks if the header is longer than one."""
    size = header_bytes(len(connection_id), form)
    ctx.set(dut.connection_id_bytes, len(connection_id))
    ctx.set(dut.sixteen, form >> 3)
    ctx.set(dut.has_length, form >> 2 & 1)
    ctx.set(dut.encrypted_bytes, len(record) - size)
    await ctx.tick()
    # The blocks as the ingress cuts them: other bytes of the record behind the header.
    blocks = 16 if size <= 16 else 32
    template = record[:1] + connection_id.ljust(31, b"\0")
    width = len(dut.received) // 8
    for part in range(blocks // width):
        place = slice(part * width, (part + 1) * width)
        ctx.set(dut.read, 1)
        ctx.set(dut.part, part)
        ctx.set(dut.received, int.from_bytes(record[place], "little"))
        ctx.set(dut.template, int.from_bytes(template[place], "little"))
        await ctx.tick()
    ctx.set(dut.read, 0)
    ctx.set(dut.part, 0)
    await ctx.tick().repeat(2)
    return None if ctx.get(dut.malformed) else ctx.get(dut.wire)


@with_width
@with_size
def test_headers_are_read_as_the_model_does(size, width):
    source = random.Random(size)
    dut = HeaderReader(width)

    async def work(ctx):
        for form, _ in itertools.product(FORMS, range(4)):
            connection_id = source.randbytes(size)
            body = source.randbytes(source.randint(1, 40) + TAG_BYTES)
            wire = source.getrandbits(16 if form & 8 else 8)
            record = build_header(flags_of(size, form), connection_id, wire, len(body)) + body
            assert await read_header(ctx, dut, record, connection_id, form) == wire
            for position in range(1, header_bytes(size, form)):
                damaged = bytearray(record)
                damaged[position] ^= 1 << source.randrange(8)
                parsed = parse_header(bytes(damaged), connection_id)
                found = await read_header(ctx, dut, bytes(damaged), connection_id, form)
                assert found == (None if parsed is None else parsed.wire), position

    simulate(dut, work)


@with_width
def test_one_header_leaves_nothing_to_the_next(width):
    """A long one that is malformed in its second block, then a short one."""
    source = random.Random(5)
    dut = HeaderReader(width)

    async def work(ctx):
        for size in (20, 0, 16, 1, 15, 14, 20):
            connection_id = source.randbytes(size)
            body = source.randbytes(30)
            record = build_header(flags_of(size, 12), connection_id, 0x1234, len(body)) + body
            wrong = bytearray(record)
            wrong[header_bytes(size, 12) - 1] ^= 1
            assert await read_header(ctx, dut, bytes(wrong), connection_id, 12) is None
            assert await read_header(ctx, dut, record, connection_id, 12) == 0x1234

    simulate(dut, work)


class Builder(wiring.Component):
    """The header of a record, as the pipeline puts it together: a template, and a tail in it."""

    flags: In(8)
    connection_id: In(8 * CONNECTION_ID_BYTES)
    tail_at: In(5)
    tail: In(32)
    tail_bytes: In(3)
    header: Out(256)

    def elaborate(self, platform):
        m = Module()
        turned = Signal(32)
        m.d.comb += turned.eq(turn_tail(self.tail, self.tail_at))
        blank = template(self.flags, self.connection_id)
        lanes = tail_lanes(self.tail_at, self.tail_bytes)
        m.d.comb += self.header.eq(
            Cat(
                blank.word_select(i, 8) | (turned.word_select(i % 4, 8) & lanes[i].replicate(8))
                for i in range(32)
            )
        )
        return m


@with_size
def test_a_tail_stands_behind_the_connection_id_whatever_its_length(size):
    source = random.Random(size)
    dut = Builder()

    async def work(ctx):
        for form, _ in itertools.product(FORMS, range(4)):
            connection_id = source.randbytes(size)
            wire, length = source.getrandbits(16), source.getrandbits(16)
            expected = build_header(flags_of(size, form), connection_id, wire, length)
            tail = expected[1 + size :]
            ctx.set(dut.flags, flags_of(size, form))
            ctx.set(dut.connection_id, int.from_bytes(connection_id, "little"))
            ctx.set(dut.tail_at, 1 + size)
            ctx.set(dut.tail, int.from_bytes(tail + source.randbytes(4 - len(tail)), "little"))
            ctx.set(dut.tail_bytes, len(tail))
            header = ctx.get(dut.header).to_bytes(32, "little")
            assert header == expected.ljust(32, b"\0")

    simulator = Simulator(dut)
    simulator.add_testbench(work)
    simulator.run()
