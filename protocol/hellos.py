"""ClientHellos of those who have no connection yet, put together from their fragments.

A ClientHello with a key share for X25519MLKEM768 does not fit one datagram. Its pieces must be kept
before anything is known of the sender, so that all who send pieces share one small pool, from which
the oldest hellos go first (RFC 9147, 5.1).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from protocol.alerts import DecodeError
from protocol.handshake_framing import Fragment, HandshakeType, parse_fragments
from protocol.record import (
    PLAINTEXT_HEADER_BYTES,
    ContentType,
    build_plaintext,
    parse_plaintext,
    plaintext_end,
)

#: The longest ClientHello that is taken, in bytes.
LONGEST_HELLO = 1 << 13
#: How many pieces of one hello are kept.
_MAX_PIECES = 64
#: Seconds that pieces are kept: whoever repeats a hello later repeats all of it.
_KEPT_SECONDS = 10.0
#: What it costs to keep a hello, and each piece of it, beside the bytes: an estimate.
_HELLO_OVERHEAD, _PIECE_OVERHEAD = 1024, 256

_HANDSHAKE = bytes((ContentType.HANDSHAKE,))
_CLIENT_HELLO = bytes((HandshakeType.CLIENT_HELLO,))


@dataclass(frozen=True)
class Hello:
    """A whole ClientHello, and how it came."""

    message_seq: int
    body: bytes = field(repr=False)
    #: The number of the record that made it whole.
    record_number: int
    #: Bytes of all datagrams that it came in.
    received: int
    #: What came behind it in the last of them.
    rest: bytes = field(default=b"", repr=False)

    def datagram(self) -> bytes:
        """All of it in one record, and what came behind it."""
        whole = Fragment(
            HandshakeType.CLIENT_HELLO, len(self.body), self.message_seq, 0, self.body
        ).encode()
        return build_plaintext(ContentType.HANDSHAKE, self.record_number, whole) + self.rest


def begins_with_hello(data: bytes) -> bool:
    """Whether a datagram begins with a DTLSPlaintext that holds a ClientHello, or a piece of it."""
    return (
        data[:1] == _HANDSHAKE
        and data[PLAINTEXT_HEADER_BYTES : PLAINTEXT_HEADER_BYTES + 1] == _CLIENT_HELLO
    )


class HelloPool:
    """Takes datagrams that begin with a ClientHello, gives whole ones.

    Of each address, pieces of one hello are kept: one that does not fit those before it, as the
    first of the next hello does, takes their place. ``max_bytes`` bounds the memory for all.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        #: Bytes in use, overhead included.
        self.used = 0
        #: Hellos of which not all pieces came in time, or for which there was no room.
        self.dropped = 0
        #: Oldest first, since a dict keeps the order.
        self._partial: dict[Hashable, _Partial] = {}

    def add(self, data: bytes, address: Hashable, now: float) -> Hello | None:
        """The hello that this datagram brings, or completes."""
        fragments, number, rest = _read(data)
        if not fragments:
            return None
        partial = self._take(address, fragments[0], now)
        partial.received += len(data)
        for fragment in fragments:
            partial.add(fragment)
        body = partial.whole()
        if body is not None:
            return Hello(partial.message_seq, body, number, partial.received, rest)
        self._keep(address, partial)
        return None

    def _take(self, address: Hashable, fragment: Fragment, now: float) -> "_Partial":
        """What has arrived of the hello that ``fragment`` belongs to; it is out of the pool."""
        partial = self._partial.pop(address, None)
        if partial is not None:
            self.used -= partial.used
            if partial.fits(fragment, now):
                return partial
            self.dropped += 1
        return _Partial(fragment, now)

    def _keep(self, address: Hashable, partial: "_Partial") -> None:
        self._partial[address] = partial
        self.used += partial.used
        while self.used > self._max_bytes:
            oldest = next(iter(self._partial))
            self.used -= self._partial.pop(oldest).used
            self.dropped += 1


class _Partial:
    """A hello of which some pieces have arrived."""

    def __init__(self, first: Fragment, now: float) -> None:
        self.message_seq = first.message_seq
        self.received = 0
        self._length = first.length
        self._expires = now + _KEPT_SECONDS
        self._pieces: list[Fragment] = []

    @property
    def used(self) -> int:
        pieces = sum(len(piece.data) + _PIECE_OVERHEAD for piece in self._pieces)
        return _HELLO_OVERHEAD + pieces

    def fits(self, fragment: Fragment, now: float) -> bool:
        """Whether it can be a piece of this hello."""
        return (
            (fragment.message_seq, fragment.length) == (self.message_seq, self._length)
            and now < self._expires
            and len(self._pieces) < _MAX_PIECES
            and not any(_contradict(fragment, piece) for piece in self._pieces)
        )

    def add(self, fragment: Fragment) -> None:
        if len(self._pieces) < _MAX_PIECES and fragment not in self._pieces:
            self._pieces.append(fragment)

    def whole(self) -> bytes | None:
        body = bytearray()
        for piece in sorted(self._pieces, key=lambda piece: piece.offset):
            if piece.offset > len(body):
                return None
            body[piece.offset : piece.offset + len(piece.data)] = piece.data
        return bytes(body) if len(body) == self._length else None


def _read(data: bytes) -> tuple[Sequence[Fragment], int, bytes]:
    """The pieces of one hello that a datagram begins with, the last record's number, the rest.

    No pieces if there is anything wrong with them.
    """
    fragments: list[Fragment] = []
    number = 0
    while begins_with_hello(data):
        end = plaintext_end(data)
        record = parse_plaintext(data[:end])
        if record is None:
            return (), 0, b""
        try:
            fragments.extend(parse_fragments(record.content))
        except DecodeError:
            return (), 0, b""
        number, data = record.number.sequence_number, data[end:]
    if not all(_is_piece(fragment, fragments[0]) for fragment in fragments):
        return (), 0, b""
    return fragments, number, data


def _is_piece(fragment: Fragment, first: Fragment) -> bool:
    return (
        fragment.msg_type == HandshakeType.CLIENT_HELLO
        and (fragment.message_seq, fragment.length) == (first.message_seq, first.length)
        and fragment.length <= LONGEST_HELLO
    )


def _contradict(one: Fragment, other: Fragment) -> bool:
    """Whether they have different bytes at the same place."""
    start = max(one.offset, other.offset)
    stop = min(one.offset + len(one.data), other.offset + len(other.data))
    return start < stop and (
        one.data[start - one.offset : stop - one.offset]
        != other.data[start - other.offset : stop - other.offset]
    )
