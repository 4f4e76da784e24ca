"""The meaning of a replay window: the set of the numbers accepted, seen through one of them.

No proof can hold a set of 48-bit numbers. It holds one bit instead: whether some number, which
never changes and may be any, is in the set. What holds for that one holds for all.
"""

from amaranth.asserts import AnyConst
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["NUMBER_BITS", "AcceptedSet"]

NUMBER_BITS = 48


class AcceptedSet(wiring.Component):
    """The numbers accepted, and those below ``first``.

    With ``begins`` the set is new, and ``first`` is of that cycle; with ``accepts``, ``number``
    joins it. In the same cycle, of ``number``: whether it is ``too_old`` for a window of ``width``,
    and, if it is the ``tracked`` one, whether it is in the set. ``next`` is the highest number
    accepted plus one, or ``first``.
    """

    def __init__(self, width: int):
        self._width = width
        super().__init__(
            {
                "begins": In(1),
                "number": In(NUMBER_BITS),
                "accepts": In(1),
                "first": In(NUMBER_BITS),
                "too_old": Out(1),
                "next": Out(NUMBER_BITS + 1),
                "tracked": Out(NUMBER_BITS),
                "contains_tracked": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        tracked, number = Signal(NUMBER_BITS), self.number
        m.d.comb += [
            tracked.eq(AnyConst(NUMBER_BITS)),
            self.tracked.eq(tracked),
            self.too_old.eq(number + self._width < self.next),
        ]
        with m.If(self.begins):
            m.d.sync += [self.next.eq(self.first), self.contains_tracked.eq(tracked < self.first)]
        with m.Elif(self.accepts):
            with m.If(number >= self.next):
                m.d.sync += self.next.eq(number + 1)
            with m.If(number == tracked):
                m.d.sync += self.contains_tracked.eq(1)
        return m

    def invariant(self):
        """What is always so of the set."""
        below_next = ~self.contains_tracked | (self.tracked < self.next)
        return below_next & (self.next <= 1 << NUMBER_BITS)
