"""Where a message's text goes, against the model."""

import random

import pytest

from hdl.message_output import MessageOutput, write_message
from tests.hdl.streams import pause, pauses, simulate

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


@pytest.mark.parametrize(("idle", "seed"), [(0.0, 1), (0.4, 2)])
def test_writes_as_the_model_does(idle, seed):
    dut, source, waits = MessageOutput(), random.Random(seed), pauses(seed, idle)
    written, sampled = {}, bytearray()

    async def watch(ctx):
        async for *_, write, is_sampled in ctx.tick().sample(dut.write, dut.sampled):
            if write.enable:
                assert write.address not in written
                written[write.address] = write.data
            if is_sampled:
                sampled.append(write.data)

    async def testbench(ctx):
        for text in MESSAGES:
            written.clear()
            sampled.clear()
            address = source.randrange(100)
            ctx.set(dut.address, address)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            for byte in text:
                await pause(ctx, next(waits))
                ctx.set(dut.text.valid, 1)
                ctx.set(dut.text.payload, byte)
                await ctx.tick()
                ctx.set(dut.text.valid, 0)
            await ctx.tick()
            sample, content_bytes = write_message(text)
            assert written == {address + i: byte for i, byte in enumerate(text)}
            assert sampled == sample
            assert ctx.get(dut.content_bytes) == content_bytes

    simulate(dut, testbench, background=[watch])
