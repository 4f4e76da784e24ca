"""From judged requests to completion packets."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from driver.messages import (
    CONNECTION_ID_BYTES,
    HEADER_BYTES,
    RECORD_NUMBER_BYTES,
    Opcode,
    Status,
)
from hdl.block import BLOCK_BYTES
from hdl.choose import choose_word
from hdl.packet_stream import packet_signature
from hdl.pipeline.layouts import LENGTH_BITS, Echo, Ticket, Ticketed, void_if
from hdl.pipeline.narrow_packer import NarrowPacker
from hdl.pipeline.packer import Packer
from hdl.pipeline.queue import Queue
from hdl.pipeline.record_header import tail_lanes, turn_tail
from hdl.pipeline.verdict import judged_layout
from hdl.registers import reset_less

__all__ = ["Egress"]

#: Lanes of the headers of records in which a number may begin or end.
_HEADER_LANES = CONNECTION_ID_BYTES + 3

#: What stands in front of the blocks of a completion, or is added to a header in them.
_Front = data.StructLayout(
    {
        "echo": Echo,
        "status": 4,
        "length": LENGTH_BITS,  # of the payload
        "mask": 32,  # for the number, turned (`hdl.pipeline.record_header`)
        "number": 64,  # of a record that was opened, or zero; the first byte lowest
    }
)

#: A completion that may leave, with all that it needs but its blocks.
_Completion = data.StructLayout(
    {
        "ticket": Ticket,
        "front": _Front,
        "open": 1,
        "short": 1,  # a record's header, which has room beside that of the packet
        "long": 1,  # one that has not
        "sealed": 1,  # there is a tag behind the text
        "over": 1,  # a header of more than 16 bytes
        "header_rest": 5,  # bytes of a header in its last block
        "tail": _HEADER_LANES,  # where the number stands in the header
        "has_content": 1,
        "whole": 1,  # its first piece is a beat by itself, or has nothing behind it
        "skips": 1,
        "content_blocks": 12,
        "content_rest": 5,  # bytes in the last of them
        "skipped_blocks": 12,  # behind the content
    }
)

#: What is done now; at most one of them.
_Turn = data.StructLayout(
    {"start": 1, "header": 1, "header_end": 1, "text": 1, "tag": 1, "skip": 1}
)


class Egress(wiring.Component):
    """Writes the completions of ``judged`` requests, in order.

    A record that was sealed waits until its mask has come and its tag is in the block queue. Then
    its blocks are ``released``, and only then can they be read. The header that stands there in
    clear gets its number encrypted on the way out. Of a record that was opened, the zeros behind
    the content are dropped, and all of it if it was refused: a cycle a block in any case.

    Tickets come in the order of their numbers, void with a refusal and only then. One that does
    not is not answered, and nothing behind it. A block leaves only with the completion whose ticket
    it has. The first that has another one is the end: nothing leaves any more, until a reset.

    A completion waits for its mask and its tag, two cycles at least; its lengths are computed, and
    it goes to a queue; then it is written, in two cycles at least.

    Packets have beats of ``width`` bytes: 16, 8, 4 or 2; so many of a piece are written in a cycle.
    With 16, a piece a cycle: a record with a header of up to 8 bytes takes 2 cycles more than its
    text has blocks when it was sealed, and one when it was opened; and another one if the packer
    needs it before the record, for a rest. With less, it has that in any case.
    """

    def __init__(self, depth: int, width: int = BLOCK_BYTES):
        self._width = width
        super().__init__(
            {
                "judged": In(stream.Signature(judged_layout())),
                "masks": In(stream.Signature(16)),
                #: A tag has been written to the block queue.
                "tag_written": In(1),
                "release": Out(range(depth + 1)),
                "blocks": In(stream.Signature(Ticketed)),
                "packets": Out(packet_signature(width)),
                #: A completion has left.
                "left": Out(1),
                "stalled": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.completions = completions = Queue(_Completion, 8)
        packer = Packer() if self._width == BLOCK_BYTES else NarrowPacker(self._width)
        packer.pieces.payload = reset_less(packer.pieces.payload)
        m.submodules.packer = packer
        wiring.connect(m, packer.packets, wiring.flipped(self.packets))
        m.d.sync += self.stalled.eq(self.packets.valid & ~self.packets.ready)
        self._release(m, completions)
        self._write(m, completions.read, packer)
        return m

    def _release(self, m, completions):
        """First stage: a completion that has all it needs, and how many blocks are its."""
        judged = self.judged.payload
        request = judged.request
        # Opcodes over 15 are neither OK nor tagged.
        opcode = request.echo.opcode[:4]
        seal, open_ = opcode == Opcode.SEAL, opcode == Opcode.OPEN
        ok = request.status == Status.OK
        head = Signal(
            data.StructLayout(
                {
                    "request": request.shape(),
                    "ok": 1,
                    "seal": 1,
                    "open": 1,
                    "sealed": 1,
                    "has_blocks": 1,
                    "in_order": 1,
                    "header_bytes": 5,
                    "content_bytes": LENGTH_BITS,
                    "content_blocks": 12,
                    "text_blocks": 12,
                }
            ),
            reset_less=True,
        )
        full, goes, loaded = Signal(), Signal(), Signal()
        number = Signal.like(request.ticket.number)  # of the ticket that is next
        m.d.sync += loaded.eq(~full & self.judged.valid)
        # A cycle later: nothing else is loaded in that.
        m.d.comb += self.judged.ready.eq(loaded)
        with m.If(~full):
            m.d.sync += [
                full.eq(self.judged.valid),
                head.request.eq(request),
                head.ok.eq(ok),
                head.seal.eq(seal & ok),
                head.open.eq(open_ & ok),
                head.sealed.eq(ok & opcode.matches(Opcode.SEAL, Opcode.AEAD_SEAL)),
                # Of a record that was refused its seal, nothing is there.
                head.has_blocks.eq(ok | (request.tagged & ~seal)),
                head.in_order.eq(void_if(~ok, request.ticket).number == number),
                head.header_bytes.eq(request.tail_at + 1 + request.sixteen + (request.length << 1)),
                head.content_bytes.eq(Mux(ok, judged.content_bytes, 0)),
                head.content_blocks.eq(_blocks(judged.content_bytes)),
                head.text_blocks.eq(_blocks(request.text_bytes)),
            ]
        with m.If(goes):
            m.d.sync += [full.eq(0), number.eq(number + 1)]
        tags, tag_there, tag_taken = Signal(8), Signal(), Signal()
        room, mask_taken = Signal(), Signal()
        m.d.comb += [
            goes.eq(
                full
                & head.in_order
                & room
                & (~head.sealed | tag_there)
                & (~head.seal | self.masks.valid)
            ),
            # In time for the next completion, which takes two cycles.
            self.masks.ready.eq(mask_taken),
        ]
        m.d.sync += [
            room.eq(completions.level < completions.depth // 2),
            mask_taken.eq(goes & head.seal),
            tag_taken.eq(goes & head.sealed),
            tag_there.eq(tags[1:].any() | (tags[0] & ~tag_taken)),
        ]
        with m.If(self.tag_written ^ tag_taken):
            m.d.sync += tags.eq(Mux(self.tag_written, tags + 1, tags - 1))
        self._compute(m, head, goes, completions.write)

    def _compute(self, m, head, goes, completions):
        """Second stage: its lengths."""
        request, new = head.request, Signal(_Completion, reset_less=True)
        blocks, small, goes_on = Signal(12), Signal(2), Signal()
        fills = Signal()  # its first piece does
        number = Cat(request.number, request.epoch)
        number = Cat(number.word_select(i, 8) for i in reversed(range(8)))
        mask = turn_tail(Cat(self.masks.payload, Const(0, 16)), request.tail_at)
        short = head.header_bytes <= HEADER_BYTES
        over = head.header_bytes > BLOCK_BYTES
        number_lanes = tail_lanes(request.tail_at, 1 + request.sixteen)[:_HEADER_LANES]
        # What stands beside the content: header and tag, or the number; 41 bytes at the most.
        added = Cat(
            Mux(head.seal, head.header_bytes[:4], Mux(head.open, RECORD_NUMBER_BYTES, 0)),
            (head.seal & head.header_bytes[4]) + head.sealed,
        )
        content_blocks = Mux(head.ok, head.content_blocks, 0)
        text_blocks = Mux(head.has_blocks, head.text_blocks, 0)
        m.d.sync += [
            goes_on.eq(goes),
            new.ticket.eq(request.ticket),
            new.front.echo.eq(request.echo),
            new.front.status.eq(request.status),
            new.front.length.eq(head.content_bytes + added),
            new.open.eq(head.open),
            new.short.eq(head.seal & short),
            new.long.eq(head.seal & ~short),
            new.sealed.eq(head.sealed),
            new.header_rest.eq(_rest(head.header_bytes)),
            new.over.eq(over),
            new.tail.eq(Mux(head.seal, Cat(number_lanes), 0)),
            new.front.mask.eq(mask),
            new.front.number.eq(Mux(head.open, number, 0)),
            new.has_content.eq(content_blocks != 0),
            new.content_blocks.eq(content_blocks),
            new.content_rest.eq(_rest(head.content_bytes)),
            new.skipped_blocks.eq(text_blocks - content_blocks),
            fills.eq(head.open | (head.seal & (head.header_bytes == BLOCK_BYTES - HEADER_BYTES))),
            blocks.eq(text_blocks),
            small.eq(head.sealed + head.seal + (head.seal & over)),
            self.release.eq(Mux(goes_on, blocks + small, 0)),
        ]
        m.d.comb += [
            completions.valid.eq(goes_on),
            completions.payload.eq(new),
            completions.payload.skips.eq(new.skipped_blocks != 0),
            completions.payload.whole.eq(fills | ~(new.sealed | new.has_content)),
        ]

    def _write(self, m, completions, packer):
        """Third stage: the pieces of a completion, one after the other."""
        next_, blocks = completions.payload, self.blocks
        head, front = Signal(_Completion, reset_less=True), Signal(_Front, reset_less=True)
        turn, next_turn = Signal(_Turn), Signal(_Turn)
        # What the turn at hand needs: a block, or nothing else. Neither, and nothing is written.
        alone, with_block = Signal(), Signal()
        ends = Signal(init=1)  # it is the last of its completion, or none
        # Whether it may go now, or with a block, as there is room; and that it needs `front` no
        # longer. Registers, since what they move is wide, and far away.
        may_go, may_take, front_free = Signal(init=1), Signal(), Signal(init=1)
        idle, part_ends, goes, moves, loads = (Signal() for _ in range(5))
        parts = BLOCK_BYTES // self._width
        part = Signal(range(parts))  # of the piece; the turn goes with the last one
        last_part = part == parts - 1
        taken = Signal()  # `head` was filled in the cycle before: `next_` is the same one
        leaves_rest = Signal()  # the completion at hand may, in the packer
        m.d.comb += [
            idle.eq(~(alone | with_block)),
            goes.eq(may_go | (may_take & blocks.valid)),
            part_ends.eq(idle | last_part),
            moves.eq(goes & part_ends),
            loads.eq(moves & ends),
            blocks.ready.eq(may_take & last_part),
            completions.ready.eq(taken),
        ]
        with m.If(goes & ~idle):
            m.d.sync += part.eq(part + 1)
        with m.If(front_free & part_ends):
            m.d.sync += front.eq(next_.front)
        # Narrow packers have a cycle for a rest in any case.
        wide = self._width == BLOCK_BYTES
        rests = ~next_.open & (next_.front.length[:4] != HEADER_BYTES) if wide else 1
        available = completions.valid & ~taken & ~(leaves_rest & (next_.whole if wide else 1))
        m.d.sync += [taken.eq(loads & available), self.left.eq(loads & ~idle)]

        # The blocks of the content, and then those that are skipped: whether the one at hand is the
        # last of them, and how many there are but 3, so that a sign says that the next one is.
        last, left = Signal(), Signal(signed(13))
        one_block, skips_one = Signal(), Signal()
        only, no_text = Signal(), Signal()  # a header and nothing else, or and a tag
        text_ends, counts = Signal(), Signal()
        m.d.comb += [
            counts.eq((turn.text | turn.skip) & ~last),
            text_ends.eq((turn.text & last) | (turn.start & no_text)),
            next_turn.header.eq(turn.start & head.long),
            next_turn.header_end.eq(turn.header & head.over),
            next_turn.text.eq(
                (turn.start & ~head.long & head.has_content)
                | (turn.header & ~head.over)
                | turn.header_end
                | (turn.text & ~last)
            ),
            next_turn.tag.eq(text_ends & head.sealed),
            next_turn.skip.eq((text_ends & head.skips) | (turn.skip & ~last)),
        ]
        # Whether the next turn is the last: in a run of blocks, behind the text, with its first;
        # not if that stands behind a long header, since there is a tag then.
        more, ends_behind_text, ends_with_block = Signal(), Signal(), Signal()
        next_last = Mux(counts, left[-1], Mux(text_ends, skips_one, one_block))
        next_ends = Mux(
            counts,
            left[-1] & (turn.skip | ~more),
            Mux(text_ends, ends_behind_text, ends_with_block),
        )
        next_only = ~next_.long & ~next_.sealed & ~next_.has_content
        next_one, next_skips_one = next_.content_blocks == 1, next_.skipped_blocks == 1
        needs, next_needs = Cat(alone, with_block, ends), Signal(3)
        m.d.comb += next_needs.eq(
            Mux(
                ends,
                Cat(
                    available & ~next_.short,
                    available & next_.short,
                    ~available | (next_only & ~next_.skips),
                ),
                Cat(0, 1, next_ends),
            )
        )
        m.d.sync += Cat(may_go, may_take, front_free).eq(
            Mux(moves, _permits(*next_needs, packer.room), _permits(*needs, packer.room))
        )
        with m.If(moves):
            m.d.sync += [needs.eq(next_needs), turn.eq(next_turn), last.eq(next_last)]
        with m.If(loads):
            m.d.sync += [
                head.eq(next_),
                leaves_rest.eq(available & rests),
                turn.eq(Const(1)),
                only.eq(next_only),
                no_text.eq(~next_.long & ~next_.has_content),
                one_block.eq(next_one),
                skips_one.eq(next_skips_one),
                more.eq(next_.sealed | next_.skips),
                ends_behind_text.eq(next_.sealed | next_skips_one),
                ends_with_block.eq(next_one & ~next_.sealed & ~next_.skips),
            ]
        with m.If(~counts):
            first = Mux(turn.text | ~head.has_content, head.skipped_blocks, head.content_blocks)
            m.d.sync += left.eq(first - 3)
        with m.Elif(moves):
            m.d.sync += left.eq(left - 1)
        gate = self._gate(m, next_, moves, loads)

        bytes_, pieces = Signal(5, init=BLOCK_BYTES), packer.pieces
        with m.If(turn.start & ~head.open):
            m.d.comb += bytes_.eq(HEADER_BYTES + Mux(head.short, head.header_rest[:4], 0))
        with m.If((turn.header & ~head.over) | turn.header_end):
            m.d.comb += bytes_.eq(head.header_rest)
        with m.If(turn.text & last):
            m.d.comb += bytes_.eq(head.content_rest)
        # Of the last part of a piece; behind it, there may be others with nothing in them.
        bits = ceil_log2(self._width)
        full_parts, rest = (bytes_ - 1)[bits:4], bytes_[:bits]
        is_end = part == full_parts
        part_bytes = Mux(is_end & rest.any(), rest, self._width)
        is_last = (turn.start & only) | (turn.text & last & ~head.sealed) | turn.tag
        foreign, halted = Signal(), Signal()  # of another request; and one has been
        m.d.comb += foreign.eq((blocks.payload.ticket != head.ticket) & ~(turn.start & ~head.short))
        writes = goes & ~idle & ~turn.skip
        m.d.sync += [
            halted.eq(halted | (writes & foreign)),
            pieces.valid.eq(writes & ~foreign & ~halted & (part <= full_parts)),
            pieces.payload.data.eq(self._data(front, head.short, turn, part, gate)),
            pieces.payload.bytes.eq(bytes_ if wide else part_bytes),
            pieces.payload.last.eq(is_end & is_last),
        ]

    def _data(self, front, short, turn, part, gate):
        """A part of a piece: of what stands in front of a record, or of a block; and of a mask."""
        echo, status = front.echo, front.status
        # Big-endian, so that the first byte on the wire is the uppermost here.
        header = Cat(front.length, echo.request_id, echo.slot, status, Const(0, 4), echo.opcode)
        header = Cat(header.word_select(i, 8) for i in reversed(range(HEADER_BYTES)))
        start = Cat(header, front.number)

        def cut(place, lanes):
            """What a word of the piece is, of as many bytes as lanes."""
            bits, upper = 8 * len(lanes), place[-1]
            # Behind the packet's header, a short one of a record is the lower half of its block.
            in_block = Cat(place[:-1], upper ^ turn.start)
            block = choose_word(self.blocks.payload.block, in_block, bits)
            block = Mux(turn.start & ~(upper & short), 0, block)
            mask = choose_word(front.mask.replicate(4), place, bits)
            mask &= Cat(lane.replicate(8) for lane in lanes)
            return Mux(turn.start, choose_word(start, place, bits), 0) ^ block ^ mask

        if self._width == BLOCK_BYTES:
            half = BLOCK_BYTES // 2
            return Cat(cut(Const(0, 1), gate[:half]), cut(Const(1, 1), gate[half:]))
        return cut(part, gate.word_select(part, self._width))

    def _gate(self, m, next_, moves, loads):
        """The lanes of a piece in which there is something of the mask.

        Those of the turn at hand are the lower ones; those of the turns behind it come after it.
        """
        packet = BLOCK_BYTES // 2  # lanes of the packet's header
        lanes = Signal(BLOCK_BYTES + _HEADER_LANES, reset_less=True)
        with m.If(moves):
            m.d.sync += lanes.eq(lanes[BLOCK_BYTES:])
        with m.If(loads):
            m.d.sync += [
                lanes.eq(Mux(next_.long, next_.tail << BLOCK_BYTES, 0)),
                lanes[packet:BLOCK_BYTES].eq(Mux(next_.long, 0, next_.tail[:packet])),
            ]
        return lanes[:BLOCK_BYTES]


def _permits(alone: Value, with_block: Value, ends: Value, room: Value) -> Value:
    """Whether a turn may go now, or with a block; and if it is the last, does not need `front`."""
    may_alone = ~alone | room
    return Cat(~with_block & may_alone, with_block & room, ends & (with_block | may_alone))


def _rest(length: Value) -> Value:
    """Bytes in the last block of so many."""
    return Cat(length[:4], length[:4] == 0)


def _blocks(length: Value) -> Value:
    return (length + BLOCK_BYTES - 1) >> 4
