"""INFO and STATS, byte for byte."""

from driver.messages import HEADER_BYTES, INFO_BYTES, Counter, Opcode, Status, unpack_stats
from hdl.profile import TINY
from hdl.reports import Reports, info
from tests.hdl.streams import simulate
from tests.hdl.units import first_phase, second_phase, writes_into

#: A different one for each counter, none with two equal bytes.
VALUES = {counter: 0x0102_0304_0506_0700 + counter for counter in Counter}


def report(opcode):
    """What the unit says, its payload, and the cycles from start to done."""
    dut, written, outcome = Reports(TINY), {}, {}
    cycles = []

    async def counters(ctx):
        """As `Counters` answers, which begins every 8 cycles: in each cycle after, a byte."""
        places, counter = iter(()), 0
        ctx.set(dut.begins, 1)
        async for *_, start, begins, index in ctx.tick().sample(dut.start, dut.begins, dut.index):
            if begins:
                places, counter = iter(range(8)), index if start else 0
            place = next(places)
            ctx.set(dut.value, VALUES[counter] >> 8 * place & 0xFF)
            ctx.set(dut.begins, place == 7)

    async def count(ctx):
        cycle = 0
        async for *_, start, done in ctx.tick().sample(dut.unit.start, dut.unit.done):
            if start or done:
                cycles.append(cycle)
            cycle += 1

    async def testbench(ctx):
        outcome.update(await first_phase(ctx, dut.unit, opcode))
        assert await second_phase(ctx, dut.unit, keep=True) == 0

    simulate(dut, testbench, background=[counters, count, writes_into(dut.unit, written)])
    payload = bytes(written[HEADER_BYTES + i] for i in range(len(written)))
    return outcome, payload, cycles[1] - cycles[0]


def test_info():
    outcome, payload, cycles = report(Opcode.INFO)
    assert payload == info(TINY).pack()
    assert outcome == {"status": Status.OK, "length": INFO_BYTES, "amount": 0}
    assert cycles == 33


def test_stats():
    outcome, payload, cycles = report(Opcode.STATS)
    assert unpack_stats(payload) == VALUES
    assert outcome == {"status": Status.OK, "length": 8 * len(Counter), "amount": 0}
    assert cycles == 16 * len(Counter) + 1
