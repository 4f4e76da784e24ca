"""The pipelined engine's way out writes each completion in time, with the blocks that are its."""

from amaranth.hdl import Assert, Assume, Cat, Elaboratable, Module, Mux, Signal

from driver.messages import HEADER_BYTES, Opcode, Status
from hdl.block import BLOCK_BYTES
from hdl.pipeline.accelerator import DEPTHS
from hdl.pipeline.layouts import void_if
from hdl.pipeline.packer import Packer
from hdl.profile import COMPACT, FAST, Profile
from proofs.open_egress import OpenEgress
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["MOST_BEATS", "PROPERTIES"]

#: Beats in the packer at the most: in its queue, on their way there, and one that is begun.
MOST_BEATS = 2 * Packer.WAITING
#: Of the queue of completions, how many are put in at the most before one is taken.
_WAITING = 4


class _Leaves(Elaboratable):
    """`Egress` with any judged requests, tags, masks and blocks, and a host that takes any time.

    Of a judged request is known that one that is OK has an opcode that is known; that its content
    is not longer than its text, and just as long if it was sealed; and that SEAL has text: as
    `Lookup`, `Verdict` and `Cipher` have it. Not more tags have come than there are requests under
    way (`credits`). Tickets come in order, and blocks with the ticket of their completion.

    Counted are the cycles of the completion at hand, but for those in which the host does not take
    what is valid, or in which a block is wanted that is not there.
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        self._parts = BLOCK_BYTES // profile.completion_bytes
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        self._egress = egress = OpenEgress(m, self._profile, _is_whole)
        self._opened, block, head = egress.opened, egress.block, egress.head
        self.ports += egress.ports
        loads, idle = self._opened["loads"], egress.idle
        own = block.blocks.payload.ticket.as_value() == head.ticket.as_value()
        m.d.comb += Assume(~block.blocks.valid | egress.turn.skip | own)
        stalled = block.packets.valid & ~block.packets.ready
        wanted = self._opened["with_block"] & ~block.blocks.valid
        takes = block.blocks.valid & block.blocks.ready

        spent, taken, waits = Signal(18), Signal(13), Signal(2)
        with m.If(loads):
            m.d.sync += [spent.eq(0), taken.eq(0)]
        with m.Else():
            m.d.sync += [spent.eq(spent + ~(idle | stalled | wanted)), taken.eq(taken + takes)]
        available = egress.queue.valid & ~self._opened["taken"]
        m.d.sync += waits.eq(Mux(available & idle, waits + 1, 0))
        most = 2 * self._parts * _turns(head) + MOST_BEATS
        m.d.comb += [
            Assert(idle | (spent <= most), "a completion leaves in time"),
            Assert(waits <= 2, "the next one is begun"),
            Assert((waits == 0) | ~idle | ((waits == 1) & ~self._opened["leaves_rest"])),
            Assert(idle | ~loads | (taken + takes == _blocks(head)), "it takes its blocks"),
        ]
        self._begin(m)
        left = self._follow(m)
        beats = self._follow_packer(m, spent)
        asked = left - (self._egress.turn.start & ~head.short)
        m.d.comb += [
            Assert(idle | (taken + asked == _blocks(head))),
            Assert(
                idle | (spent + 2 * (self._parts * left - self._opened["part"]) + beats <= most)
            ),
        ]
        return m

    def _begin(self, m):
        """The first two stages: what leaves them, and when."""
        opened, block, first, queue = (
            self._opened, self._egress.block, self._egress.first, self._egress.queue,
        )  # fmt: skip
        full, goes = opened["full"], opened.nameless("goes_on")[1]
        judged, request = block.judged, block.judged.payload.request
        opcode, ok = request.echo.opcode, request.status == Status.OK
        seals = opcode.matches(Opcode.SEAL, Opcode.AEAD_SEAL)
        content, text = judged.payload.content_bytes, request.text_bytes
        m.d.comb += [
            Assume(~judged.valid | (text <= self._profile.largest_aead)),
            Assume(~(judged.valid & ok) | ((content <= text) & (opcode <= max(Opcode)))),
            Assume(~(judged.valid & ok & seals) | (content == text)),
            Assume(~judged.valid | (opcode != Opcode.SEAL) | (text != 0)),
        ]
        number = void_if(~ok, request.ticket).number
        m.d.comb += [
            Assume(~judged.valid | full | (number == opened["number"])),
            Assert(~full | first.in_order),
            Assert(~opened["halted"]),
        ]
        tags, released, waits = Signal(8), Signal.like(block.release), Signal(2)
        was_free = Signal()
        has_all = full & (~first.sealed | (tags != 0)) & (~first.seal | block.masks.valid)
        m.d.sync += [
            tags.eq(tags + block.tag_written - (goes & first.sealed)),
            released.eq(Mux(queue.write.valid, _blocks(queue.write.payload), 0)),
            waits.eq(Mux(has_all & ~goes & (queue.level < _WAITING), waits + 1, 0)),
            was_free.eq(judged.valid & ~full),
        ]
        m.d.comb += [
            Assume(tags <= DEPTHS[self._profile.aes].in_flight),
            Assert(waits <= 1, "a completion that has what it needs is put into the queue"),
            Assert(~goes | has_all, "none without what it needs"),
            Assert(block.judged.ready == was_free, "a judged request is taken"),
            Assert(block.release == released, "as many blocks are released as it takes"),
            Assert(~queue.write.valid | _is_whole(queue.write.payload), "put into the queue"),
        ]
        there, gone = opened["tag_there"], opened["tag_taken"]
        m.d.comb += [
            Assert(opened["tags"] == tags + gone),
            Assert(~there | (tags != 0) | gone),
            Assert(~(full & gone)),
            Assert((waits == 0) | (opened["room"] & (there | ~first.sealed))),
            Assert(~full | ~first.ok | (first.content_blocks <= first.text_blocks)),
            Assert(~full | ~first.sealed | (first.content_blocks == first.text_blocks)),
            Assert(~full | ~first.seal | (first.text_blocks != 0)),
            Assert(~full | ~first.ok | first.has_blocks),
            Assert(~full | ~(first.seal | first.open | first.sealed) | first.ok),
            Assert(~full | ~first.seal | (first.sealed & ~first.open)),
            Assert(~full | ~first.open | ~first.sealed),
            Assert(~full | (first.text_blocks < 1 << 11)),
            Assert(
                ~queue.write.valid
                | (opened["blocks"] + opened["small"] == _blocks(queue.write.payload))
            ),
        ]

    def _follow(self, m):
        """How many turns the completion at hand has left; and what tells of its next one."""
        opened, head, turn, idle = self._opened, *self._at_hand()
        last, left, ends = opened["last"], opened["left"], opened["ends"]
        content, skipped = head.content_blocks, head.skipped_blocks
        over, tag = head.long & head.over, head.sealed
        run = Mux(last, 1, left + 3)[:13].as_unsigned()
        turns = Signal(14)
        for this, count in (
            (turn.start, _turns(head)),
            (turn.header, 1 + over + content + tag),
            (turn.header_end, 1 + content + tag),
            (turn.text, run + tag + skipped),
            (turn.tag, 1),
            (turn.skip, run),
        ):
            with m.If(this & ~idle):
                m.d.comb += turns.eq(count)
        needs_none = turn.start & ~head.short
        may_go, may_take = opened["may_go"], opened["may_take"]
        one, skips_one, no_text = opened["one_block"], opened["skips_one"], opened["no_text"]
        more, behind, with_block = (
            opened[x] for x in ("more", "ends_behind_text", "ends_with_block")
        )
        m.d.comb += [
            Assert(_is_whole(head) | idle),
            Assert(idle | (_ones(turn.as_value()) == 1)),
            Assert(idle | (opened["alone"] == needs_none)),
            Assert(idle | (opened["with_block"] == ~needs_none)),
            Assert(~(opened["alone"] & opened["with_block"])),
            Assert(idle | (ends == (turns == 1))),
            Assert(~idle | ends),
            Assert(~idle | (opened["part"] == 0)),
            Assert(idle | ~(turn.header | turn.header_end) | head.long),
            Assert(idle | ~turn.header_end | head.over),
            Assert(idle | ~turn.tag | head.sealed),
            Assert(idle | ~(turn.skip | turn.text) | last | ((left >= -1) & (left < 4096 - 3))),
            Assert(idle | ~turn.text | (run <= content)),
            Assert(idle | ~turn.skip | (run <= skipped)),
            Assert(idle | (one == (content == 1))),
            Assert(idle | (skips_one == (skipped == 1))),
            Assert(idle | (no_text == (~head.long & ~head.has_content))),
            Assert(idle | (more == (head.sealed | head.skips))),
            Assert(idle | (behind == (head.sealed | (skipped == 1)))),
            Assert(idle | (with_block == ((content == 1) & ~head.sealed & ~head.skips))),
            Assert(~(may_go & opened["with_block"]) & ~(may_take & ~opened["with_block"])),
            Assert(~idle | may_go),
        ]
        return turns

    def _at_hand(self):
        return self._egress.head, self._egress.turn, self._egress.idle

    def _follow_packer(self, m, spent):
        """How many beats there are or will be, which is limited; one leaves while there are 6."""
        opened, packer, idle = self._opened, self._egress.packer, self._egress.idle
        inner, queue = opened.within("packer"), opened.within("packer", "beats")
        level, valid, room = queue["level"], queue["read__valid"], packer.room
        piece = packer.pieces
        beats = level + piece.valid + (inner["fill"] != 0) + inner["beat_valid"]
        if self._parts == 1:
            placed = inner["placed_valid"] & (inner["whole"] | inner["placed"][-1])
            beats += placed + inner["leaves_rest"] + inner["flush"]
        else:
            beats += inner["rest_follows"]
        stored = level - valid
        may = ~idle & (opened["may_go"] | opened["may_take"])
        # Behind reset there is no room for a cycle, and then it is heeded.
        begun = Signal(2)
        m.d.sync += begun.eq(Cat(1, begun))
        m.d.comb += [
            Assert(level <= MOST_BEATS, "each beat has a place"),
            Assert(beats + Mux(level < Packer.WAITING, 0, may + room) <= MOST_BEATS),
            Assert(~begun[0] | room | (level >= Packer.WAITING - 1)),
            Assert(~begun[1] | idle | may | (level >= Packer.WAITING - 2)),
            Assert(~piece.valid | (piece.payload.bytes <= self._profile.completion_bytes)),
            Assert(begun[0] | (idle & ~begun[1])),
            Assert(begun[1] | ((beats == 0) & (spent == 0))),
            Assert((stored < 2) | valid),
            Assert(queue["stored"] == (stored != 0)),
            Assert((stored >= 0) & (((queue["free"] - queue["first"]) & 15) == (stored & 15))),
            Assert(queue["second"] == ((queue["first"] + 1) & 15)),
        ]
        return beats


def _turns(completion):
    """How often something of it is written or skipped: its header, and blocks."""
    return 1 + ~completion.short + _blocks(completion) - 1


def _blocks(completion):
    """How many blocks are its."""
    text = completion.content_blocks + completion.skipped_blocks
    header = completion.short + completion.long + (completion.long & completion.over)
    return text + header + completion.sealed


def _is_whole(completion):
    """What is known of all completions: a record that was sealed has text and a tag."""
    sealed, long, short = completion.sealed, completion.long, completion.short
    content, skipped = completion.content_blocks, completion.skipped_blocks
    return Cat(
        completion.has_content == (content != 0),
        completion.skips == (skipped != 0),
        ~sealed | (skipped == 0),
        ~(short & long),
        completion.content_rest <= BLOCK_BYTES,
        completion.header_rest <= BLOCK_BYTES,
        ~short | (completion.header_rest[:4] <= BLOCK_BYTES - HEADER_BYTES),
        ~(short | long) | (sealed & completion.has_content),
        content + skipped < 1 << 11,
    ).all()


def _ones(value):
    return sum(value[i] for i in range(len(value)))


PROPERTIES = [
    Property(
        name=f"progress.egress.{profile.name}",
        promise=f"A completion ({profile.name}) that is judged and has its tag and mask waits for "
        f"1 cycle while less than {_WAITING} others do, and begins within 2 behind the one before "
        f"it; it has left after {2 * parts} cycles for its header and each block of it, and "
        f"{MOST_BEATS}, beside those in which the host is not ready or a block is not there; and "
        "it takes just the blocks that are released for it, if tickets come together.",
        design=lambda profile=profile: _Leaves(profile),
        method=Induction(within=20, cut=("w:*data*",)),
        mutant=mutant,
    )
    for profile, parts, mutant in (
        (
            COMPACT,
            4,
            Mutant(
                what="the only tag that is there does not count",
                module="hdl.pipeline.egress",
                old="tag_there.eq(tags[1:].any() | (tags[0] & ~tag_taken)),",
                new="tag_there.eq(tags[1:].any()),",
            ),
        ),
        (
            FAST,
            1,
            Mutant(
                what="a run of blocks is one longer than it is",
                module="hdl.pipeline.egress",
                old="m.d.sync += left.eq(first - 3)",
                new="m.d.sync += left.eq(first - 2)",
            ),
        ),
    )
]
