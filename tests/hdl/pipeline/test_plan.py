"""Plans, one for each request, whatever makes them wait."""

import random

import pytest
from amaranth.hdl import Shape

from driver.messages import Opcode, Status, Usage
from hdl.pipeline.layouts import context_layout
from hdl.pipeline.plan import Planner
from tests.hdl.streams import simulate
from tests.hdl.traffic import SMALL_PIPELINED

SLOTS = SMALL_PIPELINED.slots


def contexts(source) -> list[dict[str, int]]:
    """One for each slot, no two alike."""
    layout = context_layout()
    return [
        {name: source.getrandbits(Shape.cast(field.shape).width) for name, field in layout}
        | {"valid": 1, "usage": Usage.SEAL, "connection_id_bytes": source.randrange(21)}
        for _ in range(SLOTS)
    ]


@pytest.mark.parametrize("stall", [0.0, 0.5, 0.9])
def test_each_request_gets_its_plan_7_cycles_later_or_when_there_is_room(stall):
    dut, source = Planner(SMALL_PIPELINED), random.Random(str(stall))
    slots = contexts(source)
    headers = [
        {
            "opcode": source.choice([Opcode.SEAL, Opcode.SEAL, Opcode.INFO]),
            "slot": source.randrange(SLOTS),
            "request_id": source.getrandbits(16),
            "length": source.randint(1, SMALL_PIPELINED.largest_seal),
            "bytes": 16,
        }
        for _ in range(60)
    ]
    entered, left, plans = [], [], []

    async def run(ctx):
        waiting, free, asked = list(headers), False, [0, 0]
        cycle, enters = 0, False
        while len(plans) < len(headers):
            # What entered a cycle ago stands in the header now, where its slot is read.
            if enters:
                ctx.set(dut.header, waiting.pop(0))
            enters = bool(waiting) and free and not enters
            ctx.set(dut.enters, enters)
            if enters:
                entered.append(cycle)
            ctx.set(dut.context, slots[asked[0]])
            asked = [asked[1], ctx.get(dut.header.slot)]
            ctx.set(dut.room, source.random() >= stall)
            ctx.set(dut.plans.ready, source.random() >= stall)
            free = ctx.get(dut.free)
            if ctx.get(dut.plans.valid) and ctx.get(dut.plans.ready):
                plan = ctx.get(dut.plans.payload)
                plans.append(
                    (
                        {name: plan.echo[name] for name in ("opcode", "slot", "request_id")},
                        {name: plan[name] for name in ("iv", "connection_id", "epoch", "aes256")},
                        (plan.to_drain, plan.refusal, plan.text_bytes),
                    )
                )
                left.append(cycle)
            await ctx.tick()
            cycle += 1

    simulate(dut, run)
    for header, (echo, context, way) in zip(headers, plans, strict=True):
        assert echo == {name: header[name] for name in echo}
        assert context == {name: slots[header["slot"]][name] for name in context}
        if header["opcode"] == Opcode.SEAL:
            assert way == (0, Status.OK, header["length"])
        else:  # an INFO with a payload
            assert way[:2] == (1, Status.MALFORMED_REQUEST)
    if not stall:
        assert entered == [entered[0] + 3 * i for i in range(len(headers))]
        assert left == [cycle + 7 for cycle in entered]
