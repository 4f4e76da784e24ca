"""Slots of the pipelined engine are filled only while nothing else is under way."""

from amaranth.hdl import Assert, Assume, Cat, Elaboratable, Module, Mux, Signal

from driver.messages import Opcode
from hdl.packet_stream import packet_layout
from hdl.pipeline.lookup import Lookup
from hdl.profile import COMPACT, FAST
from proofs.credits import Credits
from proofs.open_control import OpenControl
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.smt import Induction, InductionAndRun
from proofs.streams import SMALL_RING

__all__ = ["PROPERTIES"]


class _Emptied(Credits):
    """`Scheduler`, as in `credits`: from when control begins with a request until it is done."""

    def promise(self, m, opened, begun):
        block, carries_out = opened.block, Signal()
        m.d.sync += carries_out.eq((carries_out | block.control) & ~block.control_done)
        m.d.comb += [
            Assert(carries_out == opened["waits"]),
            Assert(~(block.control | carries_out) | (begun == 0), "nothing is under way then"),
            Assert(
                ~(block.control | carries_out) | ~block.pending.valid | block.control_done,
                "and nothing begins",
            ),
        ]


class _Filled(OpenControl):
    """Slots are filled, and reports given, while `Control` is busy with a request."""

    def promise(self, m, opened):
        block, busy, was_busy = self._block, self._busy, Signal()
        m.d.sync += was_busy.eq(busy)
        m.d.comb += [
            Assert(
                ~(block.write_slot & block.ready) | (busy & was_busy & ~block.done),
                "a slot is filled within a request",
            ),
            Assert(busy | ~(block.append | block.appended.any()), "so is a report given"),
        ]

    def follow(self, m, opened):
        reports, steps = opened.ongoing("report"), opened["steps"]
        m.d.comb += [
            Assert(opened["halves"] == Mux(reports, Cat(steps == 7, steps == 15), 0)),
            Assert(~self._block.done | opened["reported"]),
        ]

    async def drive(self, context) -> None:
        """A ZEROIZE as soon as control is ready."""
        await self.wait_for_reset(context)
        await self.start(context, Opcode.ZEROIZE, stands=4)


class _LetIn(Elaboratable):
    """`Lookup` with any packets; no request gets through the pipeline in less than three cycles."""

    def __init__(self):
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        block = Lookup(COMPACT)
        block._planner = planner = Opened(block._planner)
        m.submodules.lookup = block
        packets, beat = block.packets, packet_layout(16)(block.packets.payload)
        self.ports += [packets.valid, packets.payload.as_value(), block.unfence, block.write]
        self.ports += [block.front.room, block.front.plans.ready, block.front.move]
        enters = packets.valid & packets.ready & block._begins
        changes = beat.data[:8].matches(Opcode.LOAD, Opcode.ZEROIZE) & (beat.bytes != 0)
        fence, before, earlier = Signal(init=1), Signal(), Signal()
        m.d.sync += [
            fence.eq((fence | (enters & changes)) & ~block.unfence),
            before.eq(fence),
            earlier.eq(before),
        ]
        m.d.comb += [
            Assume(~block.unfence | (fence & before & earlier)),
            Assert(~(fence & enters), "nothing is let in behind what changes a slot"),
        ]
        header, new = block._header, block._arrived & block._first
        changing = header.opcode.matches(Opcode.LOAD, Opcode.ZEROIZE) & (header.bytes != 0)
        waits, read = planner["waits"], planner["read"]
        m.d.comb += [
            Assert(block._opens == (packets.ready & block._begins)),
            Assert(~block._opens | ~waits),
            Assert(~read | waits),
            Assert(~new | (waits & ~read)),
            Assert(fence == (block._fenced | (new & changing))),
            Assert(~(fence & before) | block._fenced),
            Assert(~block._fenced | ~block._opens),
        ]
        return m


PROPERTIES = [
    Property(
        name="fence.lookup",
        promise="Behind a LOAD or ZEROIZE, and behind reset, Lookup lets no packet in until the "
        "slot has been changed.",
        design=_LetIn,
        method=Induction(within=12),
        mutant=Mutant(
            what="ZEROIZE is no fence",
            module="hdl.pipeline.lookup",
            old="changes = header.opcode.matches(Opcode.LOAD, Opcode.ZEROIZE)",
            new="changes = header.opcode.matches(Opcode.LOAD)",
        ),
    ),
    *(
        Property(
            name=f"fence.scheduler.{profile.name}",
            promise=f"While Control ({profile.name}) carries out a request, no other one is under "
            "way behind the scheduler, and none begins.",
            design=lambda profile=profile: _Emptied(profile),
            method=Induction(within=10, cut=("w:*nonce",)),
            mutant=Mutant(
                what="control begins while other requests are under way",
                module="hdl.pipeline.scheduler",
                old="empty.eq((under_way == 0) & ~takes)",
                new="empty.eq(~takes)",
            ),
        )
        for profile in (COMPACT, FAST)
    ),
    *(
        Property(
            name=f"fence.control.{profile.name}",
            promise=f"Once it is ready, Control ({profile.name}) fills a slot only while it "
            "carries out a request, and gives a report only then.",
            design=lambda profile=profile: _Filled(profile),
            method=InductionAndRun(),
            mutant=Mutant(
                what="ZEROIZE is said to be done when it begins",
                module="hdl.pipeline.control",
                old='with m.If(zeroizes):\n                        m.next = "wipe"\n',
                new='with m.If(zeroizes):\n                        m.next = "wipe"\n'
                "                        m.d.sync += self.done.eq(1)\n",
            ),
            broken_design=lambda: _Filled(SMALL_RING),
        )
        for profile in (COMPACT, FAST)
    ),
]
