"""The counters against a dictionary."""

import random

import pytest
from amaranth.hdl import ResetInserter, Signal

from driver.messages import Counter
from hdl.counters import Counters
from tests.hdl.streams import pause, simulate

CYCLES = list(Counter)[:4]
EVENTS = list(Counter)[4:]


async def add(ctx, dut, counter, amount):
    """Held for two cycles."""
    ctx.set(dut.add, 1)
    ctx.set(dut.index, counter)
    ctx.set(dut.amount, amount)
    await ctx.tick().repeat(2)
    ctx.set(dut.add, 0)


async def read(ctx, dut, counter):
    ctx.set(dut.read, counter)
    ctx.set(dut.reading, 1)
    await ctx.tick().repeat(2)
    ctx.set(dut.reading, 0)
    value = ctx.get(dut.value)
    await pause(ctx, 8)
    return value


@pytest.mark.parametrize("seed", [1, 2])
def test_counts_what_is_added(seed):
    dut, source = Counters(), random.Random(seed)
    expected = dict.fromkeys(EVENTS, 0)

    async def testbench(ctx):
        await pause(ctx, len(Counter))
        for _ in range(300):
            counter, amount = (
                source.choice(EVENTS),
                source.choice((1, 0xFFFF, source.getrandbits(9))),
            )
            await add(ctx, dut, counter, amount)
            expected[counter] += amount
            await pause(ctx, source.choice((0, 0, 1, 5)))
        assert {counter: await read(ctx, dut, counter) for counter in EVENTS} == expected

    simulate(dut, testbench)


def test_counts_cycles_by_itself():
    dut, source = Counters(), random.Random(3)
    expected = dict.fromkeys(CYCLES, 0)
    pins = {
        Counter.BUSY_CYCLES: dut.busy,
        Counter.STARVED_CYCLES: dut.starved,
        Counter.STALLED_CYCLES: dut.stalled,
    }

    async def testbench(ctx):
        for _ in range(200):
            for counter, pin in pins.items():
                event = source.getrandbits(1)
                ctx.set(pin, event)
                expected[counter] += event
            expected[Counter.CYCLES] += 1
            await ctx.tick()
        for pin in pins.values():
            ctx.set(pin, 0)
        for counter in CYCLES[1:]:
            assert await read(ctx, dut, counter) == expected[counter]
        # Counted up to the cycle in which it is read, the second of the two.
        waited = 10 * len(CYCLES[1:]) + 1
        assert await read(ctx, dut, Counter.CYCLES) == expected[Counter.CYCLES] + waited

    simulate(dut, testbench)


def test_all_are_zero_after_a_reset():
    """Those in memory too, which reset as such does not reach."""
    counters, reset = Counters(), Signal()
    dut = ResetInserter(reset)(counters)

    async def testbench(ctx):
        await pause(ctx, len(Counter))
        for counter in EVENTS:
            await add(ctx, counters, counter, 5)
        assert await read(ctx, counters, EVENTS[-1]) == 5
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        await pause(ctx, len(Counter))
        for counter in EVENTS:
            assert await read(ctx, counters, counter) == 0
        cycles = len(Counter) + 10 * len(EVENTS)
        assert await read(ctx, counters, Counter.CYCLES) == cycles + 1

    simulate(dut, testbench)
