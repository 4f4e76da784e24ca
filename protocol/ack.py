"""ACK: its encoding, and when to send one (RFC 9147, 7).

::

    ACK    length in bytes (16), then for each record: epoch (64) sequence number (64)
"""

from collections.abc import Iterable

from protocol.crypto.provider import RecordNumber
from protocol.wire import Reader, uint, vector

_NUMBER_BYTES = 16
_LENGTH_BYTES = 2
#: RFC 9147, 5.8.3: how many records are under way at once; what follows waits for an ACK.
PORTION = 10
#: How many records are remembered.
_MAX_NUMBERS = 32


def encode_ack(numbers: Iterable[RecordNumber]) -> bytes:
    """The content of an ACK record; the numbers are put in ascending order."""
    content = b"".join(uint(epoch, 8) + uint(sequence, 8) for epoch, sequence in sorted(numbers))
    return vector(content, _LENGTH_BYTES)


def parse_ack(content: bytes) -> list[RecordNumber]:
    """The record numbers of an ACK; raises `DecodeError`."""
    reader = Reader(content, "ACK")
    numbers = reader.nested(_LENGTH_BYTES)
    reader.finish()
    found = []
    while numbers.remaining:
        found.append(RecordNumber(numbers.uint(8), numbers.uint(8)))
    return found


class Acknowledger:
    """Which records of the peer's current flight to acknowledge, and when (RFC 9147, 7.1).

    A flight that our next one answers is acknowledged only when something seems lost, because a
    record came out of order or the rest does not follow in time; or when a `PORTION` of it has
    come, since the rest may wait for that. Messages that nothing answers are acknowledged at once.
    """

    def __init__(self) -> None:
        self._numbers: list[RecordNumber] = []
        self._deadline: float | None = None
        #: How many records have come since the last ACK.
        self._news = 0
        #: Not before the peer is known to speak DTLS 1.3 (RFC 9147, 7).
        self.allowed = False

    @property
    def deadline(self) -> float | None:
        """When to send an ACK for what has arrived so far; None: there is no need to."""
        return self._deadline if self.allowed else None

    def hold(self, number: RecordNumber, now: float, patience: float) -> None:
        """A record of a flight came: acknowledge it if the rest has not come after ``patience``."""
        self._note(number)
        if self._news >= PORTION:
            self.hurry(now)
        elif self._deadline is None:
            self._deadline = now + patience

    def demand(self, number: RecordNumber, now: float) -> None:
        """A record came that must be acknowledged now."""
        self._note(number)
        self.hurry(now)

    def hurry(self, now: float) -> None:
        """What has arrived must be acknowledged now."""
        self._deadline = now

    def forget(self) -> None:
        """Nothing that has arrived so far needs an ACK any more: a flight of ours answers it."""
        self._numbers.clear()
        self._deadline, self._news = None, 0

    def take(self, size: int) -> bytes:
        """The content of the ACK to send, of at most ``size`` bytes: it names the latest records.

        The next ACK names them again.
        """
        self._deadline, self._news = None, 0
        return encode_ack(self._numbers[-((size - _LENGTH_BYTES) // _NUMBER_BYTES) :])

    def _note(self, number: RecordNumber) -> None:
        if number in self._numbers:
            self._numbers.remove(number)
        else:
            self._news += 1
        self._numbers.append(number)
        del self._numbers[:-_MAX_NUMBERS]
