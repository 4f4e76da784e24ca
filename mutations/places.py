"""Where a cell of a flat netlist comes from: the instance that it is in, and the line of source."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from mutations.cells import OUTPUTS, Cell

__all__ = ["ROOT", "Places"]

ROOT = Path(__file__).parents[1]

#: The instances on the way to a cell or a wire, in its name.
_PATH = re.compile(r"(?:\$flatten)?((?:\\?[a-z]\w*(?:\$\d+)?\.)*)")
#: What Yosys has made has no such name.
_MADE = "$auto$"


class Places:
    """The places of these cells; of one that Yosys has made, those of what it leads to."""

    def __init__(self, cells: Mapping[str, Cell]):
        self._cells = cells
        self._readers: defaultdict[str, list[str]] = defaultdict(list)
        for name, cell in cells.items():
            for wire in _wires(cell, cell.ports.keys() - OUTPUTS):
                self._readers[wire].append(name)

    def block(self, name: str) -> str:
        """The instances on the way to the cell, without the top's: ``engine.verdict``."""
        for each in self._onwards(name):
            for named in (each, *_wires(self._cells[each], OUTPUTS)):
                if not named.startswith(_MADE):
                    match = _PATH.match(named)
                    assert match
                    return re.sub(r"\$\d+|\\|\.$", "", match[1]).removeprefix("core.")
        return ""

    def source(self, name: str) -> str:
        """File and line, from the root of the tree; empty if there is none of the tree."""
        for each in self._onwards(name):
            for place in self._cells[each].sources:
                path, _, line = place.partition(":")
                file = Path(path)
                if file.is_relative_to(ROOT) and ".venv" not in file.relative_to(ROOT).parts:
                    return f"{file.relative_to(ROOT)}:{line.split('.')[0]}"
        return ""

    def _onwards(self, name: str) -> Iterator[str]:
        """The cell, those that read what it drives, those that read what they drive, and so on."""
        seen = {name: None}
        following = [name]
        while following:
            yield from following
            wires = [wire for each in following for wire in _wires(self._cells[each], OUTPUTS)]
            readers = dict.fromkeys(other for wire in wires for other in self._readers[wire])
            following = [other for other in readers if other not in seen]
            seen |= dict.fromkeys(following)


def _wires(cell: Cell, ports: set[str]) -> list[str]:
    """What these ports are connected to, always in the same order."""
    return sorted({wire for port in cell.ports.keys() & ports for wire in cell.wires(port)})
