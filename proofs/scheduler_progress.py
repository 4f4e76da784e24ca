"""The scheduler of the pipelined engine gives a message all its slots, whatever masks come."""

from amaranth.hdl import Assert, Assume, Mux, Signal

from hdl.profile import COMPACT, FAST
from proofs.open_scheduler import OpenScheduler
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES", "most_between"]


def most_between(pace: int) -> int:
    """Cycles behind a block that the AES core has taken in which no slot may begin."""
    return max(pace, 4) - 1


class _Ends(OpenScheduler):
    """`Scheduler` with any requests and masks, and an AES core that takes a block when it likes.

    Counted are the cycles of a message in which a slot may begin. Where slots are some cycles
    apart, masks between blocks of text do not count: as many may come as there are wanted. The
    cycles between two slots are counted beside them, but for those in which the core takes none.
    """

    def describe(self, m, opened, block):
        # What is handed over holds until it is taken: a block of the core's.
        m.d.comb += Assume(~block.blocks.ready | block.blocks.valid)
        starts, advance = opened["starts"], opened["advance"]
        blocks, spent = Signal(13), Signal(16)
        with m.If(starts):
            m.d.sync += [
                blocks.eq(opened["text_blocks"] + opened["associated_blocks"]),
                spent.eq(0),
            ]
        with m.Elif(~opened["idle"] & advance & ~(self._lets_in(opened) & (block.pace > 1))):
            m.d.sync += spent.eq(spent + 1)
        most = blocks + 2 if block.pace > 1 else 2 * blocks + 5
        m.d.comb += Assert(opened["idle"] | (spent <= most), "a message has its slots")
        self._follow(m, opened, block.pace, most, spent)
        if block.pace > 1:
            self._follow_pace(m, opened, block)

    def _lets_in(self, opened):
        """Whether a mask comes between two blocks of text."""
        begins = opened["late"] | opened["more_associated"] | opened["tag_left"]
        return opened["takes_mask"] & opened["text"] & ~begins

    def _follow(self, m, opened, pace, most, spent):
        """What is left of the message at hand, and how long it takes with masks between."""
        names = ("text_left", "associated_left", "late", "tag_left", "urgent", "idle")
        text, associated, late, tag, urgent, idle = (opened[x] for x in names)
        more = opened["more_associated"]
        left = text + Mux(more, associated, 1) - 1 + late + (tag | late)
        m.d.comb += [
            Assert(idle | (left != 0)),
            Assert(idle | (spent + (left if pace > 1 else 2 * left + urgent) <= most)),
            Assert(opened["text"] == (text != 0)),
            Assert(opened["last_text"] == (text == 1)),
            Assert(idle | (more == (associated > 1))),
            Assert(~(tag & late)),
            Assert(idle | ~more | tag | late),
            Assert(idle | (text == 0) | ~late),
        ]

    def _follow_pace(self, m, opened, block):
        """Behind a block that was taken, the next slot soon may begin."""
        waits, most = Signal(8), most_between(block.pace)
        left, may = opened.register("left"), opened["may_advance"]
        m.d.sync += waits.eq(Mux(may | block.blocks.valid, 0, waits + 1))
        m.d.comb += [
            Assert(waits <= most, "a slot may begin soon behind a block that was taken"),
            Assert(may | (waits + left <= most - 1)),
        ]


_MUTANT = Mutant(
    what="a message with text does not give back what it has",
    module="hdl.pipeline.scheduler",
    old="ends.eq(last_text),",
    new="ends.eq(~text),",
)

PROPERTIES = [
    Property(
        name=f"progress.scheduler.{profile.name}",
        promise=f"A message that has begun ({profile.name}) has all its slots after {most}.",
        design=lambda profile=profile: _Ends(profile),
        method=Induction(within=20, cut=("w:*nonce",)),
        mutant=_MUTANT,
        broken_design=lambda: _Ends(FAST),
    )
    for profile, most in (
        (
            COMPACT,
            "as many as it has blocks, and 2, beside the masks that come between; each may begin "
            "10 cycles after the AES core has taken the one before, at the latest",
        ),
        (FAST, "twice as many cycles as it has blocks, and 5, whatever masks come between"),
    )
]
