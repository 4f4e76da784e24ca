"""Which changes to a netlist are drawn: by a hash of what each is, not by its place in a list.

So an edit of the gateware changes few of those that are drawn for a seed, and what is known of the
others stays true.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from mutations.cells import read_cells
from mutations.live import live_places
from mutations.places import ROOT, Places

__all__ = ["Draw", "Mutant", "draw_mutants"]

_MODES = ("inv", "const0", "const1", "cnot0", "cnot1")


@dataclass(frozen=True)
class Draw:
    """So many mutants at random: of the whole device, or of some of the engine's blocks.

    Of blocks these are the beginnings of names.
    """

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
    #: That other bit, or the same one.
    other_bit: int
    #: File and line that made the cell, from the root of the tree.
    source: str

    @property
    def line(self) -> str:
        """What stands in the line of `source`."""
        return _line(self.source)

    @property
    def options(self) -> str:
        """What Yosys' `mutate` takes to make it."""
        return (
            f"-mode {self.mode} -module top -cell {self.cell} -port {self.port} "
            f"-portbit {self.bit} -ctrlbit {self.other_bit}"
        )


@dataclass(frozen=True)
class _Site:
    """One of the bits of a port; which one, the hash of ``identity`` says."""

    identity: str
    cell: str
    cell_type: str
    port: str
    bits: tuple[int, ...]
    block: str
    source: str


def draw_mutants(rtl: str, draws: Sequence[Draw]) -> list[Mutant]:
    """The mutants of all draws, numbered from 1 on; the same ones for the same seeds.

    ``rtl`` is a flat design.
    """
    sites = list(_sites(rtl))
    mutants: list[Mutant] = []
    for draw in draws:
        drawn = sorted(
            (site for site in sites if _is_in(site.block, draw.blocks)),
            key=lambda site: random.Random(f"{draw.seed} {site.identity}").random(),
        )
        for site in drawn[: draw.count]:
            mutants.append(_change(len(mutants) + 1, site, draw.seed))
    return mutants


def _sites(rtl: str) -> Iterator[_Site]:
    """Of a port with twice as many bits one more, as most bits are data and are much the same.

    Clocks are left out, constants, and bits that no output depends on.
    """
    cells = read_cells(rtl)
    live, places = live_places(rtl, cells), Places(cells)
    alike: Counter[str] = Counter()
    for name, cell in cells.items():
        block, source = places.block(name), places.source(name)
        kind = f"{block} {cell.kind} {_line(source)}"
        alike[kind] += 1
        for port in sorted(cell.ports):
            if port.endswith("CLK"):
                continue
            bits = tuple(
                number
                for number, (wire, _) in enumerate(cell.bits(port))
                if wire and (name, port, number) in live
            )
            for number in range(len(bits).bit_length()):
                identity = f"{kind} {alike[kind]} {port} {number}"
                yield _Site(identity, name, cell.kind, port, bits, block, source)


def _change(number: int, site: _Site, seed: int) -> Mutant:
    source = random.Random(f"{seed} {site.identity} change")
    bit = source.choice(site.bits)
    others = [other for other in site.bits if other != bit]
    mode = source.choice(_MODES if others else _MODES[:3])
    other_bit = source.choice(others) if mode.startswith("cnot") else bit
    return Mutant(
        number, mode, site.block, site.cell_type, site.cell, site.port, bit, other_bit, site.source
    )


def _is_in(block: str, names: Sequence[str]) -> bool:
    return not names or block.startswith(tuple(f"engine.{name}" for name in names))


def _line(source: str) -> str:
    """What stands in this line of the tree; nothing if there is none."""
    name, _, number = source.partition(":")
    return _lines(name)[int(number) - 1].strip() if name else ""


@cache
def _lines(name: str) -> list[str]:
    return (ROOT / name).read_text().splitlines()
