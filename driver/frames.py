"""Frames of the serial link between host and board (docs/host-link.md).

A frame is a flag, its bytes with flags and escapes stuffed as in RFC 1662, 4.2, and a flag. Words
of 16 bits are big-endian. The last four bytes are the CRC-32 of the others (RFC 1662, C.3: least
significant byte first). Any flag ends whatever was before it, so that the frame behind a flag is
whole, whatever noise came before. What stands in a frame::

    to the board   kind (8)  argument (16)  packet ...         CRC (32)
    to the host    kind (8)  freed (8)  sent (8)  body ...    CRC (32)

The kind is in the lower four bits of its byte, a token in the upper four.
"""

import struct
import zlib
from dataclasses import dataclass, field
from enum import IntEnum

__all__ = [
    "BOARD_HEADER_BYTES",
    "CLOCK_UNIT_HZ",
    "CRC_BYTES",
    "ESCAPE",
    "FIRST_BAUD",
    "FLAG",
    "HOST_HEADER_BYTES",
    "LEAST_DIVISOR",
    "LINK_VERSION",
    "STATUS_BYTES",
    "STUFFED",
    "BoardFrame",
    "BoardKind",
    "HostKind",
    "Status",
    "Unstuffer",
    "pack_host_frame",
    "stuff",
]

LINK_VERSION = 1
#: The rate after reset, and after noise that looks like another rate.
FIRST_BAUD = 115_200
#: What STATUS gives the board's clock in.
CLOCK_UNIT_HZ = 4_000
#: The fewest clock cycles that a bit may take.
LEAST_DIVISOR = 4

FLAG = 0x7E
ESCAPE = 0x7D
#: A byte behind an escape has this bit inverted.
STUFFED = 0x20

#: Sizes in bytes.
CRC_BYTES = 4
HOST_HEADER_BYTES = 3
BOARD_HEADER_BYTES = 3

_HOST_HEADER = struct.Struct(">BH")
_BOARD_HEADER = struct.Struct(">BBB")
_STATUS = struct.Struct(">BBBHB")
STATUS_BYTES = _STATUS.size


class HostKind(IntEnum):
    """What a frame to the board is, and what its argument means."""

    #: The board may send completions until their number, modulo 256, is the argument's low byte.
    GRANT = 0
    #: One request packet follows; the argument is as in `GRANT`.
    REQUEST = 1
    #: The board shall answer with STATUS and the same token; the argument is 0.
    SYNC = 2
    #: As `SYNC`; after the answer a bit takes as many clock cycles as the argument says, if that
    #: is at least `LEAST_DIVISOR`, and the board can count so far.
    RATE = 3


class BoardKind(IntEnum):
    """What a frame to the host is."""

    #: One completion packet.
    COMPLETION = 1
    #: `Status`, asked for by `SYNC` or `RATE`, with their token.
    STATUS = 2
    #: `Status`, unasked: the first damaged frame since the last good one.
    DAMAGE = 3


@dataclass(frozen=True)
class Status:
    """The body of STATUS and DAMAGE: counters modulo 256, and what the board is.

    ======  =====  =================================================================
    offset  bytes  field
    ======  =====  =================================================================
    0       1      request packets that came undamaged
    1       1      their bytes, as `BoardFrame.freed` counts
    2       1      what was dropped: frames with a wrong CRC, of an impossible length or
                   kind, or without room; and bytes without a stop bit, as noise, a
                   break or another rate make them
    3       2      frequency of the clock, in units of `CLOCK_UNIT_HZ`
    5       1      room for requests: the binary logarithm of its bytes in the upper
                   four bits; `LINK_VERSION` in the lower four
    ======  =====  =================================================================
    """

    taken: int
    taken_units: int
    damaged: int
    clock_hz: int
    buffer_bytes: int
    version: int = LINK_VERSION

    def pack(self) -> bytes:
        """The body's bytes."""
        return _STATUS.pack(
            self.taken,
            self.taken_units,
            self.damaged,
            round(self.clock_hz / CLOCK_UNIT_HZ),
            self.buffer_bytes.bit_length() - 1 << 4 | self.version,
        )

    @classmethod
    def unpack(cls, body: bytes) -> "Status":
        """The reverse of `pack`; raises ValueError for another length."""
        if len(body) != _STATUS.size:
            raise ValueError(f"status has {len(body)} bytes, not {_STATUS.size}")
        taken, units, damaged, clock, limits = _STATUS.unpack(body)
        return cls(taken, units, damaged, clock * CLOCK_UNIT_HZ, 1 << (limits >> 4), limits & 15)


@dataclass(frozen=True)
class BoardFrame:
    """A frame from the board; both counters are modulo 256."""

    kind: BoardKind
    token: int
    #: Bytes of request packets that no longer take room in the board's buffer, in whole units of
    #: a 128th of it.
    freed: int
    #: Completions before this frame.
    sent: int
    body: bytes = field(default=b"", repr=False)

    def pack(self) -> bytes:
        """The frame's bytes on the wire."""
        header = _BOARD_HEADER.pack(self.kind | self.token << 4, self.freed, self.sent)
        return stuff(header + self.body)

    @classmethod
    def unpack(cls, content: bytes) -> "BoardFrame":
        """From what `Unstuffer` gives; raises ValueError if it is no frame of a board."""
        if len(content) < BOARD_HEADER_BYTES:
            raise ValueError(f"frame of {len(content)} bytes is shorter than its header")
        first, freed, sent = _BOARD_HEADER.unpack_from(content)
        return cls(BoardKind(first & 15), first >> 4, freed, sent, content[BOARD_HEADER_BYTES:])


def pack_host_frame(kind: HostKind, argument: int, packet: bytes = b"", token: int = 0) -> bytes:
    """The bytes on the wire of a frame to the board."""
    return stuff(_HOST_HEADER.pack(kind | token << 4, argument) + packet)


def stuff(content: bytes) -> bytes:
    """CRC, stuffing and flags around the bytes of a frame."""
    whole = content + zlib.crc32(content).to_bytes(CRC_BYTES, "little")
    for special in (ESCAPE, FLAG):
        whole = whole.replace(bytes([special]), bytes([ESCAPE, special ^ STUFFED]))
    return b"%c%b%c" % (FLAG, whole, FLAG)


class Unstuffer:
    """Finds frames in a stream of bytes. ``damaged`` counts what stood between flags and was none.

    Noise without a flag is cut off at ``longest`` bytes, so that it takes no more memory.
    """

    def __init__(self, longest: int = 1 << 17):
        self.damaged = 0
        self._longest = longest
        self._partial = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The contents of the frames that end in ``data``, without their CRC."""
        *whole, partial = (self._partial + data).split(bytes([FLAG]))
        self._partial = partial[: self._longest]
        contents = [_unstuffed(piece) for piece in whole if piece]
        self.damaged += contents.count(None)
        return [content for content in contents if content is not None]


def _unstuffed(piece: bytes) -> bytes | None:
    """What `stuff` was given; None if the CRC is not its."""
    first, *escaped = piece.split(bytes([ESCAPE]))
    if not all(escaped):
        return None
    whole = first + b"".join(b"%c%b" % (part[0] ^ STUFFED, part[1:]) for part in escaped)
    content, crc = whole[:-CRC_BYTES], whole[-CRC_BYTES:]
    good = len(whole) > CRC_BYTES and zlib.crc32(content).to_bytes(CRC_BYTES, "little") == crc
    return content if good else None
