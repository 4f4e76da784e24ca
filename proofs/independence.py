"""Proofs that outputs do not depend on secrets: two copies of a design that differ in those only.

Registers that are equal in both copies stay so, if what they become follows from equal ones and
from inputs that are the same for both. The largest set of registers is found
by taking out of all of them those for which it is not so, until there is none: what two copies can
differ in is first tried with random values, and then decided by a SAT solver. All begin equal, so
those of the set are equal for ever, whatever the inputs are. So the proof is unbounded, and needs
no invariants.
"""

import random
import subprocess
import sysconfig
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from amaranth.hdl import Elaboratable, Fragment, Module, Signal, Value

from proofs.netlist import Netlist, translate
from proofs.property import Finding, Verdict

__all__ = ["Copy", "Independence"]


class Copy(Elaboratable, ABC):
    """A design whose inputs are made by `shared` and `private`, and with outputs for `equal`.

    A subclass describes it in ``describe``.
    """

    def __init__(self):
        self.ports: list[Signal] = []

    @abstractmethod
    def describe(self, m: Module) -> None:
        """Add the design, its inputs and what shall be equal."""

    def elaborate(self, platform):
        m = Module()
        self.describe(m)
        return m

    def _port(self, kind: str, name: str, shape) -> Signal:
        signal = Signal(shape, name=f"{kind}_{name}")
        self.ports.append(signal)
        return signal

    def shared(self, name: str, shape=1) -> Signal:
        """An input that is anything, but the same in both copies."""
        return self._port("shared", name, shape)

    def private(self, name: str, shape=1) -> Signal:
        """An input that is anything in each copy."""
        return self._port("private", name, shape)

    def equal(self, m: Module, name: str, value) -> None:
        """The copies shall agree on ``value`` in every cycle."""
        m.d.comb += self._port("equal", name, len(Value.cast(value))).eq(value)

    def invariant(self, m: Module, name: str, value) -> None:
        """What of registers alone holds in every cycle; it is proved too, by induction."""
        m.d.comb += self._port("invariant", name, 1).eq(value)

    @abstractmethod
    def stimulus(self) -> "Stimulus":
        """What a pair of runs is given that shows where a broken copy fails."""


class Stimulus(ABC):
    """Drives shared inputs from reset on; all that it does not name are 0, private ones random."""

    @abstractmethod
    def inputs(self) -> dict[str, int]:
        """The shared inputs of the next cycle by name."""

    @abstractmethod
    def outputs(self, equal: dict[str, int]) -> bool:
        """Told what the copies agreed on in the cycle; False to end."""


@dataclass(frozen=True)
class Independence:
    """What a `Copy` calls equal does not depend on its private inputs.

    A broken copy is refuted by runs from reset, which its stimulus drives, with random secrets.
    """

    words: str = "unbounded, self-composition"
    #: Runs at once that a broken copy is refuted with.
    runs: int = 1024
    cycles: int = 20_000

    def check(self, design: Copy, folder: Path) -> Finding:
        netlist = _netlist(design, folder)
        search = _Search(netlist, folder)
        if broken := search.broken_invariants():
            return Finding(Verdict.UNKNOWN, f"not invariant: {', '.join(broken)}")
        if unequal := search.unequal():
            return Finding(Verdict.UNKNOWN, f"not shown equal: {', '.join(sorted(set(unequal)))}")
        return Finding(Verdict.HOLDS, search.count)

    def refute(self, design: Copy, folder: Path) -> Finding:
        netlist = _netlist(design, folder)
        step, ones = netlist.compiled(), (1 << self.runs) - 1
        registers = [0] * len(netlist.registers)
        stimulus, source = design.stimulus(), random.Random(1)
        for cycle in range(self.cycles):
            shared = stimulus.inputs()
            inputs = [
                (ones if shared.get(name.removeprefix("shared_"), 0) >> bit & 1 else 0)
                if name.startswith("shared_")
                else source.getrandbits(self.runs)
                for name, bit in netlist.inputs
            ]
            registers, outputs = step(inputs, registers, ones)
            values: dict[str, int] = {}
            for (name, bit), value in zip(netlist.outputs, outputs, strict=True):
                if value not in (0, ones) and name.startswith("equal_"):
                    what = name.removeprefix("equal_")
                    return Finding(Verdict.FAILS, f"copies differ in {what}, cycle {cycle}")
                values[name.removeprefix("equal_")] = (
                    values.get(name.removeprefix("equal_"), 0) | (value & 1) << bit
                )
            if not stimulus.outputs(values):
                break
        return Finding(Verdict.UNKNOWN, "no difference in these runs")


