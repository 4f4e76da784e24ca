"""Proofs that outputs do not depend on secrets: two copies of a design that differ in those only.

Registers that are equal in both copies stay so, if what they become follows from equal ones and
from inputs that are the same for both. The largest set of registers is found
by taking out of all of them those for which it is not so, until there is none: what two copies can
differ in is first tried with random values, and then decided by a SAT solver. All begin equal, so
those of the set are equal for ever, whatever the inputs are. So the proof is unbounded, and needs
no invariants but those that a `Copy` states. What is 0 in every cycle is found before
(`proofs.constants`).
"""

import random
import subprocess
import sysconfig
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from amaranth.hdl import Elaboratable, Fragment, Module, Signal, Value

from proofs.constants import zeros
from proofs.memories import Column, Memories
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

    def equal_when(self, m: Module, name: str, condition, value) -> None:
        """The copies agree on ``value``, made of registers alone, in cycles with this condition.

        It is proved too, by induction, and helps where a register is not always the same in both.
        """
        m.d.comb += [
            self._port("when", name, 1).eq(condition),
            self._port("same", name, len(Value.cast(value))).eq(value),
        ]

    def invariant(self, m: Module, name: str, value) -> None:
        """What of registers alone holds in every cycle; it is proved too, by induction."""
        m.d.comb += self._port("invariant", name, 1).eq(value)

    def never(self, m: Module, name: str, value) -> None:
        """What is 0 in every cycle: an invariant, and known as the constant that it is.

        Of registers that stay 0 because of it, nothing more need be said.
        """
        m.d.comb += self._port("never", name, 1).eq(value)

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
    #: Memories are taken out of the design (`Memories`), for one that is too large with them.
    takes_memories_out: bool = False
    #: Runs at once that a broken copy is refuted with.
    runs: int = 1024
    cycles: int = 20_000

    def check(self, design: Copy, folder: Path) -> Finding:
        fragment = Fragment.get(design, None)
        memories = Memories(fragment) if self.takes_memories_out else None
        ports = [*design.ports, *(memories.ports if memories else ())]
        netlist = translate(fragment, ports, folder)
        search = Search(netlist, folder, memories.columns if memories else ())
        if broken := search.broken_invariants():
            return Finding(Verdict.UNKNOWN, f"not invariant: {', '.join(broken)}")
        if unequal := search.unequal():
            return Finding(Verdict.UNKNOWN, f"not shown equal: {', '.join(sorted(set(unequal)))}")
        if loose := search.loose():
            return Finding(Verdict.UNKNOWN, f"not always equal then: {', '.join(loose)}")
        return Finding(Verdict.HOLDS, search.count)

    def refute(self, design: Copy, folder: Path) -> Finding:
        netlist = translate(Fragment.get(design, None), design.ports, folder)
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


@dataclass(frozen=True)
class _Part:
    """What stays equal in both copies as long as what it ``follows`` from does, and ``needed``.

    That is a register, a column of a memory, or what is read of one.
    """

    #: Places in what `Search` calls a step: of registers, then of outputs.
    follows: tuple[int, ...]
    #: Its variable in the netlist.
    variable: int | None = None
    #: The number of another part.
    needed: int | None = None


