"""`intaglio synth`: profiles on devices, as tables for people and as JSON for programs."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from boards.devices import Device, find_device
from boards.synthesis import SynthesisResult, Usage, synthesise_profile
from hdl.profile import Profile
from intaglio.generate import derive_profile

__all__ = [
    "Outcome",
    "Pair",
    "SynthDisplay",
    "SynthOptions",
    "find_pairs",
    "markdown_table",
    "print_outcomes",
    "report",
    "run_synth",
    "share",
]


@dataclass(frozen=True)
class Pair:
    """A profile, and a device to synthesise it for."""

    profile: Profile
    device: Device

    def __str__(self) -> str:
        return f"{self.profile.name} on {self.device.name}"


@dataclass(frozen=True)
class SynthOptions:
    """How the user wants it done."""

    seeds: int = 3
    #: The clock to aim at, in MHz; by default each device's.
    target_megahertz: float | None = None
    #: Where netlists, logs and reports stay, each pair's in a folder of its own.
    keep: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a pair."""

    pair: Pair
    result: SynthesisResult


def find_pairs(names: Sequence[str], changes: Mapping[str, object]) -> list[Pair]:
    """The pairs that the names, a profile's and a device's in turn, stand for.

    ``changes`` are those of `derive_profile`. Raises ValueError, naming the value, for a name that
    is unknown or has no partner.
    """
    if len(names) % 2:
        raise ValueError(f"{names[-1]!r} stands alone: name a profile and a device in turn")
    return [
        Pair(derive_profile(profile, changes), find_device(device))
        for profile, device in zip(names[::2], names[1::2], strict=True)
    ]


def run_synth(pairs: Sequence[Pair], options: SynthOptions) -> Iterator[Outcome]:
    """Synthesise pair after pair, and show how it goes; raises `SynthesisError`."""
    for pair in pairs:
        yield Outcome(pair, _synthesise(pair, options))


def _synthesise(pair: Pair, options: SynthOptions) -> SynthesisResult:
    with SynthDisplay(str(pair)) as display, _folder(pair, options.keep) as folder:
        return synthesise_profile(
            pair.profile,
            pair.device,
            folder,
            display,
            seeds=range(1, options.seeds + 1),
            target_megahertz=options.target_megahertz,
        )


@contextmanager
def _folder(pair: Pair, keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="intaglio-") as folder:
            yield Path(folder)
    else:
        kept = keep / f"{pair.profile.name}-{pair.device.name}"
        kept.mkdir(parents=True, exist_ok=True)
        yield kept


class SynthDisplay:
    """The synthesis' watcher: a line for each step, on a terminal with its time; standard error."""

    def __init__(self, subject: str):
        self._subject = subject
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None

    def step(self, what: str) -> None:
        """A step begins, and the one before it has ended."""
        self._finish_step()
        line = f"{self._subject}: {what}"
        self._task = self._progress.add_task(line, total=1)
        if not self._console.is_terminal:
            self._console.print(line, soft_wrap=True)

    def routed(self, seed: int, megahertz: float) -> None:
        """One seed's clock is known."""
        line = f"{self._subject}: seed {seed} reaches {megahertz:.1f} MHz"
        self._console.print(line, soft_wrap=True)

    def _finish_step(self) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=1)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._finish_step()
        self._progress.stop()


_COLUMNS = ("Profile", "Device", "LUT4", "FF", "Memories", "DSP", "MHz")
#: What stands in a column of its own; everything else is memory.
_NO_MEMORY = ("LUT4", "FF", "DSP")


def print_outcomes(outcomes: Sequence[Outcome], markdown: bool) -> None:
    """A table of sizes and clocks, and what it was made with, on standard output."""
    rows = [_row(outcome) for outcome in outcomes]
    if markdown:
        print(markdown_table(_COLUMNS, rows, left=2))
        print(f"\n{_origin(outcomes)}")
        return
    console = Console(highlight=False)
    table = Table(*_COLUMNS)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print(_origin(outcomes), soft_wrap=True)


def _row(outcome: Outcome) -> list[str]:
    result = outcome.result
    resources = result.resources
    memories = [
        f"{share(usage)} {name}" for name, usage in resources.items() if name not in _NO_MEMORY
    ]
    return [
        outcome.pair.profile.name,
        outcome.pair.device.name,
        share(resources["LUT4"]),
        share(resources["FF"]),
        ", ".join(memories),
        f"{resources['DSP'].used:,}",
        _clock(result),
    ]


def share(usage: Usage) -> str:
    """How many, and which part of all."""
    if not usage.available or not usage.used:
        return f"{usage.used:,}"
    return f"{usage.used:,} ({usage.used / usage.available:.0%})"


def _clock(result: SynthesisResult) -> str:
    if result.span is None:
        return "does not fit"
    shown = result.span if len(result.megahertz) > 1 else result.span[:1]
    return " / ".join(f"{megahertz:.1f}" for megahertz in shown)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """A table in Markdown: the first ``left`` columns are texts, the others numbers."""
    rules = ["---"] * left + ["--:"] * (len(header) - left)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rules, *rows))


def _origin(outcomes: Sequence[Outcome]) -> str:
    versions: dict[str, str] = {}
    for outcome in outcomes:
        versions |= outcome.result.versions
    used = ", ".join(f"{package} {number}" for package, number in versions.items())
    seeds = max(len(outcome.result.megahertz) for outcome in outcomes)
    clocks = {0: "", 1: ", MHz after routing"}.get(
        seeds, f", MHz after routing: least, median and most of {seeds} seeds"
    )
    return f"Sizes after packing{clocks}. With intaglio {version('intaglio')}, {used}."


def report(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Everything that is known, as JSON can hold it."""
    return {
        "intaglio": version("intaglio"),
        "results": [
            {"profile": _plain(asdict(outcome.pair.profile)), **_plain(asdict(outcome.result))}
            for outcome in outcomes
        ],
    }


def _plain(fields: dict[str, object]) -> dict[str, object]:
    return {
        name: value.value if isinstance(value, Enum) else value for name, value in fields.items()
    }
