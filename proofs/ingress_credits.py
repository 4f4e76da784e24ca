"""The pipelined engine's ingress begins no packet for which there is no place behind it."""

import itertools

from amaranth.hdl import Assert, Assume, Module, Mux, Signal

from hdl.pipeline.accelerator import DEPTHS
from hdl.pipeline.ingress import Ingress
from hdl.profile import COMPACT, FAST, Profile
from proofs.ingress import Packets
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES"]


class _Way:
    """From `Ingress` to a queue of some depth, over the registers that `PipelinedAccelerator` has.

    ``room`` is what that says of it. What the queue holds is its level (`queue`).
    """

    def __init__(self, m, source, depth: int, hops: int, read: Signal):
        self.depth = depth
        self.level, self.read = Signal(range(2 * depth)), read
        steps = [source]
        for _ in range(hops):
            step = Signal()
            m.d.sync += step.eq(steps[-1])
            steps.append(step)
        m.d.sync += self.level.eq(self.level + steps[-1] - read)
        m.d.comb += Assume(~read | (self.level != 0))
        self.room = self.level < depth - 2 - hops
        #: All that has left `Ingress`.
        self.under_way = self.level + sum(steps)
        m.d.comb += [Assert(~(step & before)) for before, step in itertools.pairwise(steps)]


class _Credits(Packets):
    """Both queues are read by whoever likes; plans come 3 cycles apart (`progress.lookup`)."""

    def __init__(self, profile: Profile, waiting: int):
        super().__init__(profile)
        self._waiting = waiting

    def rooms(self, m: Module) -> None:
        block, hops = self._block, DEPTHS[self._profile.aes].hops
        reads = [Signal(name="read_request"), Signal(name="read_mask")]
        self.ports += reads
        self._requests, self._masks = (
            _Way(m, port.valid, depth, hops, read)
            for port, depth, read in zip(
                (block.requests, block.masks), (self._waiting, 16), reads, strict=True
            )
        )
        m.d.comb += [
            block.requests_room.eq(self._requests.room),
            block.masks_room.eq(self._masks.room),
        ]

    def promise(self, m: Module) -> None:
        block, sections = self._block, self._sections
        begins = Signal(2)
        m.d.sync += begins.eq(begins << 1 | (block.front.plans.valid & block.front.plans.ready))
        m.d.comb += Assume(~block.front.plans.valid | ~begins.any())
        start, command, use = self.is_in("start"), sections.command.use, block._use
        cut = block._completes
        # Those that have begun: in a state, in a command, and behind it.
        requests = ~start + command.end + (use.end & cut)
        masks = (~start & sections._samples) + command.sample + (use.sample & cut)
        requests, masks = self._requests.under_way + requests, self._masks.under_way + masks
        m.d.comb += [
            Assert(requests <= self._requests.depth, "each request has a place"),
            Assert(masks <= self._masks.depth, "each mask has a place"),
            Assert(~command.end | start),
            Assert(~command.sample | (~start & ~sections._samples)),
            Assert(start | ~sections._samples | sections.plan.open),
            Assert(~(command.end & use.end & cut) & ~(command.sample & use.sample & cut)),
            Assert(~(use.end & cut & block.requests.valid)),
            Assert(~(use.sample & cut & block.masks.valid)),
        ]
        self._promise_blocks(m)

    def _promise_blocks(self, m):
        """Those that are held or asked for, and those that the beats inside can have."""
        block, sections, front = self._block, self._sections, self._block.front
        depth, plan = self._profile.queue_blocks, self._sections.plan
        command, use, start = sections.command.use, block._use, self.is_in("start")
        full = self._opened.within("sections", "gate")["full"]
        beats, ended = sections._gate.read.valid + full, sections._ended | start
        taken = self.held + self._opened["count"] + (use.write & block._completes) + command.write
        # A piece that leaves something in its beat, or a block of a header that is built.
        extra = ~start & ~self.is_in("tag", "drain")
        extra &= plan.aead | plan.open | self.is_in("template end")
        # Without room another packet can begin for two cycles more.
        had_room = Signal()
        m.d.sync += had_room.eq(front.room)
        begins = Mux(start, had_room | front.room, front.room)
        coming = extra + Mux(ended, 0, beats) + Mux(begins, 2 + Mux(ended, beats, 0), 0)
        m.d.comb += [
            Assert(taken <= depth, "no block is written over"),
            # There is room if there was in the count of two cycles before.
            Assert(Mux(block._room, taken + Ingress.MARGIN - 5, taken + coming) < depth),
        ]


PROPERTIES = [
    Property(
        name=f"credits.ingress.{profile.name}",
        promise=f"`Ingress` ({profile.name}) begins no packet without a place for its request and "
        "its mask in the queues behind it, and writes no block over one that is still to be read.",
        design=lambda profile=profile: _Credits(profile, DEPTHS[profile.aes].waiting),
        method=Induction(depth=4, within=30, cut=("w:*words*",)),
        mutant=Mutant(
            what="a packet begins if there is room for its blocks only",
            module="hdl.pipeline.ingress",
            old="front.room.eq(self._room & self.requests_room & self.masks_room)",
            new="front.room.eq(self._room)",
        ),
        broken_design=lambda: _Credits(FAST, waiting=5),
    )
    for profile in (COMPACT, FAST)
]
