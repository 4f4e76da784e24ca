"""The sliding window against replays (RFC 9147, 4.5.1; RFC 4303, 3.4.3)."""

from enum import Enum

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ReplayWindow", "ReplayWindowModel", "Verdict"]

NUMBER_BITS = 48


class ReplayWindow(wiring.Component):
    """One record number against one window: what to say of it, and the window once it is accepted.

    Combinational, and read-only: whoever holds the state writes ``next_after`` and ``seen_after``
    back after the record's tag has verified, and only if it is neither ``too_old`` nor
    ``replayed``; otherwise they mean nothing. A new window has ``next`` at the first number that
    may come and ``seen`` all ones.

    One distance serves both sides: right of the window its bits are the shift, left of its edge
    their complement is the index, so that one subtraction and one barrel shift do.
    """

    def __init__(self, width: int = 64):
        if width < 2:
            raise ValueError(f"replay window of {width} records is under 2")
        self.width = width
        super().__init__(
            {
                "number": In(NUMBER_BITS),
                #: The highest number accepted so far, plus one.
                "next": In(NUMBER_BITS + 1),
                #: Bit i: ``next - 1 - i`` has been accepted.
                "seen": In(width),
                #: Left of the window.
                "too_old": Out(1),
                #: In the window, and accepted before.
                "replayed": Out(1),
                "next_after": Out(NUMBER_BITS + 1),
                "seen_after": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        distance = Signal(NUMBER_BITS + 2)  # number - next, two's complement
        behind = Signal()
        magnitude = Signal(NUMBER_BITS + 1)  # number - next, or the bit of number in seen
        near = Signal(range(self.width))
        within = Signal()
        bit = Signal(self.width)
        m.d.comb += [
            distance.eq(self.number - self.next),
            behind.eq(distance[-1]),
            magnitude.eq(Mux(behind, ~distance, distance)),
            near.eq(magnitude),
            within.eq(magnitude < self.width),
            bit.eq(Const(1, 1) << near),
            self.too_old.eq(behind & ~within),
            self.replayed.eq(behind & within & (self.seen & bit).any()),
        ]
        with m.If(behind):
            m.d.comb += [
                self.next_after.eq(self.next),
                self.seen_after.eq(self.seen | bit),
            ]
        with m.Else():
            m.d.comb += [
                self.next_after.eq(self.number + 1),
                self.seen_after.eq(Cat(1, Mux(within, self.seen << near, 0))),
            ]
        return m


class Verdict(Enum):
    """What a window says of a record number."""

    NEW = "new"
    REPLAYED = "replayed"
    TOO_OLD = "too old"


class ReplayWindowModel:
    """Software model: the numbers accepted, as a set. Numbers below ``first`` count as accepted."""

    def __init__(self, width: int = 64, first: int = 0):
        self.width = width
        self.first = first
        #: The highest number accepted so far, plus one.
        self.next = first
        self._accepted: set[int] = set()

    def check(self, number: int) -> Verdict:
        """What to say of ``number``; changes nothing."""
        if number < self.next - self.width:
            return Verdict.TOO_OLD
        if number < self.first or number in self._accepted:
            return Verdict.REPLAYED
        return Verdict.NEW

    def accept(self, number: int) -> None:
        """Take ``number`` as accepted; raises `ValueError` if it is not new."""
        verdict = self.check(number)
        if verdict is not Verdict.NEW:
            raise ValueError(f"record number {number} is {verdict.value}")
        self.next = max(self.next, number + 1)
        left_edge = self.next - self.width
        self._accepted = {n for n in self._accepted | {number} if n >= left_edge}
