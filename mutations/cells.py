"""The cells of a flat netlist, and what the bits of their ports are connected to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

__all__ = ["OUTPUTS", "Bit", "Cell", "read_bits", "read_cells"]

#: A bit of a wire; or a constant, which has no wire, as ``0``, ``1`` or ``x``.
Bit = tuple[str, int | str]

#: The ports of cells that drive something.
OUTPUTS = {"Y", "Q", "RD_DATA"}

_WIRE = re.compile(r"^  wire (?:width (\d+) )?(?:\w+ )*(\S+)\n", re.MULTILINE)
_CELL = re.compile(
    r"((?:^  attribute .*\n)*)^  cell \$?(\S+) (\S+)\n((?:    .*\n)*)  end\n", re.MULTILINE
)
_SOURCE = re.compile(r'attribute \\src "(.*)"')
_SIZE = re.compile(r"^    parameter \\WIDTH (\d+)\n", re.MULTILINE)
_PORT = re.compile(r"^    connect \\(\S+) (.*)\n", re.MULTILINE)
#: Of what a port is connected to: a constant, a slice of a wire, a wire, or a number of 32 bits.
_PIECE = re.compile(r"(\d+)'([01xz-]+)|([\\$]\S+)(?: \[(\d+)(?::(\d+))?\])?|(?<!\S)(-?\d+)(?!\S)")


@dataclass(frozen=True)
class Cell:
    """A cell's type, and what its ports are connected to, as RTLIL has it."""

    kind: str
    #: Places in source files.
    sources: tuple[str, ...]
    ports: Mapping[str, str]
    #: Of all wires.
    widths: Mapping[str, int]
    #: Of a row, if it is a memory.
    size: int = 0

    @cached_property
    def _bits(self) -> dict[str, list[Bit]]:
        return {port: read_bits(text, self.widths) for port, text in self.ports.items()}

    def bits(self, port: str) -> list[Bit]:
        """What each bit of a port is connected to, bit 0 first."""
        return self._bits[port]

    def width(self, port: str) -> int:
        """How many bits a port has."""
        return len(self._bits[port])

    def wires(self, port: str) -> set[str]:
        """What a port is connected to, but for constants."""
        return {wire for _, _, wire, *_ in _PIECE.findall(self.ports[port]) if wire}


def read_bits(text: str, widths: Mapping[str, int]) -> list[Bit]:
    """What RTLIL has as a wire, a part of one, a constant, or several of them; bit 0 first."""
    found: list[Bit] = []
    # The uppermost comes first.
    for count, bits, wire, high, low, value in reversed(_PIECE.findall(text)):
        if bits:
            # Of several unknown ones, one is written.
            fill = "x" if bits[0] == "x" else "0"
            found += [("", bit) for bit in reversed(bits.rjust(int(count), fill))]
        elif value:
            found += [("", bit) for bit in reversed(f"{int(value) % (1 << 32):032b}")]
        else:
            first, last = (int(low or high), int(high)) if high else (0, widths[wire] - 1)
            found += [(wire, number) for number in range(first, last + 1)]
    return found


def read_cells(rtl: str) -> dict[str, Cell]:
    """All cells by name; those of a design are named without the backslash."""
    widths = {name: int(width or 1) for width, name in _WIRE.findall(rtl)}
    return {
        name.removeprefix("\\"): Cell(
            kind, _sources(head), dict(_PORT.findall(body)), widths, _size(body)
        )
        for head, kind, name, body in _CELL.findall(rtl)
    }


def _sources(attributes: str) -> tuple[str, ...]:
    return tuple(place for text in _SOURCE.findall(attributes) for place in text.split("|"))


def _size(body: str) -> int:
    match = _SIZE.search(body)
    return int(match[1]) if match else 0
