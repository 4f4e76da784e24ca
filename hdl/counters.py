"""The counters that STATS reports."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from driver.messages import Counter

__all__ = ["Counters"]


class Counters(wiring.Component):
    """One 64-bit counter for each `driver.messages.Counter`, zero 26 cycles after reset; they wrap.

    The first four count cycles by themselves. The others live in a memory: ``add`` adds ``amount``
    to counter ``index`` and takes two cycles, so strobes must be two cycles apart. ``value`` is
    the counter that ``read`` named in the cycle before, if nothing was added in that cycle.
    """

    busy: In(1)
    starved: In(1)
    stalled: In(1)
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

        m.submodules.events = events = Memory(shape=64, depth=len(Counter), init=[])
        read, write = events.read_port(), events.write_port()
        adding = Signal()
        address = Signal.like(read.addr)
        amount = Signal(16)
        m.d.sync += [adding.eq(self.add), address.eq(read.addr), amount.eq(self.amount)]
        m.d.comb += read.addr.eq(Mux(self.add, self.index, self.read))

        # Reset does not clear memories.
        cleared = Signal(range(len(Counter) + 1))
        with m.If(cleared != len(Counter)):
            m.d.sync += cleared.eq(cleared + 1)
            m.d.comb += [write.en.eq(1), write.addr.eq(cleared)]
        with m.Else():
            m.d.comb += [
                write.en.eq(adding),
                write.addr.eq(address),
                write.data.eq(read.data + amount),
            ]
        is_live = Signal()
        m.d.sync += is_live.eq(self.read < len(live))
        m.d.comb += self.value.eq(Mux(is_live, live[self.read], read.data))
        return m
