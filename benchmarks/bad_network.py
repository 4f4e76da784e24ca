"""Handshakes and data over a network that loses, repeats, reorders, corrupts and changes its MTU.

    python -m benchmarks.bad_network [--sessions 2000] [--rate 0.2] [--seed 0] [--json FILE]

Each session has a scenario of its own by its seed: suite, groups, certificates, MTU, and key
updates among the data (`benchmarks.campaign`). A quarter as many run without corruption: these have
to connect at the first attempt. A few more have their records protected by the compiled gateware.
Exit code 1, and the seed, for any session that got stuck, or that accepted data twice or in another
form than it was sent in.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.campaign import Outcome, Scenario, Session, bad_network
from driver import Device
from hdl.accelerator import Accelerator
from hdl.profile import COMPACT
from protocol.crypto.accelerator import AcceleratorProvider
from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import CryptoProvider
from sim import CompiledModel, SimulatedLink

PERCENTILES = (50, 90, 99, 100)
#: Seconds that a request to a simulated device may take.
_DEVICE_TIMEOUT = 60.0


@cache
def _model() -> CompiledModel:
    return CompiledModel(Accelerator(COMPACT))


def _accelerator() -> CryptoProvider:
    return AcceleratorProvider(Device(SimulatedLink(_model().simulate()), timeout=_DEVICE_TIMEOUT))


PROVIDERS: dict[str, Callable[[], CryptoProvider]] = {
    "software": SoftwareProvider,
    "accelerator": _accelerator,
}


def _run(arguments: tuple[int, float, bool, str]) -> Outcome:
    seed, rate, corrupts, provider = arguments
    conditions = bad_network(rate, corrupts=corrupts)
    return Session(Scenario(seed, conditions, PROVIDERS[provider])).run()


def run_all(
    seeds: Iterable[int], rate: float, jobs: int, *, corrupts: bool = True, provider: str
) -> list[Outcome]:
    """The outcomes of the sessions with these seeds, in their order."""
    work = [(seed, rate, corrupts, provider) for seed in seeds]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(_run, work, chunksize=8))


def percentiles(values: Sequence[float]) -> list[float]:
    """The values at `PERCENTILES`."""
    ordered = sorted(values)
    return [ordered[max(0, -(-len(ordered) * each // 100) - 1)] for each in PERCENTILES]


def summary(title: str, outcomes: Sequence[Outcome]) -> Table:
    """One campaign as a table."""
    table = Table(title=title)
    table.add_column("")
    for each in PERCENTILES:
        table.add_column("most" if each == 100 else f"{each} %", justify="right")
    rows = {
        "Handshake, seconds": [outcome.handshake_seconds for outcome in outcomes],
        "Attempts": [outcome.attempts for outcome in outcomes],
        "Flights of both sides": [outcome.flights for outcome in outcomes],
        "Datagrams of both sides": [outcome.datagrams for outcome in outcomes],
    }
    for name, values in rows.items():
        numbers = percentiles(values)
        form = "{:.2f}" if name.endswith("seconds") else "{:.0f}"
        table.add_row(name, *(form.format(number) for number in numbers))
    return table


def totals(outcomes: Sequence[Outcome]) -> list[str]:
    """Sentences about all sessions together."""
    sent = sum(outcome.records_sent for outcome in outcomes)
    received = sum(outcome.records_received for outcome in outcomes)
    updates = sum(outcome.key_updates for outcome in outcomes)
    fates: Counter[str] = sum((outcome.fates for outcome in outcomes), Counter())
    drops: Counter[str] = sum((outcome.drops for outcome in outcomes), Counter())
    first = sum(outcome.attempts == 1 for outcome in outcomes)
    return [
        f"{len(outcomes):,} sessions, {first:,} of them connected at the first attempt",
        f"{received:,} of {sent:,} records of data arrived, {updates:,} key updates among them",
        f"The network: {_listed(fates)}",
        f"Dropped: {_listed(drops)}",
    ]


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=2000, help="how many")
    parser.add_argument("--accelerated", type=int, default=20, help="how many more on the RTL")
    parser.add_argument("--rate", type=float, default=0.2, help="of everything, 0 .. 1")
    parser.add_argument("--seed", type=int, default=0, help="of the first session")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--json", type=Path, help="write all outcomes here")
    options = parser.parse_args()

    def run(count: int, **how: object) -> list[Outcome]:
        seeds = range(options.seed, options.seed + count)
        return run_all(seeds, options.rate, options.jobs, **how)  # type: ignore[arg-type]

    start = time.perf_counter()
    campaigns = {
        "Software": run(options.sessions, provider="software"),
        "Software, nothing corrupted": run(
            options.sessions // 4, provider="software", corrupts=False
        ),
        "The accelerator's RTL": run(options.accelerated, provider="accelerator"),
    }
    console = Console()
    for title, outcomes in campaigns.items():
        if outcomes:
            console.print(summary(f"{title}: {options.rate:.0%} of each", outcomes))
            for line in totals(outcomes):
                console.print(line, highlight=False)
    seconds = time.perf_counter() - start
    console.print(f"{seconds:.0f} s, cryptography {version('cryptography')}", highlight=False)
    if options.json:
        report = {title: list(map(vars, outcomes)) for title, outcomes in campaigns.items()}
        options.json.write_text(json.dumps(report, indent=1))
    sys.exit(_report_problems(campaigns))


def _report_problems(campaigns: dict[str, list[Outcome]]) -> int:
    bad = [
        f"{title}, seed {outcome.seed}: {problem}"
        for title, outcomes in campaigns.items()
        for outcome in outcomes
        for problem in outcome.problems
    ]
    for line in bad:
        print(line, file=sys.stderr)
    if not bad:
        print("None stuck, no data accepted twice, none corrupted")
    return 1 if bad else 0


if __name__ == "__main__":
    main()
