"""Queues between the stages: a short one in distributed RAM, a deep one of blocks in block RAM."""

import itertools

from amaranth.hdl import Cat, Module, Mux, Shape, ShapeLike, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hdl.aes.history import History
from hdl.block_ram import BlockRAM
from hdl.registers import reset_less

__all__ = ["BlockQueue", "Places", "Queue", "SkidBuffer"]


class Queue(wiring.Component):
    """First in, first out, for ``depth`` payloads or a few more.

    A payload can be read two cycles after it was written; the first one stands in a register, so
    that whoever reads has the whole cycle. Reading and writing at once is possible at any level.
    One transfer a cycle on each side.

    Whoever writes has made sure that there is a place, by ``level`` or by counting what is under
    way.

    Wide ones of more than 16 payloads are several in a row, of 16 each, since to choose among 16s
    takes as much logic as to hold them. They add two cycles each.
    """

    #: What a distributed RAM holds by itself.
    ROW = 16
    #: What is in one of several in a row, at the least, while those before it are full: it is told
    #: of a place two cycles later, and is read in these.
    ROW_HOLDS = 14
    #: Payloads of more bits than this are wide.
    NARROW = 32

    def __init__(self, shape: ShapeLike, depth: int):
        if depth < 2:
            raise ValueError(f"queue of {depth} payloads has less than two")
        self.depth = depth
        self._shape = shape
        self._in_rows = depth > self.ROW and Shape.cast(shape).width > self.NARROW
        super().__init__(
            {
                "write": In(stream.Signature(shape, always_ready=True)),
                "read": Out(stream.Signature(shape)),
                #: When the payload that can be read is taken, the next one follows at once.
                "more": Out(1),
                #: Payloads in the queue.
                "level": Out(range(depth + 1)),
            }
        )
        self.read.payload = reset_less(self.read.payload)

    def elaborate(self, platform):
        m = Module()
        taken = Signal()
        m.d.comb += taken.eq(self.read.valid & self.read.ready)
        with m.If(self.write.valid ^ taken):
            m.d.sync += self.level.eq(Mux(taken, self.level - 1, self.level + 1))
        if self._in_rows:
            self._connect_rows(m)
        else:
            self._connect_memory(m)
        return m

    def _connect_rows(self, m):
        # With the register behind it, the first one holds one more than its memory.
        count = 1 - (self.ROW + 1 - self.depth) // self.ROW_HOLDS
        rows = [Queue(self._shape, self.ROW) for _ in range(count)]
        for number, row in enumerate(rows):
            m.submodules[f"row_{number}"] = row
        wiring.connect(m, wiring.flipped(self.write), rows[0].write)
        for number, (row, behind) in enumerate(itertools.pairwise(rows)):
            moves = Signal(name=f"moves_{number}")
            valid = row.more | (row.read.valid & ~moves)  # in the next cycle
            m.d.sync += moves.eq(valid & (behind.level < self.ROW))
            m.d.comb += [
                row.read.ready.eq(moves),
                behind.write.valid.eq(moves),
                behind.write.payload.eq(row.read.payload),
            ]
        wiring.connect(m, rows[-1].read, wiring.flipped(self.read))
        m.d.comb += self.more.eq(rows[-1].more)

    def _connect_memory(self, m):
        m.submodules.memory = memory = Memory(
            # Block RAM is scarce, and the S-boxes need it.
            shape=self._shape,
            depth=1 << ceil_log2(self.depth),
            init=[],
            attrs={"ram_style": "distributed"},
        )
        write_port, read_port = memory.write_port(), memory.read_port(domain="comb")
        free, first, second = (Signal.like(write_port.addr, init=start) for start in (0, 0, 1))
        stored = Signal()  # something is in the memory
        written, moved = self.write.valid, Signal()
        m.d.comb += [
            self.more.eq(stored),
            moved.eq(stored & (~self.read.valid | self.read.ready)),
            write_port.en.eq(written),
            write_port.addr.eq(free),
            write_port.data.eq(self.write.payload),
            read_port.addr.eq(first),
        ]
        # What `read.ready` decides is when registers move, never what goes into them. They may be
        # far away, so nothing else follows from ``moved``.
        stays = self.read.valid & ~self.read.ready
        m.d.sync += [
            self.read.valid.eq(stored | stays),
            stored.eq(written | (stored & (stays | (second != free)))),
        ]
        with m.If(written):
            m.d.sync += free.eq(free + 1)
        with m.If(moved):
            m.d.sync += [self.read.payload.eq(read_port.data), first.eq(second)]
            m.d.sync += second.eq(second + 1)


class Places(wiring.Component):
    """First in, first out, for ``count`` payloads, each in a register: for a few that are wide.

    A payload can be read as many cycles after it was written as there are places. One transfer in
    two cycles on each side.
    """

    def __init__(self, shape: ShapeLike, count: int):
        self._shape, self._count = shape, count
        super().__init__(
            {"write": In(stream.Signature(shape)), "read": Out(stream.Signature(shape))}
        )

    def elaborate(self, platform):
        m = Module()
        source = self.write
        for number in range(self._count):
            place = stream.Signature(self._shape).create(path=(f"place_{number}",))
            place.payload = reset_less(place.payload)
            m.d.comb += source.ready.eq(~place.valid)
            with m.If(~place.valid):
                m.d.sync += [place.payload.eq(source.payload), place.valid.eq(source.valid)]
            with m.Elif(place.ready):
                m.d.sync += place.valid.eq(0)
            source = place
        m.d.comb += [
            self.read.valid.eq(source.valid),
            self.read.payload.eq(source.payload),
            source.ready.eq(self.read.ready),
        ]
        return m


