"""Signals inside a block, for invariants: they have no other name than the one in its source."""

from amaranth.hdl import Elaboratable, Fragment, Signal

__all__ = ["Opened"]


class Opened(Elaboratable):
    """A block that is elaborated once, with its inner signals by name.

    An invariant over them makes a proof possible; it is asserted as well, so a wrong one makes no
    proof unsound.
    """

    def __init__(self, block: Elaboratable):
        self.block = block
        self._fragment = Fragment.get(block, None)
        self._signals = {
            signal.name: signal
            for statements in self._fragment.statements.values()
            for signal in statements._lhs_signals()
        }

    def __getitem__(self, name: str) -> Signal:
        return self._signals[name]

    def elaborate(self, platform):
        return self._fragment
