"""`intaglio plan`: which profile reaches a rate on a device, from cycles and measured clocks."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields

from rich.console import Console
from rich.table import Table

from boards.devices import Device
from boards.measurements import Measurement
from boards.synthesis import Usage
from hdl.profile import PROFILES, Profile
from hdl.rate import Record, record_cycles

__all__ = [
    "Candidate",
    "Goal",
    "find_candidates",
    "parse_rate",
    "print_plan",
    "report",
    "shortfall",
]

_UNITS = {"bit/s": 1, "kbit/s": 10**3, "Mbit/s": 10**6, "Gbit/s": 10**9}


@dataclass(frozen=True)
class Goal:
    """What the user wants."""

    #: Bits of content a second, in one direction.
    rate: float
    device: Device
    #: Bytes of content in each record.
    record: int = 1200
    #: Bits of the keys: 128 or 256.
    key: int = 128


@dataclass(frozen=True)
class Candidate:
    """A profile, and how far it goes on the device."""

    goal: Goal
    profile: Profile
    #: None if it was not synthesised for the device.
    measurement: Measurement | None

    @property
    def cycles(self) -> int | None:
        """Cycles a record, of sealing and opening what takes longer; None if it is too long."""
        if self.goal.record > self.profile.largest_record:
            return None
        aes256 = self.goal.key == 256
        return max(
            record_cycles(self.profile, Record(self.goal.record, aes256, opens))
            for opens in (False, True)
        )

    @property
    def clock(self) -> float | None:
        """The median of the measured clocks, in MHz; None if there is none."""
        return self.measurement.clock if self.measurement else None

    @property
    def rate(self) -> float | None:
        """Bits of content a second; None if it does not fit, or nobody knows."""
        if self.clock is None or self.cycles is None:
            return None
        return 8 * self.goal.record * self.clock * 1e6 / self.cycles

    @property
    def reaches(self) -> bool:
        """Whether the rate is at least the goal's."""
        return self.rate is not None and self.rate >= self.goal.rate

    @property
    def needed_clock(self) -> float | None:
        """The clock in MHz that the goal takes."""
        return self.cycles and self.goal.rate * self.cycles / (8e6 * self.goal.record)

    @property
    def size(self) -> Usage | None:
        """LUT4, or logic cells, of those that the device has."""
        return self.measurement.resources["LUT4"] if self.measurement else None


