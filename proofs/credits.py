"""The scheduler of the pipelined engine never begins more than there is room for behind it."""

from amaranth.hdl import Assert, Assume, Mux, Signal
from amaranth.lib import data

from driver.messages import Opcode, Status
from hdl.pipeline.numbering import numbered_layout
from hdl.profile import COMPACT, FAST
from proofs.open_scheduler import OpenScheduler
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["OF_CONTROL", "PROPERTIES", "Credits"]

#: Opcodes of requests that `hdl.pipeline.control` carries out.
OF_CONTROL = (Opcode.LOAD, Opcode.ZEROIZE, Opcode.INFO, Opcode.STATS)


class Credits(OpenScheduler):
    """`Scheduler` with any requests and masks.

    Nothing leaves that has not begun, no block that was not claimed; and what control answers
    with has room in the queue of blocks, which is empty then.
    """

    def describe(self, m, opened, block):
        depth, in_flight = self._depth, self._in_flight
        # What is under way: requests, and blocks that are claimed.
        begun, claimed = Signal(range(in_flight + 1)), Signal(range(depth + 1))
        claims = Signal(range(depth + 1))
        takes, starts = opened["takes"], opened["starts"]
        accepted, released = opened["accepted"], opened["released"]
        m.d.comb += [
            claims.eq(
                Mux(block.control_done, block.control_blocks, Mux(starts & accepted, released, 0))
            ),
            Assume(~block.left | (begun != 0)),
            Assume(~block.block_left | (claimed != 0)),
            Assume(~block.control_done | opened["waits"]),
            Assume(~block.control_done | (claimed + block.control_blocks <= depth)),
        ]
        m.d.sync += [
            begun.eq(begun + takes - block.left),
            claimed.eq(claimed + claims - block.block_left),
        ]
        m.d.comb += [
            Assert(begun + takes <= in_flight, "requests under way have a place"),
            Assert(claimed + claims <= depth, "blocks under way have a place"),
        ]
        self.promise(m, opened, begun)
        self._follow(m, opened, begun, claimed)

    def promise(self, m, opened, begun):
        """What else is asserted; ``begun`` counts the requests under way."""
        pending = opened.block.pending
        opens = pending.valid & (pending.payload.status == Status.OK)
        opens &= pending.payload.echo.opcode.matches(Opcode.OPEN, Opcode.AEAD_OPEN)
        m.d.comb += Assert(~opens | pending.payload.tagged, "what is opened is compared")

    def _follow(self, m, opened, begun, claimed):
        """The scheduler's counts, and what holds of a request that may begin: invariants."""
        names = ("under_way", "free", "claimed", "released", "text_blocks", "associated_blocks")
        under_way, free, claims, released, text, associated = (opened[x] for x in names)
        names = ("ready", "described", "may_take", "may_control", "waits", "accepted")
        ready, described, may_take, may_control, waits, accepted = (opened[x] for x in names)
        control, sealing, is_record = (
            opened.register("control"),
            opened["sealing"],
            opened["is_record"],
        )
        blocks = text + sealing + Mux(is_record & sealing, associated, 0)
        request = data.View(numbered_layout(), opened["head"]).request
        has_blocks = request.status.matches(Status.OK, Status.KEY_LIMIT)
        m.d.comb += [
            Assert(~ready | (opened["has_blocks"] == has_blocks)),
            Assert(~(ready & control) | request.echo.opcode.matches(*OF_CONTROL)),
            Assert(under_way == begun),
            Assert(free == self._depth - claimed + claims),
            Assert(claims <= claimed),
            Assert(~described | (ready & (claims == 0) & (released == blocks))),
            Assert(~may_take | (described & ~control & (under_way < self._in_flight))),
            Assert(~may_take | (free >= released) | ~accepted),
            Assert(~may_control | (described & control & (under_way == 0))),
            Assert(~opened["empty"] | (under_way == 0)),
            Assert(~waits | (ready & control & (under_way == 0) & ~may_control)),
        ]


PROPERTIES = [
    Property(
        name=f"credits.{profile.name}",
        promise=f"The scheduler ({profile.name}) never has more requests under way, or more blocks "
        "on their way to completions, than there are places for; and of each request that it opens "
        "the tag is asked for.",
        design=lambda profile=profile: Credits(profile),
        method=Induction(within=10, cut=("w:*nonce",)),
        mutant=Mutant(
            what="whether there is room is asked before what was begun is counted",
            module="hdl.pipeline.scheduler",
            old="may_take.eq(described & ~takes & ~control & room)",
            new="may_take.eq(ready & ~takes & ~control & room)",
        ),
    )
    for profile in (COMPACT, FAST)
]
