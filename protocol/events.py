"""What a connection tells its user, in the order in which it happened."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeAlias

from cryptography import x509

from protocol.alerts import AlertDescription
from protocol.crypto.suites import CipherSuite
from protocol.key_exchange import NamedGroup
from protocol.session import SessionTicket
from protocol.signatures import VerifyingKey


# Of the events, this one and the next are made most often. They are not frozen: that would double
# the time it takes.
@dataclass(slots=True, unsafe_hash=True)
class HandshakeCompleted:
    """The peer is who it should be, and data may flow both ways."""

    suite: CipherSuite
    #: None where a PSK was used alone (psk_ke).
    group: NamedGroup | None
    #: The peer's own certificate, verified, in a resumed session that of the first handshake; None
    #: for a client that was not asked for one, and for a peer that a PSK or a raw public key
    #: authenticates.
    peer_certificate: x509.Certificate | None
    #: On a server: the name that the client asked for.
    server_name: str | None
    #: The name of the provider that protects the records.
    provider: str
    #: What the server chose of the client's offers (RFC 7301); None if they did not agree on one.
    alpn_protocol: str | None = None
    #: What the peer's records to us begin with, and ours to it; empty: no connection ID.
    receive_connection_id: bytes = b""
    send_connection_id: bytes = b""
    #: Whether a ticket took the place of another proof of who the peer is.
    resumed: bool = False
    #: The external PSK that authenticates the peer, in a resumed session that of the first one.
    psk_identity: bytes | None = None
    #: Whether the server took early data, if there was any.
    early_data: bool = False
    #: The peer's raw public key (RFC 7250), one of ``trusted_keys``, in a resumed session that of
    #: the first handshake.
    peer_raw_key: VerifyingKey | None = None


@dataclass(slots=True, unsafe_hash=True)
class DataReceived:
    """The content of one application record. Records arrive in any order, or not at all."""

    data: bytes = field(repr=False)
    #: Whether it is early data (0-RTT): no forward secrecy, and before `HandshakeCompleted` nothing
    #: says that the client is there and now.
    early: bool = False


@dataclass(slots=True)
class BatchReceived:
    """The contents of application records that were received in one go: a `DataReceived` of each.

    `Connection.take_events` and a manager's events have it; `Connection.next_event` has not.
    """

    contents: list[bytes] = field(repr=False)


@dataclass(frozen=True)
class EarlyDataRejected:
    """The server drops our early data, all of it; what still matters has to be sent again."""


@dataclass(frozen=True)
class TicketReceived:
    """The server lets us resume this session, with this ticket."""

    ticket: SessionTicket


@dataclass(frozen=True)
class ReadKeysUpdated:
    """The peer changed the keys that it sends with; ``epoch`` is the new one (RFC 9147, 8)."""

    epoch: int


@dataclass(frozen=True)
class WriteKeysUpdated:
    """The peer acknowledged our KeyUpdate: we send with the keys of ``epoch`` from now on."""

    epoch: int


@dataclass(frozen=True)
class KeyUpdatesExhausted:
    """Our 65,536 handshake messages are used up, so that our keys cannot change any more.

    Data goes on to the limit of the last one. Before that, a new connection has to take the place
    of this one (RFC 9147, 4.2.1).
    """


@dataclass(frozen=True)
class PathMtuChanged:
    """The path takes datagrams of ``mtu`` bytes, as far as is known (RFC 9147, 4.4)."""

    mtu: int
    #: How many bytes one `Connection.send` takes now.
    max_payload: int


@dataclass(frozen=True)
class ConnectionIdsReceived:
    """The peer sent connection IDs for us to send with, or none though asked (RFC 9147, 9)."""

    #: How many unused ones there are now.
    spares: int
    #: Whether it wanted one of them to be used at once; it is.
    immediate: bool


@dataclass(frozen=True)
class AddressChanged:
    """The peer is somewhere else, and has proved that (`protocol.manager`; RFC 9146, 6)."""

    address: Hashable


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
    | BatchReceived
    | EarlyDataRejected
    | TicketReceived
    | ReadKeysUpdated
    | WriteKeysUpdated
    | KeyUpdatesExhausted
    | PathMtuChanged
    | ConnectionIdsReceived
    | AddressChanged
    | PeerClosed
    | ConnectionTerminated
)
