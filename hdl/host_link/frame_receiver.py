"""Frames from the host: bytes off the wire, until a flag says what they were."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from driver.frames import CRC_BYTES, ESCAPE, FLAG, HOST_HEADER_BYTES, STUFFED, HostKind
from hdl.host_link.check import FrameCheck

__all__ = ["FrameReceiver"]

#: Bytes of a frame without a packet, the longest that is counted exactly but one.
_BARE = HOST_HEADER_BYTES + CRC_BYTES


class FrameReceiver(wiring.Component):
    """Takes stuffing, header and CRC off frames, and drives a `RequestBuffer`.

    At a flag, everything since the last one is a frame or damaged: a strobe on ``good`` or
    ``damaged``. Nothing between two flags is neither. Bytes come at least 9 cycles apart.
    """

    def __init__(self):
        super().__init__(
            {
                "data": In(8),
                #: Strobes: ``data`` is a byte; a byte was lost, or there was none.
                "valid": In(1),
                "broken": In(1),
                #: With ``good``, and until the next byte.
                "kind": Out(HostKind),
                "token": Out(4),
                "argument": Out(16),
                "good": Out(1),
                "damaged": Out(1),
                #: For the buffer, whose ``commit`` and ``drop`` come with the flag.
                "write": Out(1),
                "first": Out(1),
                "byte": Out(8),
                "commit": Out(1),
                "drop": Out(1),
                "full": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.check = check = FrameCheck()
        count = Signal(range(_BARE + 2))  # bytes of the frame so far
        escaped, spoiled = Signal(), Signal()
        unknown = Signal()
        flag, taken, is_request = Signal(), Signal(), Signal()
        m.d.comb += [
            flag.eq(self.valid & (self.data == FLAG)),
            taken.eq(self.valid & ~flag & (self.data != ESCAPE)),
            self.byte.eq(self.data ^ Mux(escaped, Const(STUFFED, 8), 0)),
            is_request.eq(self.kind == HostKind.REQUEST),
            check.start.eq(flag),
            check.valid.eq(taken),
            check.data.eq(self.byte),
        ]
        with m.If(flag):
            m.d.sync += [count.eq(0), escaped.eq(0), spoiled.eq(0)]
        with m.Elif(self.valid):
            m.d.sync += escaped.eq(~taken)
            with m.If(~taken & escaped):
                m.d.sync += spoiled.eq(1)
        with m.If(taken & (count != _BARE + 1)):
            m.d.sync += count.eq(count + 1)
        with m.If(self.broken):
            m.d.sync += spoiled.eq(1)

        with m.If(taken & (count == 0)):
            m.d.sync += [
                Cat(self.kind, self.token).eq(Cat(self.byte[:2], self.byte[4:])),
                unknown.eq(self.byte[2:4].any()),
            ]
        with m.Elif(taken & (count < HOST_HEADER_BYTES)):
            m.d.sync += self.argument.eq(Cat(self.byte, self.argument[:8]))
        with m.Elif(taken & is_request):
            m.d.comb += [self.write.eq(~self.full), self.first.eq(count == HOST_HEADER_BYTES)]
            with m.If(self.full):
                m.d.sync += spoiled.eq(1)

        possible = Mux(is_request, count > _BARE, count == _BARE)
        sound = Signal()
        m.d.comb += [
            sound.eq(possible & check.match & ~escaped & ~spoiled & ~unknown),
            self.good.eq(flag & sound),
            self.damaged.eq(flag & ~sound & (count != 0)),
            self.commit.eq(self.good & is_request),
            self.drop.eq(self.damaged),
        ]
        return m
