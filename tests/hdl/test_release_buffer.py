# amaranth: UnusedElaboratable=no
"""The release buffer against its model: what is committed leaves whole, and nothing else does."""

import itertools
import random

import pytest

from hdl.release_buffer import ReleaseBuffer, ReleaseBufferModel
from tests.hdl.streams import get_all, pauses, simulate, transfer_cycles, with_idle_and_stall

#: Set in every byte that is never committed.
UNCOMMITTED = 0x80


class Writer:
    """Writes to buffer and model alike."""

    def __init__(self, ctx, dut, model):
        self.ctx, self.dut, self.model = ctx, dut, model

    async def write(self, address, byte, *, commit=0):
        """Set one byte; with ``commit``, release that many in the same cycle."""
        self.model.write(address, byte)
        self.ctx.set(self.dut.write, 1)
        self.ctx.set(self.dut.address, address)
        self.ctx.set(self.dut.data, byte)
        if commit:
            await self.commit(commit)
        else:
            await self.ctx.tick()
        self.ctx.set(self.dut.write, 0)

    async def commit(self, length):
        assert self.ctx.get(self.dut.ready)
        self.model.commit(length)
        self.ctx.set(self.dut.commit, 1)
        self.ctx.set(self.dut.length, length)
        await self.ctx.tick()
        self.ctx.set(self.dut.commit, 0)

    async def room_for(self, length):
        while not self.ctx.get(self.dut.ready) or self.ctx.get(self.dut.free) < length:
            await self.ctx.tick()


async def write_randomly(writer, rng, length):
    """One packet in random order, after bytes that are rolled back and among some left behind."""
    free = writer.ctx.get(writer.dut.free)
    if rng.random() < 0.5:
        for _ in range(rng.randrange(20)):
            await writer.write(rng.randrange(free), rng.randrange(128) | UNCOMMITTED)
    writes = [(address, rng.randrange(128)) for address in range(length)]
    writes += [
        (address, rng.randrange(128) | UNCOMMITTED)
        for address in range(length, min(free, length + rng.randrange(4)))
    ]
    rng.shuffle(writes)
    together = rng.random() < 0.5
    for address, byte in writes[:-1]:
        await writer.write(address, byte)
    await writer.write(*writes[-1], commit=length if together else 0)
    if not together:
        await writer.commit(length)


async def take_packets(ctx, dut, count, waits=()):
    """The next ``count`` packets."""
    packets = [b""]
    waits = iter(waits or itertools.repeat(0))
    while len(packets) <= count:
        (transfer,) = await get_all(ctx, dut.packets, 1, waits)
        packets[-1] += bytes([transfer.data])
        if transfer.last:
            packets.append(b"")
    return packets[:-1]


def holds_until_ready(dut):
    """A background process: an offer stays as it is until taken, and shows in ``stalled``."""

    async def watch(ctx):
        offer = None
        async for *_, valid, ready, data, last, stalled in ctx.tick().sample(
            dut.packets.valid,
            dut.packets.ready,
            dut.packets.payload.data,
            dut.packets.payload.last,
            dut.stalled,
        ):
            assert offer is None or (valid, data, last) == offer
            offer = (valid, data, last) if valid and not ready else None
            assert stalled == (offer is not None)

    return watch


@with_idle_and_stall
@pytest.mark.parametrize("depth_bytes", [16, 64, 512])
def test_committed_packets_leave_whole_and_in_order(depth_bytes, idle, stall, seed):
    rng = random.Random(seed)
    lengths = [rng.randint(1, rng.choice([1, 3, depth_bytes])) for _ in range(40)]
    lengths = [min(length, 100) for length in lengths]
    dut = ReleaseBuffer(depth_bytes)
    model = ReleaseBufferModel()
    packets = []

    async def write(ctx):
        waits = pauses(seed, idle)
        writer = Writer(ctx, dut, model)
        for length in lengths:
            for _ in range(next(waits)):
                await ctx.tick()
            await writer.room_for(length)
            await write_randomly(writer, rng, length)

    async def read(ctx):
        packets.extend(await take_packets(ctx, dut, len(lengths), pauses(seed + 1, stall)))
        await ctx.tick().repeat(20)
        assert not ctx.get(dut.packets.valid)
        assert ctx.get(dut.free) == depth_bytes

    simulate(dut, write, read, background=[holds_until_ready(dut)])
    assert packets == model.packets
    assert max(byte for packet in packets for byte in packet) < UNCOMMITTED


def test_nothing_leaves_without_a_commit():
    dut = ReleaseBuffer(16)

    async def write(ctx):
        writer = Writer(ctx, dut, ReleaseBufferModel())
        ctx.set(dut.packets.ready, 1)
        for address in [*range(16), *range(16)]:
            await writer.write(address, 0xFF)
            assert not ctx.get(dut.packets.valid)
        for _ in range(20):
            await ctx.tick()
            assert not ctx.get(dut.packets.valid)
        assert ctx.get(dut.free) == 16

    simulate(dut, write)


def test_a_commit_of_no_bytes_or_while_not_ready_has_no_effect():
    dut = ReleaseBuffer(64)
    model = ReleaseBufferModel()

    async def write(ctx):
        writer = Writer(ctx, dut, model)
        ctx.set(dut.commit, 1)
        await ctx.tick()
        ctx.set(dut.commit, 0)
        while ctx.get(dut.ready):
            await writer.write(0, len(model.packets), commit=1)
            await ctx.tick().repeat(3)
        free = ctx.get(dut.free)
        ctx.set(dut.commit, 1)
        await ctx.tick()
        ctx.set(dut.commit, 0)
        assert ctx.get(dut.free) == free
        # One has been read ahead.
        assert len(model.packets) == ReleaseBuffer.WAITING_PACKETS + 1
        assert await take_packets(ctx, dut, len(model.packets)) == model.packets
        await ctx.tick().repeat(5)
        assert not ctx.get(dut.packets.valid)

    simulate(dut, write)


def test_free_counts_down_at_a_commit_and_up_as_bytes_leave():
    dut = ReleaseBuffer(16)

    async def write(ctx):
        writer = Writer(ctx, dut, ReleaseBufferModel())
        for address in range(10):
            await writer.write(address, address)
        assert ctx.get(dut.free) == 16
        await writer.commit(10)
        assert ctx.get(dut.free) == 6
        await ctx.tick().repeat(5)
        # The byte that is offered has left the memory.
        assert ctx.get(dut.free) == 7
        assert await take_packets(ctx, dut, 1) == [bytes(range(10))]
        assert ctx.get(dut.free) == 16

    simulate(dut, write)


def test_waiting_packets_leave_at_a_byte_a_cycle_from_the_third_cycle_on():
    dut = ReleaseBuffer(64)
    cycles = []

    async def write(ctx):
        writer = Writer(ctx, dut, ReleaseBufferModel())
        ctx.set(dut.packets.ready, 1)
        for address in range(8):
            await writer.write(address, address)
        await writer.commit(8)
        for length in (1, 1, 3):
            for address in range(length - 1):
                await writer.write(address, address)
            await writer.write(length - 1, 0, commit=length)
        await ctx.tick().repeat(20)

    simulate(dut, write, background=[transfer_cycles(dut.packets, cycles)])
    commit_cycle = 8
    assert cycles == list(range(commit_cycle + 3, commit_cycle + 3 + 13))


@pytest.mark.parametrize("depth_bytes", [0, 1, 3, 100])
def test_the_depth_is_a_power_of_two(depth_bytes):
    with pytest.raises(ValueError, match=f"release buffer of {depth_bytes} bytes"):
        ReleaseBuffer(depth_bytes)
