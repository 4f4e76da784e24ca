"""How far apart the pipelined engine's slots come: as far as what is behind them needs it."""

from amaranth.hdl import Assert, Assume, Elaboratable, Module, Mux, Signal

from hdl.profile import COMPACT, FAST, Profile
from proofs.credits import inputs_of, scheduler_of
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES"]


class _Apart(Elaboratable):
    """`Scheduler` with any requests and masks, and an AES core that takes a block when it likes.

    With slots some cycles apart, that is a cycle behind the first one in which the block is valid,
    or later, as it goes through a register.
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        block, _, _ = scheduler_of(self._profile)
        m.submodules.scheduler = self._opened = opened = Opened(block)
        self.ports += inputs_of(block)
        slot, begins = block.slots.payload, block.slots.valid
        last, needs_none = Signal(), ~(slot.has_block | slot.last)
        with m.If(begins):
            m.d.sync += last.eq(slot.last)
        if block.pace == 1:
            before = Signal()
            m.d.sync += before.eq(begins & slot.last)
            m.d.comb += [
                Assert(~(before & begins) | needs_none, "a slot is left behind a message"),
                Assert(~before | opened["idle"]),
            ]
        else:
            self._follow_blocks(m, block, begins, last, needs_none)
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
        return m

    def _follow_blocks(self, m, block, begins, last, needs_none):
        """From the block of one slot to that of the next, as the core takes them."""
        opened, pace = self._opened, block.pace
        blocks, left, may = block.blocks, opened.register("left"), opened["may_advance"]
        taken, starts = blocks.valid & blocks.ready, opened["starts"]
        #: Of the slot whose block is valid: whether it needs no time, and whether a message has
        #: begun since the block before was taken. Of that block, whether it was the last.
        none, gap, valid_gap, behind, waited = (Signal() for _ in range(5))
        apart = Signal(8, init=2 * pace)
        m.d.sync += [
            waited.eq(blocks.valid & ~blocks.ready),
            apart.eq(Mux(taken, 1, Mux(apart < 2 * pace, apart + 1, apart))),
        ]
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


PROPERTIES = [
    Property(
        name=f"progress.pace.{profile.name}",
        promise=f"Slots of the scheduler ({profile.name}) come {pace}, and behind the last one of "
        "a message is one without a block for the hash unit, or none in its time.",
        design=lambda profile=profile: _Apart(profile),
        method=Induction(within=40, cut=("w:*nonce",)),
        mutant=mutant,
    )
    for profile, pace, mutant in (
        (
            COMPACT,
            "so that the AES core takes their blocks 10 cycles apart, or more",
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
            Mutant(
                what="a message begins in the slot in which the one before ends",
                module="hdl.pipeline.scheduler",
                old="starts.eq(may_take & idle & advance & has_blocks)",
                new="starts.eq(may_take & (idle | ends) & advance & has_blocks)",
            ),
        ),
    )
]
