"""What became of boards: the last build of each, kept beside this file.

`intaglio build --save` writes the table, and `intaglio boards --built` shows it. As in
`boards.measurements`, it holds nothing that no tool has said.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from boards.bitstream import Build
from boards.synthesis import Usage

__all__ = ["BUILDS", "BuildRecord", "load_builds", "save_build"]

#: The table of the tree, which the package brings along.
BUILDS = Path(__file__).with_name("built.json")


@dataclass(frozen=True)
class BuildRecord:
    """One build that gave a bitstream."""

    board: str
    #: Name of the profile.
    profile: str
    identity: int
    seed: int
    #: The clock that the board has, and the fastest one that its routing allows, in MHz.
    megahertz: float
    reached_megahertz: float
    #: Where the bitstream's bytes are the same, this is.
    sha256: str
    resources: Mapping[str, Usage]
    #: Versions of what was used, by package.
    versions: Mapping[str, str]
    #: How long all steps took.
    seconds: float

    @classmethod
    def of(cls, build: Build, sha256: str) -> Self:
        """What is kept of a build whose clock was met."""
        board, result = build.board, build.result
        return cls(
            board.name,
            board.profile.name,
            build.identity,
            board.seed,
            board.megahertz,
            build.clock,
            sha256,
            result.resources,
            result.versions,
            round(sum(result.seconds.values())),
        )


def load_builds(path: Path) -> list[BuildRecord]:
    """All entries; OSError if there is no such file, ValueError if it is no such table."""
    try:
        return [_entry(fields) for fields in json.loads(path.read_text())]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is no table of builds: {error}") from None


def save_build(new: BuildRecord, path: Path) -> None:
    """Add an entry to the table; it takes the place of an older one of the same board."""
    old = load_builds(path) if path.exists() else []
    entries = {entry.board: entry for entry in (*old, new)}
    ordered = [asdict(entries[name]) for name in sorted(entries)]
    path.write_text(json.dumps(ordered, indent=2) + "\n")


def _entry(fields: dict) -> BuildRecord:
    resources = {name: Usage(**usage) for name, usage in fields["resources"].items()}
    return BuildRecord(**{**fields, "resources": resources})
