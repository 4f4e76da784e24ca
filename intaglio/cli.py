"""The command line: `intaglio --help`."""

import json
import os
import signal
import sys
import tempfile
from dataclasses import replace
from enum import StrEnum
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from intaglio.board import board
from intaglio.connect import connect
from intaglio.demo import DemoOptions, DemoResult, run_demo
from intaglio.display import DemoDisplay, print_result
from intaglio.failures import fail, one_sentence, refusing
from intaglio.files import append_privately, check_readable, check_writable, naming
from intaglio.providers import ProviderName
from intaglio.raw_keys import key
from intaglio.serve import serve
from intaglio.transfer import LARGEST_FILE
from protocol.crypto.suites import CipherSuite

app = typer.Typer(
    help="Hardware that seals datagrams: a DTLS 1.3 record accelerator, and the stack on it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_MEBIBYTE = 1 << 20
#: With waves every cycle costs disk space, so the file is small unless the user says otherwise.
_BYTES_WITH_WAVES = 4096
#: Each byte on a simulated wire takes forty cycles or more.
_BYTES_ON_A_WIRE = 1 << 12


class SuiteName(StrEnum):
    """The cipher suites that the demo can be told to use."""

    AES_128 = "aes-128-gcm"
    AES_256 = "aes-256-gcm"


class BusName(StrEnum):
    """The buses that `generate` knows; values of `hdl.verilog.Bus`."""

    AXI4_STREAM = "axi4-stream"
    AXI4_LITE = "axi4-lite"


class KeyBits(StrEnum):
    """The key sizes of AES-GCM in DTLS 1.3."""

    AES_128 = "128"
    AES_256 = "256"


_SUITES = {
    SuiteName.AES_128: CipherSuite.TLS_AES_128_GCM_SHA256,
    SuiteName.AES_256: CipherSuite.TLS_AES_256_GCM_SHA384,
}

JsonOption = Annotated[
    Path | None, typer.Option("--json", help="Write the results here as JSON; - for the terminal.")
]
# What of a profile can be changed.
SlotsOption = Annotated[int | None, typer.Option(help="Keys resident at once.")]
LargestRecordOption = Annotated[
    int | None, typer.Option(help="Largest content of a record, in bytes.")
]
WindowOption = Annotated[int | None, typer.Option(help="Width of the replay window, in records.")]
GHASHDigitOption = Annotated[int | None, typer.Option(help="Bits that GHASH takes a cycle.")]
SBoxOption = Annotated[
    str | None,
    typer.Option(help="S-boxes: table, composite or block-ram (for ring and pipelined)."),
]
AESOption = Annotated[
    str | None,
    typer.Option(help="Rounds of AES in hardware: serial, ring or pipelined."),
]
BusBytesOption = Annotated[int | None, typer.Option(help="Bytes in a beat of the ports.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"intaglio {version('intaglio')}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    provider: Annotated[
        ProviderName, typer.Option(help="Who protects the records.")
    ] = ProviderName.ACCELERATOR,
    file: Annotated[
        Path | None, typer.Option(help="The file to send; by default random bytes.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=0, max=LARGEST_FILE, help="Send so many random bytes: 1 MiB unless this is slow."
        ),
    ] = None,
    suite: Annotated[SuiteName, typer.Option(help="The cipher suite.")] = SuiteName.AES_128,
    waves: Annotated[
        Path | None,
        typer.Option(help="Write waves of the client's device here (VCD; 4 KiB are sent then)."),
    ] = None,
    keylog: Annotated[
        Path | None, typer.Option(help="Append the session's secrets here (SSLKEYLOGFILE).")
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Send a file through a DTLS 1.3 session over UDP, its records protected by the gateware."""
    if waves is not None and provider is not ProviderName.ACCELERATOR:
        raise typer.BadParameter(
            f"there is no device to take waves of with --provider {provider.value}"
        )
    if file is not None and size is not None:
        raise typer.BadParameter("--size is for random bytes: it does not go with --file")
    if size is None:
        size = _default_size(provider, waves)
    with one_sentence(), tempfile.TemporaryDirectory(prefix="intaglio-") as folder:
        check_readable(file)
        check_writable(waves, keylog, json_file)
        options = DemoOptions(
            provider=provider,
            suite=_SUITES[suite],
            source=file or _random_file(Path(folder, "sent"), size),
            target=Path(folder, "received"),
            waves=waves,
        )
        result = _run_demo(options, keylog)
        print_result(result)
        _write_json(json_file, result.report())
        if waves is not None:
            print(f"Waves of the client's device: {waves} (GTKWave and Surfer open it)")
    if not result.sound:
        raise typer.Exit(1)


def _default_size(provider: ProviderName, waves: Path | None) -> int:
    if waves is not None:
        return _BYTES_WITH_WAVES
    return _BYTES_ON_A_WIRE if provider is ProviderName.VIRTUAL_BOARD else _MEBIBYTE


def _run_demo(options: DemoOptions, keylog: Path | None) -> DemoResult:
    with DemoDisplay(options) as display:
        if keylog is None:
            return run_demo(options, display)
        with append_privately(keylog) as key_log:
            return run_demo(replace(options, key_log=key_log), display)


def _random_file(path: Path, size: int) -> Path:
    path.write_bytes(os.urandom(size))
    return path


app.command()(board)
app.command()(connect)
app.command()(serve)
app.command()(key)


@app.command()
def generate(
    profile: Annotated[str, typer.Option(help="What to start from.")] = "compact",
    slots: SlotsOption = None,
    largest_record: LargestRecordOption = None,
    window: WindowOption = None,
    ghash_digit: GHASHDigitOption = None,
    sbox: SBoxOption = None,
    aes: AESOption = None,
    bus_bytes: BusBytesOption = None,
    bus: Annotated[
        BusName, typer.Option(help="The ports; with axi4-lite --bus-bytes does not count.")
    ] = BusName.AXI4_STREAM,
    module: Annotated[str, typer.Option(help="Name of the top module.")] = "intaglio",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write; - for the terminal.")
    ] = Path("intaglio.v"),
    json_file: JsonOption = None,
) -> None:
    """Write the accelerator as Verilog with AXI4-Stream ports, or with registers on AXI4-Lite."""
    with one_sentence():
        from hdl.verilog import Bus
        from intaglio.generate import derive_profile, write_verilog

        changes = {
            "slots": slots,
            "largest_record": largest_record,
            "window": window,
            "ghash_digit": ghash_digit,
            "sbox": sbox,
            "aes": aes,
            "bus_bytes": bus_bytes,
        }
        check_writable(output, json_file)
        with refusing():
            chosen = derive_profile(profile, changes)
            report = write_verilog(chosen, module, output, Bus(bus))
        _write_json(json_file, report)


@app.command()
def synth(
    pairs: Annotated[
        list[str],
        typer.Argument(
            metavar="PROFILE DEVICE [PROFILE DEVICE]...",
            help="What to synthesise, and for which device.",
            show_default=False,
        ),
    ],
    seeds: Annotated[int, typer.Option(min=1, help="Place and route so many times.")] = 3,
    freq: Annotated[
        float | None, typer.Option(min=1, help="Aim at so many MHz; by default the device's.")
    ] = None,
    slots: SlotsOption = None,
    largest_record: LargestRecordOption = None,
    window: WindowOption = None,
    ghash_digit: GHASHDigitOption = None,
    sbox: SBoxOption = None,
    aes: AESOption = None,
    bus_bytes: BusBytesOption = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep netlists, logs and reports in this directory.")
    ] = None,
    markdown: Annotated[bool, typer.Option(help="Print the table as Markdown.")] = False,
    save: Annotated[
        bool, typer.Option("--save", help="Keep the results in the table that plan reads.")
    ] = False,
    json_file: JsonOption = None,
) -> None:
    """Say how large the accelerator is on a device, and how fast after placing and routing."""
    with one_sentence():
        from boards.measurements import TABLE, Measurement, save_measurements
        from intaglio.synth import (
            Outcome,
            SynthOptions,
            find_pairs,
            print_outcomes,
            report,
            run_synth,
        )

        changes = {
            "slots": slots,
            "largest_record": largest_record,
            "window": window,
            "ghash_digit": ghash_digit,
            "sbox": sbox,
            "aes": aes,
            "bus_bytes": bus_bytes,
        }
        check_writable(json_file, TABLE if save else None)
        with refusing():
            found = find_pairs(pairs, changes)
        outcomes: list[Outcome] = []
        try:
            for outcome in run_synth(found, SynthOptions(seeds, freq, keep)):
                outcomes.append(outcome)
                if save:
                    save_measurements([Measurement.of(outcome.pair.profile, outcome.result)], TABLE)
        finally:  # What was done in minutes is told, whatever happens to the next pair.
            if outcomes:
                print_outcomes(outcomes, markdown)
                _write_json(json_file, report(outcomes))


@app.command()
def build(
    board: Annotated[
        str,
        typer.Argument(
            metavar="BOARD", help="Which one: intaglio boards lists them.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write; by default BOARD.bit or BOARD.bin."),
    ] = None,
    freq: Annotated[
        float | None, typer.Option(min=1, help="Another clock for the accelerator, in MHz.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=1, help="Where nextpnr begins; by default one that works.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep netlists, logs and reports in this directory.")
    ] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Keep the result in the table of intaglio boards.")
    ] = False,
    json_file: JsonOption = None,
) -> None:
    """Build a board's bitstream; exit code 1 if its clock is missed."""
    with one_sentence():
        from boards.builds import BUILDS, BuildRecord, save_build
        from intaglio.build import bitstream_path, choose_board, print_build, report, run_build

        with refusing():
            chosen = choose_board(board, freq, seed)
        target = output or bitstream_path(chosen)
        check_writable(target, json_file, BUILDS if save else None)
        built, sha256 = run_build(chosen, target, keep)
        print_build(built, target, sha256)
        _write_json(json_file, report(built, sha256))
        if sha256 and save:
            save_build(BuildRecord.of(built, sha256), BUILDS)
        if built.shortfall:
            fail(built.shortfall)


@app.command("boards")
def list_boards(
    built: Annotated[
        bool, typer.Option("--built", help="What the builds gave: sizes, clocks, rates.")
    ] = False,
    markdown: Annotated[bool, typer.Option(help="With --built, a table in Markdown.")] = False,
) -> None:
    """List the boards that there are bitstreams for."""
    with one_sentence():
        from boards.builds import BUILDS, load_builds
        from intaglio.build import print_boards, print_builds

        if built:
            print_builds(load_builds(BUILDS), markdown)
        else:
            print_boards()


@app.command()
def plan(
    target: Annotated[
        str, typer.Option(help="Content a second in one direction, as in 1.5Gbit/s.")
    ],
    device: Annotated[str, typer.Option(help="Which device it is for.")],
    record: Annotated[int, typer.Option(min=1, help="Bytes of content in each record.")] = 1200,
    key: Annotated[KeyBits, typer.Option(help="Bits of the keys.")] = KeyBits.AES_128,
    json_file: JsonOption = None,
) -> None:
    """Say which profile reaches a rate on a device, by measured clocks; exit code 1: none does."""
    with one_sentence():
        from boards.devices import find_device
        from boards.measurements import TABLE, load_measurements
        from intaglio.plan import (
            Goal,
            find_candidates,
            parse_rate,
            print_plan,
            report,
            shortfall,
        )

        check_writable(json_file)
        with refusing():
            goal = Goal(parse_rate(target), find_device(device), record, int(key))
        candidates = find_candidates(goal, load_measurements(TABLE))
        print_plan(goal, candidates)
        _write_json(json_file, report(goal, candidates))
        missed = shortfall(goal, candidates)
    if missed:
        fail(missed)


def _write_json(path: Path | None, report: dict[str, object]) -> None:
    if path is None:
        return
    text = json.dumps(report, indent=2) + "\n"
    if path == Path("-"):
        print(text, end="")
    else:
        with naming(path):
            path.write_text(text)


def main() -> None:
    """The entry point."""
    # A terminal without these characters shows others, and a polite end removes temporary files.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    app()
