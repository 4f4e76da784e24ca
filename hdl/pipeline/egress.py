"""From judged requests to completion packets."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import HEADER_BYTES, RECORD_NUMBER_BYTES, TAG_BYTES, Opcode, Status
from hdl.block import BLOCK_BYTES
from hdl.packet_stream import packet_signature
from hdl.pipeline.layouts import LENGTH_BITS, Echo
from hdl.pipeline.packer import Packer
from hdl.pipeline.queue import Queue
from hdl.pipeline.record_header import lanes_of_tail, turn_tail
from hdl.pipeline.verdict import judged_layout

__all__ = ["Egress"]

#: A completion that may leave, with all that it needs but its blocks.
_Completion = data.StructLayout(
    {
        "echo": Echo,
        "status": 4,
        "length": LENGTH_BITS,  # of the payload
        "seal": 1,
        "open": 1,
        "sealed": 1,  # there is a tag behind the text
        "header_bytes": 5,
        "tail_at": 5,
        "mask_bytes": 2,
        "mask": 32,  # turned (`hdl.pipeline.record_header`)
        "record_number": 64,
        "content_bytes": LENGTH_BITS,
        "text_blocks": 12,
    }
)


class Egress(wiring.Component):
    """Writes the completions of ``judged`` requests, in order.

    A record that was sealed waits until its mask has come and its tag is in the block queue. Then
    its blocks are ``released``, and only then can they be read. The header that stands there in
    clear gets its number encrypted on the way out. Of a record that was opened, the zeros behind
    the content are dropped, and all of it if it was refused: a cycle a block in any case.

    A piece a cycle: a record with a header of up to 8 bytes takes 2 cycles more than its text has
    blocks when it was sealed, and one when it was opened.
    """

    def __init__(self, depth: int):
        super().__init__(
            {
                "judged": In(stream.Signature(judged_layout())),
                "masks": In(stream.Signature(16)),
                #: A tag has been written to the block queue.
                "tag_written": In(1),
                "release": Out(range(depth + 1)),
                "blocks": In(stream.Signature(128)),
                "packets": Out(packet_signature(BLOCK_BYTES)),
                #: A completion has left.
                "left": Out(1),
                "stalled": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.completions = completions = Queue(_Completion, 4)
        m.submodules.packer = packer = Packer()
        wiring.connect(m, packer.packets, wiring.flipped(self.packets))
        m.d.comb += self.stalled.eq(self.packets.valid & ~self.packets.ready)
        self._release(m, completions.write)
        self._write(m, completions.read, packer.pieces)
        return m

    def _release(self, m, completions):
        """First stage: a completion that has all it needs, and how many blocks are its."""
        head = self.judged.payload
        request = head.request
        new = Signal(_Completion)
        new_blocks, new_valid = Signal(12), Signal()
        seal, open_ = (request.echo.opcode == code for code in (Opcode.SEAL, Opcode.OPEN))
        ok = request.status == Status.OK
        sealed = ok & request.echo.opcode.matches(Opcode.SEAL, Opcode.AEAD_SEAL)
        tags = Signal(8)
        takes = Signal()
        room = ~new_valid | completions.ready
        m.d.comb += [
            takes.eq(
                self.judged.valid
                & room
                & (~sealed | (tags != 0))
                & (~(ok & seal) | self.masks.valid)
            ),
            self.judged.ready.eq(takes),
            self.masks.ready.eq(takes & ok & seal),
        ]
        m.d.sync += tags.eq(tags + self.tag_written - (takes & sealed))

        header_bytes = request.tail_at + 1 + request.sixteen + (request.length << 1)
        text_blocks = (request.text_bytes + BLOCK_BYTES - 1) >> 4
        first, second = self.masks.payload[:8], self.masks.payload[8:]
        added = Mux(seal, header_bytes, 0) + Mux(sealed, TAG_BYTES, 0)
        added = added + Mux(open_, RECORD_NUMBER_BYTES, 0)
        number = Cat(request.number, request.epoch)
        with m.If(room):
            m.d.sync += [
                new_valid.eq(takes),
                new.echo.eq(request.echo),
                new.status.eq(request.status),
                new.length.eq(Mux(ok, head.content_bytes + added, 0)),
                new.seal.eq(seal & ok),
                new.open.eq(open_ & ok),
                new.sealed.eq(sealed),
                new.header_bytes.eq(header_bytes),
                new.tail_at.eq(request.tail_at),
                new.mask_bytes.eq(1 + request.sixteen),
                new.mask.eq(turn_tail(Cat(first, second, Const(0, 16)), request.tail_at)),
                new.record_number.eq(Cat(number.word_select(i, 8) for i in reversed(range(8)))),
                new.content_bytes.eq(Mux(ok, head.content_bytes, 0)),
                # Of a record that was refused its seal, nothing is there.
                new.text_blocks.eq(Mux((request.tagged & ~seal) | ok, text_blocks, 0)),
            ]
        header_blocks = Mux(new.seal, 1 + (new.header_bytes > BLOCK_BYTES), 0)
        m.d.comb += [
            completions.valid.eq(new_valid),
            completions.payload.eq(new),
            new_blocks.eq(new.text_blocks + header_blocks + new.sealed),
            self.release.eq(Mux(new_valid & completions.ready, new_blocks, 0)),
        ]

    def _write(self, m, completions, pieces):
        """Second stage: the pieces of a completion, one after the other."""
        head, piece, blocks = completions.payload, Signal.like(pieces.payload), self.blocks
        valid, moves = Signal(), Signal()
        m.d.comb += [
            moves.eq(~pieces.valid | pieces.ready),
            completions.ready.eq(self.left),
        ]
        with m.If(moves):
            m.d.sync += [pieces.valid.eq(valid), pieces.payload.eq(piece)]

        # Big-endian, so that the first byte on the wire is the uppermost here.
        echo = head.echo
        header = Cat(head.length, echo.request_id, echo.slot, head.status, Const(0, 4), echo.opcode)
        header = Cat(header.word_select(i, 8) for i in reversed(range(HEADER_BYTES)))
        second = Signal()
        lanes = lanes_of_tail(head.tail_at, second, head.mask_bytes)
        masked = Cat(
            blocks.payload.word_select(i, 8) ^ Mux(lanes[i], head.mask.word_select(i % 4, 8), 0)
            for i in range(BLOCK_BYTES)
        )
        content_left, blocks_left = Signal(LENGTH_BITS), Signal(12)
        short = head.header_bytes <= HEADER_BYTES
        over = head.header_bytes > BLOCK_BYTES

        with m.FSM():
            with m.State("start"):
                m.d.comb += [
                    piece.data.eq(header),
                    piece.bytes.eq(HEADER_BYTES),
                    valid.eq(completions.valid),
                ]
                m.d.sync += [
                    content_left.eq(head.content_bytes),
                    blocks_left.eq(head.text_blocks),
                ]
                with m.If(head.open):
                    m.d.comb += [
                        piece.data[64:].eq(head.record_number),
                        piece.bytes.eq(HEADER_BYTES + RECORD_NUMBER_BYTES),
                    ]
                with m.If(head.seal & short):
                    m.d.comb += [
                        piece.data[64:].eq(masked),
                        piece.bytes.eq(HEADER_BYTES + head.header_bytes),
                        valid.eq(completions.valid & blocks.valid),
                        blocks.ready.eq(completions.valid & moves),
                    ]
                with m.If(valid & moves):
                    with m.If(head.seal & ~short):
                        m.next = "header"
                    with m.Elif(head.content_bytes != 0):
                        m.next = "text"
                    with m.Else():
                        self._after_text(m, head, piece, head.text_blocks)
            with m.State("header"):
                m.d.comb += piece.data.eq(masked)
                m.d.comb += piece.bytes.eq(Mux(over, BLOCK_BYTES, head.header_bytes))
                with self._move_block(m, blocks, valid, moves):
                    m.next = "text"
                    with m.If(over):
                        m.next = "header end"
            with m.State("header end"):
                m.d.comb += second.eq(1)
                m.d.comb += piece.data.eq(masked)
                m.d.comb += piece.bytes.eq(head.header_bytes - BLOCK_BYTES)
                with self._move_block(m, blocks, valid, moves):
                    m.next = "text"
            with m.State("text"):
                last = content_left <= BLOCK_BYTES
                m.d.comb += piece.data.eq(blocks.payload)
                m.d.comb += piece.bytes.eq(Mux(last, content_left, BLOCK_BYTES))
                with self._move_block(m, blocks, valid, moves):
                    m.d.sync += content_left.eq(content_left - BLOCK_BYTES)
                    m.d.sync += blocks_left.eq(blocks_left - 1)
                with m.If(blocks.valid & moves & last):
                    self._after_text(m, head, piece, blocks_left - 1)
            with m.State("tag"):
                m.d.comb += piece.data.eq(blocks.payload)
                m.d.comb += [piece.bytes.eq(TAG_BYTES), piece.last.eq(1)]
                with self._move_block(m, blocks, valid, moves):
                    m.d.comb += self.left.eq(1)
                    m.next = "start"
            with m.State("skip"):
                m.d.comb += blocks.ready.eq(1)
                with m.If(blocks.valid):
                    m.d.sync += blocks_left.eq(blocks_left - 1)
                    with m.If(blocks_left == 1):
                        m.d.comb += self.left.eq(1)
                        m.next = "start"

    def _move_block(self, m, blocks, valid, moves):
        m.d.comb += [valid.eq(blocks.valid), blocks.ready.eq(moves)]
        return m.If(blocks.valid & moves)

    def _after_text(self, m, head, piece, blocks_left):
        with m.If(head.sealed):
            m.next = "tag"
        with m.Else():
            m.d.comb += piece.last.eq(1)
            with m.If(blocks_left != 0):
                m.next = "skip"
            with m.Else():
                m.d.comb += self.left.eq(1)
                m.next = "start"
