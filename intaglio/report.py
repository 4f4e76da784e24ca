"""What `intaglio connect` and `intaglio serve` tell of what happens, and telling it as JSON."""

import json
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum, IntEnum
from typing import Any, Protocol, TypeAlias, cast, get_args

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from intaglio.raw_keys import pin_of
from protocol.asyncio import Address, Session
from protocol.events import HandshakeCompleted
from protocol.signatures import VerifyingKey
from protocol.stats import Statistics

__all__ = [
    "Connected",
    "Connecting",
    "Ended",
    "Failed",
    "Happening",
    "JsonReport",
    "Listening",
    "Preparing",
    "Received",
    "Report",
    "Transferred",
]

_PUBLIC_KEYS = get_args(VerifyingKey)


@dataclass(frozen=True)
class Preparing:
    """Something takes a while before there is a session."""

    what: str


@dataclass(frozen=True)
class Listening:
    """A server waits for clients; ``pin`` is what those may know its raw public key by."""

    host: str
    port: int
    provider: str
    pin: str | None = None


@dataclass(frozen=True)
class Connecting:
    """A client begins its handshake."""

    host: str
    port: int


@dataclass(frozen=True)
class Connected:
    """A handshake with the peer at that address is complete. ``session`` counts from 1."""

    session: int
    host: str
    port: int
    handshake: HandshakeCompleted
    max_payload: int

    @classmethod
    def of(cls, number: int, session: Session) -> "Connected":
        """What there is to say of a session that has just begun."""
        host, port, *_ = cast(Address, session.peer_address)
        return cls(number, host, port, session.handshake, session.max_payload)


@dataclass(frozen=True)
class Failed:
    """A handshake with a client failed; ``alert`` is the name of the one that ended it, or None.

    ``by_peer``: the client sent the alert, and not we.
    """

    host: str
    port: int
    reason: str
    alert: str | None
    by_peer: bool


@dataclass(frozen=True)
class Received:
    """The content of one record came; ``early``: before the handshake was complete."""

    session: int
    data: bytes = field(repr=False)
    early: bool = False


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


Happening: TypeAlias = (
    Preparing | Listening | Connecting | Connected | Failed | Received | Transferred | Ended
)


class Report(Protocol):
    """Who is told."""

    def __call__(self, happening: Happening) -> None:
        """It happened just now."""

    def progress(self, session: int, done: int, total: int | None) -> None:
        """So many bytes of a file are through; ``total`` is None for who cannot know."""


class JsonReport:
    """One object a line on standard output: ``event`` names what happened, then its fields."""

    def __call__(self, happening: Happening) -> None:
        """Print it."""
        named = {"event": type(happening).__name__.lower(), **plain_fields(happening)}
        print(json.dumps(named), flush=True)

    def progress(self, session: int, done: int, total: int | None) -> None:
        """Scripts wait for the end."""


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
        case _ if isinstance(value, _PUBLIC_KEYS):
            return pin_of(value)
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
