"""Blocks that proofs look into: their inner signals and states, and outputs that are given."""

import linecache
from collections.abc import Iterable

from amaranth.asserts import AnySeq
from amaranth.hdl import Const, Elaboratable, Fragment, Module, Signal, Value
from amaranth.lib import wiring

__all__ = ["Opened", "Replaced", "Unknown"]


class Opened(Elaboratable):
    """A block that is elaborated once, with its inner signals and states by name.

    They have no other name than the one in its source. An invariant over them makes a proof
    possible; it is proved as well, so a wrong one makes no proof unsound.
    """

    def __init__(self, block: Elaboratable):
        self.block = block
        self._module = block.elaborate(None)
        self._fragment = Fragment.get(self._module, None)
        self._signals = _named(self._fragment)

    def __getitem__(self, name: str) -> Signal:
        return self._signals[name]

    def register(self, name: str) -> Signal:
        """A register, where something else has the same name."""
        registers = self._fragment.statements["sync"]._lhs_signals()
        return next(signal for signal in registers if signal.name == name)

    def beside(self, name: str) -> dict[str, Signal]:
        """Those that are made in the same line of the source, by name."""
        line = self[name].src_loc
        assigned = (x for found in self._fragment.statements.values() for x in found)
        signals = (signal for x in assigned for signal in x._lhs_signals())
        return _named_together({s.duid: s for s in signals if s.src_loc == line}.values())

    @property
    def inner(self) -> list[str]:
        """The names of its submodules."""
        return [name for _, name, _ in self._fragment.subfragments if name]

    def within(self, *path: str) -> dict[str, Signal]:
        """The signals that a submodule assigns, by name."""
        fragment = self._fragment
        for wanted in path:
            fragment = next(inner for inner, name, _ in fragment.subfragments if name == wanted)
        return _named(fragment)

    def __getattr__(self, name: str):
        return getattr(self.block, name)

    def nameless(self, name: str) -> dict[int, Signal]:
        """By width, those signals that have no name, and that ``name`` is made of."""
        sources = (
            statement._rhs_signals()
            for statements in self._fragment.statements.values()
            for statement in statements
            if self[name] in statement._lhs_signals()
        )
        return {
            len(source): source for found in sources for source in found if source.name[0] == "$"
        }

    def ongoing(self, state: str) -> Value:
        """Whether the state machine is in this state."""
        fsm = self._module._generated["fsm"]
        return fsm.state == fsm.encoding[state]

    def any_state(self) -> Value:
        """Whether the state machine is in a state that has a name."""
        fsm = self._module._generated["fsm"]
        return fsm.state <= max(fsm.encoding.values())

    def elaborate(self, platform):
        self.block._MustUse__used = True
        return self._fragment


def _named(fragment: Fragment) -> dict[str, Signal]:
    """The signals that a fragment assigns."""
    signals = [
        signal
        for statements in fragment.statements.values()
        for signal in statements._lhs_signals()
    ]
    return _named_together(signals) | {signal.name: signal for signal in signals}


def _named_together(signals: Iterable[Signal]) -> dict[str, Signal]:
    """Those that Amaranth knows no name of: ``a, b = Signal(), Signal()`` in one line."""
    lines: dict[tuple[str, int], list[Signal]] = {}
    for signal in sorted(signals, key=lambda signal: signal.duid):
        lines.setdefault(signal.src_loc, []).append(signal)
    found = {}
    for (file, line), together in lines.items():
        names = linecache.getline(file, line).partition("=")[0].strip().split(", ")
        if len(names) == len(together):
            found.update(zip(names, together, strict=True))
    return found


class Replaced(Elaboratable):
    """A block of which some outputs are ``given``; what it makes of them itself goes nowhere."""

    def __init__(self, block: Elaboratable, **given: Value):
        self._block = block
        self._given = given
        self._outputs = {
            name: Signal.like(getattr(block, name), name=f"{name}_given") for name in given
        }

    def __getattr__(self, name: str):
        return self._outputs[name] if name in self._outputs else getattr(self._block, name)

    def elaborate(self, platform):
        m = Module()
        m.submodules.block = self._block
        m.d.comb += [self._outputs[name].eq(value) for name, value in self._given.items()]
        return m


class Unknown(Elaboratable):
    """A block of which nothing is known: its outputs are anything in each cycle."""

    def __init__(self, block: wiring.Component):
        self._block = block

    def __getattr__(self, name: str):
        return getattr(self._block, name)

    def elaborate(self, platform):
        m = Module()
        self._block._MustUse__used = True
        for _, member, port in self._block.signature.flatten(self._block):
            if member.flow is wiring.Out and not isinstance(port, Const):
                value = Value.cast(port)
                m.d.comb += value.eq(AnySeq(len(value)))
        return m
