"""The counters that STATS reports, of an accelerator that ends a request in 3 cycles."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from driver.messages import Counter
from hdl.counters import CycleCounters

__all__ = ["Counters"]


class Counters(wiring.Component):
    """One 64-bit counter for each `driver.messages.Counter`, zero 32 cycles after reset; they wrap.

    The first four count cycles by themselves. The others live in a memory: ``add`` adds ``amount``
    to counter ``index``, ``add_one`` adds 1 to counter ``one``; the two may come together, every
    3 cycles. ``value`` is the counter that ``read`` named 3 cycles before, while nothing is added.
    """

    busy: In(1)
    starved: In(1)
    stalled: In(1)
    add_one: In(1)
    one: In(range(len(Counter)))
    add: In(1)
    index: In(range(len(Counter)))
    amount: In(16)
    read: In(range(len(Counter)))
    value: Out(64)

    def elaborate(self, platform):
        m = Module()
        m.submodules.cycles = cycles = CycleCounters()
        for name in ("busy", "starved", "stalled"):
            m.d.comb += getattr(cycles, name).eq(getattr(self, name))
        m.submodules.events = events = Memory(shape=64, depth=32, init=[])
        read, write = events.read_port(domain="comb"), events.write_port()
        # The counter of messages first, that of bytes in the cycle behind it. Each is read, added
        # to, and written in cycles of their own: when the next one is read, it is there.
        later, later_index, later_amount = Signal(), Signal(5), Signal(16)
        adds, index, amount = Signal(), Signal(5), Signal(16)
        word, word_adds, word_index, word_amount = Signal(64), Signal(), Signal(5), Signal(16)
        sum_, sum_valid, sum_index = Signal(64), Signal(), Signal(5)
        m.d.sync += [
            later.eq(self.add),
            later_index.eq(self.index),
            later_amount.eq(self.amount),
            adds.eq(self.add_one | later),
            index.eq(Mux(self.add_one, self.one, Mux(later, later_index, self.read))),
            amount.eq(Mux(self.add_one, 1, later_amount)),
            word.eq(read.data),
            word_adds.eq(adds),
            word_index.eq(index),
            word_amount.eq(amount),
            sum_.eq(word + word_amount),
            sum_valid.eq(word_adds),
            sum_index.eq(word_index),
        ]
        m.d.comb += read.addr.eq(index)
        # Reset does not clear memories.
        cleared = Signal(6)
        with m.If(~cleared[-1]):
            m.d.sync += cleared.eq(cleared + 1)
            m.d.comb += [write.en.eq(1), write.addr.eq(cleared)]
        with m.Else():
            m.d.comb += [
                write.en.eq(sum_valid),
                write.addr.eq(sum_index),
                write.data.eq(sum_),
            ]
        is_cycles = word_index < 4
        m.d.comb += cycles.read.eq(word_index)
        m.d.sync += self.value.eq(Mux(is_cycles, cycles.value, word))
        return m
