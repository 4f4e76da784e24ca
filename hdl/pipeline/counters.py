"""The counters that STATS reports, of an accelerator that ends a request in 3 cycles."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from driver.messages import Counter

__all__ = ["Counters"]


class Counters(wiring.Component):
    """One 64-bit counter for each `driver.messages.Counter`, zero 32 cycles after reset; they wrap.

    The first four count cycles by themselves. The others live in a memory: ``add`` adds ``amount``
    to counter ``index``, ``add_one`` adds 1 to counter ``one``; the two may come together, every
    3 cycles. ``value`` is the counter that ``read`` named 2 cycles before, while nothing is added.
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
        live = Array(Signal(64, name=counter.name.lower()) for counter in list(Counter)[:4])
        m.d.sync += live[Counter.CYCLES].eq(live[Counter.CYCLES] + 1)
        for counter, event in (
            (Counter.BUSY_CYCLES, self.busy),
            (Counter.STARVED_CYCLES, self.starved),
            (Counter.STALLED_CYCLES, self.stalled),
        ):
            with m.If(event):
                m.d.sync += live[counter].eq(live[counter] + 1)

        m.submodules.events = events = Memory(shape=64, depth=32, init=[])
        read, write = events.read_port(domain="comb"), events.write_port()
        # The counter of messages first, that of bytes in the cycle behind it.
        index, amount, adds = Signal(5), Signal(16), Signal()
        later_index, later_amount, later = Signal(5), Signal(16), Signal()
        sum_, sum_index, sum_valid = Signal(64), Signal(5), Signal()
        m.d.sync += [
            adds.eq(self.add_one | later),
            index.eq(Mux(self.add_one, self.one, Mux(later, later_index, self.read))),
            amount.eq(Mux(self.add_one, 1, later_amount)),
            later.eq(self.add),
            later_index.eq(self.index),
            later_amount.eq(self.amount),
            sum_.eq(read.data + amount),
            sum_index.eq(index),
            sum_valid.eq(adds),
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
        value = Signal(64)
        m.d.sync += value.eq(Mux(index < len(live), live[index[:2]], read.data))
        m.d.comb += self.value.eq(value)
        return m
