"""The counters that STATS reports, of an accelerator that ends a request in 3 cycles."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from driver.messages import Counter

__all__ = ["Counters"]

#: Counters that count cycles: the first ones.
_CYCLES = 4


class Counters(wiring.Component):
    """One 64-bit counter for each `driver.messages.Counter`, zero 33 cycles after reset; they wrap.

    ``add`` adds ``amount`` to counter ``index``, ``add_one`` adds 1 to counter ``one``; the two may
    come together, every 3 cycles, and are never for the same counter. The first four counters count
    cycles by themselves. All live in a memory; those of cycles are added there from short ones,
    which have their turn in the cycles in which nothing else is added.

    ``value`` is the counter that ``read`` has named for 7 cycles, while nothing is added.
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
        m.submodules.events = events = Memory(shape=64, depth=32, init=[])
        read, write = events.read_port(domain="comb"), events.write_port()
        # Reset does not clear memories.
        cleared = Signal(6)
        recent = Array(Signal(8, name=counter.name.lower()) for counter in list(Counter)[:_CYCLES])
        events_of_cycle = (Const(1, 1), self.busy, self.starved, self.stalled)

        # The counter of messages first, that of bytes in the cycle behind it. Each is read, added
        # to, and written in cycles of their own: when the next one is read, it is there.
        add_one, one = Signal(), Signal(5)
        add, add_index, add_amount = Signal(), Signal(5), Signal(16, reset_less=True)
        later, later_index, later_amount = Signal(), Signal(5), Signal(16, reset_less=True)
        adds, index, amount = Signal(), Signal(5), Signal(16, reset_less=True)
        adds_recent, recent_amount = Signal(), Signal(8, reset_less=True)
        word, word_adds = Signal(64, reset_less=True), Signal()
        word_index, word_amount = Signal(5), Signal(16, reset_less=True)
        sum_, sum_valid, sum_index = Signal(64, reset_less=True), Signal(), Signal(5)

        # In one of four other cycles, recent ones are added; 3 cycles behind it, one is read.
        free, turn, which = Signal(), Signal(4, init=1), Signal(_CYCLES, init=1)  # one-hot
        moves, reads, chosen = Signal(), Signal(3), Signal(5)
        m.d.comb += [
            moves.eq(free & turn[0]),
            chosen.eq(Mux(turn[0], Cat(which[1] | which[3], which[2:].any()), self.read)),
        ]
        with m.If(free):
            m.d.sync += turn.eq(turn.rotate_left(1))
        with m.If(moves):
            m.d.sync += which.eq(which.rotate_left(1))
        for number, event in enumerate(events_of_cycle):
            rest = Mux(moves & which[number], 0, recent[number])
            m.d.sync += recent[number].eq(rest + event)
        m.d.sync += reads.eq(Cat(free & turn[3], reads))
        with m.If(reads[2]):
            m.d.sync += self.value.eq(sum_)

        m.d.sync += [
            free.eq(~self.add_one & ~add & cleared[-1]),
            add_one.eq(self.add_one),
            one.eq(self.one),
            add.eq(self.add),
            add_index.eq(self.index),
            add_amount.eq(self.amount),
            later.eq(add),
            later_index.eq(add_index),
            later_amount.eq(add_amount),
            adds.eq(add_one | later | moves),
            index.eq(Mux(add_one, one, Mux(later, later_index, chosen))),
            amount.eq(Mux(add_one, 1, later_amount)),
            adds_recent.eq(~add_one & ~later),
            recent_amount.eq(Mux(chosen < _CYCLES, recent[chosen[:2]], 0)),
            word.eq(read.data),
            word_adds.eq(adds),
            word_index.eq(index),
            word_amount.eq(Mux(adds_recent, recent_amount, amount)),
            sum_.eq(word + word_amount),
            sum_valid.eq(word_adds),
            sum_index.eq(word_index),
        ]
        m.d.comb += [
            read.addr.eq(index),
            write.en.eq(sum_valid),
            write.addr.eq(sum_index),
            write.data.eq(sum_),
        ]
        with m.If(~cleared[-1]):
            m.d.sync += [
                cleared.eq(cleared + 1),
                sum_.eq(0),
                sum_valid.eq(1),
                sum_index.eq(cleared),
            ]
        return m
