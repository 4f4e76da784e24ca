"""Which bits of a netlist matter: those on a way to an output.

Yosys drops a whole cell that nothing reads, and single bits of one only when it maps cells to a
device's, behind what is mutated here. A fault in such a bit is none in a device.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from mutations.cells import OUTPUTS, Bit, Cell, read_bits

__all__ = ["Place", "live_places"]

#: A bit of a port: cell, port, number.
Place = tuple[str, str, int]

_OUTPUT = re.compile(r"^  wire (?:width (\d+) )?(?:\w+ )*?output \d+ (\S+)\n", re.MULTILINE)
_ALIAS = re.compile(r"^  connect (\{[^{}]*\}|\S+(?: \[[\d:]+\])?) (.*)\n", re.MULTILINE)

#: Cells whose outputs depend on the same bit of these inputs, and on all others as a whole.
_BITWISE = {
    **dict.fromkeys(("and", "or", "xor", "not", "mux"), ("A", "B")),
    **dict.fromkeys(("dff", "dffe", "sdff", "sdffe", "sdffce"), ("D",)),
}


def live_places(rtl: str, cells: Mapping[str, Cell]) -> set[Place]:
    """All bits of ports that an output of the flat design ``rtl`` depends on."""
    widths = next(iter(cells.values())).widths
    drivers, aliases = _drivers(cells), _aliases(rtl, widths)
    todo: list[Bit] = [
        (name, number) for width, name in _OUTPUT.findall(rtl) for number in range(int(width or 1))
    ]
    live: set[Place] = set()
    while todo:
        bit = todo.pop()
        if bit in aliases:
            todo.append(aliases[bit])
        for name, output, number in drivers[bit] - live:
            inputs = {(name, port, each) for port, each in _inputs(cells[name], output, number)}
            todo += [cells[name].bits(port)[each] for _, port, each in inputs - live]
            live |= {(name, output, number), *inputs}
    return live


def _drivers(cells: Mapping[str, Cell]) -> defaultdict[Bit, set[Place]]:
    """The bits of outputs of cells that drive a bit."""
    found: defaultdict[Bit, set[Place]] = defaultdict(set)
    for name, cell in cells.items():
        for port in cell.ports.keys() & OUTPUTS:
            for number, bit in enumerate(cell.bits(port)):
                found[bit].add((name, port, number))
    return found


def _aliases(rtl: str, widths: Mapping[str, int]) -> dict[Bit, Bit]:
    """Bits that are the same as others."""
    found: dict[Bit, Bit] = {}
    for to, from_ in _ALIAS.findall(rtl):
        found |= zip(read_bits(to, widths), read_bits(from_, widths), strict=True)
    return found


def _inputs(cell: Cell, output: str, number: int) -> Iterator[tuple[str, int]]:
    """What this bit of an output depends on."""
    same = _BITWISE.get(cell.kind, ())
    for port in cell.ports.keys() - OUTPUTS:
        width = cell.width(port)
        if port in same:
            # A narrow operand is extended.
            yield port, min(number, width - 1)
        elif cell.kind == "mem_v2" and port == "WR_DATA":
            yield from ((port, each) for each in range(number % cell.size, width, cell.size))
        elif cell.kind == "pmux" and port in ("A", "B"):
            yield from ((port, each) for each in range(number, width, cell.width(output)))
        else:
            yield from ((port, each) for each in range(width))
