"""Reports for people: what the peer says on standard output, the rest on standard error."""

import sys
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from intaglio.printable import printable
from intaglio.raw_keys import pin_of
from intaglio.report import (
    Connected,
    Connecting,
    Ended,
    Failed,
    Happening,
    Listening,
    Preparing,
    Received,
    Transferred,
)
from protocol.alerts import Alert, AlertDescription
from protocol.events import HandshakeCompleted

__all__ = ["TextReport"]

#: The alert that ends sessions in order.
_FAREWELL = str(Alert(AlertDescription.CLOSE_NOTIFY))
#: Longer pins are not shown whole; that of a P-256 key is.
_LONGEST_PIN = 124


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
                self._listening(happening)
            case Connecting():
                self._say(f"Connecting to {happening.host} port {happening.port}")
            case Connected():
                self._connected(happening)
            case Failed():
                self._failed(happening)
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

    def _listening(self, listening: Listening) -> None:
        place = f"{listening.host} port {listening.port}"
        self._say(f"Listening on {place}, records protected by {listening.provider}")
        if listening.pin is not None:
            self._say(f"The key of this server: {listening.pin}")

    def _failed(self, failed: Failed) -> None:
        place = f"{failed.host} port {failed.port}"
        reason = _reason(failed.reason, failed.alert)
        self._say(f"No session with {place}: {reason}", "[red]✗[/]")

    def _connected(self, connected: Connected) -> None:
        handshake = connected.handshake
        place = f"{connected.host} port {connected.port}"
        self._say(f"Session {connected.session} with {place} is established", "[green]✓[/]")
        rows = {
            "Suite": handshake.suite.name,
            "Key exchange": "none" if handshake.group is None else handshake.group.name,
            "Handshake": _manner(handshake),
            "Peer": _peer(handshake),
            "Records": f"up to {connected.max_payload:,} bytes, protected by {handshake.provider}",
        }
        if handshake.alpn_protocol is not None:
            rows["Protocol"] = handshake.alpn_protocol
        for name, value in rows.items():
            self._console.print(f"  [dim]{name:12}[/]", end="  ")
            self._console.print(printable(value), markup=False)

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
        self._say(
            f"Session {ended.session} is over: {_reason(ended.reason, ended.alert)}. "
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


def _reason(reason: str, alert: str | None) -> str:
    """With the alert, unless that says no more."""
    return reason if alert in (None, _FAREWELL) or alert in reason else f"{reason} (alert {alert})"


def _manner(handshake: HandshakeCompleted) -> str:
    manner = "resumed" if handshake.resumed else "full"
    return f"{manner}, early data was taken" if handshake.early_data else manner


def _peer(handshake: HandshakeCompleted) -> str:
    if handshake.peer_raw_key is not None:
        pin = pin_of(handshake.peer_raw_key)
        return f"has the key {pin if len(pin) <= _LONGEST_PIN else f'...{pin[-_LONGEST_PIN:]}'}"
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
