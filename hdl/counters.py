"""The counters that STATS reports."""

from amaranth.hdl import Array, Cat, Const, MemoryData, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from driver.messages import Counter
from hdl.memory_ports import memory_ports

__all__ = ["CLEARING_CYCLES", "Counters"]

#: The counters that count cycles by themselves are the first of them.
_LIVE = 4
_BYTES = 8
#: Reset does not clear memories: so long it takes to do so.
CLEARING_CYCLES = _BYTES * 32


class Counters(wiring.Component):
    """One 64-bit counter for each `driver.messages.Counter`; they wrap.

    They live in a memory, byte by byte. An addition passes through a counter from its lowest byte
    to its highest, in 8 cycles and one more for what is written. ``start`` asks for one: in a cycle
    in which ``begins`` is high as well, ``amount`` is added to counter ``index``. ``value`` is its
    lowest byte then in the cycle after, its highest one 8 cycles after.

    The first four count cycles. Each has a few bits beside the memory, which are added to it
    whenever there is nothing else to do: one of them every 16 cycles at least, on average. So the
    additions that ``start`` asks of them are of these bits instead of an amount. ``reserve`` keeps
    them from beginning, so that 8 cycles later ``start`` does not have to wait.

    In the 256 cycles after reset all begin at zero, and count nothing but these cycles themselves.
    """

    busy: In(1)
    starved: In(1)
    stalled: In(1)
    start: In(1)
    reserve: In(1)
    index: In(range(len(Counter)))
    amount: In(16)
    begins: Out(1)
    value: Out(8)

    def __init__(self):
        self.store = MemoryData(shape=8, depth=CLEARING_CYCLES, init=[])
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        read, write = memory_ports(m, "store", self.store, platform)
        clearing = Signal(init=1)
        turn = Signal(range(_LIVE))
        chosen = Signal.like(self.index)  # the counter of an addition that may begin
        index = Signal.like(self.index)  # and that of the one under way
        byte = Signal(range(_BYTES))  # that is read, 0 if none is
        places = Signal(range(_BYTES))  # that was read in the cycle before
        adds = Signal()
        amount, carry, total = Signal(16), Signal(), Signal(9)
        own = Signal()  # an addition of what a live counter has beside the memory
        begins = Signal()
        m.d.comb += [
            own.eq(~self.start),
            chosen.eq(Mux(own, turn, self.index)),
            begins.eq((byte == 0) & (self.start | ~self.reserve) & ~clearing),
            self.begins.eq(begins & self.start),
            read.addr.eq(Cat(byte, Mux(begins, chosen, index))),
            read.en.eq(1),
            # The carry comes in as that of two ones below.
            total.eq((Cat(carry, read.data) + Cat(carry, amount[:8]))[1:]),
            self.value.eq(total),
            write.addr.eq(Cat(places, index)),
            write.en.eq(adds),
            write.data.eq(total),
        ]
        m.d.sync += [
            places.eq(byte),
            adds.eq(begins | (byte != 0)),
            byte.eq(byte + (begins | (byte != 0))),
            carry.eq(total[8] & ~begins),
            amount.eq(amount >> 8),
        ]

        # Up to 127: an addition every 8 cycles, by turns, and few that ``start`` asks for between.
        pending = Array(Signal(7, name=f"pending_{i}") for i in range(_LIVE))
        events = (1, self.busy, self.starved, self.stalled)
        for i, (count, event) in enumerate(zip(pending, events, strict=True)):
            cleared = clearing | (begins & (chosen == i))
            m.d.sync += count.eq(Mux(cleared, 0, count) + (event & ~clearing))
        with m.If(begins):
            live = chosen < _LIVE
            m.d.sync += [index.eq(chosen), turn.eq(turn + own)]
            m.d.sync += amount.eq(Mux(live, pending[chosen[:2]], self.amount))

        with m.If(clearing):
            # The second byte of the first counter, of all cycles: 256 of them.
            m.d.comb += [
                write.en.eq(1),
                write.data.eq(Cat((places == 1) & (index == Counter.CYCLES), Const(0, 7))),
            ]
            following = Cat(places, index) + 1
            m.d.sync += [Cat(places, index).eq(following), clearing.eq(~following[8])]
        return m
