"""Frames to the host: completions as they come, and what the board has to say of itself."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from driver.frames import (
    BOARD_HEADER_BYTES,
    CRC_BYTES,
    ESCAPE,
    FLAG,
    STATUS_BYTES,
    STUFFED,
    BoardKind,
)
from hdl.host_link.check import FrameCheck
from hdl.packet_stream import packet_signature

__all__ = ["FrameTransmitter"]

#: What stands in a frame, in bytes.
_BODY = BOARD_HEADER_BYTES
_CRC = _BODY + STATUS_BYTES
_END = _CRC + CRC_BYTES


class FrameTransmitter(wiring.Component):
    """Puts header, CRC and stuffing around completions and status; one frame at a time.

    Status goes first. A completion begins only while ``limit`` is ahead of the number of those
    before it, by less than 128. ``bytes`` are taken at least 9 cycles apart.
    """

    def __init__(self):
        super().__init__(
            {
                "completions": In(packet_signature()),
                "limit": In(8),
                "freed": In(8),
                #: What a status holds; each byte is read when it is its turn.
                "report": In(data.ArrayLayout(8, STATUS_BYTES)),
                #: Levels: STATUS with this token, or DAMAGE, is wanted.
                "status": In(1),
                "token": In(4),
                "damage": In(1),
                #: Strobes: the status, or the report of damage, begins.
                "status_begins": Out(1),
                "damage_begins": Out(1),
                #: No frame is on its way to ``bytes``.
                "idle": Out(1),
                "bytes": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.check = check = FrameCheck()
        kind = Signal(BoardKind)
        sent = Signal(8)
        position = Signal(range(_END))
        in_frame, is_packet = Signal(), Signal()
        plain, escaped = Signal(8), Signal()
        taken, advance = Signal(), Signal()  # a byte goes to `bytes`; and it was not an escape
        special = (plain == FLAG) | (plain == ESCAPE)
        m.d.comb += [
            taken.eq(self.bytes.valid & self.bytes.ready),
            advance.eq(taken & (~in_frame | ~special | escaped)),
            check.data.eq(plain),
            check.valid.eq(advance & in_frame),
            check.shift.eq(position >= _CRC),
            self.completions.ready.eq(advance & is_packet),
            self.bytes.payload.eq(plain ^ Mux(escaped, STUFFED, 0)),
        ]
        with m.If(is_packet):
            m.d.comb += plain.eq(self.completions.payload.data)
        with m.Else():
            token = Mux(kind == BoardKind.STATUS, self.token, 0)
            table = (Cat(kind, Const(0, 2), token), self.freed, sent, *self.report, check.crc)
            m.d.comb += plain.eq(_select(table, position))
        with m.If(~in_frame):
            m.d.comb += self.bytes.payload.eq(FLAG)
        with m.Elif(special & ~escaped):
            m.d.comb += self.bytes.payload.eq(ESCAPE)
        with m.If(taken & in_frame):
            m.d.sync += escaped.eq(special & ~escaped)

        ahead = (self.limit - sent)[:8]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.idle.eq(1), check.start.eq(1)]
                m.d.sync += position.eq(0)
                with m.If(self.status):
                    m.d.comb += self.status_begins.eq(1)
                    m.d.sync += kind.eq(BoardKind.STATUS)
                    m.next = "OPEN"
                with m.Elif(self.damage):
                    m.d.comb += self.damage_begins.eq(1)
                    m.d.sync += kind.eq(BoardKind.DAMAGE)
                    m.next = "OPEN"
                with m.Elif(self.completions.valid & (ahead != 0) & ~ahead[7]):
                    m.d.sync += kind.eq(BoardKind.COMPLETION)
                    m.next = "OPEN"
            with m.State("OPEN"):
                m.d.comb += self.bytes.valid.eq(1)
                with m.If(advance):
                    m.next = "TABLE"
            with m.State("TABLE"):
                m.d.comb += [in_frame.eq(1), self.bytes.valid.eq(~check.busy)]
                with m.If(advance):
                    m.d.sync += position.eq(position + 1)
                    with m.If((kind == BoardKind.COMPLETION) & (position == _BODY - 1)):
                        m.next = "BODY"
                    with m.If(position == _END - 1):
                        m.next = "CLOSE"
            with m.State("BODY"):
                m.d.comb += [
                    in_frame.eq(1),
                    is_packet.eq(1),
                    self.bytes.valid.eq(self.completions.valid),
                ]
                with m.If(advance & self.completions.payload.last):
                    m.d.sync += [position.eq(_CRC), sent.eq(sent + 1)]
                    m.next = "TABLE"
            with m.State("CLOSE"):
                m.d.comb += self.bytes.valid.eq(1)
                with m.If(advance):
                    m.next = "IDLE"
        return m


def _select(values, index):
    """The value at ``index``, or the last one: a tree of two-way choices is small in LUTs."""
    values = [*values, *[values[-1]] * ((1 << len(index)) - len(values))]
    for bit in index:
        pairs = zip(values[::2], values[1::2], strict=True)
        values = [even if even is odd else Mux(bit, odd, even) for even, odd in pairs]
    return values[0]
