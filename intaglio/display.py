"""What the demo shows on a terminal: progress while it runs, and a table at its end."""

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from intaglio.demo import DemoOptions, DemoResult
from intaglio.providers import VIRTUAL_BOARD

__all__ = ["DemoDisplay", "print_result"]


_INTRODUCTION = {
    "accelerator": "Two DTLS 1.3 endpoints on 127.0.0.1 move a file over UDP. Each has an "
    "accelerator of its own, the RTL in a compiled simulator, which seals and opens its records.",
    "virtual-board": "Two DTLS 1.3 endpoints on 127.0.0.1 move a file over UDP. Each has a virtual "
    f"{VIRTUAL_BOARD} on a serial port: accelerator, host link and UART are simulated cycle by "
    "cycle, each bit on the pins too; PLL and pads are not, and a bit takes 4 cycles, where the "
    "real board's takes 34. A record still takes about a second, so the file is small.",
    "software": "Two DTLS 1.3 endpoints on 127.0.0.1 move a file over UDP, protected in software.",
}


class DemoDisplay:
    """The demo's watcher: lines for what is built, a bar for the file; on standard error."""

    def __init__(self, options: DemoOptions):
        self._console = Console(stderr=True, highlight=False)
        self._console.print(_INTRODUCTION[options.provider])
        self._bytes = options.source.stat().st_size
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._task = self._progress.add_task(f"Handshake ({options.provider})", total=None)

    def building(self, what: str) -> None:
        """A step of the build begins."""
        self._progress.update(self._task, description=what)
        if not self._console.is_terminal:
            self._console.print(what)

    def connected(self) -> None:
        """The handshake is complete."""
        description = "Sending the file"
        self._progress.update(self._task, description=description, total=self._bytes)

    def sent(self, done: int) -> None:
        """So many bytes of the file have been acknowledged."""
        self._progress.update(self._task, completed=done)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()


def print_result(result: DemoResult) -> None:
    """The account of what happened, on standard output."""
    console = Console(highlight=False)
    console.print(_session_table(result), _records_table(result))
    for holds, sentence in _findings(result):
        mark = "[green]✓[/]" if holds else "[bold red]✗[/]"
        console.print(f"{mark} {sentence}", soft_wrap=True)


def _session_table(result: DemoResult) -> Table:
    rate = result.file_bytes / result.transfer_seconds / 1024
    table = Table(title="Session", show_header=False, title_justify="left")
    table.add_row("Records protected by", result.provider)
    table.add_row("Suite", result.suite)
    table.add_row("Key exchange", result.group)
    table.add_row(
        "Handshake", f"{result.handshake_flights} flights in {result.handshake_seconds:.3f} s"
    )
    table.add_row(
        "File",
        f"{result.file_bytes:,} bytes in {result.transfer_seconds:.1f} s, {rate:,.0f} KiB/s",
    )
    versions = (f"{name} {version}" for name, version in result.versions.items())
    table.add_row("With", ", ".join(versions))
    return table


def _records_table(result: DemoResult) -> Table:
    table = Table("", title="Protected records, handshake included", title_justify="left")
    for name in ("Client", "Server"):
        table.add_column(name, justify="right")
    sides = (result.client, result.server)

    def add(name: str, values: Iterable[float], form: str = ",d") -> None:
        table.add_row(name, *(format(value, form) for value in values))

    add("Sealed by the device", (side.sealed_by_device for side in sides))
    add("Opened by the device", (side.opened_by_device for side in sides))
    add("Sealed in software", (side.sealed_by_software for side in sides))
    add("Opened in software", (side.opened_by_software for side in sides))
    devices = [side.device for side in sides if side.device is not None]
    if devices:
        add("Device cycles per record", (d.cycles_per_record for d in devices), ",.0f")
        add("Device cycles per byte", (d.cycles_per_byte for d in devices), ",.2f")
        add("Simulated cycles per second", (d.cycles_per_second for d in devices), ",.0f")
    return table


def _findings(result: DemoResult) -> list[tuple[bool, str]]:
    """What was checked at the end, and whether it holds."""
    arrived = result.sha256_sent == result.sha256_received
    alike = result.records_checked - result.records_differing
    return [
        (
            arrived,
            f"The file {'arrived' if arrived else 'did not arrive'} byte for byte "
            f"(SHA-256 {result.sha256_sent[:16]}...)",
        ),
        (
            alike == result.records_checked,
            f"{alike:,} of {result.records_checked:,} sealed records are byte for byte those "
            "that the software provider makes",
        ),
    ]
