"""Counters of one connection."""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

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


@dataclass
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