class SkidBuffer(wiring.Component):
    """First in, first out, for two payloads: neither side waits for what the other does in a cycle.

    A payload can be read in the cycle after it was written. One transfer a cycle on each side.
    """

    def __init__(self, shape: ShapeLike):
        self._shape = shape
        super().__init__(
            {"write": In(stream.Signature(shape)), "read": Out(stream.Signature(shape))}
        )
        self.read.payload = reset_less(self.read.payload)

    def elaborate(self, platform):
        m = Module()
        second, full = Signal(self._shape, reset_less=True), Signal()
        m.d.comb += self.write.ready.eq(~full)
        with m.If(~full):
            m.d.sync += second.eq(self.write.payload)
        with m.If(self.read.ready | ~self.read.valid):
            m.d.sync += [
                self.read.valid.eq(full | self.write.valid),
                self.read.payload.eq(Mux(full, second, self.write.payload)),
                full.eq(0),
            ]
        with m.Elif(self.write.valid):
            m.d.sync += full.eq(1)
        return m


class BlockQueue(wiring.Component):
    """Blocks in block RAM: written at any place ahead, read in order once they are released.

    A block is written to ``address``, which counts from the first block after reset and wraps at
    ``depth``, a power of two. ``release`` says how many more blocks may be read, from this cycle
    on; what is written to a place that is not released can be written again. ``blocks`` gives the
    released ones in order, one a cycle, the first one 6 + ``hops`` cycles after its release: there
    are so many registers on the way from the block RAM to the reader. The writer counts the blocks
    that are ``read``, and not those that are released, to keep within the depth.

    If it is ``slow``, one in 4 cycles; it stays at the output of the block RAM until it is taken.
    Blocks are of 128 bits, or of another ``shape``.
    """

    #: Blocks read ahead of their receiver: from a fetch to the next in its place takes 6 cycles
    #: and ``hops``.
    AHEAD = 16

    def __init__(self, depth: int, slow: bool = False, hops: int = 0, shape: ShapeLike = 128):
        self._slow, self._hops, self._shape = slow, hops, shape
        if depth < 8 or depth & (depth - 1):
            raise ValueError(f"queue of {depth} blocks is not a power of two over 7")
        self.depth = depth
        super().__init__(
            {
                "write": In(1),
                "address": In(range(depth)),
                "data": In(shape),
                #: Blocks released in this cycle.
                "release": In(range(depth + 1)),
                "blocks": Out(stream.Signature(shape)),
                #: A block was read in the cycle before: its place is free again.
                "read": Out(1),
            }
        )
        self.memory = BlockRAM(Shape.cast(shape).width, depth)

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = self.memory
        # Released in the cycle before: whether any, and how many, less one.
        any_released, less_one = Signal(), Signal(signed(len(self.release) + 1), init=-1)
        waiting = Signal(range(self.depth + 1))  # released and not yet fetched
        some = Signal()  # are waiting
        place = Signal(range(self.depth))
        fetch, fetched, arrives, taken = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            memory.write.eq(self.write),
            memory.write_address.eq(self.address),
            memory.write_data.eq(self.data),
            memory.read_address.eq(place),
            taken.eq(self.blocks.valid & self.blocks.ready),
        ]
        m.d.sync += [
            self.read.eq(taken),
            fetched.eq(fetch),
            arrives.eq(fetched),
            any_released.eq(self.release != 0),
            less_one.eq(self.release - 1),
            # One addition: what is to be added below goes in as a carry.
            waiting.eq((Cat(1, waiting) + Cat(~fetch, less_one))[1:]),
            some.eq(any_released | waiting[1:].any() | (waiting[0] & ~fetch)),
        ]
        if self._slow:
            self._keep_one(m, some, fetch, arrives, taken)
            moves = taken
        else:
            self._read_ahead(m, some, fetch, arrives)
            moves = fetch
        with m.If(moves):
            m.d.sync += place.eq(place + 1)
        return m

    def _keep_one(self, m, some, fetch, arrives, taken):
        """Its place is read again and again, until it is taken."""
        busy = Signal()
        m.d.comb += [fetch.eq(some & ~busy), self.blocks.payload.eq(self.memory.read_data)]
        with m.If(fetch):
            m.d.sync += busy.eq(1)
        with m.If(arrives):
            m.d.sync += self.blocks.valid.eq(1)
        with m.If(taken):
            m.d.sync += [busy.eq(0), self.blocks.valid.eq(0)]

    def _read_ahead(self, m, some, fetch, arrives):
        m.submodules.ahead = ahead = Queue(self._shape, self.AHEAD)
        on_the_way = Signal(range(self.AHEAD + 1))  # fetched, and not taken a cycle ago
        m.d.comb += [
            fetch.eq(some & ~on_the_way[-1]),
            Value.cast(ahead.write.payload).eq(
                History(m, "data", self.memory.read_data, self._hops)[self._hops]
            ),
            ahead.write.valid.eq(History(m, "valid", arrives, self._hops, False)[self._hops]),
        ]
        with m.If(fetch ^ self.read):
            m.d.sync += on_the_way.eq(Mux(fetch, on_the_way + 1, on_the_way - 1))
        wiring.connect(m, ahead.read, wiring.flipped(self.blocks))
