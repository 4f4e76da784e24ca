"""Fragments of handshake messages, put together again and in order (RFC 9147, 5.2 and 5.5)."""

from dataclasses import dataclass, field
from enum import Enum

from protocol.alerts import AlertDescription, ProtocolViolation
from protocol.handshake_framing import Fragment
from protocol.ranges import RangeSet

#: How far ahead of the next expected message others are kept.
_MESSAGES_AHEAD = 16
#: How many separate pieces of one message are kept.
_MAX_PIECES = 64


@dataclass(slots=True)
class Message:
    """A whole handshake message; ``body`` comes without header."""

    msg_type: int
    message_seq: int
    body: bytes = field(repr=False)


class Arrival(Enum):
    """What became of a fragment."""

    #: All that comes before it is there; it may be in the same record (RFC 9147, 5.5).
    IN_ORDER = "in order"
    #: Kept, but something before it is late or lost.
    OUT_OF_ORDER = "out of order"
    #: Of a message that was delivered before.
    OLD = "old"
    #: No room to keep it; it must not be acknowledged (RFC 9147, 7).
    NOT_KEPT = "not kept"


class Reassembler:
    """Puts fragments, in any order and overlapping in any form, back into messages in order.

    ``max_bytes`` bounds one message, and also the sum of the messages that are kept while an
    earlier one is missing; so twice of it bounds the memory.
    """

    def __init__(self, max_bytes: int) -> None:
        self.next_message_seq = 0
        self._max_bytes = max_bytes
        self._partial: dict[int, _Partial] = {}

    def add(self, fragment: Fragment) -> Arrival:
        """Keep a fragment.

        Raises `ProtocolViolation` (illegal_parameter) when it contradicts what came before, or when
        the next message is longer than this side takes.
        """
        message_seq = fragment.message_seq
        if message_seq < self.next_message_seq:
            return Arrival.OLD
        partial, known = self._partial.get(message_seq), 0
        if partial is None:
            if not self._has_room(fragment):
                return Arrival.NOT_KEPT
            self._partial[message_seq] = _Partial(fragment)
        else:
            known = partial.received.prefix()
            if not partial.insert(fragment):
                return Arrival.NOT_KEPT
        in_order = fragment.offset <= known and not self.lacks_any_until(message_seq - 1)
        return Arrival.IN_ORDER if in_order else Arrival.OUT_OF_ORDER

    def whole_message(self) -> Message | None:
        """The next message in order, once it is whole; it stays the next one."""
        partial = self._partial.get(self.next_message_seq)
        if partial is None or not partial.whole:
            return None
        return Message(partial.msg_type, self.next_message_seq, bytes(partial.data))

    def next_message(self) -> Message | None:
        """The next message in order, once it is whole; the one after it is the next then."""
        message = self.whole_message()
        if message is not None:
            del self._partial[self.next_message_seq]
            self.next_message_seq += 1
        return message

    @property
    def has_pieces(self) -> bool:
        """Whether there is anything that is not delivered yet."""
        return bool(self._partial)

    def lacks_any_until(self, message_seq: int) -> bool:
        """Whether something is missing of the messages up to this one, itself included."""
        for expected in range(self.next_message_seq, message_seq + 1):
            partial = self._partial.get(expected)
            if partial is None or not partial.whole:
                return True
        return False

    def forget_pieces(self) -> None:
        """Drop what is not delivered yet: it is not genuine, and the sender has to say it again."""
        self._partial.clear()

    def _has_room(self, fragment: Fragment) -> bool:
        if fragment.message_seq == self.next_message_seq:
            if fragment.length > self._max_bytes:
                raise ProtocolViolation(
                    AlertDescription.ILLEGAL_PARAMETER,
                    f"handshake message of {fragment.length} bytes, over {self._max_bytes}",
                )
            return True
        ahead = sum(
            len(partial.data)
            for message_seq, partial in self._partial.items()
            if message_seq != self.next_message_seq
        )
        near = fragment.message_seq - self.next_message_seq <= _MESSAGES_AHEAD
        return near and ahead + fragment.length <= self._max_bytes


class _Partial:
    """A message of which some bytes have arrived."""

    def __init__(self, first: Fragment) -> None:
        self.msg_type = first.msg_type
        self.received = RangeSet()
        self.whole = len(first.data) == first.length
        if self.whole:  # nearly always: there is nothing to put together
            self.data: bytes | bytearray = first.data
            self.received.add(0, first.length)
        else:
            self.data = bytearray(first.length)
            self._write(first, first.offset + len(first.data))

    def insert(self, fragment: Fragment) -> bool:
        stop = fragment.offset + len(fragment.data)
        self._check_consistent(fragment, stop)
        if self.whole:
            return True
        if len(self.received) >= _MAX_PIECES and fragment.offset > self.received.prefix():
            return False
        self._write(fragment, stop)
        return True

    def _write(self, fragment: Fragment, stop: int) -> None:
        assert isinstance(self.data, bytearray)
        self.data[fragment.offset : stop] = fragment.data
        self.received.add(fragment.offset, stop)
        self.whole = self.received.prefix() == len(self.data)

    def _check_consistent(self, fragment: Fragment, end: int) -> None:
        if (fragment.msg_type, fragment.length) != (self.msg_type, len(self.data)):
            raise ProtocolViolation(
                AlertDescription.ILLEGAL_PARAMETER,
                f"handshake message {fragment.message_seq} changes its type or length: "
                f"{self.msg_type}, {len(self.data)} bytes, "
                f"then {fragment.msg_type}, {fragment.length} bytes",
            )
        for start, stop in self.received.overlaps(fragment.offset, end):
            again = fragment.data[start - fragment.offset : stop - fragment.offset]
            if again != self.data[start:stop]:
                raise ProtocolViolation(
                    AlertDescription.ILLEGAL_PARAMETER,
                    f"handshake message {fragment.message_seq} changes at {start}..{stop}",
                )
