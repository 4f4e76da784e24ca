"""Lights show what is too short to be seen."""

from itertools import pairwise

from boards.lights import Lights
from tests.hdl.streams import simulate

#: Ticks of 8 cycles.
CLOCK_HZ = 64
TICK = 8


def shown(events, cycles):
    """What each light shows in each cycle; ``events`` are by cycle."""
    dut = Lights(CLOCK_HZ)
    seen = []

    async def testbench(ctx):
        for cycle in range(cycles):
            for name in ("received", "damaged", "answered"):
                ctx.set(getattr(dut, name), name == events.get(cycle))
            lights = dut.lights
            seen.append({name: ctx.get(lights[name]) for name in lights.shape().members})
            await ctx.tick()

    simulate(dut, testbench)
    return seen


def test_a_strobe_is_shown_for_a_tick():
    for name in ("received", "damaged", "answered"):
        for cycle in range(TICK, 2 * TICK):
            seen = shown({cycle: name}, 6 * TICK)
            lit = [number for number, lights in enumerate(seen) if lights[name]]
            assert len(lit) == TICK
            assert lit == list(range(lit[0], lit[0] + TICK))
            assert cycle < lit[0] <= cycle + TICK + 2
            others = {"received", "damaged", "answered"} - {name}
            assert not any(lights[other] for lights in seen for other in others)


def test_the_clock_is_shown_to_be_alive():
    alive = [lights["alive"] for lights in shown({}, 8 * TICK)]
    changes = [n for n in range(1, len(alive)) if alive[n] != alive[n - 1]]
    assert [after - before for before, after in pairwise(changes)] == ([TICK] * (len(changes) - 1))
    assert len(changes) >= 6
