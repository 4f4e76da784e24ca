"""From pieces of any length to beats of 16 bytes."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.block import BLOCK_BYTES
from hdl.packet_stream import packet_signature
from hdl.pipeline.queue import Queue

__all__ = ["Packer", "Piece"]

#: The first ``bytes`` bytes (1 to 16) of ``data``; ``last`` ends a packet.
Piece = data.StructLayout({"data": 128, "bytes": 5, "last": 1})


class Packer(wiring.Component):
    """Puts the pieces of a packet one behind the other, without a gap, and cuts beats from them.

    A piece a cycle. A beat that the last piece of a packet leaves over comes out in the next cycle,
    while the first piece of the next packet goes in; only if that is 16 bytes long does it wait for
    a cycle. A beat comes out 4 cycles after the piece that completes it, at the earliest.
    """

    pieces: In(stream.Signature(Piece))
    packets: Out(packet_signature(BLOCK_BYTES))

    def elaborate(self, platform):
        m = Module()
        m.submodules.beats = beats = Queue(self.packets.payload.shape(), 8)
        wiring.connect(m, beats.read, wiring.flipped(self.packets))
        moves = Signal()  # the pieces on their way go on by a stage
        room = Signal()
        flush = Signal()
        m.d.comb += [room.eq(beats.level < beats.depth - 1), self.pieces.ready.eq(moves)]

        # First stage: bytes beyond the piece are cut off, and its place is found.
        piece, place, valid = Signal(Piece), Signal(4), Signal()
        fill, end = Signal(4), Signal(6)
        given = self.pieces.payload
        keep = Cat((given.bytes > i).replicate(8) for i in range(BLOCK_BYTES))
        m.d.comb += end.eq(fill + given.bytes)
        whole, rest = Signal(), Signal(4)
        with m.If(moves):
            m.d.sync += [
                valid.eq(self.pieces.valid),
                piece.eq(given),
                piece.data.eq(given.data & keep),
                place.eq(fill),
                whole.eq(end[4:].any()),
                rest.eq(end),
            ]
            with m.If(self.pieces.valid):
                m.d.sync += fill.eq(Mux(given.last, 0, end))

        # Second stage: the piece at its place.
        shifted, shifted_valid = Signal(256), Signal()
        shifted_whole, shifted_last, shifted_rest = Signal(), Signal(), Signal(4)
        with m.If(moves):
            m.d.sync += [
                shifted.eq(piece.data << Cat(Const(0, 3), place)),
                shifted_valid.eq(valid),
                shifted_whole.eq(whole),
                shifted_last.eq(piece.last),
                shifted_rest.eq(rest),
            ]

        # Third stage: what is not a whole beat stays.
        held, held_bytes = Signal(128), Signal(4)
        beat = beats.write.payload
        joined = Signal(256)
        m.d.comb += [
            joined.eq(shifted | Mux(flush, 0, held)),
            moves.eq(room & ~(flush & shifted_valid & (shifted_whole | shifted_last))),
        ]
        with m.If(flush & room):
            m.d.comb += [
                beats.write.valid.eq(1),
                beat.data.eq(held),
                beat.bytes.eq(held_bytes),
                beat.last.eq(1),
            ]
            m.d.sync += [flush.eq(0), held.eq(0)]
        with m.If(moves & shifted_valid):
            m.d.sync += held.eq(joined)
            with m.If(shifted_whole | shifted_last):
                m.d.comb += [
                    beats.write.valid.eq(1),
                    beat.data.eq(joined),
                    beat.bytes.eq(Mux(shifted_whole, BLOCK_BYTES, shifted_rest)),
                    beat.last.eq(shifted_last & ~(shifted_whole & (shifted_rest != 0))),
                ]
                m.d.sync += [held.eq(joined[128:]), held_bytes.eq(shifted_rest)]
                with m.If(shifted_last):
                    m.d.sync += flush.eq(shifted_whole & (shifted_rest != 0))
        return m
