"""Packets in narrow beats for a design that takes wide ones, and back."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.packet_stream import packet_signature

__all__ = ["Narrower", "Widener"]


class Widener(wiring.Component):
    """Collects beats of ``narrow`` bytes into beats of ``wide`` bytes; a packet begins a new one.

    A narrow beat a cycle. A wide one is there in the cycle after the last narrow one in it.
    """

    def __init__(self, narrow: int, wide: int):
        self._narrow, self._wide = narrow, wide
        super().__init__(
            {"given": In(packet_signature(narrow)), "packets": Out(packet_signature(wide))}
        )

    def elaborate(self, platform):
        m = Module()
        given, packets = self.given, self.packets
        lanes = self._wide // self._narrow
        lane = Signal(range(lanes))
        bytes_ = 1 if self._narrow == 1 else given.payload.bytes
        m.d.comb += given.ready.eq(~packets.valid | packets.ready)
        taken = packets.valid & packets.ready
        first, *others = (
            packets.payload.data.word_select(i, 8 * self._narrow) for i in range(lanes)
        )
        with m.If(taken):
            m.d.sync += [packets.valid.eq(0), first.eq(0)]
        with m.If(given.valid & given.ready):
            ends = given.payload.last | (lane == lanes - 1)
            for i, part in enumerate((first, *others)):
                with m.If(lane == i):
                    m.d.sync += part.eq(given.payload.data)
            m.d.sync += [
                packets.payload.bytes.eq(lane * self._narrow + bytes_),
                packets.payload.last.eq(given.payload.last),
                packets.valid.eq(ends),
                lane.eq(Mux(ends, 0, lane + 1)),
            ]
        # A beat that is not full, the end of a key perhaps, keeps nothing of the one before. In the
        # cycle in which one goes, only the first part of the next can come.
        with m.If(taken):
            m.d.sync += [part.eq(0) for part in others]
        return m


class Narrower(wiring.Component):
    """Gives the bytes of wide beats in beats of ``narrow`` bytes, one a cycle without a pause.

    The last bytes of a beat that does not end its packet wait for the next beat: that may have no
    bytes, and end it. A packet without bytes is dropped.
    """

    def __init__(self, narrow: int, wide: int):
        self._narrow, self._wide = narrow, wide
        super().__init__(
            {"given": In(packet_signature(wide)), "packets": Out(packet_signature(narrow))}
        )

    def elaborate(self, platform):
        m = Module()
        given, packets = self.given, self.packets
        data, last = Signal(8 * self._wide), Signal()
        left = Signal(range(self._wide + 1))
        ends = left <= self._narrow
        null = given.valid & given.payload.last & (given.payload.bytes == 0)
        m.d.comb += [
            packets.valid.eq((left != 0) & (~ends | last | given.valid)),
            packets.payload.data.eq(data),
            packets.payload.last.eq(ends & (last | null)),
            given.ready.eq((left == 0) | (ends & packets.ready)),
        ]
        if self._narrow > 1:
            m.d.comb += packets.payload.bytes.eq(Mux(ends, left, self._narrow))
        with m.If(packets.valid & packets.ready):
            m.d.sync += [
                data.eq(data >> 8 * self._narrow),
                left.eq(Mux(ends, 0, left - self._narrow)),
            ]
        with m.If(given.valid & given.ready):
            m.d.sync += [
                data.eq(given.payload.data),
                left.eq(given.payload.bytes),
                last.eq(given.payload.last),
            ]
        return m
