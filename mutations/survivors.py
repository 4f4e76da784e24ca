"""Why a mutant that nothing noticed is none to worry about: `survivors.toml`."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mutations.draw import Mutant

__all__ = ["Explanation", "explain", "read_explanations"]

_FILE = Path(__file__).with_name("survivors.toml")


@dataclass(frozen=True)
class Explanation:
    """Mutants of a block whose source line is ``line``, and why the suite cannot notice them.

    The line stands here as text, since numbers change with any edit. What is not given may be
    anything; ``bits`` are first and last.
    """

    block: str
    line: str
    why: str
    #: Types of cells.
    cells: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    bits: tuple[int, int] | None = None

    def covers(self, mutant: Mutant) -> bool:
        """Whether it is about this mutant."""
        return (
            mutant.block == self.block
            and mutant.line == self.line
            and (not self.cells or mutant.cell_type in self.cells)
            and (not self.ports or mutant.port in self.ports)
            and (not self.modes or mutant.mode in self.modes)
            and (self.bits is None or self.bits[0] <= mutant.bit <= self.bits[1])
        )


def read_explanations(path: Path = _FILE) -> list[Explanation]:
    """All entries; raises TypeError for a field that there is not."""
    entries = tomllib.loads(path.read_text())["survivor"]
    return [
        Explanation(**{name: tuple(v) if isinstance(v, list) else v for name, v in entry.items()})
        for entry in entries
    ]


def explain(mutant: Mutant, explanations: Sequence[Explanation]) -> str | None:
    """Why it survives, or None if nobody has said so."""
    return next((entry.why for entry in explanations if entry.covers(mutant)), None)
