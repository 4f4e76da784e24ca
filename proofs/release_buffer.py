"""The serial engine's release buffer: only what was committed is read, and only once."""

from unittest.mock import patch

from amaranth.asserts import AnyConst
from amaranth.hdl import Array, Assert, Assume, Elaboratable, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl import release_buffer
from hdl.release_buffer import ReleaseBuffer, _Lengths
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.register_memory import RegisterMemory
from proofs.smt import Induction

__all__ = ["PROPERTIES"]


class _Shifted(wiring.Component):
    """What `_Lengths` means: a queue whose ``words`` move up when the first one is taken.

    Beside each stands how many bytes are read before its packet ends: ``held`` ones and its own,
    when it is put in, and one less for each that is ``read``.
    """

    def __init__(self, longest: int, depth: int):
        length = range(longest + 1)
        super().__init__(
            {
                "put": In(1),
                "given": In(length),
                "ready": Out(1),
                "take": In(1),
                "length": Out(length),
                "valid": Out(1),
                "held": In(length),
                "read": In(1),
            }
        )
        self.words = [Signal(length, name=f"word_{i}") for i in range(depth)]
        self.ends = [Signal(length, name=f"end_{i}") for i in range(depth)]
        self.waiting = Signal(range(depth + 1))

    def elaborate(self, platform):
        m = Module()
        left = Signal.like(self.waiting)
        m.d.comb += [
            left.eq(self.waiting - self.take),
            self.ready.eq(self.waiting != len(self.words)),
            self.length.eq(self.words[0]),
        ]
        m.d.sync += [self.waiting.eq(left + self.put), self.valid.eq(left != 0)]
        for row, given, less in (
            (self.words, self.given, 0),
            (self.ends, self.held + self.given, self.read),
        ):
            for i, word in enumerate(row):
                following = row[i + 1] if i + 1 < len(row) else word
                now = Mux(self.put & (left == i), given, Mux(self.take, following, word))
                m.d.sync += word.eq(now - less)
        return m


class _Queue(Elaboratable):
    """The queue of lengths beside what it means."""

    def __init__(self, longest: int):
        self._longest = longest
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        depth = ReleaseBuffer.WAITING_PACKETS
        memory = RegisterMemory()
        with patch.object(release_buffer, "memory_ports", memory):
            m.submodules.queue = queue = Opened(_Lengths(self._longest, depth))
        m.submodules.meant = meant = _Shifted(self._longest, depth)
        put, take, given = Signal(), Signal(), Signal.like(queue.given)
        self.ports += [put, take, given]
        for block in (queue, meant):
            m.d.comb += [
                block.put.eq(put & queue.ready),
                block.take.eq(take & queue.valid),
                block.given.eq(given),
            ]
        front = queue["front"]
        m.d.comb += [
            Assert(queue.ready == meant.ready, "room"),
            Assert(queue.valid == meant.valid, "the first one is there"),
            Assert(~queue.valid | (queue.length == meant.length), "the first one"),
            Assert(queue["waiting"] == meant.waiting),
            Assert(meant.waiting <= depth),
            Assert(~queue.valid | (meant.waiting != 0)),
            Assert(queue["end"] == (front + meant.waiting)[: len(front)]),
            Assert(~queue.valid | (queue.length == Array(memory.words)[front])),
        ]
        for i, word in enumerate(memory.words):
            behind = Signal(range(depth), name=f"behind_{i}")
            m.d.comb += behind.eq(i - front)
            m.d.comb += Assert((behind >= meant.waiting) | (word == Array(meant.words)[behind]))
        return m


