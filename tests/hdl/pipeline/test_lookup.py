"""Payloads in beats of their own, and what is left of them."""

import itertools
import random

import pytest
from amaranth.hdl import ResetInserter, Signal

from driver.messages import LOAD_BYTES, Opcode, Request
from hdl.pipeline.lookup import Lookup
from tests.hdl.ports import beats
from tests.hdl.streams import put_all, simulate, transfer_cycles
from tests.hdl.traffic import SMALL_PIPELINED

LOAD = Request(Opcode.LOAD, 1, payload=bytes(range(1, LOAD_BYTES + 1))).pack()


def receiver(dut, stall: float, seed: int, found: list):
    """Takes plans and beats at any time, and the data of each beat two cycles later."""
    source = random.Random(seed)

    async def receive(ctx):
        moves = [0, 0]
        ctx.set(dut.front.room, 1)
        while True:
            ctx.set(dut.front.plans.ready, source.random() >= stall)
            ctx.set(dut.front.beats.ready, source.random() >= stall)
            ctx.set(dut.front.move, moves[-1])
            if moves[-1]:
                found.append(ctx.get(dut.front.data).to_bytes(16, "little"))
            if ctx.get(dut.front.beats.valid) and ctx.get(dut.front.beats.ready):
                beat = ctx.get(dut.front.beats.payload)
                found.append((bool(beat.last), bool(beat.bad)))
                moves = [1, moves[0]]
            else:
                moves = [0, moves[0]]
            await ctx.tick()

    return receive


def payload_beats(packet: bytes) -> list[tuple[bool, bool]]:
    """What comes of a packet: whether it is the last one, and not where the header says."""
    payload = packet[8:]
    count = max(1, -(-len(payload) // 16))
    bad = len(packet) < 8 or int.from_bytes(packet[6:8], "big") != len(payload)
    return [(i == count - 1, bad and i == count - 1) for i in range(count)]


async def let_in(ctx, dut):
    """The first packet behind reset."""
    assert not ctx.get(dut.packets.ready)
    ctx.set(dut.unfence, 1)
    await ctx.tick()
    ctx.set(dut.unfence, 0)


async def words_kept(ctx, dut):
    """What is in the memory, all places of which come by, and in the register before it."""
    kept = []
    for _ in range(Lookup.DEPTH):
        kept.append(ctx.get(dut.front.data))
        await ctx.tick()
    return [*kept, ctx.get(dut._data)]


def cycles_of(signal, found: list):
    """Appends the cycles in which a signal is high."""

    async def watch(ctx):
        cycle = 0
        async for *_, high in ctx.tick().sample(signal):
            if high:
                found.append(cycle)
            cycle += 1

    return watch


@pytest.mark.parametrize("length", [1, 24, 200])
def test_a_packet_in_3_cycles_and_a_beat_a_cycle_and_7_to_its_plan(length):
    """And no cycle is starved, until the next beat is late."""
    dut, plans, starved = Lookup(SMALL_PIPELINED), [], []
    taken: list[int] = []
    packet = list(beats(Request(Opcode.SEAL, 0, 1, bytes(length)).pack(), 16))

    async def send(ctx):
        await let_in(ctx, dut)
        await put_all(ctx, dut.packets, packet * 12)
        await put_all(ctx, dut.packets, [packet[0] | {"last": 0}])
        await ctx.tick().repeat(20)

    watch = [
        transfer_cycles(dut.packets, taken),
        cycles_of(dut.front.plans.valid, plans),
        cycles_of(dut.starved, starved),
        receiver(dut, 0.0, 1, []),
    ]
    simulate(dut, send, background=watch)
    firsts = taken[:: len(packet)]
    assert firsts == [firsts[0] + max(3, len(packet)) * i for i in range(13)]
    assert plans == [first + 7 for first in firsts]
    assert starved[0] == taken[-1] + 2


@pytest.mark.parametrize("stall", [0.0, 0.5, 0.8])
def test_payloads_begin_with_a_beat_and_end_with_the_packet(stall):
    dut, source = Lookup(SMALL_PIPELINED), random.Random(str(stall))
    packets = []
    for length in [*range(60), 0, 0, 0, 200, 8, 8, 8, 24]:
        packet = Request(Opcode.SEAL, 0, 1, source.randbytes(length)).pack()
        packets.append(packet)
        packets.append(packet + source.randbytes(source.randint(1, 40)))
        packets.append(packet[: source.randint(1, len(packet))])
    found = []

    async def send(ctx):
        await let_in(ctx, dut)
        await put_all(
            ctx, dut.packets, itertools.chain.from_iterable(beats(one, 16) for one in packets)
        )
        await ctx.tick().repeat(300)

    simulate(dut, send, background=[receiver(dut, stall, 7, found)])
    expected = [beat for packet in packets for beat in payload_beats(packet)]
    assert [item for item in found if isinstance(item, tuple)] == expected
    payloads = iter(item for item in found if isinstance(item, bytes))
    for packet in packets:
        payload = packet[8:]
        taken = b"".join(itertools.islice(payloads, len(payload_beats(packet))))
        assert taken[: len(payload)] == payload


def test_nothing_of_a_load_is_left_when_the_next_packet_comes():
    dut, found, kept = Lookup(SMALL_PIPELINED), [], []

    async def send(ctx):
        await let_in(ctx, dut)
        await put_all(ctx, dut.packets, beats(LOAD, 16))
        ctx.set(dut.packets.valid, 1)  # the end of the key still stands there
        await ctx.tick().repeat(Lookup.DEPTH + 12)
        assert not ctx.get(dut.packets.ready)
        kept.extend(await words_kept(ctx, dut))
        await let_in(ctx, dut)
        await ctx.tick()
        assert ctx.get(dut.packets.ready)

    simulate(dut, send, background=[receiver(dut, 0.0, 1, found)])
    assert any(isinstance(item, bytes) and any(item) for item in found)
    assert not any(kept)


def test_nothing_of_a_load_is_left_behind_a_reset():
    dut, reset, before, kept = Lookup(SMALL_PIPELINED), Signal(), [], []

    async def send(ctx):
        await let_in(ctx, dut)
        await put_all(ctx, dut.packets, beats(LOAD, 16))
        await ctx.tick().repeat(4)
        before.append(ctx.get(dut.front.data))
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        await ctx.tick().repeat(Lookup.DEPTH + 4)
        kept.extend(await words_kept(ctx, dut))

    simulate(ResetInserter(reset)(dut), send)
    assert any(before)
    assert not any(kept)
