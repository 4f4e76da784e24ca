"""`intaglio build` and `intaglio boards`: a board's bitstream, and what is known of all boards."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from boards.bitstream import Build, build_bitstream
from boards.board import Board
from boards.builds import BuildRecord
from boards.catalogue import BOARDS, find_board
from boards.devices import FAMILIES
from boards.link_rate import link_baud, link_rate
from hdl.profile import PROFILES, Profile
from hdl.rate import Record, record_cycles
from intaglio.files import naming
from intaglio.synth import SynthDisplay, markdown_table, share

__all__ = [
    "bitstream_path",
    "choose_board",
    "print_boards",
    "print_build",
    "print_builds",
    "report",
    "run_build",
]

#: Contents of records in bytes that rates are given for.
_RECORDS = (64, 256, 1200)


def choose_board(name: str, megahertz: float | None, seed: int | None) -> Board:
    """The board of that name; with another clock or another beginning, unless they are None.

    Raises ValueError, naming the value, for an unknown name or a clock that its PLL does not make.
    """
    board = find_board(name)
    return replace(
        board,
        megahertz=board.megahertz if megahertz is None else megahertz,
        seed=board.seed if seed is None else seed,
    )


def bitstream_path(board: Board) -> Path:
    """Where its bitstream goes unless the user says so: into the current directory."""
    return Path(board.name).with_suffix(FAMILIES[board.device.family].suffix)


def run_build(board: Board, output: Path, keep: Path | None) -> tuple[Build, str | None]:
    """Build, show how it goes, and leave the bitstream at ``output`` if the clock was met.

    With it comes the SHA-256 of the bitstream. Raises `SynthesisError`.
    """
    with SynthDisplay(board.name) as display, _folder(board, keep) as folder:
        build = build_bitstream(board, folder, display)
        if build.bitstream is None:
            return build, None
        with naming(output):
            shutil.copyfile(build.bitstream, output)
    return build, hashlib.sha256(output.read_bytes()).hexdigest()


@contextmanager
def _folder(board: Board, keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="intaglio-") as folder:
            yield Path(folder)
    else:
        kept = keep / board.name
        kept.mkdir(parents=True, exist_ok=True)
        yield kept


def print_build(build: Build, output: Path, sha256: str | None) -> None:
    """What it takes, how fast it is, and what it is called, on standard output."""
    board = build.board
    table = Table(show_header=False, title=f"{board.title}, profile {board.profile.name}")
    for name, usage in build.result.resources.items():
        table.add_row(name, share(usage))
    clock = "does not fit" if build.clock is None else f"{build.clock:.1f} MHz after routing"
    table.add_row("Clock", f"{clock}; {board.megahertz:g} MHz needed")
    if sha256:
        for content in _sizes(board.profile):
            table.add_row(f"Records of {content:,} bytes", _rates(board, content))
        table.add_row("Identity", f"{build.identity:08x}, which INFO gives")
        table.add_row("Bitstream", f"{output}, SHA-256 {sha256[:16]}...")
    console = Console(highlight=False)
    console.print(table)
    used = ", ".join(f"{package} {number}" for package, number in build.result.versions.items())
    console.print(f"With intaglio {version('intaglio')}, {used}.", soft_wrap=True)


def _rates(board: Board, content: int) -> str:
    record = Record(content)
    cycles = record_cycles(board.profile, record)
    engine = 8 * content * board.megahertz * 1e6 / cycles
    wire = link_rate(link_baud(board.megahertz * 1e6, board.baud), record)
    return f"{_bits(engine)} in the engine, {wire / 1e3:,.0f} kB/s over the link"


def _bits(rate: float) -> str:
    return f"{rate / 1e9:.2f} Gbit/s" if rate >= 1e9 else f"{rate / 1e6:.2f} Mbit/s"


def report(build: Build, sha256: str | None) -> dict[str, object]:
    """Everything that is known of a build, as JSON can hold it."""
    board = build.board
    return {
        "board": board.name,
        "profile": board.profile.name,
        "seed": board.seed,
        "needed_megahertz": board.megahertz,
        "reached_megahertz": build.clock,
        "identity": f"{build.identity:08x}",
        "sha256": sha256,
        "resources": {name: asdict(usage) for name, usage in build.result.resources.items()},
        "seconds": dict(build.result.seconds),
        "versions": {"intaglio": version("intaglio"), **build.result.versions},
    }


def print_boards() -> None:
    """The boards that there are, on standard output."""
    table = Table("Board", "What it is", "Profile", "MHz", "Its UART leads to", "Mbaud")
    for board in BOARDS.values():
        baud = link_baud(board.megahertz * 1e6, board.baud)
        table.add_row(
            board.name,
            board.title,
            board.profile.name,
            f"{board.megahertz:g}",
            board.adapter,
            f"{baud / 1e6:.2f}",
        )
    Console(highlight=False).print(table)


_BUILT = (
    "Board", "Profile", "MHz", "Reached", "LUT4", "FF", "Memories", "DSP", "Record, bytes",
    "Cycles", "In the engine", "Mbaud", "Over the link",
)  # fmt: skip
_LEFT = 2


def print_builds(builds: Sequence[BuildRecord], markdown: bool) -> None:
    """A row for each build and size of records, and what they were made with; standard output."""
    rows = [row for build in builds for row in _built(build)]
    if markdown:
        print(markdown_table(_BUILT, rows, left=_LEFT))
        print()
    else:
        table = Table(*_BUILT)
        for row in rows:
            table.add_row(*row)
        Console(highlight=False).print(table)
    for build in builds:
        used = ", ".join(f"{package} {number}" for package, number in build.versions.items())
        bullet = "- " if markdown else ""
        print(
            f"{bullet}{build.board}: identity {build.identity:08x}, seed {build.seed}, "
            f"{build.seconds / 60:.0f} min, with {used}"
        )


def _built(build: BuildRecord) -> Iterator[list[str]]:
    """The first row has what is the same in all."""
    board, profile = BOARDS[build.board], PROFILES[build.profile]
    resources = build.resources
    memories = (
        f"{usage.used} {name}"
        for name, usage in resources.items()
        if name not in ("LUT4", "FF", "DSP") and usage.used
    )
    baud = link_baud(build.megahertz * 1e6, board.baud)
    head = [
        build.board,
        build.profile,
        f"{build.megahertz:g}",
        f"{build.reached_megahertz:.1f}",
        share(resources["LUT4"]),
        share(resources["FF"]),
        ", ".join(memories),
        f"{resources['DSP'].used}",
    ]
    for content in _sizes(profile):
        record = Record(content)
        cycles = record_cycles(profile, record)
        rate = _bits(8 * content * build.megahertz * 1e6 / cycles)
        wire = f"{link_rate(baud, record) / 1e3:,.0f} kB/s"
        yield [*head, f"{content:,}", f"{cycles:,}", rate, f"{baud / 1e6:.2f}", wire]
        head = [""] * len(head)


def _sizes(profile: Profile) -> list[int]:
    """Those that the profile takes, and its own largest instead of those that it does not."""
    return sorted({min(content, profile.largest_record) for content in _RECORDS})