class _Released(Elaboratable):
    """A buffer whose writer keeps ``address`` and ``length`` within ``free``, and few lengths.

    One place in it is watched, which may be any but never changes, and one bit: whether a packet
    was committed that has a byte there, which has not been read yet.
    """

    def __init__(self, depth: int, lengths: int):
        self._depth, self._lengths = depth, lengths
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        depth = self._depth
        buffer = ReleaseBuffer(depth)
        queue = _Shifted(depth, self._lengths)
        with patch.object(release_buffer, "_Lengths", lambda *_: queue):
            m.submodules.buffer = opened = Opened(buffer)
        self.ports += [buffer.write, buffer.address, buffer.data, buffer.commit, buffer.length]
        self.ports += [buffer.packets.ready]
        start, position = opened["start"], opened["position"]
        fetch, committed = opened["fetch"], opened["committed"]
        m.d.comb += [
            Assume(~buffer.write | (buffer.address < buffer.free)),
            Assume(~buffer.commit | (buffer.length <= buffer.free)),
        ]

        place, is_committed = Signal(range(depth)), Signal()
        offset, distance = Signal(range(depth)), Signal(range(depth))
        m.d.comb += [
            place.eq(AnyConst(len(place))),
            offset.eq(place - start),
            distance.eq(place - position),
        ]
        covered = committed & (offset < buffer.length)
        reads = fetch & (position == place)
        written = buffer.write & (buffer.address == offset)
        with m.If(covered):
            m.d.sync += is_committed.eq(1)
        with m.Elif(reads):
            m.d.sync += is_committed.eq(0)
        held = Signal(range(depth + 1))
        waits = (opened["left"] != 0) | (queue.waiting != 0)
        m.d.comb += [
            held.eq(depth - buffer.free),
            Assert(~reads | is_committed, "only what was committed is read"),
            Assert(~covered | ~is_committed, "what was committed is read before its place is free"),
            Assert(~written | ~is_committed, "what was committed stays until it is read"),
            Assert((held != 0) == waits, "what takes room will leave"),
        ]
        self._sink(m, opened, queue, held)
        self._follow(m, opened, queue, is_committed, distance, held)
        return m

    def _sink(self, m, opened, queue, held):
        """Where nothing is committed, there is more room and less to do as long as bytes go."""
        buffer, left, depth = opened.block, opened["left"], self._depth
        measure, before = Signal(range(2 * depth + 2)), Signal(range(2 * depth + 2))
        free, room, quiet, goes = Signal.like(buffer.free), Signal(), Signal(), Signal()
        m.d.comb += measure.eq(2 * held + ((left == 0) & ~queue.valid))
        m.d.sync += [
            before.eq(measure),
            free.eq(buffer.free),
            room.eq(buffer.ready),
            quiet.eq(~opened["committed"]),
            goes.eq(~opened["committed"] & ~buffer.stalled & (held != 0)),
        ]
        m.d.comb += [
            Assert(~goes | (measure < before), "it empties as long as bytes are taken"),
            Assert(~quiet | (buffer.free >= free), "room stays until a commit"),
            Assert(~quiet | buffer.ready | ~room, "room for lengths stays until a commit"),
        ]

    def _follow(self, m, opened, queue, is_committed, distance, held):
        """The places between the reader and the open packet are the committed ones: invariants."""
        depth, buffer, left = self._depth, opened.block, opened["left"]
        m.d.comb += [queue.held.eq(held), queue.read.eq(opened["fetch"])]
        before = left
        for i, (word, end) in enumerate(zip(queue.words, queue.ends, strict=True)):
            is_last = queue.waiting == i + 1
            follows = (word != 0) & (before + word == end) & (~is_last | (end == held))
            m.d.comb += Assert((queue.waiting <= i) | follows)
            before = end
        m.d.comb += [
            Assert(buffer.free <= depth),
            Assert((queue.waiting != 0) | (left == held)),
            Assert(opened["start"] == (opened["position"] + held)[: len(distance)]),
            Assert(is_committed == (distance < held)),
            Assert(queue.waiting <= len(queue.words)),
            Assert(~queue.valid | (queue.waiting != 0)),
        ]


#: Places are those of profile `tiny`; with as many lengths that wait, a solver needs hours.
_DEPTH = 2048
_LENGTHS = 4

PROPERTIES = [
    Property(
        name="release.lengths",
        promise="The release buffer's queue of lengths gives each one that was put in, in order, "
        "two cycles later at the earliest.",
        design=lambda: _Queue(_DEPTH),
        method=Induction(within=12),
        mutant=Mutant(
            what="the queue looks for its front where it was before one was taken",
            module="hdl.release_buffer",
            old="read.addr.eq(front + self.take)",
            new="read.addr.eq(front)",
        ),
    ),
    Property(
        name="release.buffer",
        promise="The serial engine's buffer lets each committed byte out once and nothing else, "
        "none changes between its commit and its way out, and it empties as long as bytes are "
        "taken, if its writer keeps within what is free (with a queue of 4 lengths).",
        design=lambda: _Released(_DEPTH, _LENGTHS),
        method=Induction(within=12, cut=("w:*packets__payload__data",)),
        mutant=Mutant(
            what="a packet begins to leave when it is written, not when it is committed",
            module="hdl.release_buffer",
            old="lengths.put.eq(committed)",
            new="lengths.put.eq(self.write)",
        ),
    ),
]
