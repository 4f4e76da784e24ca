"""The counters against a dictionary."""

import random

import pytest
from amaranth.hdl import ResetInserter, Signal

from driver.messages import Counter
from hdl.counters import CLEARING_CYCLES, Counters
from tests.hdl.streams import pause, simulate

CYCLES = list(Counter)[:4]
EVENTS = list(Counter)[4:]


async def begin(ctx, dut, counter, amount):
    """Returns the cycles that it took to begin: the last one is that in which it does."""
    ctx.set(dut.start, 1)
    ctx.set(dut.index, counter)
    ctx.set(dut.amount, amount)
    cycles = 1
    while not ctx.get(dut.begins):
        await ctx.tick()
        cycles += 1
    await ctx.tick()
    ctx.set(dut.start, 0)
    assert cycles <= 8
    return cycles


async def add(ctx, dut, counter, amount):
    await begin(ctx, dut, counter, amount)
    # Nothing of it is looked at any more.
    ctx.set(dut.index, EVENTS[0])
    ctx.set(dut.amount, 0xAAAA)


async def read(ctx, dut, counter):
    """Its value, and the cycles until it began."""
    cycles = await begin(ctx, dut, counter, 0)
    value = []
    for _ in range(8):
        value.append(ctx.get(dut.value))
        await ctx.tick()
    return int.from_bytes(bytes(value), "little"), cycles


@pytest.mark.parametrize("seed", [1, 2])
def test_counts_what_is_added(seed):
    dut, source = Counters(), random.Random(seed)
    expected = dict.fromkeys(EVENTS, 0)

    async def testbench(ctx):
        await pause(ctx, CLEARING_CYCLES)
        for _ in range(300):
            counter, amount = (
                source.choice(EVENTS),
                source.choice((1, 0xFFFF, source.getrandbits(9))),
            )
            await add(ctx, dut, counter, amount)
            expected[counter] += amount
            await pause(ctx, source.choice((0, 0, 1, 5, 8)))
        values = {counter: (await read(ctx, dut, counter))[0] for counter in EVENTS}
        assert values == expected

    simulate(dut, testbench)


def test_a_carry_goes_through_all_bytes_and_counters_wrap():
    dut = Counters()

    async def testbench(ctx):
        await pause(ctx, CLEARING_CYCLES)
        for place in range(8):
            ctx.set(dut.store[8 * EVENTS[1] + place], 0xFF)
        await add(ctx, dut, EVENTS[1], 2)
        assert (await read(ctx, dut, EVENTS[1]))[0] == 1
        assert (await read(ctx, dut, EVENTS[2]))[0] == 0

    simulate(dut, testbench)


def test_after_eight_reserved_cycles_nothing_has_to_wait():
    dut, source = Counters(), random.Random(5)

    async def testbench(ctx):
        await pause(ctx, CLEARING_CYCLES)
        for _ in range(20):
            await pause(ctx, source.randrange(20))
            ctx.set(dut.reserve, 1)
            await pause(ctx, 7)
            assert await begin(ctx, dut, EVENTS[0], 1) == 1
            ctx.set(dut.reserve, 0)

    simulate(dut, testbench)


@pytest.mark.parametrize("asks", [False, True])
def test_counts_cycles_by_itself(asks):
    """Also while something else is asked for at each occasion but one."""
    dut, source = Counters(), random.Random(3)
    expected = dict.fromkeys(CYCLES, 0)
    pins = {
        Counter.BUSY_CYCLES: dut.busy,
        Counter.STARVED_CYCLES: dut.starved,
        Counter.STALLED_CYCLES: dut.stalled,
    }

    async def testbench(ctx):
        await pause(ctx, CLEARING_CYCLES)
        expected[Counter.CYCLES] = CLEARING_CYCLES
        ctx.set(dut.index, EVENTS[0])
        for cycle in range(600):
            ctx.set(dut.start, asks and cycle % 16 < 8)
            for counter, pin in pins.items():
                event = source.getrandbits(1)
                ctx.set(pin, event)
                expected[counter] += event
            expected[Counter.CYCLES] += 1
            await ctx.tick()
        for pin in pins.values():
            ctx.set(pin, 0)
        waited = 0
        for counter in CYCLES[1:]:
            value, cycles = await read(ctx, dut, counter)
            assert value == expected[counter]
            waited += cycles + 8
        # Counted up to the cycle before the one in which it begins.
        value, cycles = await read(ctx, dut, Counter.CYCLES)
        assert value == expected[Counter.CYCLES] + waited + cycles - 1

    simulate(dut, testbench)


def test_all_are_zero_after_a_reset():
    """Those in memory too, which reset as such does not reach."""
    counters, reset = Counters(), Signal()
    dut = ResetInserter(reset)(counters)

    async def testbench(ctx):
        await pause(ctx, CLEARING_CYCLES)
        for counter in EVENTS:
            await add(ctx, counters, counter, 5)
        assert (await read(ctx, counters, EVENTS[-1]))[0] == 5
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        await pause(ctx, CLEARING_CYCLES)
        waited = 0
        for counter in EVENTS:
            value, cycles = await read(ctx, counters, counter)
            assert value == 0
            waited += cycles + 8
        value, cycles = await read(ctx, counters, Counter.CYCLES)
        assert value == CLEARING_CYCLES + waited + cycles - 1

    simulate(dut, testbench)
