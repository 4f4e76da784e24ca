"""What `intaglio connect` and `intaglio serve` tell: what happened, and two ways of saying it.

On standard output goes what the peer sent, or with ``--json`` one JSON object a line for each thing
that happens; everything else goes to standard error.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum, IntEnum
from typing import Any, Protocol, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from rich.console import Console
from rich.table import Table
from rich.text import Text

from intaglio.printable import printable
from protocol.events import HandshakeCompleted
from protocol.stats import Statistics

__all__ = [
    "Connected",
    "Ended",
    "Happening",
    "JsonReport",
    "Listening",
    "Preparing",
    "Received",
    "Report",
    "TextReport",
    "Transferred",
]


@dataclass(frozen=True)
class Preparing:
    """Something takes a while before there is a session."""

    what: str


@dataclass(frozen=True)
class Listening:
    """A server waits for clients."""

    host: str
    port: int
    provider: str


@dataclass(frozen=True)
class Connected:
    """A handshake is complete. ``session`` counts from 1."""

    session: int
    handshake: HandshakeCompleted
    provider: str
    max_payload: int


@dataclass(frozen=True)
class Received:
    """The content of one record came."""

    session: int
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Transferred:
    """A file was sent, or received, whole."""

    session: int
    direction: str
    path: str
    bytes: int
    sha256: str
    seconds: float


@dataclass(frozen=True)
class Ended:
    """A session is over; ``alert`` is the name of the one that ended it, None if there was none."""

    session: int
    reason: str
    alert: str | None
    statistics: Statistics


Happening: TypeAlias = Preparing | Listening | Connected | Received | Transferred | Ended


class Report(Protocol):
    """Who is told."""

    def __call__(self, happening: Happening) -> None:
        """It happened just now."""


class JsonReport:
    """One object a line on standard output: ``event`` names what happened, then its fields."""

    def __call__(self, happening: Happening) -> None:
        """Print it."""
        named = {"event": type(happening).__name__.lower(), **plain_fields(happening)}
        print(json.dumps(named), flush=True)


def plain_fields(value: object) -> dict[str, Any]:
    """The fields of a dataclass as JSON can hold them; ``data`` is its length, and text or hex."""
    found: dict[str, Any] = {}
    for each in fields(value):  # type: ignore[arg-type]
        content = getattr(value, each.name)
        if each.name == "data":
            found |= _plain_data(content)
        else:
            found[each.name] = _plain(content)
    return found


def _plain(value: object) -> Any:
    match value:
        case IntEnum():
            return value.name
        case Enum():
            return value.value
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return value.hex()
        case x509.Certificate():
            return {
                "subject": value.subject.rfc4514_string(),
                "not_after": value.not_valid_after_utc.isoformat(),
                "sha256": value.fingerprint(SHA256()).hex(),
            }
        case dict():
            return {_plain(key): _plain(each) for key, each in value.items()}
        case tuple() | list() | frozenset():
            return [_plain(each) for each in value]
    return plain_fields(value) if is_dataclass(value) else str(value)


def _plain_data(data: bytes) -> dict[str, Any]:
    try:
        return {"bytes": len(data), "text": data.decode()}
    except UnicodeDecodeError:
        return {"bytes": len(data), "hex": data.hex()}


class TextReport:
    """For people: what the peer says on standard output, the rest on standard error.

    ``quiet``: only what the peer says; ``verbose``: also why records were dropped.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)
        self._verbose = verbose

    def __call__(self, happening: Happening) -> None:
        """Print it."""
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
            "Key exchange": handshake.group.name,
            "Peer": _peer(handshake),
            "Records": f"up to {connected.max_payload:,} bytes, protected by {connected.provider}",
        }
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


def _peer(handshake: HandshakeCompleted) -> str:
    certificate = handshake.peer_certificate
    if certificate is None:
        return "not authenticated by a certificate"
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
