"""Proofs by exact forms: what a machine gives is what a standard says, for all values at once."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from amaranth.hdl import Elaboratable, Module, Value, ValueLike

from proofs.machine import Machine, translate
from proofs.polynomials import Form
from proofs.property import Finding, Verdict
from proofs.sbox import TABLE

__all__ = ["Claim", "Exact", "Walk", "reached"]

Place = TypeVar("Place", bound=Hashable)


class Claim(NamedTuple):
    """Two words that shall be the same."""

    what: str
    found: Sequence[Form]
    expected: Sequence[Form]


class Walk(Elaboratable, ABC):
    """A block with ports by name, and what is claimed of them while it works."""

    def __init__(self, block: Elaboratable, /, **ports: ValueLike):
        self._block = block
        self.ports = {name: Value.cast(port) for name, port in ports.items()}

    def elaborate(self, platform):
        m = Module()
        m.submodules.block = self._block
        return m

    @abstractmethod
    def claims(self, machine: Machine) -> Iterator[Claim]:
        """Walk through the cycles of the machine; yield what shall be so."""


def reached(first: Iterable[Place], turn: Callable[[Place], Iterable[Place]]) -> set[Place]:
    """All places, of states and what else counts, to which turns lead from the first ones."""
    known = set(first)
    ahead = list(known)
    while ahead:
        new = set(turn(ahead.pop())) - known
        known |= new
        ahead += new
    return known


@dataclass(frozen=True)
class Exact:
    """Every input, by the form of each net over GF(2), cycle by cycle.

    The S-box is left uninterpreted. A broken copy is refuted by values for which a claim is wrong.
    """

    words: str = "every input, exact forms over GF(2)"

    def check(self, walk: Walk, folder: Path) -> Finding:
        machine = translate(walk, walk.ports, folder, TABLE)
        count = 0
        for claim in walk.claims(machine):
            count += 1
            differ = machine.forms.differ(claim.found, claim.expected)
            if differ:
                return Finding(Verdict.FAILS, claim.what)
            if differ is None:
                return Finding(Verdict.UNKNOWN, f"not shown: {claim.what}")
        if not count:
            return Finding(Verdict.UNKNOWN, "nothing is claimed")
        return Finding(Verdict.HOLDS, f"{count} claims" if count > 1 else "")

    refute = check
