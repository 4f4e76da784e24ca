"""A block memory seen through one of its words: what holds for that one holds for all."""

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["OneWord"]


class OneWord(wiring.Component):
    """Stands for a `hdl.block_ram.BlockRAM` of which no more than one word is known.

    It is the ``word`` at ``watched``, an address that never changes and may be any. All others read
    as anything, as this one does in the cycle in which it is written.
    """

    def __init__(self, width: int, depth: int):
        self._width = width
        address = range(depth)
        super().__init__(
            {
                "write": In(1),
                "write_address": In(address),
                "write_data": In(width),
                "read_address": In(address),
                "read_data": Out(width),
                "watched": Out(address),
                "word": Out(width),
                #: The word is written in this cycle.
                "changes": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        read = Signal(self._width)
        m.d.comb += [
            self.watched.eq(AnyConst(len(self.watched))),
            self.changes.eq(self.write & (self.write_address == self.watched)),
        ]
        known = (self.read_address == self.watched) & ~self.changes
        m.d.sync += [read.eq(Mux(known, self.word, AnySeq(self._width))), self.read_data.eq(read)]
        with m.If(self.changes):
            m.d.sync += self.word.eq(self.write_data)
        return m
