"""The counters of the pipelined engine against a dictionary."""

import random

import pytest

from driver.messages import Counter
from hdl.pipeline.counters import Counters
from tests.hdl.streams import pause, simulate

CYCLES = list(Counter)[:4]
EVENTS = list(Counter)[4:]
BYTES = [counter for counter in EVENTS if "BYTES" in counter.name]
#: How long a counter is read.
READING = 7


class Bench:
    """Drives all inputs for some cycles, and counts with them."""

    def __init__(self, dut, source):
        self.dut, self.source = dut, source
        self.expected = dict.fromkeys(Counter, 0)

    async def run(self, ctx, requests: int, idle: float):
        """Requests 3 cycles apart or more, each with one counter, or one of bytes as well."""
        for _ in range(requests):
            one = self.source.choice([event for event in EVENTS if event not in BYTES])
            index = self.source.choice(BYTES)
            amount = self.source.choice((0, 1, 0xFFFF, self.source.getrandbits(12)))
            adds = self.source.getrandbits(1)
            self.expected[one] += 1
            self.expected[index] += amount * adds
            dut = self.dut
            for pin, value in (
                *((dut.add_one, 1), (dut.one, one)),
                *((dut.add, adds), (dut.index, index), (dut.amount, amount)),
            ):
                ctx.set(pin, value)
            await self.cycle(ctx)
            ctx.set(dut.add_one, 0)
            ctx.set(dut.add, 0)
            await self.cycle(ctx)
            await self.cycle(ctx)
            while self.source.random() < idle:
                await self.cycle(ctx)

    async def cycle(self, ctx):
        pins = (self.dut.busy, self.dut.starved, self.dut.stalled)
        for pin, counter in zip(pins, CYCLES[1:], strict=True):
            event = self.source.random() < 0.9
            ctx.set(pin, event)
            self.expected[counter] += event
        await ctx.tick()

    async def check(self, ctx):
        for pin in (self.dut.busy, self.dut.starved, self.dut.stalled):
            ctx.set(pin, 0)
        await pause(ctx, 4)
        for counter in self.source.sample([*CYCLES[1:], *EVENTS], len(Counter) - 1):
            ctx.set(self.dut.read, counter)
            await pause(ctx, READING)
            assert ctx.get(self.dut.value) == self.expected[counter], counter
            await pause(ctx, self.source.randrange(3))


@pytest.mark.parametrize("idle", [0.0, 0.5, 0.95])
def test_counts_all_that_comes_at_any_pace(idle):
    dut = Counters()
    bench = Bench(dut, random.Random(idle))

    async def testbench(ctx):
        await pause(ctx, 32)
        for _ in range(4):
            await bench.run(ctx, 100, idle)
            await bench.check(ctx)

    simulate(dut, testbench)


def test_counts_all_cycles():
    """Also those since reset, and read again and again: each time as many more as have passed."""
    dut = Counters()

    async def testbench(ctx):
        ctx.set(dut.read, Counter.CYCLES)
        await pause(ctx, 64)
        before = ctx.get(dut.value)
        assert 64 - 2 * READING < before <= 64
        for _ in range(50):
            await pause(ctx, 8)
            value = ctx.get(dut.value)
            assert value == before + 8
            before = value

    simulate(dut, testbench)
