"""Proofs that something is overwritten: a design run on symbols, from every state it may be in.

All registers are anything, but for a few that say where a run begins. As it goes on, what follows
from those alone becomes constant. Where it ends, a register that is zero is so whatever was
there; and so is a word over which zero has been written.
"""

import random
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from amaranth.hdl import Fragment, Module, Signal, Value

from proofs.independence import Copy, Gates
from proofs.memories import Memories
from proofs.netlist import Netlist, translate
from proofs.property import Finding, Verdict

__all__ = ["Erasing", "Erasure"]


class Erasing(Copy):
    """A design that erases: where a run of it begins and ends, and what shall be zero then.

    ``shared`` inputs are symbols, new ones in each cycle; those that are `steady` stay the same,
    and `given` says which are constant. Registers whose names in the netlist have one of
    ``at_reset`` in them begin with their reset values.
    """

    at_reset: tuple[str, ...] = ()
    #: Parts of names of registers of which nothing shall remain; and of those that may.
    clean: tuple[str, ...] = ("",)
    may_remain: tuple[str, ...] = ()

    def __init__(self):
        super().__init__()
        self.begins_at: dict[str, int] = {}
        self._zero = self.shared("zero")

    def _give(self, m: Module, kind: str, name: str, value) -> None:
        """An output that is not constant for Yosys, which has no names for those that are."""
        value = Value.cast(value)
        m.d.comb += self._port(kind, name, len(value)).eq(value ^ self._zero.replicate(len(value)))

    def steady(self, name: str, shape) -> Signal:
        """An input that is anything, and the same in the whole run."""
        return self._port("steady", name, shape)

    def begins(self, m: Module, name: str, register: Value, value: int) -> None:
        """Runs begin where the register has this value."""
        self.begins_at[name] = value
        m.d.comb += self._port("begins", name, len(register)).eq(register)

    def ends(self, m: Module, value: Value) -> None:
        """Runs end in the first cycle with this."""
        self._give(m, "ends", "run", value)

    def erased(self, m: Module, name: str, value) -> None:
        """It shall be zero where a run ends."""
        self._give(m, "erased", name, value)

    def remains(self, m: Module, name: str, register) -> None:
        """A register that may be anything where a run ends."""
        m.d.comb += self._port("remains", name, len(Value.cast(register))).eq(register)

    def steady_register(self, m: Module, name: str, register) -> None:
        """A register that is like a steady input."""
        m.d.comb += self._port("kept", name, len(Value.cast(register))).eq(register)

    def words(self, m: Module, name: str, enable, word, slot, data) -> None:
        """A write port: what goes to each ``word`` of the ``slot`` in the end shall be zeros."""
        parts = {"enable": enable, "word": word, "slot": slot, "data": data}
        for part, value in parts.items():
            self._give(m, part, name, value)

    def erased_slot(self, m: Module, value) -> None:
        """The slot whose words are erased."""
        self._give(m, "slot", "erased", value)

    @abstractmethod
    def given(self, cycle: int) -> dict[str, int]:
        """The inputs that are constant in a cycle of the run, by their names."""


@dataclass(frozen=True)
class Erasure:
    """What an `Erasing` names is zero at the end of each run, and zero was written to each word.

    A broken copy is refuted by a run from reset, which its stimulus drives, with random secrets.
    """

    words: str = "every state, symbolic run"
    cycles: int = 3000

    def check(self, design: Erasing, folder: Path) -> Finding:
        fragment = Fragment.get(design, None)
        ports = [*design.ports, *Memories(fragment, tables=False).ports]
        run = _Run(design, translate(fragment, ports, folder))
        for cycle in range(self.cycles):
            problem, ended = run.step()
            if problem:
                return Finding(Verdict.UNKNOWN, f"{problem}, cycle {cycle}")
            if ended:
                left = run.left()
                if left:
                    return Finding(Verdict.UNKNOWN, f"not erased: {', '.join(left)}")
                return Finding(Verdict.HOLDS, f"{run.erased} words in {cycle + 1} cycles")
        return Finding(Verdict.UNKNOWN, f"no end in {self.cycles} cycles")

    def refute(self, design: Erasing, folder: Path) -> Finding:
        netlist = translate(Fragment.get(design, None), design.ports, folder)
        step, source = netlist.compiled(), random.Random(1)
        registers = [0] * len(netlist.registers)
        stimulus = design.stimulus()
        memory: dict[tuple[str, int, int], int] = {}
        for cycle in range(self.cycles):
            shared = stimulus.inputs()
            inputs = [
                int(shared[name.partition("_")[2]]) >> bit & 1
                if name.partition("_")[2] in shared
                else source.getrandbits(1)
                for name, bit in netlist.inputs
            ]
            registers, bits = step(inputs, registers, 1)
            values: dict[str, int] = {}
            for (name, bit), value in zip(netlist.outputs, bits, strict=True):
                values[name] = values.get(name, 0) | value << bit
            for name in _ports(values):
                if values[f"enable_{name}"]:
                    at = name, values[f"slot_{name}"], values.get(f"word_{name}", 0)
                    memory[at] = values[f"data_{name}"]
            if not stimulus.outputs(values):
                left = {name for name, value in values.items() if name[:7] == "erased_" and value}
                left |= {
                    name
                    for (name, slot, _), data in memory.items()
                    if data and slot == values["slot_erased"]
                }
                if left:
                    return Finding(Verdict.FAILS, f"left in {min(left)}, cycle {cycle}")
                break
        return Finding(Verdict.UNKNOWN, "nothing was left in this run")


