# amaranth: UnusedElaboratable=no
"""The queues between the stages: nothing is lost, doubled or early, at any level and any pace."""

import itertools
import random
from collections import deque
from functools import partial

import pytest

from hdl.pipeline.queue import BlockQueue, Places, Queue, SkidBuffer
from tests.hdl.streams import (
    get_all,
    pause,
    pauses,
    put,
    put_all,
    simulate,
    transfer_cycles,
    with_idle_and_stall,
)

QUEUES = {
    **{
        f"queue-{width}-{depth}": (width, partial(Queue, width, depth))
        for width, depth in ((12, 2), (12, 7), (12, 16), (12, 59), (40, 17), (40, 59))
    },
    "places-1": (8, partial(Places, 8, 1)),
    "places-2": (8, partial(Places, 8, 2)),
    "skid-buffer": (8, partial(SkidBuffer, 8)),
}


@pytest.mark.parametrize(("width", "make"), QUEUES.values(), ids=QUEUES)
@with_idle_and_stall
def test_payloads_come_out_in_order(width, make, idle, stall, seed):
    source = random.Random(seed)
    payloads = [source.getrandbits(width) for _ in range(200)]
    dut, received = make(), []

    async def send(ctx):
        await write_all(ctx, dut, payloads, pauses(seed, idle))

    async def receive(ctx):
        received.extend(await get_all(ctx, dut.read, len(payloads), pauses(-seed, stall)))

    simulate(dut, send, receive)
    assert received == payloads


async def write_all(ctx, dut, payloads, waits=()):
    """To a queue or to something that says itself when it is ready."""
    if not isinstance(dut, Queue):
        await put_all(ctx, dut.write, payloads, waits)
        return
    for payload, wait in zip(payloads, itertools.chain(waits, itertools.repeat(0)), strict=False):
        await pause(ctx, wait)
        while ctx.get(dut.level) == dut.depth:
            await ctx.tick()
        await put(ctx, dut.write, payload)


@pytest.mark.parametrize("count", [1, 2])
def test_there_are_as_many_places_as_it_says(count):
    dut = Places(8, count)

    async def work(ctx):
        await put_all(ctx, dut.write, range(count))
        await ctx.tick().repeat(2)
        assert not ctx.get(dut.write.ready)
        assert await get_all(ctx, dut.read, count) == list(range(count))

    simulate(dut, work)


@pytest.mark.parametrize(
    ("width", "depth"), [(8, 2), (8, 6), (8, 16), (8, 32), (40, 31), (40, 32), (40, 59), (40, 73)]
)
def test_a_queue_holds_as_many_as_it_says(width, depth):
    dut = Queue(width, depth)

    async def work(ctx):
        for i in range(depth):
            assert ctx.get(dut.level) == i
            await put(ctx, dut.write, i)
        assert ctx.get(dut.level) == depth
        await ctx.tick().repeat(100)
        assert ctx.get(dut.level) == depth
        assert await get_all(ctx, dut.read, depth) == list(range(depth))
        assert not ctx.get(dut.read.valid)

    simulate(dut, work)


@pytest.mark.parametrize("make", [partial(Queue, 8, 4), partial(Queue, 40, 59)])
def test_a_queue_takes_and_gives_a_payload_a_cycle(make):
    dut = make()
    written, read = [], []

    async def send(ctx):
        await put_all(ctx, dut.write, range(100))

    async def receive(ctx):
        assert await get_all(ctx, dut.read, 100) == list(range(100))

    watches = [transfer_cycles(dut.write, written), transfer_cycles(dut.read, read)]
    simulate(dut, send, receive, background=watches)
    assert written == list(range(written[0], written[0] + 100))
    assert read == list(range(read[0], read[0] + 100))


def test_a_skid_buffer_takes_and_gives_a_payload_a_cycle_when_full_and_when_empty():
    dut = SkidBuffer(8)
    written, read = [], []

    async def send(ctx):
        await put_all(ctx, dut.write, range(50))

    async def receive(ctx):
        await ctx.tick().repeat(10)
        assert await get_all(ctx, dut.read, 50) == list(range(50))

    watches = [transfer_cycles(dut.write, written), transfer_cycles(dut.read, read)]
    simulate(dut, send, receive, background=watches)
    assert read == list(range(read[0], read[0] + 50))
    # Full for a while: the rest follows as places become free.
    assert written[2:] == list(range(written[2], written[2] + 48))