def _netlist(design: Copy, folder: Path) -> Netlist:
    fragment = Fragment.get(design, None)
    return translate(fragment, design.ports, folder)


class _Search:
    """For the largest set of registers that stay equal in both copies."""

    #: Random states that are tried at once; and how often in vain before the solver is asked.
    LANES = 2048
    TRIES = 4

    def __init__(self, netlist: Netlist, folder: Path):
        self._net = netlist
        self._folder = folder
        self._step = netlist.compiled()
        self._random = random.Random(1)
        self._equal = [True] * len(netlist.registers)
        self._private = [name.startswith("private_") for name, _ in netlist.inputs]
        self._invariants = [
            index
            for index, (name, _) in enumerate(netlist.outputs)
            if name.startswith("invariant_")
        ]

    def broken_invariants(self) -> list[str]:
        """Names of the invariants that do not hold at reset, or do not follow from all of them."""
        net = self._net
        _, at_reset = self._step([0] * len(net.inputs), [0] * len(net.registers), 1)
        gates = Gates()
        now = gates.copy(net, gates.new(len(net.inputs)), gates.new(len(net.registers)))
        held = [now(net.given[index]) for index in self._invariants]
        then = gates.copy(net, gates.new(len(net.inputs)), [now(x) for x in net.following])
        return [
            net.outputs[index][0]
            for index in self._invariants
            if not at_reset[index]
            or gates.differ([(then(net.given[index]), 1)], held, self._folder) is not None
        ]

    def unequal(self) -> list[str]:
        """Names of the outputs that are not equal."""
        net = self._net
        self._try()
        while True:
            gates = Gates()
            left, right = self._copies(gates)
            pairs = [
                (left(x), right(x))
                for x, equal in zip(net.following, self._equal, strict=True)
                if equal
            ]
            held = [copy(net.given[i]) for i in self._invariants for copy in (left, right)]
            model = gates.differ(pairs, held, self._folder)
            if model is None:
                break
            for index, literal in enumerate(net.following):
                if self._equal[index] and model(left(literal)) != model(right(literal)):
                    self._equal[index] = False
            state = [model(left(2 * variable)) for variable in range(1, net.first_gate)]
            self._try(state[: len(net.inputs)], state[len(net.inputs) :])
        return [
            name
            for (name, _), literal in zip(net.outputs, net.given, strict=True)
            if gates.differ([(left(literal), right(literal))], held, self._folder) is not None
            and name.startswith("equal_")
        ]

    @property
    def count(self) -> str:
        """How many registers are equal."""
        return f"{sum(self._equal)} of {len(self._equal)} registers are equal"

    def _copies(self, gates: "Gates"):
        """Two copies with what is equal in common."""
        inputs, registers = gates.new(len(self._private)), gates.new(len(self._equal))
        left = gates.copy(self._net, inputs, registers)
        others = [
            gates.new(1)[0] if private else x
            for x, private in zip(inputs, self._private, strict=True)
        ]
        different = [
            x if equal else gates.new(1)[0] for x, equal in zip(registers, self._equal, strict=True)
        ]
        return left, gates.copy(self._net, others, different)

    def _try(self, inputs: Sequence[int] = (), registers: Sequence[int] = ()) -> None:
        """States at random; or those near to a given one, in which a few bits are others."""
        tries, ones = 0, (1 << self.LANES) - 1

        def draw() -> int:
            return self._random.getrandbits(self.LANES)

        def near(bits: Sequence[int], count: int) -> list[int]:
            if not bits:
                return [draw() for _ in range(count)]
            return [(ones if bit else 0) ^ (draw() & draw() & draw() & draw()) for bit in bits]

        while tries < self.TRIES:
            left = [
                x if equal else draw()
                for x, equal in zip(near(registers, len(self._equal)), self._equal, strict=True)
            ]
            right = [x if equal else draw() for x, equal in zip(left, self._equal, strict=True)]
            given = near(inputs, len(self._private))
            others = [draw() if p else x for x, p in zip(given, self._private, strict=True)]
            left, left_given = self._step(given, left, ones)
            right, right_given = self._step(others, right, ones)
            valid = ones
            for index in self._invariants:
                valid &= left_given[index] & right_given[index]
            found = [
                index
                for index, (a, b) in enumerate(zip(left, right, strict=True))
                if self._equal[index] and (a ^ b) & valid
            ]
            tries = 0 if found else tries + 1
            for index in found:
                self._equal[index] = False


