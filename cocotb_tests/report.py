"""`python -m cocotb_tests.report`: coverage of random traffic in each profile, and its holes.

    python -m cocotb_tests.report [--json FILE]

It reads what `make verify` has left in build/cocotb. The exit code is 0 if all profiles have run,
and each hole has a reason in plan.toml that is still true.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from cocotb_tests import wycheproof
from cocotb_tests.coverage_points import POINTS
from cocotb_tests.plan import STAGES, Plan, Point, read_plan
from hdl.profile import PROFILES

__all__ = ["Bin", "Run", "bins_of", "main"]

_FOLDER = Path(__file__).parents[1] / "build" / "cocotb"

#: How often each bin of each point was hit.
Hits = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Run:
    """What one profile's simulation has left."""

    profile: str
    seed: int
    points: Hits


@dataclass(frozen=True)
class Bin:
    """A bin that was not hit, or was hit although the plan says that it cannot be."""

    profile: str
    point: str
    name: str
    hits: int
    reason: str | None

    @property
    def is_excused(self) -> bool:
        """Whether it is a hole, and the plan says why."""
        return not self.hits and self.reason is not None


def bins_of(run: Run, plan: Plan) -> list[Bin]:
    """The bins of a run that there is something to say about."""
    bins = [
        Bin(run.profile, point, name, hits, plan.reason(run.profile, point, name))
        for point, names in run.points.items()
        for name, hits in names.items()
    ]
    return [bin_ for bin_ in bins if not bin_.hits or bin_.reason]


def main(arguments: Sequence[str] | None = None, folder: Path = _FOLDER) -> int:
    """Print the plan, coverage and holes; the exit code."""
    assert __doc__
    parser = argparse.ArgumentParser("report", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="the same for programs")
    options = parser.parse_args(arguments)
    plan, console = read_plan(), Console(highlight=False)
    runs = {run.profile: run for name in PROFILES if (run := _read(folder, name))}
    missing = [name for name in PROFILES if name not in runs]
    bins = [bin_ for run in runs.values() for bin_ in bins_of(run, plan)]
    for point in sorted(plan.points, key=lambda point: STAGES.index(point.stage)):
        console.print(_describe(point, runs))
    console.print(_coverage_table(runs))
    console.print(_vectors())
    for line in _lines(bins, missing):
        console.print(line)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(_report(runs, bins), indent=1) + "\n")
    return 1 if missing or not all(bin_.is_excused for bin_ in bins) else 0


def _read(folder: Path, profile: str) -> Run | None:
    path = folder / f"accelerator-{profile}" / "coverage.json"
    return Run(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def _describe(point: Point, runs: Mapping[str, Run]) -> RenderableType:
    """A point of the plan, with what shows it."""
    counts = {"test": len(point.tests), "proof": len(point.proofs)}
    shown = [f"{count} {what}{'s' * (count > 1)}" for what, count in counts.items() if count]
    if point.coverage:
        hit = (f"{_share(run.points, point.coverage)} in {name}" for name, run in runs.items())
        shown.append(f"bins: {', '.join(hit)}")
    text = f"{escape(point.description)}\n{'; '.join(shown)}"
    return Group(f"[bold]{point.name}[/] ({point.stage})", Padding(text, (0, 0, 1, 2)))


def _coverage_table(runs: Mapping[str, Run]) -> Table:
    table = Table(title="Coverage of random traffic: bins hit, and the fewest hits of one of them")
    for column in ("Coverage point", *runs):
        table.add_column(column)
    for point in POINTS:
        table.add_row(point, *(_bins(run.points[point]) for run in runs.values()))
    requests = (str(sum(run.points["framing"].values())) for run in runs.values())
    table.add_row("all", *(_share(run.points, list(POINTS)) for run in runs.values()))
    table.add_row("requests", *requests, end_section=True)
    return table


def _share(hits: Hits, points: Sequence[str]) -> str:
    counts = [count for point in points for count in hits[point].values()]
    return f"{sum(map(bool, counts))}/{len(counts)}" if counts else ""


def _bins(hits: Mapping[str, int]) -> str:
    hit = [count for count in hits.values() if count]
    return f"{len(hit)}/{len(hits)}, {min(hit, default=0)}"


def _vectors() -> str:
    asked, left_out = len(list(wycheproof.gcm_vectors())), wycheproof.left_out()
    reasons = ", ".join(f"{count} for a {reason}" for reason, count in left_out.items())
    return f"Wycheproof: {asked} of {asked + left_out.total()} AES-GCM vectors; left out {reasons}."


def _lines(bins: Sequence[Bin], missing: Sequence[str]) -> list[str]:
    lines = [f"[red]{name} has not run: make verify runs all profiles.[/]" for name in missing]
    for bin_ in bins:
        where = f"{bin_.profile}: {bin_.point}: {bin_.name}"
        if bin_.is_excused:
            lines.append(f"[yellow]hole[/] {where}: {bin_.reason}")
        elif bin_.hits:
            lines.append(
                f"[red]hit {bin_.hits} times[/] {where}, though the plan says: {bin_.reason}"
            )
        else:
            lines.append(f"[red]hole without a reason[/] {where}")
    return lines


def _report(runs: Mapping[str, Run], bins: Sequence[Bin]) -> dict[str, object]:
    return {
        "profiles": {name: {"seed": run.seed, "points": run.points} for name, run in runs.items()},
        "holes": [
            {
                "profile": bin_.profile,
                "coverage": bin_.point,
                "bin": bin_.name,
                "hits": bin_.hits,
                "reason": bin_.reason,
            }
            for bin_ in bins
        ],
        "wycheproof_left_out": dict(wycheproof.left_out()),
    }


if __name__ == "__main__":
    sys.exit(main())
