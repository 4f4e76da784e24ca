"""From pieces of any length to beats of 16 bytes."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.block import BLOCK_BYTES
from hdl.choose import choose
from hdl.packet_stream import packet_layout, packet_signature
from hdl.pipeline.queue import Queue

__all__ = ["Packer", "put_together"]


class Packer(wiring.Component):
    """Puts the pieces of a packet one behind the other, without a gap, and cuts beats from them.

    A piece has the first ``bytes`` bytes (1 to 16) of its ``data``; ``last`` ends a packet.

    A piece a cycle. A beat that the last piece of a packet leaves over comes out in the next cycle,
    while the first piece of the next packet goes in. If that is 16 bytes long, or the last as well,
    its giver lets a cycle pass before it. A beat comes out 4 cycles after the piece that completes
    it, at the earliest.

    Pieces are not held: one may come if there was ``room``, a register, two cycles before.
    """

    pieces: In(stream.Signature(packet_layout(BLOCK_BYTES), always_ready=True))
    room: Out(1)
    packets: Out(packet_signature(BLOCK_BYTES))

    #: Beats that may wait for their receiver while there is room. As many more have a place: those
    #: of pieces on their way, which do not stop.
    WAITING = 8

    def elaborate(self, platform):
        m = Module()
        m.submodules.beats = beats = Queue(self.packets.payload.shape(), 2 * self.WAITING)
        wiring.connect(m, beats.read, wiring.flipped(self.packets))

        m.d.sync += self.room.eq(beats.level < self.WAITING)

        # First stage: its place is found, and the piece turned there, by up to 3 bytes.
        piece, valid = self.pieces.payload, self.pieces.valid
        placed, place = Signal(piece.shape(), reset_less=True), Signal(4)
        placed_valid, whole, cut = Signal(), Signal(), Signal(4)
        fill, end = Signal(4), Signal(5)
        rest, leaves_rest = Signal(4), Signal()
        m.d.comb += [
            end.eq(fill + piece.bytes),
            leaves_rest.eq(placed_valid & placed.last & whole & rest.any()),
        ]
        m.d.sync += [
            placed.data.eq(_turn(piece.data, fill[:2], 1)),
            placed.last.eq(piece.last),
            placed_valid.eq(valid),
            place.eq(fill),
            whole.eq(end[4]),
            rest.eq(end),
            cut.eq(Mux(leaves_rest, rest, fill)),
        ]
        with m.If(valid):
            m.d.sync += fill.eq(Mux(piece.last, 0, end))

        # Second: by 4, 8 or 12 more. A rest goes out beside the first piece of a packet, which has
        # its place at 0.
        flush = Signal()
        turned, beat_valid = Signal(128, reset_less=True), Signal()
        holds, from_held, from_piece = (Signal(BLOCK_BYTES, reset_less=True) for _ in range(3))
        beat = beats.write.payload
        m.d.sync += [
            flush.eq(leaves_rest),
            turned.eq(_turn(placed.data, place[2:], 4)),
            beat_valid.eq(flush | (placed_valid & (whole | placed.last))),
            beat.bytes.eq(Mux(flush, cut, Mux(whole, BLOCK_BYTES, rest))),
            beat.last.eq(flush | (placed.last & ~leaves_rest)),
        ]
        for i in range(BLOCK_BYTES):
            behind = cut <= i
            m.d.sync += [
                holds[i].eq(placed_valid & (flush | whole | behind)),
                from_held[i].eq(~behind),
                from_piece[i].eq(behind & ~flush & (whole | (rest > i))),
            ]

        # Third: what is not a whole beat stays.
        m.d.comb += [
            beats.write.valid.eq(beat_valid),
            beat.data.eq(put_together(m, turned, holds, from_held, from_piece)),
        ]
        return m


def put_together(m, turned: Value, holds: Value, from_held: Value, from_piece: Value) -> Value:
    """The bytes of a beat: of those that are held, of ``turned``, or zero; and what is held next.

    What stands behind it does not matter.
    """
    beat = []
    for i in range(len(holds)):
        held = Signal(8, name=f"held_{i}", reset_less=True)
        turned_byte = turned.word_select(i, 8)
        with m.If(holds[i]):
            m.d.sync += held.eq(turned_byte)
        beat.append(Mux(from_held[i], held, 0) | Mux(from_piece[i], turned_byte, 0))
    return Cat(beat)


def _turn(block: Value, places: Value, unit: int) -> Value:
    """The byte at place i moves to place i + ``unit`` * ``places``, modulo 16; up to 3 of them."""
    return choose(places, [block.rotate_left(8 * unit * count) for count in range(4)])