def _ports(names: Iterable[str]) -> list[str]:
    """The write ports, by their names."""
    return [name.removeprefix("enable_") for name in names if name.startswith("enable_")]


class _Run:
    """A run on symbols: what each register is in the cycle at hand, as a literal of gates."""

    def __init__(self, design: Erasing, netlist: Netlist):
        self._design, self._net = design, netlist
        self._gates = Gates()
        self._registers = [
            0 if any(part in name for part in design.at_reset) else self._gates.new(1)[0]
            for name, _ in netlist.registers
        ]
        self._steady = dict(zip(netlist.inputs, self._gates.new(len(netlist.inputs)), strict=True))
        self._steady_variables = {literal >> 1 for literal in self._steady.values()}
        for (name, bit), literal in zip(netlist.outputs, netlist.given, strict=True):
            index = (literal >> 1) - netlist.first_register
            if name.startswith("begins_"):
                value = design.begins_at[name.removeprefix("begins_")] >> bit & 1
                self._registers[index] = value ^ (literal & 1)
            if name.startswith("kept_"):
                self._steady_variables.add(self._registers[index] >> 1)
        self._cycle = 0
        self._outputs: dict[str, list[int]] = {}
        self._erased: dict[str, set[int]] = {}

    def step(self) -> tuple[str, bool]:
        """A cycle; what is wrong with it, if anything, and whether the run ends."""
        net, given = self._net, {**self._design.given(self._cycle), "zero": 0}
        self._cycle += 1
        fresh = iter(self._gates.new(len(net.inputs)))
        inputs = []
        for (name, bit), new in zip(net.inputs, fresh, strict=True):
            kind, _, rest = name.partition("_")
            constant = int(given[rest]) >> bit & 1 if rest in given else new
            inputs.append(self._steady[name, bit] if kind == "steady" else constant)
        values = self._gates.copy(net, inputs, self._registers)
        self._registers = [values(literal) for literal in net.following]
        self._outputs = {}
        for (name, _), literal in zip(net.outputs, net.given, strict=True):
            self._outputs.setdefault(name, []).append(values(literal))
        for name in _ports(self._outputs):
            if problem := self._write(name):
                return problem, False
        if self._cycle == 1:  # what came before the run is seen there
            return "", False
        (end,) = self._outputs["ends_run"]
        return ("it may end or not" if end > 1 else ""), end == 1

    def _write(self, name: str) -> str:
        """What is written to a port in the cycle."""
        enable, word, slot, data = (
            self._outputs.get(f"{part}_{name}", []) for part in ("enable", "word", "slot", "data")
        )
        found = self._erased.setdefault(name, set())
        if not any(enable) or self._cycle == 1:  # likewise
            return ""
        is_there = slot == self._outputs["slot_erased"] and all(bit < 2 for bit in word)
        if any(data) and not is_there:
            return f"{name} gets more than zeros somewhere"
        number = sum(bit << place for place, bit in enumerate(word))
        if any(data):
            found.discard(number)
        elif is_there and all(x == 1 for x in enable):
            found.add(number)
        return ""

    def left(self) -> list[str]:
        """What is not zero, and the write ports that have not seen each word."""
        registers = [
            name.removeprefix("erased_")
            for name, literals in self._outputs.items()
            if name.startswith("erased_") and any(literals)
        ]
        net = self._net
        may_remain = {
            (literal >> 1) - net.first_register
            for (name, _), literal in zip(net.outputs, net.given, strict=True)
            if name.startswith("remains_")
        }
        remaining = {
            name
            for index, (name, _) in enumerate(net.registers)
            if index not in may_remain
            and any(part in name for part in self._design.clean)
            and not any(part in name for part in self._design.may_remain)
            and not self._gates.sources(self._registers[index]) <= self._steady_variables
        }
        return (
            registers
            + sorted(remaining)
            + [
                name
                for name, words in self._erased.items()
                if len(words) != 1 << len(self._outputs.get(f"word_{name}", []))
            ]
        )

    @property
    def erased(self) -> int:
        """Words that were written over."""
        return sum(map(len, self._erased.values()))