def test_a_queue_of_less_than_two_is_refused():
    with pytest.raises(ValueError, match="queue of 1"):
        Queue(8, 1)


@pytest.mark.parametrize("depth", [0, 1, 3, 6])
def test_depths_of_block_queues_are_powers_of_two(depth):
    with pytest.raises(ValueError, match=f"queue of {depth}"):
        BlockQueue(depth)


class Blocks:
    """A writer of a `BlockQueue` that keeps within its depth, and what must come out."""

    def __init__(self, dut, source):
        self.dut, self.source = dut, source
        self.expected: deque[int] = deque()
        self.received: list[int] = []
        self.place = 0
        self.occupied = 0

    async def count_reads(self, ctx):
        async for *_, read in ctx.tick().sample(self.dut.read):
            self.occupied -= read

    async def message(self, ctx, blocks, before, idle):
        """Write so many, ``before`` of them ahead of the release of all, the others behind it."""
        dut, depth = self.dut, self.dut.depth
        while self.occupied + blocks > depth:
            await ctx.tick()
        self.occupied += blocks
        data = [self.source.getrandbits(128) for _ in range(blocks)]
        if blocks:
            # Written again before they are released: the first contents do not count.
            await self._write(ctx, self.source.randrange(blocks), self.source.getrandbits(128))
        order = self.source.sample(range(blocks), blocks)
        for i in order[:before]:
            await self._write(ctx, i, data[i])
            await self._idle(ctx, idle)
        for i in order[before:]:
            await self._write(ctx, i, data[i])
        ctx.set(dut.release, blocks)
        await ctx.tick()
        ctx.set(dut.release, 0)
        self.expected.extend(data)
        self.place += blocks

    async def _idle(self, ctx, idle):
        while self.source.random() < idle:
            await ctx.tick()

    async def _write(self, ctx, index, data):
        dut = self.dut
        ctx.set(dut.write, 1)
        ctx.set(dut.address, (self.place + index) % dut.depth)
        ctx.set(dut.data, data)
        await ctx.tick()
        ctx.set(dut.write, 0)


@pytest.mark.parametrize("depth", [8, 32])
@pytest.mark.parametrize("slow", [False, True])
@with_idle_and_stall
def test_released_blocks_come_out_in_order_and_no_others(slow, depth, idle, stall, seed):
    source = random.Random(f"{depth} {seed}")
    dut = BlockQueue(depth, slow)
    blocks = Blocks(dut, source)
    counts = [source.randint(0, depth) for _ in range(40)]

    async def write(ctx):
        for count in counts:
            await blocks.message(ctx, count, source.randint(0, count), idle)

    async def receive(ctx):
        blocks.received += await get_all(ctx, dut.blocks, sum(counts), pauses(-seed, stall))
        for _ in range(10):
            assert not ctx.get(dut.blocks.valid)
            await ctx.tick()

    simulate(dut, write, receive, background=[blocks.count_reads])
    assert blocks.received == list(blocks.expected)


@pytest.mark.parametrize("slow", [False, True])
def test_the_writer_may_be_ahead_of_what_is_released_by_the_whole_depth(slow):
    """All places are written, and released one after the other."""
    dut = BlockQueue(16, slow)

    async def work(ctx):
        ctx.set(dut.write, 1)
        for i in range(16):
            ctx.set(dut.address, i)
            ctx.set(dut.data, i + 1)
            await ctx.tick()
        ctx.set(dut.write, 0)
        for i in range(16):
            ctx.set(dut.release, 1)
            await ctx.tick()
            ctx.set(dut.release, 0)
            assert await get_all(ctx, dut.blocks, 1) == [i + 1]
            assert not ctx.get(dut.blocks.valid)

    simulate(dut, work)


@pytest.mark.parametrize(("slow", "first", "interval"), [(False, 6, 1), (True, 5, 4)])
def test_a_block_comes_out_each_interval_after_a_release(slow, first, interval):
    dut = BlockQueue(32, slow)
    cycles = []

    async def work(ctx):
        for i in range(32):
            ctx.set(dut.write, 1)
            ctx.set(dut.address, i)
            ctx.set(dut.data, i)
            await ctx.tick()
        ctx.set(dut.write, 0)
        ctx.set(dut.release, 32)
        await ctx.tick()
        ctx.set(dut.release, 0)
        assert await get_all(ctx, dut.blocks, 32) == list(range(32))

    simulate(dut, work, background=[transfer_cycles(dut.blocks, cycles)])
    assert cycles == [32 + first + interval * i for i in range(32)]
