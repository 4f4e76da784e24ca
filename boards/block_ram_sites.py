"""Where the block RAMs of a pipelined AES core go on an ECP5.

nextpnr's analytic placer has no good order for block RAMs that are nearly as many as their sites:
it tears rounds apart that follow each other. So they get their sites here, in the order in which
the data passes them, and nextpnr places the logic around them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

__all__ = ["place_block_rams"]

_TYPES = ("DP16KD", "PDPW16KD")
#: The part of a hierarchical name that tells the round of a table, or of the keys beside it.
_ROUND = re.compile(r"\bround_(keys_)?(\d+)\.")
#: Parts of the accelerator that have block RAMs too, as a record passes them.
_ENGINE = ("lookup", "numbering", "received", "cipher", "verdict", "released")


@dataclass(frozen=True)
class _Grid:
    """The sites of a device: each row has one in each column."""

    #: From column to the last part of the site's name.
    columns: Mapping[int, str]
    rows: tuple[int, ...]

    @property
    def sites(self) -> int:
        return len(self.columns) * len(self.rows)

    def name(self, column: int, row: int) -> str:
        return f"X{column}/Y{row}/{self.columns[column]}"


#: By name of the device. Source: `NEXTPNR_BEL` in what nextpnr-ecp5 0.11 writes for a netlist of as
#: many DP16KD as the device has (208 on the LFE5U-85F).
_GRIDS = {
    "ecp5-85k": _Grid(
        columns={
            tile + 2 * index: f"EBR{index}"
            for tile in (*range(4, 59, 9), *range(69, 115, 9))
            for index in range(4)
        },
        rows=(22, 46, 70, 82),
    ),
}


def place_block_rams(netlist: dict, device: str) -> dict:
    """Yosys' netlist, with a site for each block RAM if that helps on the device of this name.

    It helps if there is a pipelined AES core with its tables in block RAM, and more than half of
    the sites are taken. Any other netlist is returned as it is, and so is one that does not fit.
    The netlist that is passed is not changed.
    """
    grid = _GRIDS.get(device)
    for name, module in netlist["modules"].items():
        cells = module["cells"]
        rams = [cell for cell in cells if cells[cell]["type"] in _TYPES]
        rounds = [ram for ram in rams if _ROUND.search(ram)]
        if grid and rounds and grid.sites < 2 * len(rams) <= 2 * grid.sites:
            sites = _sites(grid, rounds, [ram for ram in rams if not _ROUND.search(ram)])
            placed = {ram: _at(cells[ram], site) for ram, site in sites.items()}
            modules = {**netlist["modules"], name: {**module, "cells": {**cells, **placed}}}
            return {**netlist, "modules": modules}
    return netlist


def _at(cell: dict, site: str) -> dict:
    return {**cell, "attributes": {**cell.get("attributes", {}), "BEL": site}}


def _sites(grid: _Grid, rounds: list[str], others: list[str]) -> dict[str, str]:
    """A site for each: the others in the middle of every row, and the rounds around them.

    The first and the last round are both on the left of the middle, where the engine sends blocks
    and gets them back: out to the left in the second row, back in the first and on to its right
    end, back in the second; out to the right in the third, back in the fourth and on to its left
    end, back in the third.
    """
    columns, count = sorted(grid.columns), len(grid.rows)
    left, middle, right = [], [], []
    for number, row in enumerate(grid.rows):
        names = [grid.name(column, row) for column in columns]
        width = (len(others) + number) // count
        begin = (len(columns) - width) // 2
        left.append(names[:begin])
        middle.append(names[begin : begin + width])
        right.append(names[begin + width :])
    circuit = [
        *reversed(left[1]), *left[0], *right[0], *reversed(right[1]),
        *right[2], *reversed(right[3]), *reversed(left[3]), *left[2],
    ]  # fmt: skip
    # From the right to the left in the upper rows, and back in the lower ones.
    inside = [*reversed(middle[0]), *reversed(middle[1]), *middle[2], *middle[3]]
    # What the rounds leave is half-way, on the right of the middle.
    half, free = len(rounds) // 2, len(circuit) - len(rounds)
    sites = [*circuit[:half], *circuit[half + free :], *inside, *circuit[half : half + free]]
    order = [*_in_order(rounds), *sorted(others, key=_passage)]
    return dict(zip(order, sites, strict=False))


def _in_order(rounds: Iterable[str]) -> Iterator[str]:
    """Round by round, the round keys spread evenly among the tables."""
    groups: dict[int, tuple[list[str], list[str]]] = {}
    for ram in sorted(rounds, key=_natural):
        keys, number = _ROUND.search(ram).groups()
        groups.setdefault(int(number), ([], []))[bool(keys)].append(ram)
    for number in sorted(groups):
        spread = [
            ((index + 0.5) / len(group), ram)
            for group in groups[number]
            for index, ram in enumerate(group)
        ]
        yield from (ram for _, ram in sorted(spread))


def _passage(ram: str) -> tuple[int, list[tuple[int, str]]]:
    """Sorts RAMs outside the rounds by when a record passes them; unknown ones are last."""
    parts = ram.split(".")
    stages = [index for index, part in enumerate(_ENGINE) if part in parts]
    return (stages[0] if stages else len(_ENGINE), _natural(ram))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts numbers in names by their value."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]
