"""Blocks leave the pipelined engine's block queues in the order of their places."""

from amaranth.hdl import Assert, Assume, Const, Elaboratable, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.pipeline.queue import BlockQueue
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES"]

_WIDTH = 128


class _Places(wiring.Component):
    """Stands for a block RAM in which each place holds its number, whatever is written to it.

    It is there two cycles later, as in `hdl.block_ram.BlockRAM`.
    """

    def __init__(self, depth: int):
        address = range(depth)
        super().__init__(
            {
                "write": In(1),
                "write_address": In(address),
                "write_data": In(_WIDTH),
                "read_address": In(address),
                "read_data": Out(_WIDTH),
            }
        )
        self.earlier = Signal(address)

    def elaborate(self, platform):
        m = Module()
        m.d.sync += [self.earlier.eq(self.read_address), self.read_data.eq(self.earlier)]
        return m


class _InOrder(Elaboratable):
    """A queue of blocks, whose writer has no more released than there are places."""

    def __init__(self, depth: int, slow: bool, hops: int):
        self._depth, self._slow, self._hops = depth, slow, hops
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        block = BlockQueue(self._depth, self._slow, self._hops)
        block.memory = memory = _Places(self._depth)
        m.submodules.queue = opened = Opened(block)
        self.ports += [block.write, block.address, block.data, block.release, block.blocks.ready]
        held, number = Signal(range(self._depth + 1)), Signal(range(self._depth))
        taken = block.blocks.valid & block.blocks.ready
        m.d.sync += held.eq(held + block.release - taken)
        m.d.comb += Assume(block.release <= self._depth - held)
        place = opened["place"]
        if self._slow:
            self._follow_one(m, opened, memory, place)
            gives, given, ahead = taken, block.blocks.payload, 0
        else:
            # To the queue behind it, of one memory, which gives what was put in (`queue.16`).
            gives, given = opened["write__valid"], opened["write__payload"]
            ahead = self._follow_ahead(m, opened, memory, place)
        m.d.sync += number.eq(number + gives)
        m.d.comb += Assert(place == (number + ahead)[: len(place)])
        m.d.comb += Assert(~gives | (given == number), "one place after the other")
        return m

    def _follow_one(self, m, opened, memory, place):
        """The place of the block at hand is read until it is taken."""
        fetched, arrives, valid = opened["fetched"], opened["arrives"], opened.block.blocks.valid
        m.d.comb += [
            Assert(opened["busy"] == fetched + arrives + valid),
            Assert(~(fetched | arrives | valid) | (memory.earlier == place)),
            Assert(~(arrives | valid) | (memory.read_data == place)),
        ]

    def _follow_ahead(self, m, opened, memory, place):
        """The last places that were read are on their way; returns how many."""
        steps, found = [opened["fetched"], opened["arrives"]], [memory.earlier, memory.read_data]
        if self._hops:
            steps += list(opened["valid_history"])
            found += [opened["data_history"].word_select(i, _WIDTH) for i in range(self._hops)]
        for number, (step, what) in enumerate(zip(steps, found, strict=True)):
            newer = sum(steps[:number], start=Const(1))
            m.d.comb += Assert(~step | (what == (place - newer)[: len(place)]))
        return sum(steps)


PROPERTIES = [
    Property(
        name=f"queue.order.{name}",
        promise=f"A queue of blocks, as in {name}, gives the block of one place after the other.",
        design=lambda slow=slow, hops=hops: _InOrder(512, slow, hops),
        method=Induction(within=16),
        mutant=Mutant(
            what="a block is read once more",
            module="hdl.pipeline.queue",
            old="with m.If(moves):\n",
            new="with m.If(moves & (self.release == 0)):\n",
        ),
    )
    for name, slow, hops in (("compact", True, 0), ("fast", False, 2))
]
