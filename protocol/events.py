"""What a connection tells its user, in the order in which it happened."""

from dataclasses import dataclass, field
from typing import TypeAlias

from cryptography import x509

from protocol.alerts import AlertDescription
from protocol.crypto.suites import CipherSuite
from protocol.key_exchange import NamedGroup


@dataclass(frozen=True)
class HandshakeCompleted:
    """The peer is who it should be, and data may flow both ways."""

    suite: CipherSuite
    group: NamedGroup
    #: The peer's own certificate, verified; None for a client that was not asked for one.
    peer_certificate: x509.Certificate | None
    #: On a server: the name that the client asked for.
    server_name: str | None
    #: What the server chose of the client's offers (RFC 7301); None if they did not agree on one.
    alpn_protocol: str | None = None
    #: What the peer's records to us begin with, and ours to it; empty: no connection ID.
    receive_connection_id: bytes = b""
    send_connection_id: bytes = b""


@dataclass(frozen=True)
class DataReceived:
    """The content of one application record. Records arrive in any order, or not at all."""

    data: bytes = field(repr=False)


@dataclass(frozen=True)
class ReadKeysUpdated:
    """The peer changed the keys that it sends with; ``epoch`` is the new one (RFC 9147, 8)."""

    epoch: int


@dataclass(frozen=True)
class WriteKeysUpdated:
    """The peer acknowledged our KeyUpdate: we send with the keys of ``epoch`` from now on."""

    epoch: int


@dataclass(frozen=True)
class ConnectionIdsReceived:
    """The peer sent connection IDs for us to send with, or none though asked (RFC 9147, 9)."""

    #: How many unused ones there are now.
    spares: int
    #: Whether it wanted one of them to be used at once; it is.
    immediate: bool


@dataclass(frozen=True)
class PeerClosed:
    """The peer sends no more data (close_notify); ours still reaches it."""


@dataclass(frozen=True)
class ConnectionTerminated:
    """Nothing more comes or goes. This is the last event."""

    #: What ended the connection, in words.
    reason: str
    #: The alert that was sent or received; None when the end came without one, as by a time-out.
    alert: AlertDescription | int | None = None
    #: Whether the peer ended it.
    by_peer: bool = False


Event: TypeAlias = (
    HandshakeCompleted
    | DataReceived
    | ReadKeysUpdated
    | WriteKeysUpdated
    | ConnectionIdsReceived
    | PeerClosed
    | ConnectionTerminated
)
