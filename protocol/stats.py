"""Counters of one connection, and of all connections of a manager."""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from protocol.alerts import AlertDescription
from protocol.crypto.provider import Refusal


class Drop(Enum):
    """Why something was dropped that no provider refused."""

    NOT_DTLS = "not DTLS"
    NO_KEY = "no key for epoch"
    CONNECTION_ID = "connection id"
    #: Plaintext that is neither the peer's next hello nor an answer to ours.
    BAD_PLAINTEXT = "bad plaintext"
    #: Plaintext that does not just repeat a hello, when there are keys already.
    LATE_PLAINTEXT = "late plaintext"
    QUEUE_FULL = "receive queue full"


@dataclass(slots=True)
class Statistics:
    """What went in and out since the connection began; bytes are those of records, as sent."""

    #: Flights of handshake messages; one that is sent again counts once.
    flights_sent: int = 0
    datagrams_received: int = 0
    datagrams_sent: int = 0
    records_received: int = 0
    records_sent: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    #: Records that were not passed on, by reason.
    drops: Counter[Drop | Refusal] = field(default_factory=Counter)

    def add(self, other: "Statistics") -> None:
        """Count what another connection has counted."""
        self.flights_sent += other.flights_sent
        self.datagrams_received += other.datagrams_received
        self.datagrams_sent += other.datagrams_sent
        self.records_received += other.records_received
        self.records_sent += other.records_sent
        self.bytes_received += other.bytes_received
        self.bytes_sent += other.bytes_sent
        self.drops.update(other.drops)


class Unrouted(Enum):
    """Why a manager dropped a datagram that it gave to no connection."""

    NO_CONNECTION = "no connection for it"
    BAD_HELLO = "not a ClientHello after all"
    FULL = "too many connections or handshakes"


@dataclass
class ManagerStatistics:
    """What a manager did beside the work of its connections."""

    datagrams_received: int = 0
    datagrams_sent: int = 0
    #: HelloRetryRequests with a cookie, for which nothing was kept.
    retries_sent: int = 0
    #: ClientHellos that were answered with an alert, and no connection.
    refused: Counter[AlertDescription] = field(default_factory=Counter)
    connections_begun: int = 0
    handshakes_completed: int = 0
    connections_ended: int = 0
    #: Peers whose address changed.
    addresses_changed: int = 0
    drops: Counter[Unrouted] = field(default_factory=Counter)