def parse_rate(text: str) -> float:
    """Bits a second of a text like 1.5Gbit/s; ValueError, naming it, if it is none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kMG]?bit/s)", text)
    if not match or not float(match[1]):
        raise ValueError(f"rate {text!r} is not a number with one of {', '.join(_UNITS)}")
    return float(match[1]) * _UNITS[match[2]]


def find_candidates(goal: Goal, measurements: Iterable[Measurement]) -> list[Candidate]:
    """What was measured on the device, and the named profiles that were not; best first.

    The best is the smallest that reaches the goal; then come the others, by rate, and last those
    of which nothing is known.
    """
    measured = [entry for entry in measurements if entry.device == goal.device.name]
    known = [entry.profile for entry in measured]
    candidates = [Candidate(goal, entry.profile, entry) for entry in measured]
    candidates += [
        Candidate(goal, profile, None) for profile in PROFILES.values() if profile not in known
    ]
    return sorted(candidates, key=_rank)


def _rank(candidate: Candidate) -> tuple[int, float, str]:
    if candidate.reaches and candidate.size:
        return 0, candidate.size.used, candidate.profile.name
    known = candidate.measurement is not None
    return 1 if known else 2, -(candidate.rate or 0), candidate.profile.name


def shortfall(goal: Goal, candidates: Sequence[Candidate]) -> str | None:
    """One sentence that says by how much the goal is missed; None if it is reached."""
    if any(candidate.reaches for candidate in candidates):
        return None
    where = f"on {goal.device.name}"
    if not any(candidate.measurement for candidate in candidates):
        return (
            f"nothing was measured {where} yet: intaglio synth PROFILE {goal.device.name} --save "
            "does that"
        )
    best = max(candidate.rate or 0 for candidate in candidates)
    if not best:
        return f"nothing that was measured {where} fits and takes records of {goal.record:,} bytes"
    return (
        f"nothing that was measured {where} reaches {_rate(goal.rate)}: the best gives "
        f"{_rate(best)}, {1 - best / goal.rate:.1%} less"
    )


_COLUMNS = ("Profile", "Cycles", "MHz", "Content", "LUT4", "Verdict")


def print_plan(goal: Goal, candidates: Sequence[Candidate]) -> None:
    """A line for each candidate, on standard output."""
    console = Console(highlight=False)
    table = Table(
        title=f"{_rate(goal.rate)} of content on {goal.device.name}, "
        f"records of {goal.record:,} bytes, AES-{goal.key}",
        title_justify="left",
    )
    for name in _COLUMNS:
        table.add_column(name, justify="right" if name in ("Cycles", "MHz", "Content") else "left")
    for candidate in candidates:
        table.add_row(*_row(candidate))
    console.print(table)
    console.print(
        "Cycles a record, back to back, of sealing and opening what takes longer. MHz: the median "
        "of the measured seeds.",
        soft_wrap=True,
    )
    for line in _origins(candidates):
        console.print(line, soft_wrap=True)


def _row(candidate: Candidate) -> tuple[str, ...]:
    cycles, clock, rate, size = (
        candidate.cycles,
        candidate.clock,
        candidate.rate,
        candidate.size,
    )
    return (
        _describe(candidate.profile),
        f"{cycles:,}" if cycles else "",
        f"{clock:.1f}" if clock else "",
        _rate(rate) if rate else "",
        f"{size.used:,} of {size.available:,}" if size else "",
        _verdict(candidate),
    )


def _verdict(candidate: Candidate) -> str:
    if candidate.needed_clock is None:
        return f"takes records up to {candidate.profile.largest_record:,} bytes"
    clock = candidate.needed_clock
    needed = f"needs {clock:,.0f} MHz" if clock >= 100 else f"needs {clock:.3g} MHz"
    if candidate.measurement is None:
        return f"not measured here; {needed}"
    if candidate.clock is None:
        return "does not fit"
    return "reaches it" if candidate.reaches else needed


def _describe(profile: Profile) -> str:
    """The profile's name, and the options of `intaglio generate` that make it."""
    base = PROFILES.get(profile.name)
    if base is None:
        return profile.name
    plain = ((field.name, getattr(profile, field.name)) for field in fields(profile))
    changes = [
        f"--{name.replace('_', '-')} {getattr(value, 'value', value)}"
        for name, value in plain
        if value != getattr(base, name)
    ]
    return " ".join([profile.name, *changes])


def _rate(rate: float) -> str:
    unit = next(unit for unit in reversed(_UNITS) if rate >= _UNITS[unit] or unit == "bit/s")
    return f"{rate / _UNITS[unit]:.4g} {unit}"


def _origins(candidates: Sequence[Candidate]) -> Iterator[str]:
    """What the clocks were measured with, a line for each set of tools."""
    origins = set()
    for candidate in candidates:
        if entry := candidate.measurement:
            seeds = len(entry.megahertz)
            tools = ", ".join(f"{package} {number}" for package, number in entry.versions.items())
            noun = "seed" if seeds == 1 else "seeds"
            origins.add(f"{seeds} {noun}, aiming at {entry.target_megahertz:g} MHz: {tools}.")
    yield from (f"Measured with {origin}" for origin in sorted(origins))


def report(goal: Goal, candidates: Sequence[Candidate]) -> dict[str, object]:
    """Everything that is known, as JSON can hold it; rates in bits a second."""
    return {
        "target": goal.rate,
        "device": goal.device.name,
        "record": goal.record,
        "key": goal.key,
        "candidates": [
            {
                "profile": _describe(candidate.profile),
                "cycles": candidate.cycles,
                "needed_megahertz": candidate.needed_clock,
                "megahertz": candidate.clock,
                "rate": candidate.rate,
                "lut4": asdict(candidate.size) if candidate.size else None,
                "measured": candidate.measurement is not None,
                "reaches": candidate.reaches,
            }
            for candidate in candidates
        ],
    }
