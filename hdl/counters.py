"""The counters that STATS reports."""

from amaranth.hdl import Array, MemoryData, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from driver.messages import Counter
from hdl.memory_ports import memory_ports

__all__ = ["Counters"]

#: The counters that count cycles by themselves are the first of them.
_LIVE = 4


class Counters(wiring.Component):
    """One 64-bit counter for each `driver.messages.Counter`, zero 26 cycles after reset; they wrap.

    They live in a memory, which is read and written in turn. ``add`` adds ``amount`` to counter
    ``index``; all three are held for two cycles. ``value`` is counter ``read`` in the cycle after
    two in which ``reading`` was high and ``add`` was not.

    The first four count cycles. Each has a few bits beside the memory, which are added to it while
    there is nothing else to do; that must be so in 8 of 32 cycles at least.
    """

    busy: In(1)
    starved: In(1)
    stalled: In(1)
    add: In(1)
    index: In(range(len(Counter)))
    amount: In(16)
    reading: In(1)
    read: In(range(len(Counter)))
    value: Out(64)

    def elaborate(self, platform):
        m = Module()
        store = MemoryData(shape=64, depth=len(Counter), init=[])
        read, write = memory_ports(m, "store", store, platform)
        amount = Signal(16)
        held = Signal()  # the second cycle of adding or reading
        writes = Signal(init=1)  # what was read in the cycle before goes back, with amount added
        address = Signal.like(read.addr)
        m.d.comb += [self.value.eq(read.data + amount), read.en.eq(~writes)]
        m.d.sync += held.eq((self.add | self.reading) & ~held)

        # At most 26 while the memory is cleared after reset, and one more a cycle until they have
        # their turn: every 8 cycles, or later by what is added or read.
        pending = Array(Signal(6, name=f"pending_{i}") for i in range(_LIVE))
        turn = Signal(range(_LIVE))
        flush = Signal()
        events = (1, self.busy, self.starved, self.stalled)
        for i, (count, event) in enumerate(zip(pending, events, strict=True)):
            m.d.sync += count.eq(Mux(flush & (turn == i), 0, count) + event)

        with m.If(self.add):
            m.d.comb += read.addr.eq(self.index)
            m.d.sync += [amount.eq(self.amount), writes.eq(held)]
        with m.Elif(self.reading):
            m.d.comb += read.addr.eq(self.read)
            m.d.sync += [
                amount.eq(Mux(self.read < _LIVE, pending[self.read[:2]], 0)),
                writes.eq(0),
            ]
        with m.Else():
            m.d.comb += [read.addr.eq(turn), flush.eq(~writes)]
            m.d.sync += [amount.eq(pending[turn]), writes.eq(flush), turn.eq(turn + flush)]

        # Reset does not clear memories.
        cleared = Signal(range(len(Counter) + 1))
        m.d.sync += address.eq(read.addr)
        m.d.comb += [
            write.en.eq(writes),
            write.addr.eq(address),
            write.data.eq(self.value),
        ]
        with m.If(cleared != len(Counter)):
            m.d.sync += [cleared.eq(cleared + 1), writes.eq(cleared != len(Counter) - 1)]
            m.d.sync += address.eq(cleared + 1)
            m.d.comb += [flush.eq(0), write.data.eq(0)]
        return m
