"""Changes to RTLIL, as text, that let CXXRTL make a faster model of it."""

import re
from collections import defaultdict
from itertools import pairwise

__all__ = ["split_wires", "without_zeros"]

#: The cell that fills a memory with zeros, which CXXRTL's memories hold anyway: one C++ constant a
#: row adds a quarter to the compile time of a design with large buffers.
_ZERO_INIT = re.compile(
    r"^  cell \$meminit_v2 .*\n(?:    .*\n)*?    connect \\DATA \d+'0+\n(?:    .*\n)*  end\n",
    re.MULTILINE,
)

_WIRE = re.compile(r"^  wire width (\d+) (\S+)\n", re.MULTILINE)
_DECLARATION = re.compile(
    r"^((?:  attribute .*\n)*)" + _WIRE.pattern.removeprefix("^"), re.MULTILINE
)
#: What a register begins with.
_INIT = re.compile(r"^  attribute \\init \d+'([01x]+)\n", re.MULTILINE)
_CONNECTION = re.compile(r"^ +connect .*\n", re.MULTILINE)
#: What a connection or the output of a cell drives: a wire, a part of one, or several of them.
_DRIVEN = re.compile(
    r"^  (?:connect|  connect \\(?:Y|Q|RD_DATA)) (\{[^{}]*\}|\S+(?: \[\S+\])?)", re.MULTILINE
)
_REFERENCE = re.compile(r"(?<!\S)([\\$]\S+)(?: \[(\d+)(?::(\d+))?\])?(?!\S)")


def without_zeros(rtl: str) -> str:
    """The design without what fills its memories with zeros."""
    return _ZERO_INIT.sub("", rtl)


def split_wires(rtl: str) -> str:
    """A flat design with a wire for each piece of those wires that are driven piece by piece.

    CXXRTL takes a wire for a whole. Where one field of a structure depends on another, it sees a
    loop that is none, and evaluates the design several times a cycle.
    """
    widths = {name: int(width) for width, name in _WIRE.findall(rtl)}
    cuts: defaultdict[str, set[int]] = defaultdict(set)
    for name, high, low in _REFERENCE.findall("\n".join(_DRIVEN.findall(rtl))):
        if high and name in widths:
            cuts[name] |= {0, int(low or high), int(high) + 1, widths[name]}
    ranges = {name: list(pairwise(sorted(bits))) for name, bits in cuts.items()}

    def declare(match: re.Match[str]) -> str:
        attributes, width, name = match.groups()
        if name not in ranges:
            return match[0]
        pieces = [_INIT.sub("", attributes)]
        initial = _INIT.search(attributes)
        for low, end in ranges[name]:
            if initial:
                # The uppermost bit comes first.
                bits = initial[1][int(width) - end : int(width) - low]
                pieces.append(f"  attribute \\init {end - low}'{bits}\n")
            pieces.append(f"  wire width {end - low} {name}@{low}\n")
        return "".join(pieces)

    def refer(match: re.Match[str]) -> str:
        name, first, last = match.groups()
        if name not in ranges:
            return match[0]
        begin, end = (int(last or first), int(first) + 1) if first else (0, widths[name])
        pieces = [
            f"{name}@{low} [{min(end, stop) - low - 1}:{max(begin, low) - low}]"
            for low, stop in reversed(ranges[name])
            if low < end and begin < stop
        ]
        return f"{{ {' '.join(pieces)} }}"

    rtl = _DECLARATION.sub(declare, rtl)
    return _CONNECTION.sub(lambda match: _REFERENCE.sub(refer, match[0]), rtl)
