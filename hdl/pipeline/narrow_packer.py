"""From pieces of a few bytes to narrow beats."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.choose import choose
from hdl.packet_stream import packet_layout, packet_signature
from hdl.pipeline.packer import put_together
from hdl.pipeline.queue import Queue

__all__ = ["NarrowPacker"]


class NarrowPacker(wiring.Component):
    """What `hdl.pipeline.packer.Packer` does, with pieces and beats of ``width`` bytes: 2, 4 or 8.

    A piece a cycle. A beat that the last piece of a packet leaves over comes out in the next cycle,
    in which no piece goes in. A beat comes out 3 cycles after the piece that completes it, at the
    earliest.
    """

    #: Beats that may wait for their receiver while there is room. As many more have a place.
    WAITING = 8

    def __init__(self, width: int):
        self._width = width
        super().__init__(
            {
                "pieces": In(stream.Signature(packet_layout(width), always_ready=True)),
                "room": Out(1),
                "packets": Out(packet_signature(width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width, piece = self._width, self.pieces.payload
        m.submodules.beats = beats = Queue(self.packets.payload.shape(), 2 * self.WAITING)
        wiring.connect(m, beats.read, wiring.flipped(self.packets))

        # First stage: the piece is turned to its place, behind what is held of the beat.
        fill, end = Signal(range(width)), Signal(range(2 * width))
        whole, over = Signal(), Signal()  # over: and a rest behind a whole beat
        taken = self.pieces.valid
        m.d.comb += [
            end.eq(fill + piece.bytes),
            whole.eq(end >= width),
            over.eq(taken & piece.last & whole & end[: len(fill)].any()),
        ]
        with m.If(taken):
            m.d.sync += fill.eq(Mux(piece.last, 0, end))
        turned, is_held, keeps = Signal(8 * width, reset_less=True), Signal(width), Signal(width)
        rest, rest_follows = Signal.like(fill), Signal()
        beat, beat_valid = beats.write.payload, Signal()
        m.d.sync += [
            self.room.eq(beats.level < self.WAITING),
            beat_valid.eq(taken & (whole | piece.last)),
            beat.bytes.eq(Mux(whole, width, end)),
            beat.last.eq(piece.last & ~over),
            turned.eq(choose(fill, [piece.data.rotate_left(8 * i) for i in range(width)])),
            is_held.eq(Cat(fill > i for i in range(width))),
            keeps.eq(Cat(taken & (whole | (fill <= i)) for i in range(width))),
            rest.eq(end),
            rest_follows.eq(over),
        ]
        with m.If(rest_follows):
            m.d.sync += [
                beat_valid.eq(1),
                beat.bytes.eq(rest),
                beat.last.eq(1),
                is_held.eq(~0),
            ]

        # Second stage: what is not a whole beat stays.
        m.d.comb += [
            beats.write.valid.eq(beat_valid),
            beat.data.eq(put_together(m, turned, keeps, is_held, ~is_held)),
        ]
        return m
