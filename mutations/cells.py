"""The cells of a flat netlist, and which bits of their ports are constants."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Cell", "read_cells"]

_WIRE = re.compile(r"^  wire (?:width (\d+) )?(?:\w+ )*(\S+)\n", re.MULTILINE)
_CELL = re.compile(
    r"((?:^  attribute .*\n)*)^  cell \$?(\S+) (\S+)\n((?:    .*\n)*)  end\n", re.MULTILINE
)
_SOURCE = re.compile(r'attribute \\src "(.*)"')
_PORT = re.compile(r"^    connect \\(\S+) (.*)\n", re.MULTILINE)
#: Of what a port is connected to: a constant, a slice of a wire or a wire.
_PIECE = re.compile(r"(\d+)'([01xz-]+)|([\\$]\S+)(?: \[(\d+)(?::(\d+))?\])?")


@dataclass(frozen=True)
class Cell:
    """A cell's type, and what its ports are connected to, as RTLIL has it."""

    kind: str
    #: Places in source files.
    sources: tuple[str, ...]
    ports: Mapping[str, str]
    widths: Mapping[str, int]

    def constants(self, port: str) -> dict[int, str]:
        """The bits of a port that are constants, each ``0``, ``1`` or ``x``."""
        return {index: bit for index, bit in enumerate(self._bits(port)) if bit}

    def width(self, port: str) -> int:
        """How many bits a port has."""
        return len(self._bits(port))

    def _bits(self, port: str) -> list[str]:
        """Of each bit of a port the constant, or nothing."""
        found: list[str] = []
        # The uppermost comes first.
        for _, bits, wire, high, low in reversed(_PIECE.findall(self.ports[port])):
            if bits:
                found += reversed(bits)
            else:
                found += [""] * (int(high) - int(low or high) + 1 if high else self.widths[wire])
        return found

    def wires(self, port: str) -> set[str]:
        """What a port is connected to, but for constants."""
        return {wire for _, _, wire, _, _ in _PIECE.findall(self.ports[port]) if wire}


def read_cells(rtl: str) -> dict[str, Cell]:
    """All cells by name; those of a design are named without the backslash."""
    widths = {name: int(width or 1) for width, name in _WIRE.findall(rtl)}
    return {
        name.removeprefix("\\"): Cell(kind, _sources(head), dict(_PORT.findall(body)), widths)
        for head, kind, name, body in _CELL.findall(rtl)
    }


def _sources(attributes: str) -> tuple[str, ...]:
    return tuple(place for text in _SOURCE.findall(attributes) for place in text.split("|"))
