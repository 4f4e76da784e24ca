"""What was measured: sizes and clocks of profiles on devices, kept beside this file.

`intaglio synth --save` writes the table and `intaglio plan` reads it. It holds nothing that no tool
has said: what was not synthesised has no entry.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Self

from boards.synthesis import SynthesisResult, Usage
from hdl.aes.sbox import SBoxForm
from hdl.profile import AESCore, Profile

__all__ = ["TABLE", "Measurement", "load_measurements", "save_measurements"]

#: The table of the tree, which the package brings along.
TABLE = Path(__file__).with_name("measured.json")


@dataclass(frozen=True)
class Measurement:
    """The size and the clock of one profile on one device."""

    profile: Profile
    #: Name of the device: `boards.devices`.
    device: str
    #: The clock that nextpnr aimed at, in MHz.
    target_megahertz: float
    #: Yosys' command with its options.
    yosys: str
    #: After packing, by the names that the device's family gives.
    resources: Mapping[str, Usage]
    #: The fastest clock after routing in MHz, by seed; empty if the design does not fit.
    megahertz: Mapping[int, float]
    #: Versions of what was used, by package.
    versions: Mapping[str, str]

    @property
    def clock(self) -> float | None:
        """The median of the seeds, in MHz; None if the design does not fit."""
        return median(self.megahertz.values()) if self.megahertz else None

    @classmethod
    def of(cls, profile: Profile, result: SynthesisResult) -> Self:
        """What is kept of a synthesis."""
        return cls(
            profile,
            result.device.name,
            result.target_megahertz,
            result.yosys,
            result.resources,
            result.megahertz,
            result.versions,
        )


def load_measurements(path: Path) -> list[Measurement]:
    """All entries; OSError if there is no such file, ValueError if it is no such table."""
    try:
        return [_entry(fields) for fields in json.loads(path.read_text())]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is no table of measurements: {error}") from None


def save_measurements(new: Iterable[Measurement], path: Path) -> None:
    """Add entries to the table; one of the same profile and device takes the older one's place."""
    old = load_measurements(path) if path.exists() else []
    entries = {(entry.device, entry.profile): entry for entry in (*old, *new)}
    ordered = sorted(entries.values(), key=lambda entry: (entry.device, str(entry.profile)))
    path.write_text(json.dumps([_fields(entry) for entry in ordered], indent=2) + "\n")


def _entry(fields: dict) -> Measurement:
    profile = fields["profile"]
    enums = {"sbox": SBoxForm(profile["sbox"]), "aes": AESCore(profile["aes"])}
    parsed = {
        "profile": Profile(**{**profile, **enums}),
        "resources": {name: Usage(**usage) for name, usage in fields["resources"].items()},
        "megahertz": {int(seed): clock for seed, clock in fields["megahertz"].items()},
    }
    return Measurement(**{**fields, **parsed})


def _fields(entry: Measurement) -> dict:
    fields = asdict(entry)
    enums = {"sbox": entry.profile.sbox.value, "aes": entry.profile.aes.value}
    return {**fields, "profile": {**fields["profile"], **enums}}
