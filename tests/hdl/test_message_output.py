"""Where a message's text goes, against the model."""

import random

import pytest

from hdl.block import from_bytes, to_bytes
from hdl.message_output import MessageOutput, write_message
from hdl.packer import pack_blocks
from tests.hdl.streams import pauses, put, put_all, simulate

MESSAGES = [
    b"t",
    b"\0",
    b"text\x17",
    bytes(range(16)),
    bytes(range(17)),
    b"padded\x17" + bytes(30),
    bytes(40),
    b"\0\0\x17".ljust(100, b"\0"),
    b"",
]


def text_blocks(text):
    for i, block in enumerate(pack_blocks(text)):
        yield {"block": from_bytes(block), "bytes": min(16, len(text) - 16 * i)}


@pytest.mark.parametrize("sealing", [False, True])
@pytest.mark.parametrize(("idle", "seed"), [(0.0, 1), (0.4, 2)])
def test_writes_as_the_model_does(sealing, idle, seed):
    dut, source, waits = MessageOutput(), random.Random(seed), pauses(seed, idle)
    written = {}

    async def watch(ctx):
        async for *_, write in ctx.tick().sample(dut.write):
            if write.enable:
                assert write.address not in written
                written[write.address] = write.data

    async def testbench(ctx):
        for text in MESSAGES:
            written.clear()
            address, tag = source.randrange(100), source.randbytes(16)
            ctx.set(dut.sealing, sealing)
            ctx.set(dut.address, address)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.address, 0xFFFF)  # sampled at start
            await put_all(ctx, dut.text, text_blocks(text), waits)
            assert not ctx.get(dut.settled)
            await put(ctx, dut.tags, from_bytes(tag))
            while not ctx.get(dut.settled):
                await ctx.tick()
            await ctx.tick()

            expected, sample, content_bytes = write_message(text, tag, sealing)
            assert written == {address + i: byte for i, byte in enumerate(expected)}
            assert to_bytes(ctx.get(dut.tag)) == tag
            if sealing:
                assert to_bytes(ctx.get(dut.sample)) == sample
            else:
                assert ctx.get(dut.content_bytes) == content_bytes

    simulate(dut, testbench, background=[watch])


@pytest.mark.parametrize("sealing", [False, True])
def test_cycles_depend_on_the_length_only(sealing):
    """Whatever the bytes are, and wherever the content ends."""
    cycles = set()
    for text in (bytes(33), b"\xff" * 33, b"\x17".ljust(33, b"\0"), b"\x17".rjust(33, b"\0")):
        dut = MessageOutput()

        async def testbench(ctx, dut=dut, text=text):
            ctx.set(dut.sealing, sealing)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            await put_all(ctx, dut.text, text_blocks(text))
            await put(ctx, dut.tags, 0)
            count = 0
            while not ctx.get(dut.settled):
                await ctx.tick()
                count += 1
            cycles.add(count)

        simulate(dut, testbench)
    assert len(cycles) == 1
