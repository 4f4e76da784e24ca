"""From pieces of any length to narrow beats, where there is time for it."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.packet_stream import packet_signature
from hdl.pipeline.packer import Piece
from hdl.pipeline.queue import Queue

__all__ = ["NarrowPacker"]


class NarrowPacker(wiring.Component):
    """Puts the pieces of a packet one behind the other, and cuts beats of ``width`` bytes off.

    What `hdl.pipeline.packer.Packer` and a `hdl.port_width.Narrower` do, a chunk of ``width`` bytes
    a cycle: the piece moves down a register, and only a chunk is turned to its place. A piece takes
    a cycle more than it has chunks: 5, with 4 bytes a beat. A beat comes out 4 cycles after the
    piece that begins it, at the earliest. ``width`` is 2, 4 or 8.
    """

    #: Beats that may wait for their receiver when a chunk is taken. As many more have room.
    WAITING = 8

    def __init__(self, width: int):
        self._width = width
        super().__init__(
            {
                "pieces": In(stream.Signature(Piece)),
                "packets": Out(packet_signature(width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = self._width
        m.submodules.beats = beats = Queue(self.packets.payload.shape(), 2 * self.WAITING)
        wiring.connect(m, beats.read, wiring.flipped(self.packets))

        # First stage: a chunk of the piece at hand.
        piece, full, room = Signal(Piece), Signal(), Signal()
        gives, ends = Signal(), Signal()
        m.d.comb += [
            self.pieces.ready.eq(~full),
            gives.eq(full & room),
            ends.eq(piece.bytes <= width),
        ]
        m.d.sync += room.eq(beats.level < self.WAITING)
        with m.If(~full):
            m.d.sync += [piece.eq(self.pieces.payload), full.eq(self.pieces.valid)]
        with m.If(gives):
            m.d.sync += [
                piece.data.eq(piece.data >> 8 * width),
                piece.bytes.eq(piece.bytes - width),
                full.eq(~ends),
            ]

        # Second stage: it has been turned to its place, behind what is held of the beat.
        fill = Signal(range(width))
        end, bytes_ = Signal(range(2 * width)), Signal(range(width + 1))
        whole, last, over = Signal(), Signal(), Signal()  # over: and a rest behind a whole beat
        m.d.comb += [
            bytes_.eq(Mux(ends, piece.bytes, width)),
            end.eq(fill + bytes_),
            whole.eq(end >= width),
            last.eq(ends & piece.last),
            over.eq(last & whole & end[: len(fill)].any()),
        ]
        with m.If(gives):
            m.d.sync += fill.eq(Mux(last, 0, end))
        chunk = piece.data[: 8 * width]
        turned, is_held, keeps = Signal(8 * width), Signal(width), Signal(width)
        rest, rest_follows = Signal.like(fill), Signal()
        beat, beat_valid = beats.write.payload, Signal()
        m.d.sync += [
            beat_valid.eq(gives & (whole | last)),
            beat.bytes.eq(Mux(whole, width, end)),
            beat.last.eq(last & ~over),
            turned.eq(Array(chunk.rotate_left(8 * i) for i in range(width))[fill]),
            is_held.eq(Cat(fill > i for i in range(width))),
            keeps.eq(Cat(gives & (whole | (fill <= i)) for i in range(width))),
            rest.eq(end),
            rest_follows.eq(gives & over),
        ]
        # Behind a piece there is a cycle without a chunk.
        with m.If(rest_follows):
            m.d.sync += [
                beat_valid.eq(1),
                beat.bytes.eq(rest),
                beat.last.eq(1),
                is_held.eq(~0),
            ]

        m.d.comb += beats.write.valid.eq(beat_valid)
        for i in range(width):
            held, turned_byte = Signal(8, name=f"held_{i}"), turned.word_select(i, 8)
            with m.If(keeps[i]):
                m.d.sync += held.eq(turned_byte)
            m.d.comb += beat.data.word_select(i, 8).eq(Mux(is_held[i], held, turned_byte))
        return m