class Search:
    """For the largest set of registers and columns of memories that stay equal in both copies."""

    #: Random states that are tried at once; and how often in vain before the solver is asked.
    LANES = 2048
    TRIES = 4

    def __init__(self, netlist: Netlist, folder: Path, columns: Sequence[Column] = ()):
        self._net = netlist
        self._folder = folder
        self._step = netlist.compiled()
        self._random = random.Random(1)
        self._parts = [
            _Part((index,), netlist.first_register + index)
            for index in range(len(netlist.registers))
        ]
        #: Of those columns that hold zeros at reset, what is written, and the parts that are read.
        self._columns: list[tuple[list[int], range]] = []
        self._add_columns(columns)
        self._equal = [True] * len(self._parts)
        self._private = {
            1 + index
            for index, (name, _) in enumerate(netlist.inputs)
            if name.startswith("private_")
        }
        # A stream's ready is one while its valid is low.
        names = [name for name, _ in netlist.outputs]
        self._unheeded = [
            (index, names.index(f"equal_valid_{name.removeprefix('ready_')}"))
            for index, (name, _) in enumerate(netlist.inputs)
            if name.startswith("ready_")
        ]
        #: By the place of an output, the literal that is true in every cycle.
        self._invariants = {
            index: literal ^ name.startswith("never_")
            for index, (name, literal) in enumerate(zip(names, netlist.given, strict=True))
            if name.startswith(("invariant_", "never_"))
        }
        never = [netlist.given[i] for i in self._invariants if names[i].startswith("never_")]
        reads = [
            (written, [self._parts[i].variable for i in parts]) for written, parts in self._columns
        ]
        self._zero = zeros(netlist, never, reads)
        # By name, the place of a condition, and of what is equal with it.
        self._sometimes = {
            name.removeprefix("when_"): (
                index,
                [i for i, x in enumerate(names) if x == f"same_{name.removeprefix('when_')}"],
            )
            for index, name in enumerate(names)
            if name.startswith("when_")
        }

    def _add_columns(self, columns: Sequence[Column]) -> None:
        """A part for each column, and one for each bit that is read of it."""
        net = self._net
        inputs = {pair: 1 + index for index, pair in enumerate(net.inputs)}
        first = len(net.registers)
        outputs = {pair: first + index for index, pair in enumerate(net.outputs)}

        def places(pairs: Iterable[tuple[str, int]]) -> tuple[int, ...]:
            """Those that are constant have no name in the netlist, and are equal."""
            return tuple(outputs[pair] for pair in pairs if pair in outputs)

        for column in columns:
            number = len(self._parts)
            self._parts.append(_Part(places(column.written)))
            for given, place in column.read:
                if given in inputs:
                    self._parts.append(_Part(places(place), inputs[given], number))
            if column.data and all(pair in outputs for pair in column.data):
                written = [net.given[outputs[pair] - first] for pair in column.data]
                self._columns.append((written, range(number + 1, len(self._parts))))

    def _drop(self, number: int) -> None:
        self._equal[number] = False
        for other, part in enumerate(self._parts):
            if part.needed == number:
                self._equal[other] = False

    def _secret(self) -> set[int]:
        """Variables in which the copies may differ."""
        differing = (
            part.variable for part, equal in zip(self._parts, self._equal, strict=True) if not equal
        )
        found = self._private.union(variable for variable in differing if variable is not None)
        return found - self._zero

    def broken_invariants(self) -> list[str]:
        """Names of the invariants that do not hold at reset, or do not follow from all of them."""
        net, gates = self._net, Gates()
        inputs, registers = len(net.inputs), len(net.registers)
        at_reset = gates.copy(net, self._free(gates)[:inputs], [0] * registers)
        variables = self._free(gates)
        now = gates.copy(net, variables[:inputs], variables[inputs:])
        held = [now(literal) for literal in self._invariants.values()]
        then = gates.copy(net, self._free(gates)[:inputs], [now(x) for x in net.following])
        return [
            net.outputs[index][0]
            for index, literal in self._invariants.items()
            if gates.differ([(at_reset(literal), 1)], [], self._folder) is not None
            or gates.differ([(then(literal), 1)], held, self._folder) is not None
        ]

    def _free(self, gates: "Gates") -> list[int]:
        """Inputs and registers of a copy: anything, but for those that are always 0."""
        found = gates.new(self._net.first_gate - 1)
        return [0 if number in self._zero else x for number, x in enumerate(found, 1)]

    def unequal(self) -> list[str]:
        """Names of the outputs that are not equal."""
        net = self._net
        self._try()
        following = [*net.following, *net.given]
        while True:
            gates = Gates()
            left, right = self._copies(gates)
            pairs = [
                (left(following[place]), right(following[place]))
                for part, equal in zip(self._parts, self._equal, strict=True)
                if equal
                for place in part.follows
            ]
            held = self._held(gates, left, right)
            model = gates.differ(pairs, held, self._folder)
            if model is None:
                break
            for number, part in enumerate(self._parts):
                literals = [following[place] for place in part.follows]
                if self._equal[number] and any(model(left(x)) != model(right(x)) for x in literals):
                    self._drop(number)
            self._try([model(left(2 * variable)) for variable in range(1, net.first_gate)])
        return [
            name
            for (name, _), literal in zip(net.outputs, net.given, strict=True)
            if name.startswith("equal_")
            and gates.differ([(left(literal), right(literal))], held, self._folder) is not None
        ]

    def loose(self) -> list[str]:
        """Names of what is to be equal in some cycles, and does not stay so."""
        net, gates = self._net, Gates()
        left, right = self._copies(gates)
        inputs = self._free(gates)[: len(net.inputs)]
        then = [gates.copy(net, inputs, [x(y) for y in net.following]) for x in (left, right)]
        held = self._held(gates, left, right)
        return [
            name
            for name, kept in zip(self._sometimes, self._kept(gates, *then), strict=True)
            if gates.differ([(kept, 1)], held, self._folder) is not None
        ]

    def _held(self, gates: "Gates", left, right) -> list[int]:
        """What is true in both copies."""
        invariants = [copy(x) for x in self._invariants.values() for copy in (left, right)]
        return invariants + self._kept(gates, left, right)

    def _kept(self, gates: "Gates", left, right) -> list[int]:
        """For each of what is equal in some cycles, that it is, or that this is no such cycle."""
        given, found = self._net.given, []
        for when, same in self._sometimes.values():
            condition = gates.choose(left(given[when]), 1, right(given[when]))
            differs = 0
            for index in same:
                a, b = left(given[index]), right(given[index])
                differs = gates.choose(gates.choose(a, b ^ 1, b), 1, differs)
            found.append(gates.choose(condition, differs ^ 1, 1))
        return found

    @property
    def count(self) -> str:
        """How many registers are equal."""
        equal = self._equal[: len(self._net.registers)]
        return f"{sum(equal)} of {len(equal)} registers are equal"

    def _copies(self, gates: "Gates"):
        """Two copies with what is equal in common."""
        net, secret = self._net, self._secret()
        variables = self._free(gates)
        others = [
            gates.new(1)[0] if number in secret else x for number, x in enumerate(variables, 1)
        ]
        inputs = len(net.inputs)
        left = gates.copy(net, variables[:inputs], variables[inputs:])
        for ready, valid in self._unheeded:
            others[ready] = gates.choose(left(net.given[valid]), others[ready], gates.new(1)[0])
        return left, gates.copy(net, others[:inputs], others[inputs:])

    def _try(self, state: Sequence[int] = ()) -> None:
        """Values at random; or those near to given ones, in which a few bits are others."""
        tries, ones, net = 0, (1 << self.LANES) - 1, self._net

        def draw() -> int:
            return self._random.getrandbits(self.LANES)

        def step(values: Sequence[int]) -> tuple[list[int], list[int]]:
            inputs = len(net.inputs)
            following, given = self._step(values[:inputs], values[inputs:], ones)
            return [*following, *given], given

        while tries < self.TRIES:
            secret = self._secret()
            near = [(ones if bit else 0) ^ (draw() & draw() & draw() & draw()) for bit in state]
            near = near or [draw() for _ in range(1, net.first_gate)]
            near = [0 if n in self._zero else x for n, x in enumerate(near, 1)]
            left = [draw() if n in secret else x for n, x in enumerate(near, 1)]
            right = [draw() if n in secret else x for n, x in enumerate(left, 1)]
            left, left_given = step(left)
            for ready, valid in self._unheeded:
                right[ready] ^= draw() & ~left_given[valid]
            right, right_given = step(right)
            valid = ones
            for index, literal in self._invariants.items():
                inverted = ones if literal != net.given[index] else 0
                valid &= (left_given[index] ^ inverted) & (right_given[index] ^ inverted)
            for when, same in self._sometimes.values():
                for index in same:
                    differs = left_given[index] ^ right_given[index]
                    valid &= ~((left_given[when] | right_given[when]) & differs)
            found = [
                number
                for number, part in enumerate(self._parts)
                if self._equal[number]
                and any((left[place] ^ right[place]) & valid for place in part.follows)
            ]
            tries = 0 if found else tries + 1
            for number in found:
                self._drop(number)


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

    def choose(self, condition: int, then: int, otherwise: int) -> int:
        """``then`` where the condition is true."""
        either = self._and(condition, then), self._and(condition ^ 1, otherwise)
        return self._and(either[0] ^ 1, either[1] ^ 1) ^ 1

    def sources(self, literal: int) -> set[int]:
        """The free variables that a literal follows from."""
        found, seen, stack = set(), set(), [literal >> 1]
        while stack:
            variable = stack.pop()
            if variable in seen:
                continue
            seen.add(variable)
            if inputs := self._inputs[variable]:
                stack += [x >> 1 for x in inputs]
            elif variable:
                found.add(variable)
        return found

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
