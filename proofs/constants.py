"""Registers of a netlist that are 0 for ever, found by constants alone.

All are 0 at reset. What a gate gives is 0, 1 or anything; a register that may become 1 is anything
from then on. So the netlist is gone through once, whatever the number of cycles is.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from proofs.netlist import Netlist

__all__ = ["zeros"]

_ANY = 2


def zeros(
    netlist: Netlist,
    never: Iterable[int] = (),
    memories: Sequence[tuple[Sequence[int], Sequence[int]]] = (),
) -> set[int]:
    """The variables of registers, and of what is read of memories, that are 0 in every cycle.

    The literals ``never`` are taken to be 0. Of each of ``memories``, which hold zeros at reset, it
    is given what is written, 0 where nothing is, and the variables of what is read.
    """
    values = _Values(netlist, never, {variable for _, read in memories for variable in read})
    following = ((x, [variable]) for variable, x in enumerate(netlist.following, values.register))
    values.spread([*following, *((x, read) for written, read in memories for x in written)])
    return values.zeros()


class _Values:
    """What is known of each variable."""

    def __init__(self, netlist: Netlist, never: Iterable[int], read: set[int]):
        self._net, self.register = netlist, netlist.first_register
        self._known = {literal >> 1: literal & 1 for literal in never}
        # Registers and what is read of memories begin with 0, and may become anything.
        self._states = read.union(range(self.register, netlist.first_gate))
        values = [
            0 if variable in self._states or not variable else _ANY
            for variable in range(netlist.first_gate)
        ]
        self._values = [self._known.get(x, value) for x, value in enumerate(values)]
        for variable in range(netlist.first_gate, netlist.first_gate + len(netlist.gates)):
            self._values.append(self._gate(variable))

    def _literal(self, literal: int) -> int:
        value = self._values[literal >> 1]
        return value if value == _ANY else value ^ (literal & 1)

    def _gate(self, variable: int) -> int:
        if variable in self._known:
            return self._known[variable]
        inputs = self._net.gates[variable - self._net.first_gate]
        given = [self._literal(literal) for literal in inputs]
        return 0 if 0 in given else max(given)

    def spread(self, sources: Sequence[tuple[int, Sequence[int]]]) -> None:
        """Until nothing more changes; each source is a literal, and the states that it goes to."""
        gates, states = defaultdict(list), defaultdict(list)
        for variable, inputs in enumerate(self._net.gates, self._net.first_gate):
            for literal in inputs:
                gates[literal >> 1].append(variable)
        for literal, targets in sources:
            states[literal >> 1].append((literal, targets))
        changed = list(range(len(self._values)))
        while changed:
            variable = changed.pop()
            for gate in gates[variable]:
                changed += self._become(gate, self._gate(gate))
            for literal, targets in states[variable]:
                if self._literal(literal):
                    for target in targets:
                        changed += self._become(target, self._known.get(target, _ANY))

    def _become(self, variable: int, value: int) -> list[int]:
        """The variable, if that is new."""
        if self._values[variable] == value:
            return []
        self._values[variable] = value
        return [variable]

    def zeros(self) -> set[int]:
        """States that are still 0."""
        return {variable for variable in self._states if self._values[variable] == 0}
