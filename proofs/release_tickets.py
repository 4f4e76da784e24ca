"""The pipelined engine's way out: no block leaves with the completion of another request."""

from amaranth.hdl import Assert, Const, Elaboratable, Module, Signal

from driver.messages import Status
from hdl.pipeline.layouts import void_if
from hdl.profile import COMPACT, FAST, Profile
from proofs.open_egress import OpenEgress
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES"]


class _Tickets(Elaboratable):
    """`Egress`, whatever the tickets of requests and blocks are."""

    def __init__(self, profile: Profile):
        self._profile = profile
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        block = OpenEgress(m, self._profile, lambda completion: Const(1))
        self.ports += block.ports
        self._count(m, block)

        opened, turn, head = block.opened, block.turn, block.head
        ticket = opened.blocks.payload.ticket.as_value()
        foreign, stopped, was_foreign = Signal(), Signal(), Signal()
        # All but the header of a packet, where nothing of a block is beside it.
        m.d.comb += foreign.eq((ticket != head.ticket.as_value()) & (~turn.start | head.short))
        written = opened["goes"] & ~block.idle & ~turn.skip
        m.d.sync += [was_foreign.eq(foreign), stopped.eq(stopped | (written & foreign))]
        valid = block.packer.pieces.valid
        m.d.comb += [
            Assert(~valid | ~was_foreign, "no block of another ticket leaves"),
            Assert(~valid | ~stopped, "nothing leaves behind one"),
            Assert(stopped == opened["halted"]),
        ]
        return m

    def _count(self, m, block):
        """Which number is next, of those that are put into the queue."""
        opened, written = block.opened, block.queue.write
        first, next_ = block.first, opened["number"]
        number = Signal.like(next_)
        with m.If(written.valid):
            m.d.sync += number.eq(number + 1)
        m.d.comb += [
            Assert(
                ~written.valid | (_number(written.payload, written.payload.front.status) == number),
                "in the order of their numbers, void with a refusal only",
            ),
            Assert(next_ == (number + opened["goes_on"])[: len(number)]),
            Assert(
                ~(opened["full"] & first.in_order)
                | (_number(first.request, first.request.status) == next_)
            ),
        ]


def _number(of, status):
    """The number of its ticket, void or not as its status has it."""
    return void_if(status != Status.OK, of.ticket).number


PROPERTIES = [
    Property(
        name=f"release.tickets.{profile.name}",
        promise=f"The pipelined engine ({profile.name}) writes completions in the order of their "
        "tickets, void with a refusal and only then; each block only with the completion whose "
        "ticket it has, and nothing behind one that has another.",
        design=lambda profile=profile: _Tickets(profile),
        method=Induction(within=14),
        mutant=Mutant(
            what="a block may leave with any completion that its number is not far from",
            module="hdl.pipeline.egress",
            old="(blocks.payload.ticket != head.ticket)",
            new="(blocks.payload.ticket.number[1:] != head.ticket.number[1:])",
        ),
    )
    for profile in (COMPACT, FAST)
]
