"""Packets as a stream of beats, inside the gateware and at its AXI4-Stream ports."""

from amaranth.hdl import Cat, Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["WIDTHS", "AXI4StreamTop", "PacketByte", "packet_layout", "packet_signature"]

#: How many bytes a beat of a packet stream can have.
WIDTHS = (1, 2, 4, 8, 16)

#: One byte of a packet; ``last`` marks the final one.
PacketByte = data.StructLayout({"data": 8, "last": 1})


def packet_layout(width_bytes: int) -> data.StructLayout:
    """One beat of up to ``width_bytes`` (W) bytes of a packet; ``last`` marks the final one.

    ``data`` has byte n of the beat in bits 8n .. 8n+7; byte 0 is the first of the packet. ``bytes``
    says how many are valid, from byte 0 on: W without ``last``, and with it 1 .. W, or 0 where the
    packet came from an AXI4-Stream port. One byte wide, the layout is `PacketByte`: no ``bytes``.

    Raises ValueError for a width that is not in `WIDTHS`.
    """
    if width_bytes not in WIDTHS:
        raise ValueError(f"a packet stream is 1, 2, 4, 8 or 16 bytes wide, not {width_bytes!r}")
    if width_bytes == 1:
        return PacketByte
    return data.StructLayout({"data": 8 * width_bytes, "bytes": range(width_bytes + 1), "last": 1})


def packet_signature(width_bytes: int = 1) -> stream.Signature:
    """A stream of `packet_layout`: one beat a transfer, packets one after the other."""
    return stream.Signature(packet_layout(width_bytes))


class AXI4StreamTop(wiring.Component):
    """Any component with packet streams ``requests`` and ``completions``, in AXI4-Stream's names.

    TDATA has ``width_bytes`` (W) bytes, as both streams have, with byte n of a transfer in bits
    8n .. 8n+7 (AXI4-Stream, 2.3.1). TLAST ends a packet. Where W > 1, TKEEP has a bit for each byte
    (2.4.1), and only the last transfer of a packet can have null bytes, all above its valid ones:

    - Requests: TKEEP counts only with TLAST. Bytes above the lowest null byte are dropped; without
      TLAST all bytes are valid. A last transfer of null bytes only has ``bytes`` = 0.
    - Completions: TKEEP is ones for the ``bytes`` lowest bytes.

    TSTRB, TID, TDEST and TUSER are left out, and TKEEP where W = 1, as AXI4-Stream allows. Both
    handshakes hold payload and TVALID until TREADY (2.2.1). No cycles are added.

    Raises ValueError if the two streams differ in width.
    """

    def __init__(self, core: wiring.Component) -> None:
        widths = {_width_bytes(core.requests), _width_bytes(core.completions)}
        if len(widths) != 1:
            raise ValueError(f"requests and completions differ in width: {sorted(widths)} bytes")
        self._core = core
        (self.width_bytes,) = widths
        super().__init__(_axi_ports(self.width_bytes))

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
        if self.width_bytes > 1:
            self._connect_keep(m)
        return m

    def _connect_keep(self, m: Module) -> None:
        lanes = range(self.width_bytes)
        requested, completed = self._core.requests.payload, self._core.completions.payload
        m.d.comb += requested.bytes.eq(self.width_bytes)
        with m.If(self.s_axis_tlast):
            for lane in reversed(lanes):  # the lowest null byte decides
                with m.If(~self.s_axis_tkeep[lane]):
                    m.d.comb += requested.bytes.eq(lane)
        m.d.comb += self.m_axis_tkeep.eq(Cat(completed.bytes > lane for lane in lanes))


def _width_bytes(packets) -> int:
    return packets.payload.shape()["data"].width // 8


def _axi_ports(width_bytes: int) -> dict[str, wiring.Member]:
    ports = {}
    for prefix, forward, backward in (("s_axis", In, Out), ("m_axis", Out, In)):
        ports[f"{prefix}_tdata"] = forward(8 * width_bytes)
        if width_bytes > 1:
            ports[f"{prefix}_tkeep"] = forward(width_bytes)
        ports[f"{prefix}_tvalid"] = forward(1)
        ports[f"{prefix}_tready"] = backward(1)
        ports[f"{prefix}_tlast"] = forward(1)
    return ports