class Gates:
    """And gates, each once however many copies of a netlist there are; literals as in `Netlist`."""

    def __init__(self):
        self._gates: dict[tuple[int, int], int] = {}
        self._inputs: list[tuple[int, int] | None] = [None]  # of each variable

    def new(self, count: int) -> list[int]:
        """So many free variables."""
        return [self._new() for _ in range(count)]

    def _new(self, inputs: tuple[int, int] | None = None) -> int:
        self._inputs.append(inputs)
        return 2 * (len(self._inputs) - 1)

    def _and(self, a: int, b: int) -> int:
        if a > b:
            a, b = b, a
        if a == 0 or a ^ 1 == b:
            return 0
        if a == 1 or a == b:
            return b
        if (a, b) not in self._gates:
            self._gates[a, b] = self._new((a, b))
        return self._gates[a, b]

    def copy(
        self, netlist: Netlist, inputs: Sequence[int], registers: Sequence[int]
    ) -> Callable[[int], int]:
        """A copy with these inputs and registers; what the netlist's literals are in it."""
        found = [0, *inputs, *registers]
        for a, b in netlist.gates:
            found.append(self._and(found[a >> 1] ^ a & 1, found[b >> 1] ^ b & 1))
        return lambda literal: found[literal >> 1] ^ literal & 1

    def differ(
        self, pairs: Sequence[tuple[int, int]], held: Sequence[int], folder: Path
    ) -> Callable[[int], bool] | None:
        """Values with which a pair differs while ``held`` is true; None if there are none."""
        pairs = sorted({(a, b) for a, b in pairs if a != b})
        if not pairs:
            return None
        cone, stack = set(), [x >> 1 for x in (*held, *(x for pair in pairs for x in pair))]
        while stack:
            variable = stack.pop()
            if variable not in cone:
                cone.add(variable)
                stack += [literal >> 1 for literal in self._inputs[variable] or ()]
        number = {variable: index for index, variable in enumerate(sorted(cone), 1)}

        def signed(literal: int) -> int:
            return -number[literal >> 1] if literal & 1 else number[literal >> 1]

        clauses = [[signed(x)] for x in held] + ([[-number[0]]] if 0 in number else [])
        for variable in cone:
            if inputs := self._inputs[variable]:
                out, a, b = number[variable], *map(signed, inputs)
                clauses += [[-out, a], [-out, b], [out, -a, -b]]
        differs = range(len(number) + 1, len(number) + 1 + len(pairs))
        for index, (a, b) in zip(differs, pairs, strict=True):
            clauses += [[-index, signed(a), signed(b)], [-index, -signed(a), -signed(b)]]
        clauses.append(list(differs))
        values = _solve(differs.stop - 1, clauses, folder)
        if values is None:
            return None
        return lambda x: values[number[x >> 1]] ^ bool(x & 1) if x >> 1 in number else bool(x & 1)


def _solve(count: int, clauses: Sequence[Sequence[int]], folder: Path) -> list[bool] | None:
    lines = [f"p cnf {count} {len(clauses)}", *(f"{' '.join(map(str, c))} 0" for c in clauses)]
    (folder / "differ.cnf").write_text("\n".join(lines) + "\n")
    solver = Path(sysconfig.get_path("scripts")) / "yices-sat"
    found = subprocess.run(
        [solver, "--model", "differ.cnf"], cwd=folder, capture_output=True, text=True
    ).stdout.split("\n", 1)
    if found[0].strip() == "unsat":
        return None
    if found[0].strip() != "sat":
        raise RuntimeError(f"yices-sat says {found[0]!r}")
    values = [False] * (count + 1)
    for word in found[1].replace("v", " ").split():
        if int(word) > 0:
            values[int(word)] = True
    return values
