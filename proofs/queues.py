"""The pipelined engine's queues: nothing is lost, and what is in one can soon be read."""

from unittest.mock import patch

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Elaboratable, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.pipeline import queue
from hdl.pipeline.queue import BlockQueue, Queue
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES", "most_waiting"]


def most_waiting(slow: bool, hops: int) -> int:
    """Cycles in which a block of a `BlockQueue` was released and cannot be read."""
    return 4 if slow else 5 + hops


class _OneWord(wiring.Component):
    """A memory that is read in the same cycle, of which one word is known; the others are any.

    It stands for Amaranth's, with one port of each kind.
    """

    def __init__(self, width: int, depth: int):
        self._width, self._depth = width, depth
        self.watched, self.word = Signal(range(depth)), Signal(width)
        super().__init__({})
        port = {"addr": In(range(depth)), "data": In(width), "en": In(1)}
        self._write = wiring.Signature(port).create()
        self._read = wiring.Signature({"addr": In(range(depth)), "data": Out(width)}).create()

    def write_port(self):
        return self._write

    def read_port(self, domain: str):
        return self._read

    def elaborate(self, platform):
        m = Module()
        write, read = self._write, self._read
        is_known = read.addr == self.watched
        m.d.comb += [
            self.watched.eq(AnyConst(len(self.watched))),
            read.data.eq(Mux(is_known, self.word, AnySeq(self._width))),
        ]
        with m.If(write.en & (write.addr == self.watched)):
            m.d.sync += self.word.eq(write.data)
        return m


class _Kept(Elaboratable):
    """A queue of one memory, in which there are never over ``most``; one payload is watched.

    It may be any that comes to the known word of the memory, which may be any.
    """

    #: Bits of a payload.
    WIDTH = 8

    def __init__(self, depth: int, most: int):
        self._depth, self._most = depth, most
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        block, memories = Queue(self.WIDTH, self._depth), []

        def memory(*, shape, depth, init, attrs):
            memories.append(_OneWord(shape, depth))
            return memories[-1]

        with patch.object(queue, "Memory", memory):
            m.submodules.queue = opened = Opened(block)
        (memory,) = memories
        write, read, level = block.write, block.read, block.level
        picks = Signal()
        self.ports += [write.valid, write.payload, read.ready, picks]
        m.d.comb += Assume(~write.valid | (level < self._most))
        taken = read.valid & read.ready

        # Behind how many the watched one stands, and what it is.
        is_in, ahead, value = Signal(), Signal.like(level), Signal(self.WIDTH)
        puts = write.valid & picks & ~is_in & (opened["free"] == memory.watched)
        with m.If(puts):
            m.d.sync += [is_in.eq(1), ahead.eq(level - taken), value.eq(write.payload)]
        with m.Elif(taken & is_in):
            m.d.sync += [is_in.eq(ahead != 0), ahead.eq(ahead - 1)]
        waits = Signal(2)
        m.d.sync += waits.eq(Mux((level != 0) & ~read.valid, waits + 1, 0))
        first = is_in & (ahead == 0)
        m.d.comb += [
            Assert(~(first & read.valid) | (read.payload == value), "in order, and as it was"),
            Assert(waits <= 1, "what is in it can be read two cycles after it came"),
        ]
        self._follow(m, opened, memory, is_in, ahead, value)
        return m

    def _follow(self, m, opened, memory, is_in, ahead, value):
        """What is in the memory, and where the watched one is: invariants."""
        block, free, first, stored = opened.block, *(opened[x] for x in ("free", "first", "stored"))
        read, level = block.read, block.level
        inside = Signal(len(first) + 1)
        less_one, place = Signal.like(first), Signal.like(first)
        m.d.comb += [
            less_one.eq(free - first - 1),
            inside.eq(Mux(stored, less_one + 1, 0)),
            place.eq(first + ahead - read.valid),
        ]
        in_memory = is_in & ~((ahead == 0) & read.valid)
        m.d.comb += [
            Assert(level == inside + read.valid),
            Assert(level <= self._most),
            Assert(opened["second"] == (first + 1)[: len(first)]),
            Assert(~is_in | (ahead < level)),
            Assert(~in_memory | ((place == memory.watched) & (memory.word == value))),
            Assert(stored | (free == first)),
        ]


