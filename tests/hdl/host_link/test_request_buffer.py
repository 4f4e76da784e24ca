# amaranth: UnusedElaboratable=no
"""The buffer of requests: what is committed leaves whole, what is dropped never does."""

import random

import pytest

from hdl.host_link.request_buffer import RequestBuffer
from tests.hdl.ports import get_packet
from tests.hdl.streams import get, pause, pauses, simulate, with_idle_and_stall

CRC = b"\xee" * 4


async def write(ctx, dut, data):
    """Bytes as a frame receiver gives them: not close together."""
    for index, byte in enumerate(data):
        ctx.set(dut.data, byte)
        ctx.set(dut.first, index == 0)
        ctx.set(dut.write, 1)
        await ctx.tick()
        ctx.set(dut.write, 0)
        await pause(ctx, 8)


async def strobe(ctx, signal):
    ctx.set(signal, 1)
    await ctx.tick()
    ctx.set(signal, 0)


@with_idle_and_stall
def test_committed_packets_leave_whole_and_in_order(idle, stall, seed):
    rng = random.Random(seed)
    dut = RequestBuffer(64)
    packets = [(rng.randbytes(rng.randint(1, 40)), rng.random() < 0.7) for _ in range(40)]
    kept = [packet for packet, keep in packets if keep]

    async def fill(ctx):
        waits = pauses(seed, idle)
        for packet, keep in packets:
            while 64 - (ctx.get(dut.taken) - ctx.get(dut.freed)) % 128 < len(packet) + 4:
                await ctx.tick()
            await write(ctx, dut, packet + CRC)
            await pause(ctx, next(waits))
            await strobe(ctx, dut.commit if keep else dut.drop)

    async def drain(ctx):
        waits = pauses(seed + 1, stall, longest=200)
        for packet in kept:
            await pause(ctx, next(waits))
            assert await get_packet(ctx, dut.packets) == packet
        await pause(ctx, 50)
        assert not ctx.get(dut.packets.valid)
        total = sum(map(len, kept)) % 128
        assert (ctx.get(dut.taken), ctx.get(dut.freed)) == (total, total)

    simulate(dut, fill, drain)


def test_an_offer_stays_while_the_next_request_comes():
    dut = RequestBuffer(64)

    async def run(ctx):
        await write(ctx, dut, b"ab" + CRC)
        await strobe(ctx, dut.commit)
        await pause(ctx, 10)
        assert ctx.get(dut.packets.valid)
        for byte in b"cd" + CRC:
            ctx.set(dut.data, byte)
            ctx.set(dut.write, 1)
            await ctx.tick()
            assert ctx.get(dut.packets.valid)
        ctx.set(dut.write, 0)
        assert (await get(ctx, dut.packets)).data == ord("a")

    simulate(dut, run)


def test_it_is_full_at_its_depth():
    dut = RequestBuffer(64)

    async def run(ctx):
        await write(ctx, dut, bytes(63))
        assert not ctx.get(dut.full)
        await write(ctx, dut, bytes(1))
        assert ctx.get(dut.full)
        await strobe(ctx, dut.drop)
        assert not ctx.get(dut.full)

    simulate(dut, run)


@pytest.mark.parametrize("depth", [0, 63, 100, 1 << 16])
def test_other_depths_are_refused(depth):
    with pytest.raises(ValueError, match=f"buffer of {depth} bytes"):
        RequestBuffer(depth)
