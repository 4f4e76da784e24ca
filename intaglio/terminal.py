"""Reports for people: what the peer says on standard output, the rest on standard error."""

import sys
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from intaglio.printable import printable
from intaglio.report import (
    Connected,
    Ended,
    Happening,
    Listening,
    Preparing,
    Received,
    Transferred,
)
from protocol.events import HandshakeCompleted

__all__ = ["TextReport"]


class TextReport:
    """A `Report` for a terminal, or for a pipe.

    ``quiet``: only what the peer says; ``verbose``: also why records were dropped.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)
        self._verbose = verbose
        self._bars = _Bars(self._console)

    def __call__(self, happening: Happening) -> None:
        """Print it."""
        if isinstance(happening, Transferred | Ended):
            self._bars.remove(happening.session)
        match happening:
            case Preparing():
                self._say(happening.what)
            case Listening():
                self._say(
                    f"Listening on {happening.host} port {happening.port}, "
                    f"records protected by {happening.provider}"
                )
            case Connected():
                self._connected(happening)
            case Received():
                _write(happening.data)
            case Transferred():
                self._transferred(happening)
            case Ended():
                self._ended(happening)

    def progress(self, session: int, done: int, total: int | None) -> None:
        """On a terminal, a bar that goes when the file is through."""
        if self._console.is_terminal:
            self._bars.update(session, done, total)

    def _say(self, sentence: str, mark: str = "[dim]·[/]") -> None:
        self._console.print(mark, end=" ")
        self._console.print(printable(sentence), markup=False)

    def _connected(self, connected: Connected) -> None:
        handshake = connected.handshake
        self._say(f"Session {connected.session} is established", "[green]✓[/]")
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim")
        rows = {
            "Suite": handshake.suite.name,
            "Key exchange": "none" if handshake.group is None else handshake.group.name,
            "Peer": _peer(handshake),
            "Records": f"up to {connected.max_payload:,} bytes, protected by {handshake.provider}",
        }
        if handshake.alpn_protocol is not None:
            rows["Protocol"] = handshake.alpn_protocol
        for name, value in rows.items():
            table.add_row(f"  {name}", Text(printable(value)))
        self._console.print(table)

    def _transferred(self, done: Transferred) -> None:
        rate = done.bytes / max(done.seconds, 1e-9) / 1024
        self._say(
            f"{done.path} {done.direction}: {done.bytes:,} bytes in {done.seconds:.2f} s, "
            f"{rate:,.0f} KiB/s",
            "[green]✓[/]",
        )
        self._say(f"SHA-256 {done.sha256}", " ")

    def _ended(self, ended: Ended) -> None:
        stats = ended.statistics
        alert = f" (alert {ended.alert})" if ended.alert else ""
        self._say(
            f"Session {ended.session} is over: {ended.reason}{alert}. "
            f"Records: {stats.records_received:,} in, {stats.records_sent:,} out, "
            f"{sum(stats.drops.values()):,} dropped"
        )
        if self._verbose:
            for reason, count in stats.drops.most_common():
                self._say(f"{count:,} dropped: {reason.value}", " ")


class _Bars:
    """One bar for each session that moves a file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._tasks: dict[int, TaskID] = {}

    def update(self, session: int, done: int, total: int | None) -> None:
        if self._progress is None:
            columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn(True))
            self._progress = Progress(*columns, console=self._console, transient=True)
            self._progress.start()
        if session not in self._tasks:
            self._tasks[session] = self._progress.add_task(f"Session {session}", total=total)
        self._progress.update(self._tasks[session], completed=done)

    def remove(self, session: int) -> None:
        task = self._tasks.pop(session, None)
        if self._progress is not None and task is not None:
            self._progress.remove_task(task)
            if not self._tasks:
                self._progress.stop()
                self._progress = None


def _peer(handshake: HandshakeCompleted) -> str:
    if handshake.psk_identity is not None:
        return f"has the pre-shared key {handshake.psk_identity.decode(errors='replace')}"
    certificate = handshake.peer_certificate
    if certificate is None:
        return "not authenticated"
    until = certificate.not_valid_after_utc.date()
    return f"{certificate.subject.rfc4514_string()}, certificate valid until {until}"


def _write(data: bytes, is_terminal: Callable[[], bool] = lambda: sys.stdout.isatty()) -> None:
    """One record, one line. A terminal gets no control characters: the peer chose them."""
    text = data if data.endswith(b"\n") else data + b"\n"
    if is_terminal():
        print(printable(text.decode(errors="replace")), end="", flush=True)
    else:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
