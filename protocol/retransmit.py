"""Flights: what we sent and the peer may not have, and when to send it again (RFC 9147, 5.8).

A retransmission is a new record, in the epoch of the first one, around the same message_seq. ACKs
name records; so a flight remembers which bytes of which message went out in which record, and only
what is not acknowledged is sent again, cut anew to the room that there is (RFC 9147, 7.2).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from protocol.crypto.provider import RecordNumber
from protocol.handshake_framing import Fragment
from protocol.ranges import RangeSet


@dataclass(frozen=True)
class OutgoingMessage:
    """A handshake message of ours, and the epoch whose keys protect it whenever it is sent."""

    epoch: int
    msg_type: int
    message_seq: int
    body: bytes = field(repr=False)

    def fragment(self, start: int, stop: int) -> Fragment:
        """The bytes from ``start`` to ``stop``."""
        return Fragment(
            self.msg_type, len(self.body), self.message_seq, start, self.body[start:stop]
        )


class _Piece(NamedTuple):
    message_seq: int
    start: int
    stop: int


class Flight:
    """The messages of one flight, and what of them the peer has acknowledged."""

    def __init__(self, messages: Sequence[OutgoingMessage]) -> None:
        self.messages = tuple(messages)
        self._acknowledged = {message.message_seq: RangeSet() for message in messages}
        self._sent: dict[RecordNumber, _Piece] = {}

    @property
    def untouched(self) -> bool:
        """Whether no part of it is acknowledged."""
        return not any(self._acknowledged.values())

    @property
    def complete(self) -> bool:
        """Whether all of it is acknowledged."""
        return not any(True for _ in self.missing())

    def missing(self) -> Iterator[tuple[OutgoingMessage, int, int]]:
        """What has to be sent (again): messages, each with a range of its bytes, in order."""
        for message in self.messages:
            for start, stop in self._acknowledged[message.message_seq].gaps(len(message.body)):
                yield message, start, stop

    def sent(self, number: RecordNumber, message: OutgoingMessage, start: int, stop: int) -> None:
        """The record ``number`` carries these bytes of the message."""
        self._sent[number] = _Piece(message.message_seq, start, stop)

    def acknowledge(self, numbers: Iterable[RecordNumber]) -> bool:
        """The peer has these records; returns whether less is missing now.

        Numbers that are none of this flight are ignored.
        """
        before = list(self.missing())
        for number in numbers:
            piece = self._sent.pop(number, None)
            if piece is not None:
                self._acknowledged[piece.message_seq].add(piece.start, piece.stop)
        return list(self.missing()) != before


class RetransmissionTimer:
    """When to send the current flight again: the interval doubles each time (RFC 9147, 5.8.2).

    A new flight begins with the initial interval unless the last one had to be repeated: then the
    longer interval stays until a flight gets through at once.
    """

    def __init__(self, initial: float, maximum: float) -> None:
        self._initial = initial
        self._maximum = maximum
        self._repeated = False
        self.interval = initial
        self.deadline: float | None = None
        self.last_sent = float("-inf")
        #: How often in a row the current flight timed out.
        self.failures = 0

    def start(self, now: float) -> None:
        """A new flight was sent."""
        if not self._repeated:
            self.interval = self._initial
        self._repeated = False
        self.failures = 0
        self._arm(now)

    def back_off(self, now: float) -> None:
        """The flight was sent again because nothing came back in time."""
        self._repeated = True
        self.failures += 1
        self.interval = min(2 * self.interval, self._maximum)
        self._arm(now)

    def restart(self, now: float) -> None:
        """The flight, or a part, was sent again because the peer showed that it lacks it."""
        self._repeated = True
        self._arm(now)

    def stop(self) -> None:
        """The flight has arrived."""
        self.deadline = None

    def _arm(self, now: float) -> None:
        self.last_sent = now
        self.deadline = now + self.interval
