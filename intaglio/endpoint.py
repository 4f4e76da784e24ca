"""What `intaglio connect` and `intaglio serve` have in common: configuration, and how they end."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from driver import DriverError
from intaglio.conversation import Conversation
from intaglio.failures import SESSION_FAILED, Failure
from intaglio.files import append_privately
from intaglio.providers import ProviderName, open_provider
from intaglio.report import Ended, Failed, Preparing, Report
from intaglio.transfer import TransferError
from protocol.alerts import Alert, AlertDescription
from protocol.asyncio import Address, Session, SessionClosedError
from protocol.certificates import Credentials
from protocol.config import ConnectionConfig
from protocol.crypto.suites import CipherSuite
from protocol.events import ConnectionTerminated, PeerClosed
from protocol.key_exchange import NamedGroup
from protocol.psk import ExternalPsk
from protocol.raw_keys import RawKey
from protocol.signatures import VerifyingKey
from protocol.tickets import TicketIssuer

__all__ = [
    "SESSION_ERRORS",
    "EndpointOptions",
    "configuration",
    "describe_end",
    "ended",
    "failed",
    "failure",
]

#: What can go wrong with one session, and is no fault of the program.
SESSION_ERRORS = (SessionClosedError, TransferError, DriverError, OSError)


@dataclass(frozen=True)
class EndpointOptions:
    """What the user chose, on either side."""

    provider: ProviderName
    credentials: Credentials | None
    trust: tuple[x509.Certificate, ...]
    raw_key: RawKey | None
    #: The peers' raw public keys.
    pins: tuple[VerifyingKey, ...]
    #: Preferred first; empty for what the stack prefers.
    suites: tuple[CipherSuite, ...]
    groups: tuple[NamedGroup, ...]
    psks: tuple[ExternalPsk, ...] = field(repr=False)
    alpn: tuple[str, ...]
    #: Bytes of the connection IDs that the peer is to send with; None for none.
    connection_id: int | None
    mtu: int
    handshake_timeout: float
    retransmission_timeout: float
    key_log: Path | None
    conversation: Conversation
    report: Report = field(repr=False)
    #: How many bytes of it a client sends, or a server takes with a ticket.
    early_data: int = 0


@contextmanager
def configuration(
    options: EndpointOptions,
    server_name: str | None = None,
    tickets: TicketIssuer | None = None,
) -> Iterator[ConnectionConfig]:
    """The configuration of connections for as long as the context lasts.

    A client has a ``server_name``, a server has ``tickets``.

    Raises `UsageError` for values out of range, and what a provider raises that cannot be had.
    """
    preferences = {"suites": options.suites, "groups": options.groups}
    with ExitStack() as stack:
        provider = stack.enter_context(
            open_provider(options.provider, lambda what: options.report(Preparing(what)))
        )
        log = options.key_log
        yield ConnectionConfig(
            provider=provider,
            credentials=options.credentials,
            trust=options.trust,
            raw_key=options.raw_key,
            trusted_keys=options.pins,
            server_name=server_name,
            psks=options.psks,
            tickets=tickets,
            max_early_data=options.early_data,
            alpn_protocols=options.alpn,
            connection_id=_random_ids(options.connection_id),
            mtu=options.mtu,
            handshake_timeout=options.handshake_timeout,
            retransmission_timeout=options.retransmission_timeout,
            max_retransmission_timeout=max(60.0, options.retransmission_timeout),
            key_log=stack.enter_context(append_privately(log)) if log else None,
            **{name: chosen for name, chosen in preferences.items() if chosen},  # type: ignore[arg-type]
        )


def _random_ids(length: int | None) -> Callable[[], bytes] | None:
    return None if length is None else lambda: os.urandom(length)


def describe_end(event: PeerClosed | ConnectionTerminated) -> str:
    """Why a session ended, with the name of the alert that we sent for it, if there was one."""
    if isinstance(event, PeerClosed):
        return "closed by the peer"
    alert = _alert_name(event)
    return event.reason if alert is None or event.by_peer else f"{event.reason} (alert {alert})"


def ended(number: int, session: Session, error: Exception | None) -> Ended:
    """The last that is reported of a session."""
    reason, alert = str(error or "closed"), None
    if isinstance(error, SessionClosedError):
        alert = _alert_name(error.event)
    return Ended(number, reason, alert, session.stats)


def failed(address: Address, end: ConnectionTerminated) -> Failed:
    """What is reported of a client there whose handshake failed."""
    host, port, *_ = address
    return Failed(host, port, end.reason, _alert_name(end), end.by_peer)


def failure(error: Exception | None) -> Failure | None:
    """How the command ends after one of `SESSION_ERRORS`; None if the end was in order."""
    match error:
        case None | SessionClosedError(event=PeerClosed()):
            return None
        case SessionClosedError():
            return Failure(f"the session failed: {describe_end(error.event)}", SESSION_FAILED)
        case OSError():
            return Failure(f"{error.filename or 'the system'}: {error.strerror or error}")
    return Failure(str(error), SESSION_FAILED)


def _alert_name(event: PeerClosed | ConnectionTerminated) -> str | None:
    alert = AlertDescription.CLOSE_NOTIFY if isinstance(event, PeerClosed) else event.alert
    return None if alert is None else str(Alert(alert))
