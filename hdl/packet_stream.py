"""Packets as a stream of bytes, inside the gateware and at its AXI4-Stream ports."""

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AXI4StreamTop", "PacketByte", "packet_signature"]

#: One byte of a packet; ``last`` marks the final one.
PacketByte = data.StructLayout({"data": 8, "last": 1})


def packet_signature() -> stream.Signature:
    """A stream of `PacketByte`: one byte a transfer, packets one after the other."""
    return stream.Signature(PacketByte)


class AXI4StreamTop(wiring.Component):
    """Any component with packet streams ``requests`` and ``completions``, in AXI4-Stream's names.

    TDATA is 8 bits wide, TLAST ends a packet; TKEEP, TSTRB, TID, TDEST and TUSER are left out, as
    AXI4-Stream allows. Both handshakes hold payload and TVALID until TREADY (AXI4-Stream, 2.2.1).
    No cycles are added.
    """

    s_axis_tdata: In(8)
    s_axis_tvalid: In(1)
    s_axis_tready: Out(1)
    s_axis_tlast: In(1)

    m_axis_tdata: Out(8)
    m_axis_tvalid: Out(1)
    m_axis_tready: In(1)
    m_axis_tlast: Out(1)

    def __init__(self, core: wiring.Component) -> None:
        self._core = core
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = core = self._core
        m.d.comb += [
            core.requests.valid.eq(self.s_axis_tvalid),
            core.requests.payload.data.eq(self.s_axis_tdata),
            core.requests.payload.last.eq(self.s_axis_tlast),
            self.s_axis_tready.eq(core.requests.ready),
            self.m_axis_tvalid.eq(core.completions.valid),
            self.m_axis_tdata.eq(core.completions.payload.data),
            self.m_axis_tlast.eq(core.completions.payload.last),
            core.completions.ready.eq(self.m_axis_tready),
        ]
        return m
