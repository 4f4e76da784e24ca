"""Driving and checking streams in Amaranth's simulator, with random idle and back-pressure.

A producer that pauses before a transfer keeps ``valid`` low, a consumer that pauses keeps ``ready``
low, whether or not the other side waits.
"""

import itertools
import random
from collections.abc import Iterable, Iterator

import pytest
from amaranth.sim import Simulator

#: Crosses a test with idle producers and stalling consumers: each is the chance of a pause before
#: a transfer. Arguments ``idle``, ``stall`` and ``seed``, all three part of the test's id.
with_idle_and_stall = pytest.mark.parametrize(
    ("idle", "stall", "seed"),
    [(0.0, 0.0, 1), (0.5, 0.0, 2), (0.0, 0.5, 3), (0.3, 0.3, 4)],
    ids=lambda value: str(value),
)


def pauses(seed: object, chance: float, longest: int = 20) -> Iterator[int]:
    """Endless pauses in cycles: 0, or with ``chance`` something up to ``longest``."""
    source = random.Random(repr(seed))
    while True:
        yield source.randint(1, longest) if source.random() < chance else 0


async def put(ctx, stream, payload) -> None:
    """Transfer one payload; returns after the clock edge of the transfer."""
    ctx.set(stream.payload, payload)
    ctx.set(stream.valid, 1)
    await ctx.tick().until(stream.ready)
    ctx.set(stream.valid, 0)


async def get(ctx, stream):
    """Take one transfer and return its payload, after the clock edge of the transfer."""
    ctx.set(stream.ready, 1)
    (payload,) = await ctx.tick().sample(stream.payload).until(stream.valid)
    ctx.set(stream.ready, 0)
    return payload


async def put_all(ctx, stream, payloads: Iterable, waits: Iterable[int] = ()) -> None:
    """`put` each payload, after the next of ``waits`` cycles; no waits: back to back."""
    for payload, wait in zip(payloads, itertools.chain(waits, itertools.repeat(0)), strict=False):
        await pause(ctx, wait)
        await put(ctx, stream, payload)


async def get_all(ctx, stream, count: int, waits: Iterable[int] = ()) -> list:
    """`get` ``count`` payloads, each after the next of ``waits`` cycles."""
    payloads = []
    for _, wait in zip(range(count), itertools.chain(waits, itertools.repeat(0)), strict=False):
        await pause(ctx, wait)
        payloads.append(await get(ctx, stream))
    return payloads


async def pause(ctx, cycles: int) -> None:
    """Let ``cycles`` clock edges pass."""
    if cycles:
        await ctx.tick().repeat(cycles)


def transfer_cycles(stream, cycles: list[int]):
    """A background process that appends the cycle number of each transfer on ``stream``."""

    async def watch(ctx):
        cycle = 0
        async for *_, valid, ready in ctx.tick().sample(stream.valid, stream.ready):
            if valid and ready:
                cycles.append(cycle)
            cycle += 1

    return watch


def simulate(dut, *testbenches, background=(), limit: int = 100_000) -> None:
    """Run a clocked ``dut`` until all testbenches are done; fail after ``limit`` cycles."""

    async def watchdog(ctx):
        # Not tick().repeat(): dropped in the middle at the end, it raises in the garbage collector.
        await ctx.delay(limit * 1e-6)
        raise AssertionError(f"still running after {limit} cycles")

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for testbench in testbenches:
        simulator.add_testbench(testbench)
    for process in (watchdog, *background):
        simulator.add_testbench(process, background=True)
    simulator.run()