class _InRows(Elaboratable):
    """A queue of several memories in a row, whose writer heeds ``level``."""

    def __init__(self, depth: int):
        self._depth = depth
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        block = Queue(Queue.NARROW + 1, self._depth)
        m.submodules.queue = opened = Opened(block)
        self.ports += [block.write.valid, block.write.payload, block.read.ready]
        m.d.comb += Assume(~block.write.valid | (block.level < self._depth))
        count = sum(name.startswith("row_") for name in opened.inner)
        rows = [opened.within(f"row_{i}") for i in range(count)]
        moves = [opened[f"moves_{i}"] for i in range(count - 1)]
        waits = Signal(range(4 * count))
        m.d.sync += waits.eq(Mux((block.level != 0) & ~block.read.valid, waits + 1, 0))
        m.d.comb += [
            Assert(block.level == sum(row["level"] for row in rows), "the level is right"),
            *(Assert(row["level"] <= Queue.ROW + 1, "no row overflows") for row in rows),
            Assert(waits < 2 * count, "what is in it can be read two cycles a row later"),
        ]
        # How far the foremost one is from the end, in cycles.
        left = Signal(range(4 * count))
        for i, row in enumerate(rows):
            steps = 2 * (count - 1 - i)
            with m.If(row["level"] != 0):
                is_ready = moves[i] if i < count - 1 else row["read__valid"]
                m.d.comb += left.eq(steps + ~is_ready)
        m.d.comb += Assert((block.level == 0) | block.read.valid | (waits + left < 2 * count))
        for row in rows:
            stored = row["level"] - row["read__valid"]
            m.d.comb += [
                Assert(row["stored"] == (stored != 0)),
                Assert((stored >= 0) & (stored <= Queue.ROW)),
                Assert(((row["free"] - row["first"]) & 15) == (stored & 15)),
                Assert(row["second"] == ((row["first"] + 1) & 15)),
            ]
        for row, behind, goes in zip(rows, rows[1:], moves, strict=False):
            level, next_level = row["level"], behind["level"]
            m.d.comb += [
                Assert(~goes | row["read__valid"]),
                Assert(next_level + goes <= Queue.ROW + 1),
                Assert((level < 2) | goes | (next_level >= Queue.ROW_HOLDS + 1)),
                Assert((level < 3) | ~goes | (next_level >= Queue.ROW_HOLDS)),
            ]
        return m


