# amaranth: UnusedElaboratable=no
"""Packet streams of every width, and their AXI4-Stream ports."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from hdl.packet_stream import WIDTHS, AXI4StreamTop, PacketByte, packet_layout, packet_signature


class Parts(wiring.Component):
    """Two streams and nothing between them: a test drives and reads both."""

    def __init__(self, requests=1, completions=None):
        super().__init__(
            {
                "requests": In(packet_signature(requests)),
                "completions": Out(packet_signature(completions or requests)),
            }
        )

    def elaborate(self, platform):
        return Module()


def settle(core, testbench):
    """Run ``testbench(ctx, top)`` on the ports around ``core``, which have no registers."""
    top = AXI4StreamTop(core)

    async def run(ctx):
        testbench(ctx, top)

    simulator = Simulator(top)
    simulator.add_testbench(run)
    simulator.run()


def test_one_byte_needs_no_count():
    assert packet_layout(1) == PacketByte
    assert packet_signature() == packet_signature(1)


@pytest.mark.parametrize("width", WIDTHS[1:])
def test_a_wide_beat_counts_its_bytes(width):
    layout = packet_layout(width)
    assert layout["data"].width == 8 * width
    assert layout.size == 8 * width + width.bit_length() + 1


@pytest.mark.parametrize("width", [0, 3, 32, None])
def test_other_widths_are_refused(width):
    with pytest.raises(ValueError, match=f"not {width}"):
        packet_signature(width)


def test_streams_of_different_widths_are_refused():
    with pytest.raises(ValueError, match=r"differ in width: \[4, 16\]"):
        AXI4StreamTop(Parts(4, 16))


@pytest.mark.parametrize("width", WIDTHS)
def test_the_ports_have_the_width_of_the_streams(width):
    def testbench(_, top):
        assert top.width_bytes == width
        for prefix in ("s_axis", "m_axis"):
            assert len(getattr(top, f"{prefix}_tdata")) == 8 * width
            assert hasattr(top, f"{prefix}_tkeep") == (width > 1)

    settle(Parts(width), testbench)


@pytest.mark.parametrize("width", WIDTHS)
def test_data_last_and_handshakes_pass(width):
    core = Parts(width)
    value = int.from_bytes(range(1, width + 1), "little")

    def testbench(ctx, top):
        for bit in (1, 0):
            for signal in (top.s_axis_tvalid, top.s_axis_tlast, top.m_axis_tready):
                ctx.set(signal, bit)
            ctx.set(core.requests.ready, bit)
            ctx.set(core.completions.valid, bit)
            ctx.set(core.completions.payload.last, bit)
            assert ctx.get(core.requests.valid) == bit
            assert ctx.get(core.requests.payload.last) == bit
            assert ctx.get(core.completions.ready) == bit
            assert ctx.get(top.s_axis_tready) == bit
            assert ctx.get(top.m_axis_tvalid) == bit
            assert ctx.get(top.m_axis_tlast) == bit
        ctx.set(top.s_axis_tdata, value)
        assert ctx.get(core.requests.payload.data) == value
        ctx.set(core.completions.payload.data, value)
        assert ctx.get(top.m_axis_tdata) == value

    settle(core, testbench)


@pytest.mark.parametrize("width", [2, 4, 8])
def test_the_last_request_beat_has_the_bytes_below_its_lowest_null_byte(width):
    core = Parts(width)

    def testbench(ctx, top):
        for keep in range(1 << width):
            ctx.set(top.s_axis_tkeep, keep)
            ctx.set(top.s_axis_tlast, 1)
            ones = f"{keep:0{width}b}"[::-1].partition("0")[0]
            assert ctx.get(core.requests.payload.bytes) == len(ones)
            ctx.set(top.s_axis_tlast, 0)
            assert ctx.get(core.requests.payload.bytes) == width

    settle(core, testbench)


@pytest.mark.parametrize("width", WIDTHS[1:])
def test_completions_keep_their_valid_bytes(width):
    core = Parts(width)

    def testbench(ctx, top):
        for count in range(width + 1):
            ctx.set(core.completions.payload.bytes, count)
            assert ctx.get(top.m_axis_tkeep) == (1 << count) - 1

    settle(core, testbench)
