"""Flights: what we sent and the peer may not have, and when to send it again (RFC 9147, 5.8).

A retransmission is a new record, in the epoch of the first one, around the same message_seq. ACKs
name records; so a flight remembers which bytes of which message went out in which record, and only
what is not acknowledged is sent again, cut anew to the room that there is (RFC 9147, 7.2).

A record counts as lost when one that was sent after it is acknowledged; when an ACK has no such
gap, because the peer has waited in vain for what follows; or when nothing comes back in time. Until
then it is under way, and not sent again.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from protocol.crypto.provider import RecordNumber
from protocol.handshake_framing import Fragment
from protocol.ranges import RangeSet

#: RFC 9147, 5.8.2: this many round trips without an answer, and the flight is sent again.
_ROUND_TRIPS = 1.5
#: In seconds: a shorter interval would take a peer that is busy for one that has received nothing.
_SHORTEST_INTERVAL = 0.2
#: After so many intervals without a flight, nobody knows any more how long a round trip takes.
_IDLE_INTERVALS = 10


@dataclass(slots=True)
class OutgoingMessage:
    """A handshake message of ours, and the epoch whose keys protect it whenever it is sent."""

    epoch: int
    msg_type: int
    message_seq: int
    body: bytes = field(repr=False)


class Piece(NamedTuple):
    """The bytes from ``start`` to ``stop`` of a message."""

    message: OutgoingMessage
    start: int
    stop: int

    def encode(self) -> bytes:
        """The fragment that carries it."""
        message, start, stop = self
        body, seq = message.body, message.message_seq
        return Fragment(message.msg_type, len(body), seq, start, body[start:stop]).encode()


_NOTHING = RangeSet()


class Flight:
    """The messages of one flight, and what of them the peer has acknowledged."""

    def __init__(self, messages: Sequence[OutgoingMessage]) -> None:
        self.messages = tuple(messages)
        #: Of which bytes of a message that is known, by its message_seq.
        self._acknowledged: dict[int, RangeSet] = {}
        #: What each record carries.
        self._sent: dict[RecordNumber, Sequence[Piece]] = {}
        #: Those of them that may still arrive, in the order of sending.
        self._under_way: dict[RecordNumber, Sequence[Piece]] = {}
        #: Message and offset after the last byte that was sent.
        self._reached = (-1, 0)
        #: Whether some of it was sent more than once.
        self.repeated = False

    @property
    def untouched(self) -> bool:
        """Whether no part of it is acknowledged."""
        return not self._acknowledged

    @property
    def complete(self) -> bool:
        """Whether all of it is acknowledged."""
        return next(self.missing(), None) is None

    @property
    def under_way(self) -> int:
        """How many records may still arrive."""
        return len(self._under_way)

    def missing(self) -> Iterator[tuple[OutgoingMessage, int, int]]:
        """What is not acknowledged: messages, each with a range of its bytes, in order."""
        for message in self.messages:
            acknowledged = self._acknowledged.get(message.message_seq)
            if acknowledged is None:
                yield message, 0, len(message.body)
                continue
            for start, stop in acknowledged.gaps(len(message.body)):
                yield message, start, stop

    def due(self) -> Iterator[tuple[OutgoingMessage, int, int]]:
        """What has to be sent (again): what is missing, and not under way."""
        if not self._under_way:  # as for each new flight
            yield from self.missing()
            return
        for message in self.messages:
            seq, size = message.message_seq, len(message.body)
            covered = RangeSet()
            for start, stop in self._acknowledged.get(seq, _NOTHING).overlaps(0, size):
                covered.add(start, stop)
            for piece in chain.from_iterable(self._under_way.values()):
                if piece.message is message:
                    covered.add(piece.start, piece.stop)
            for start, stop in covered.gaps(size):
                yield message, start, stop

    def sent(self, number: RecordNumber, pieces: Sequence[Piece]) -> None:
        """The record ``number`` carries these pieces, which are in order."""
        self._sent[number] = self._under_way[number] = pieces
        (first, start, _), (last, _, stop) = pieces[0], pieces[-1]
        self.repeated = self.repeated or (first.message_seq, start) < self._reached
        self._reached = max(self._reached, (last.message_seq, stop))

    def acknowledge(self, numbers: Iterable[RecordNumber]) -> bool:
        """The peer has these records; returns whether less is missing now.

        Numbers that are none of this flight are ignored.
        """
        before = list(self.missing())
        self._pass_over(set(numbers))
        for number in numbers:
            for message, start, stop in self._sent.pop(number, ()):
                self._acknowledged.setdefault(message.message_seq, RangeSet()).add(start, stop)
        return list(self.missing()) != before

    def lose(self) -> None:
        """Nothing that was sent arrives any more, as far as it is not acknowledged."""
        self._under_way.clear()

    def _pass_over(self, acknowledged: set[RecordNumber]) -> None:
        """See what is not under way any more, now that these are acknowledged."""
        order = list(self._under_way)
        end = max((at for at, number in enumerate(order, 1) if number in acknowledged), default=0)
        has_gap = not acknowledged.issuperset(order[:end])
        for number in order[:end] if has_gap or not end else order:
            del self._under_way[number]


def earlier(one: float | None, other: float | None) -> float | None:
    """The earlier of two deadlines, None being never."""
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)


class RetransmissionTimer:
    """When to send the current flight again: the interval doubles each time (RFC 9147, 5.8.2).

    It stays as long as that until a flight gets through at once. From then on it is one and a half
    of the round trip that this flight took, but no less than `_SHORTEST_INTERVAL`, or than
    ``initial`` if that is even shorter. After a long silence it is ``initial`` again.
    """

    def __init__(self, initial: float, maximum: float) -> None:
        self._initial = initial
        self._shortest = min(initial, _SHORTEST_INTERVAL)
        self._maximum = maximum
        self.interval = initial
        self.deadline: float | None = None
        self.last_sent = float("-inf")
        #: How often in a row the current flight timed out.
        self.failures = 0

    def start(self, now: float) -> None:
        """A new flight was sent."""
        if now - self.last_sent >= _IDLE_INTERVALS * self.interval:
            self.interval = self._initial
        self.failures = 0
        self.restart(now)

    def back_off(self, now: float) -> None:
        """The flight was sent again because nothing came back in time."""
        self.failures += 1
        self.interval = min(2 * self.interval, self._maximum)
        self.restart(now)

    def restart(self, now: float) -> None:
        """More of the flight was sent, or some again, because the peer showed that it lacks it."""
        self.last_sent = now
        self.deadline = now + self.interval

    def stop(self, now: float, *, repeated: bool) -> None:
        """The flight has arrived; ``repeated``: what was sent more than once measures nothing."""
        self.deadline = None
        if not repeated:
            round_trip = now - self.last_sent
            self.interval = min(max(_ROUND_TRIPS * round_trip, self._shortest), self._maximum)

    def forget(self) -> None:
        """Nothing is known about the network any more."""
        self.interval = self._initial
