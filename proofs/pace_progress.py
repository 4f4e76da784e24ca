"""How far apart the pipelined engine's slots come: as far as what is behind them needs it."""

from amaranth.hdl import Assert, Assume, Mux, Signal

from hdl.profile import COMPACT, FAST
from proofs.open_scheduler import OpenScheduler
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES"]

#: For each request that has no message, between two that have one.
_BETWEEN = 3
#: Cycles that are not counted any more.
_LONG = 127


class _Apart(OpenScheduler):
    """`Scheduler` with any requests and masks, and an AES core that takes a block when it likes.

    With slots some cycles apart, that is a cycle behind the first one in which the block is valid,
    or later, as it goes through a register.
    """

    def describe(self, m, opened, block):
        slot, begins = block.slots.payload, block.slots.valid
        last, needs_none = Signal(), ~(slot.has_block | slot.last)
        with m.If(begins):
            m.d.sync += last.eq(slot.last)
        if block.pace == 1:
            since_last = Signal(2, init=3)
            ends, idle, late = begins & slot.last, opened["idle"], opened["late"]
            m.d.sync += since_last.eq(Mux(ends, 1, since_last + (since_last != 3)))
            m.d.comb += [
                Assert(~begins | (since_last != 1) | needs_none, "a slot is left behind a message"),
                Assert(~ends | (since_last == 3), "messages end so far apart"),
                Assert((since_last != 1) | idle),
                Assert(idle | late | (since_last == 3) | (opened["text"] & opened["tag_left"])),
                Assert(since_last != 0),
            ]
        else:
            waited = Signal()  # a block, for the core
            m.d.sync += waited.eq(block.blocks.valid & ~block.blocks.ready)
            self._follow_blocks(m, opened, block, begins, last, needs_none, waited)
            self._follow_messages(m, opened, block, last, waited)
        names = ("text", "late", "more_associated", "tag_left")
        idle, text, late, more, tag = (opened[x] for x in ("idle", *names))
        text_left, associated_left = opened["text_left"], opened["associated_left"]
        m.d.comb += [
            Assert(~idle | ~(text | late | more | tag)),
            Assert(text == (text_left != 0)),
            Assert(opened["last_text"] == (text_left == 1)),
            Assert(idle | (more == (associated_left > 1))),
            Assert(idle | ~more | tag | late),
            Assert(~(tag & late)),
            Assert(idle | ~text | ~late),
        ]

    def _follow_blocks(self, m, opened, block, begins, last, needs_none, waited):
        """From the block of one slot to that of the next, as the core takes them."""
        pace = block.pace
        blocks, left, may = block.blocks, opened.register("left"), opened["may_advance"]
        taken, starts = blocks.valid & blocks.ready, opened["starts"]
        #: Of the slot whose block is valid: whether it needs no time, and whether a message has
        #: begun since the block before was taken. Of that block, whether it was the last.
        none, gap, valid_gap, behind = (Signal() for _ in range(4))
        apart = Signal(8, init=2 * pace)
        m.d.sync += apart.eq(Mux(taken, 1, Mux(apart < 2 * pace, apart + 1, apart)))
        with m.If(begins):
            m.d.sync += [none.eq(needs_none), valid_gap.eq(gap), gap.eq(0)]
        with m.Elif(starts):
            m.d.sync += gap.eq(1)
        with m.If(taken):
            m.d.sync += behind.eq(last)
        far = apart >= 2 * pace
        before = 2 * pace - 2
        m.d.comb += [
            Assume(~blocks.ready | (blocks.valid & waited)),
            Assert(~taken | (apart >= pace), "blocks are as far apart as slots"),
            Assert(~(taken & behind) | none | far, "a slot is left behind a message"),
            Assert(~(may & blocks.valid)),
            Assert(~may | (apart >= Mux(gap, before, pace - 2))),
            Assert(may | blocks.valid | (apart + left >= Mux(gap, before - 1, pace - 3))),
            Assert(~blocks.valid | (apart >= Mux(valid_gap, before, pace - 2) + 1 + waited)),
            Assert(~blocks.valid | (~gap & (left == max(pace, 4) - 4))),
            Assert(~(blocks.valid & behind) | none | valid_gap),
            Assert(blocks.valid | (behind == last)),
            Assert(blocks.valid | ~behind | gap | opened["idle"]),
            Assert(~(blocks.valid & last) | opened["idle"]),
        ]

    def _follow_messages(self, m, opened, block, last, waited):
        """From the last block of a message to that of the next one, and requests between.

        A message begins 8 cycles behind the last block, and 3 for each that has none before it.
        """
        pace = block.pace
        blocks, left, may = block.blocks, opened.register("left"), opened["may_advance"]
        taken, takes, starts = blocks.valid & blocks.ready, opened["takes"], opened["starts"]
        idle, text, late = opened["idle"], opened["text"], opened["late"]
        ends, between = taken & last, takes & ~starts & ~block.control_done
        since_last, since_start = Signal(7, init=_LONG), Signal(7, init=_LONG)
        since_take, count = Signal(2, init=3), Signal(4)
        has_text, own = Signal(), Signal()  # own: a slot of it has begun
        for since, event in ((since_last, ends), (since_start, starts)):
            m.d.sync += since.eq(Mux(event, 1, since + (since != _LONG)))
        m.d.sync += [
            since_take.eq(Mux(takes, 1, since_take + (since_take != 3))),
            count.eq(Mux(ends, 0, count + between)),
            own.eq(Mux(starts, 0, own | (block.slots.valid & ~idle))),
        ]
        with m.If(starts):
            m.d.sync += has_text.eq(opened["text_blocks"] != 0)
        apart = Mux(has_text, 3 * pace, 2 * pace + 1) + _BETWEEN * count
        at_hand = ~idle | (blocks.valid & last)
        waits = ~may & ~blocks.valid
        long = since_last == _LONG

        m.d.comb += [
            Assume(count < 8),
            Assert(~ends | (since_last >= apart), "messages end so far apart"),
            Assert(since_take != 0),
            Assert(~opened["described"] | (since_take >= 2)),
            Assert(~opened["may_take"] | (since_take == 3)),
            # Before it begins.
            Assert(at_hand | ~may | long | (since_last >= pace - 2)),
            Assert(at_hand | ~waits | long | (since_last + left >= pace - 3)),
            Assert(at_hand | ~blocks.valid | long | (since_last >= pace - 1)),
            Assert(
                (at_hand | long | (count == 0))
                | (since_last >= pace - 5 + _BETWEEN * count + since_take)
            ),
            # Then: before its first slot, before its last one, and while that waits for the core.
            Assert(~at_hand | long | (since_last >= since_start + pace - 2 + _BETWEEN * count)),
            Assert(idle | (text == has_text)),
            Assert(idle | ~late | (~has_text & ~own)),
            Assert(idle | own | ~may | (since_start >= pace + ~(late | has_text))),
            Assert(idle | own | late | has_text | may),
            Assert(idle | own | ~waits | (since_start + left >= pace - 1)),
            Assert(idle | own | ~blocks.valid | (since_start >= 1 + waited)),
            Assert(idle | ~own | (since_start > pace)),
            Assert(idle | ~has_text | opened["tag_left"] | own),
            Assert(
                idle | ~(own & has_text & ~opened["tag_left"] & may) | (since_start >= 2 * pace)
            ),
            Assert(idle | ~(own & has_text & waits) | (since_start + left >= 2 * pace - 1)),
            Assert(idle | ~(own & blocks.valid) | (since_start >= pace + 1 + waited)),
            Assert(
                ~(blocks.valid & last)
                | (since_start >= Mux(has_text, 2 * pace, pace + 1) + 1 + waited)
            ),
        ]


PROPERTIES = [
    Property(
        name=f"progress.pace.{profile.name}",
        promise=f"Slots of the scheduler ({profile.name}) come {pace}. Behind the last one of a "
        "message is one without a block for the hash unit, or none in its time; the last one of "
        f"the next message comes {apart} later at the least.",
        design=lambda profile=profile: _Apart(profile),
        method=Induction(within=40, cut=("w:*nonce",)),
        mutant=mutant,
    )
    for profile, pace, apart, mutant in (
        (
            COMPACT,
            "so that the AES core takes their blocks 10 cycles apart, or more",
            "30 cycles, or 21 without text, and 3 for each request between that has no message,",
            Mutant(
                what="a slot without a block takes no longer than one with it",
                module="hdl.pipeline.scheduler",
                old="left.eq(least + Mux(valid, 0, 2))",
                new="left.eq(least)",
            ),
        ),
        (
            FAST,
            "one a cycle at the most",
            "3 cycles",
            Mutant(
                what="a message begins in the slot in which the one before ends",
                module="hdl.pipeline.scheduler",
                old="starts.eq(may_take & idle & advance & has_blocks)",
                new="starts.eq(may_take & (idle | ends) & advance & has_blocks)",
            ),
        ),
    )
]
