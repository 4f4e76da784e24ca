"""The sliding window against replays (RFC 9147, 4.5.1; RFC 4303, 3.4.3)."""

from enum import Enum

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ReplayWindow", "ReplayWindowModel", "Verdict"]

NUMBER_BITS = 48


class ReplayWindow(wiring.Component):
    """One record number against one window: what to say of it, and the window once it is accepted.

    ``start`` takes ``number``, ``next`` and ``seen``; ``busy`` is high in the ``width`` cycles that
    follow, in which ``seen`` passes bit by bit. After them the outputs hold until the next
    ``start``. Whoever holds the state writes ``number`` + 1 back, unless it is ``behind``, and
    ``seen_after``; but only after the record's tag has verified, and only if it is neither
    ``too_old`` nor ``replayed``. A new window has ``next`` at the first number that may come and
    ``seen`` all ones. ``number`` is at most 2**``reach_bits`` below ``next``, and less above.

    Bits leave on the left and come back on the right. Behind, all of them do, and that of the
    number as a one. Otherwise those that leave do not come back, and the shift ends with a one for
    the number.
    """

    def __init__(self, width: int = 64, reach_bits: int = NUMBER_BITS + 1):
        if width < 2:
            raise ValueError(f"replay window of {width} records is under 2")
        self.width = width
        self._reach_bits = reach_bits
        super().__init__(
            {
                "start": In(1),
                "number": In(NUMBER_BITS),
                #: The highest number accepted so far, plus one.
                "next": In(NUMBER_BITS + 1),
                #: Bit i: ``next - 1 - i`` has been accepted.
                "seen": In(width),
                "busy": Out(1),
                #: Left of ``next``.
                "behind": Out(1),
                #: Left of the window.
                "too_old": Out(1),
                #: In the window, and accepted before.
                "replayed": Out(1),
                "seen_after": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width, window = self.width, self.seen_after
        distance = Signal(signed(self._reach_bits + 1))
        behind = Signal()
        from_edge = Signal(
            signed(self._reach_bits + 2)
        )  # of the window, or from next if not behind
        step = Signal(range(width))
        last_step = Signal(range(width))  # the one of the number
        moves = Signal()
        hit = Signal()
        m.d.comb += [
            distance.eq(self.number - self.next),
            behind.eq(distance < 0),
            from_edge.eq(distance + Mux(behind, width, 0)),
            hit.eq(step == last_step),
        ]
        with m.If(self.start):
            m.d.sync += [
                self.behind.eq(behind),
                self.too_old.eq(from_edge < 0),
                self.replayed.eq(0),
                last_step.eq(Mux(~behind & (from_edge >= width), width - 1, from_edge)),
                step.eq(0),
                moves.eq(1),
                self.busy.eq(1),
            ]
        with m.If(self.busy):
            m.d.sync += [
                step.eq(step + 1),
                moves.eq(moves & (self.behind | ~hit)),
                self.busy.eq(step != width - 1),
            ]
            with m.If(hit & self.behind & ~self.too_old & window[-1]):
                m.d.sync += self.replayed.eq(1)
        with m.If(self.start | (self.busy & moves)):
            shifted = Cat(hit | (self.behind & window[-1]), window[:-1])
            m.d.sync += window.eq(Mux(self.start, self.seen, shifted))
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
