# amaranth: UnusedElaboratable=no
"""Registers on AXI4-Lite: what cocotb_tests/test_axi.py, which does the rest, cannot see."""

from random import Random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from hdl.axi4_lite import AXI4LiteTop
from hdl.packet_stream import packet_signature


class Parts(wiring.Component):
    """Two streams and nothing between them: a test drives and reads both."""

    def __init__(self, requests=4, completions=4):
        super().__init__(
            {
                "requests": In(packet_signature(requests)),
                "completions": Out(packet_signature(completions)),
            }
        )

    def elaborate(self, platform):
        return Module()


def simulate(top, testbench):
    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize(("widths", "wrong"), [((1, 1), 1), ((4, 16), 16), ((2, 4), 2)])
def test_other_widths_are_refused(widths, wrong):
    with pytest.raises(ValueError, match=f"{wrong} bytes wide, not 4"):
        AXI4LiteTop(Parts(*widths))


def test_no_output_depends_on_an_input_in_the_same_cycle():
    """AXI4, A3.2.1: "there must be no combinatorial paths between input and output signals"."""
    core = Parts()
    top = AXI4LiteTop(core)
    members = {name: member.flow for name, member in top.signature.members.items()}
    inputs = [getattr(top, name) for name, flow in members.items() if flow is In]
    outputs = [name for name, flow in members.items() if flow is Out]
    rng, seen = Random(1), set()

    def randomise(ctx, signals):
        for signal in signals:
            ctx.set(signal, rng.getrandbits(len(signal)))

    async def run(ctx):
        for _ in range(2000):
            # Registers are reached, and transfers end, often enough to see every output move.
            randomise(ctx, [*inputs, core.requests.ready, core.completions.valid])
            ctx.set(top.s_axil_wstrb, 0xF)
            before = {name: ctx.get(getattr(top, name)) for name in outputs}
            randomise(ctx, inputs)
            assert {name: ctx.get(getattr(top, name)) for name in outputs} == before
            seen.update(before.items())
            await ctx.tick()

    simulate(top, run)
    # None of them was stuck at 0.
    assert {name for name, value in seen if value} == set(outputs)


@pytest.mark.parametrize(
    ("driven", "answer"),
    [(("awvalid", "wvalid", "bready"), "bvalid"), (("arvalid", "rready"), "rvalid")],
    ids=["writes", "reads"],
)
def test_a_direction_takes_a_transfer_in_two_cycles(driven, answer):
    top = AXI4LiteTop(Parts())
    cycles = 100

    async def run(ctx):
        for name in driven:
            ctx.set(getattr(top, f"s_axil_{name}"), 1)
        answers = 0
        for _ in range(cycles):
            await ctx.tick()
            answers += ctx.get(getattr(top, f"s_axil_{answer}"))
        assert answers == cycles // 2

    simulate(top, run)
