"""The pipelined engine's tickets: each request draws one, and the slots of its message have it."""

from amaranth.hdl import Assert, Signal
from amaranth.lib import data

from driver.messages import Opcode
from hdl.pipeline.layouts import SlotUse, Ticket
from hdl.pipeline.numbering import numbered_layout
from hdl.profile import COMPACT, FAST
from proofs.credits import Credits
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES"]

_OPENING = (Opcode.OPEN, Opcode.AEAD_OPEN)


class _Drawn(Credits):
    """`Scheduler`, as in `credits`: no more requests are under way than there are numbers."""

    def promise(self, m, opened, begun):
        block = opened.block
        pending, slot = block.pending, block.slots.payload
        # Of the next request, and of the last message, which may still have slots.
        drawn, message, goes_on = Signal(Ticket["number"].width), Signal(Ticket.size), Signal()
        ticket, uses = pending.payload.ticket, slot.has_block | (slot.use == SlotUse.TAG)
        opens = pending.payload.echo.opcode.matches(*_OPENING)
        begins = block.messages.valid
        with m.If(pending.valid):
            m.d.sync += drawn.eq(drawn + 1)
        with m.If(begins):
            m.d.sync += message.eq(ticket)
        m.d.sync += goes_on.eq(begins | (goes_on & ~(block.slots.valid & uses & slot.last)))
        m.d.comb += [
            Assert(begun < 1 << len(drawn), "those under way have different numbers"),
            Assert(~pending.valid | (ticket.number == drawn), "each draws the next number"),
            Assert(~pending.valid | (ticket.opening == opens), "its ticket says whether it opens"),
            Assert(~block.control_done | (block.ticket.number == drawn), "so does control's"),
            Assert(~begins | (pending.valid & ~goes_on), "a message is that of one request"),
            Assert(
                ~(block.slots.valid & uses) | (goes_on & (slot.ticket.as_value() == message)),
                "its slots have its ticket",
            ),
        ]
        request = data.View(numbered_layout(), opened["head"]).request
        opens = request.echo.opcode.matches(*_OPENING)
        busy = (opened[x] for x in ("text", "late", "more_associated", "tag_left"))
        m.d.comb += [
            Assert(opened["number"] == drawn),
            Assert(~opened["ready"] | (opened["opening"] == opens)),
            Assert(goes_on == ~opened["idle"]),
            Assert(~goes_on | (opened.register("ticket") == message)),
            *(Assert(goes_on | ~x) for x in busy),
        ]


PROPERTIES = [
    Property(
        name=f"release.scheduler.{profile.name}",
        promise=f"Each request ({profile.name}) draws another ticket than all that are under way, "
        "which says whether it opens something; the slots of its message have it, and no others.",
        design=lambda profile=profile: _Drawn(profile),
        method=Induction(within=20, cut=("w:*nonce",)),
        mutant=Mutant(
            what="a refused request draws none, and the one behind it the same",
            module="hdl.pipeline.scheduler",
            old="with m.If(takes):\n            m.d.sync += number",
            new="with m.If(starts):\n            m.d.sync += number",
        ),
    )
    for profile in (COMPACT, FAST)
]
