"""The test plan, plan.toml, as objects."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["STAGES", "Hole", "Plan", "Point", "read_plan"]

#: Where a point is shown, in the order of the report.
STAGES = ("blocks", "accelerator", "security", "netlist", "board", "protocol")

_PATH = Path(__file__).with_name("plan.toml")


@dataclass(frozen=True)
class Point:
    """One thing that is to hold, and what shows it."""

    name: str
    stage: str
    description: str
    tests: Sequence[str]
    proofs: Sequence[str] = ()
    coverage: Sequence[str] = ()


@dataclass(frozen=True)
class Hole:
    """Bins of a coverage point that cannot be hit in these profiles, and why."""

    coverage: str
    bins: Sequence[str]
    profiles: Sequence[str]
    reason: str


@dataclass(frozen=True)
class Plan:
    """The whole plan."""

    points: Sequence[Point]
    holes: Sequence[Hole]

    def reason(self, profile: str, coverage: str, bin_: str) -> str | None:
        """Why a bin cannot be hit; None if it can."""
        for hole in self.holes:
            if hole.coverage == coverage and bin_ in hole.bins and profile in hole.profiles:
                return hole.reason
        return None


def read_plan(path: Path = _PATH) -> Plan:
    """Read the plan; raises TypeError for a field that is missing or that there is not."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    return Plan(
        [Point(**point) for point in data["point"]], [Hole(**hole) for hole in data["hole"]]
    )