class _Blocks(Elaboratable):
    """A queue of blocks, whose writer has no more released than there are places.

    What the blocks are does not matter: they are read from one place after the other.
    """

    def __init__(self, depth: int, slow: bool, hops: int):
        self._depth, self._slow, self._hops = depth, slow, hops
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        depth = self._depth
        block = BlockQueue(depth, self._slow, self._hops)
        m.submodules.queue = opened = Opened(block)
        self.ports += [block.write, block.address, block.data, block.release, block.blocks.ready]
        # Released, and not yet read.
        held, waits = Signal(range(depth + 1)), Signal(5)
        longest = most_waiting(self._slow, self._hops)
        taken = block.blocks.valid & block.blocks.ready
        m.d.sync += [
            held.eq(held + block.release - taken),
            waits.eq(Mux((held != 0) & ~block.blocks.valid, waits + 1, 0)),
        ]
        m.d.comb += [
            Assume(block.release <= depth - held),
            Assert(~block.blocks.valid | (held != 0), "nothing that was not released"),
            Assert(waits <= longest, "what was released can soon be read"),
        ]
        waiting = opened["waiting"]
        pending = Mux(opened["any_released"], opened["less_one"] + 1, 0)
        m.d.comb += [
            Assert(opened["some"] == (waiting != 0)),
            Assert(opened["any_released"] == (opened["less_one"] != -1)),
            Assert(opened["less_one"] >= -1),
        ]
        follow = self._follow_one if self._slow else self._follow_ahead
        steps, level = follow(m, opened)
        m.d.comb += Assert(held == waiting + pending + sum(steps) + level)
        # How many cycles the foremost one is from the reader.
        foremost = [*reversed(steps), waiting != 0, pending != 0]
        nearest, left = 1 if self._slow else 2, Signal(5)
        for cycles, is_there in reversed(list(enumerate(foremost, nearest))):
            with m.If(is_there):
                m.d.comb += left.eq(cycles)
        with m.If(level != 0):
            m.d.comb += left.eq(~block.blocks.valid)
        m.d.comb += Assert((held == 0) | block.blocks.valid | (waits + left <= longest))
        return m

    def _follow_one(self, m, opened):
        """One block is under way: where it is, from its fetch on, and whether it is there."""
        steps, valid = [opened["fetched"], opened["arrives"]], opened.block.blocks.valid
        m.d.comb += Assert(opened["busy"] == sum(steps) + valid)
        return steps, valid

    def _follow_ahead(self, m, opened):
        """Blocks are under way, from their fetch on, and in the queue for them."""
        ahead, steps = opened.within("ahead"), [opened["fetched"], opened["arrives"]]
        if self._hops:
            steps += list(opened["valid_history"])
        level, valid = ahead["level"], ahead["read__valid"]
        stored = level - valid
        m.d.comb += [
            Assert(opened["on_the_way"] == sum(steps) + level + opened.block.read),
            Assert(opened["on_the_way"] <= BlockQueue.AHEAD, "what is read ahead has a place"),
            Assert(ahead["stored"] == (stored != 0)),
            Assert((stored >= 0) & (((ahead["free"] - ahead["first"]) & 15) == (stored & 15))),
            Assert(ahead["second"] == ((ahead["first"] + 1) & 15)),
        ]
        return steps, level


PROPERTIES = [
    *(
        Property(
            name=f"queue.{depth}",
            promise=f"A queue of {depth} payloads, in one memory, gives each one that was put in, "
            "in order, two cycles later at the latest if none is before it; its level is how many "
            "there are.",
            design=lambda depth=depth, most=most: _Kept(depth, most),
            method=Induction(depth=2, within=12),
            mutant=Mutant(
                what="the queue takes its last payload for gone while it is not taken",
                module="hdl.pipeline.queue",
                old="stored.eq(written | (stored & (stays | (second != free)))),",
                new="stored.eq(written | (stored & (second != free))),",
            ),
        )
        for depth, most in ((8, 8), (16, 17), (87, 87))
    ),
    *(
        Property(
            name=f"queue.rows.{depth}",
            promise=f"In a queue of {depth} wide payloads, in several memories, none overflows as "
            "long as the level is heeded, which is how many there are; what is in it can be read "
            "after two cycles for each memory.",
            design=lambda depth=depth: _InRows(depth),
            method=Induction(within=50, cut=("w:*payload*",)),
            mutant=Mutant(
                what="a memory gives one more than there is room for in the next one",
                module="hdl.pipeline.queue",
                old="m.d.sync += moves.eq(valid & (behind.level < self.ROW))",
                new="m.d.sync += moves.eq(valid & (behind.level <= self.ROW))",
            ),
            broken_design=lambda: _InRows(31),
        )
        for depth in (31, 45, 87)
    ),
    *(
        Property(
            name=f"queue.blocks.{name}",
            promise=f"A queue of blocks, as in {name}, gives as many as were released, each "
            f"{cycles} cycles after its release at the latest if none is before it; what it reads "
            "ahead has a place.",
            design=lambda slow=slow, hops=hops: _Blocks(512, slow, hops),
            method=Induction(within=14, cut=("w:*data*",)),
            mutant=Mutant(
                what="of what is released in a cycle, the first is forgotten",
                module="hdl.pipeline.queue",
                old="waiting.eq((Cat(1, waiting) + Cat(~fetch, less_one))[1:])",
                new="waiting.eq((Cat(0, waiting) + Cat(~fetch, less_one))[1:])",
            ),
        )
        for name, slow, hops, cycles in (("compact", True, 0, 5), ("fast", False, 2, 8))
    ),
]
