"""The unified header of a DTLSCiphertext (RFC 9147, figure 3).

::

    first byte   0 0 1 C S L E E
                 C: connection ID present      S: the number takes 16 bits, not 8
                 L: length present             E: low two bits of the epoch
    then         connection ID, if C           its length is not on the wire
                 sequence number, 8 or 16 bits, encrypted
                 length of the encrypted record, 16 bits, if L; else it fills the datagram

All fields are big-endian.
"""

from functools import cache
from typing import NamedTuple

from protocol.crypto.provider import LONGEST_CONTENT

#: What the three high bits of the first byte are, and which they are.
FIXED_BITS = 0x20
FIXED_MASK = 0xE0
CONNECTION_ID = 0x10
SEQUENCE_NUMBER_16 = 0x08
LENGTH = 0x04
EPOCH_MASK = 0x03

#: Bytes of an encrypted record: a content type and the tag of AES-GCM at least, and at most 2**14
#: bytes of content and padding before them (RFC 8446, 5.4).
SHORTEST_CIPHERTEXT = 1 + 16
LONGEST_CIPHERTEXT = LONGEST_CONTENT + 1 + 16


class Layout(NamedTuple):
    """Where the fields of a header with a given first byte stand, in bytes from its start."""

    number_offset: int
    number_bytes: int
    has_length: bool
    header_bytes: int


class UnifiedHeader(NamedTuple):
    """A parsed header. ``number_bytes`` are the 1 or 2 bytes of the number as they stand there."""

    epoch_bits: int
    connection_id: bytes
    number_bytes: bytes
    #: Bytes of the encrypted record; None if the header does not say.
    length: int | None


@cache
def layouts(connection_id_bytes: int) -> tuple[Layout | None, ...]:
    """The layout for each of the 256 first bytes; None for those that may not be.

    The first byte must have the fixed bits, and bit C exactly if connection IDs have a length: a
    peer that was asked for a connection ID sends it always, another never (RFC 9147, 4 and 9.1).
    """
    return tuple(_layout(first, connection_id_bytes) for first in range(256))


def _layout(first: int, connection_id_bytes: int) -> Layout | None:
    if first & FIXED_MASK != FIXED_BITS or bool(first & CONNECTION_ID) != bool(connection_id_bytes):
        return None
    number_offset = 1 + connection_id_bytes
    number_bytes = 2 if first & SEQUENCE_NUMBER_16 else 1
    length_bytes = 2 if first & LENGTH else 0
    return Layout(
        number_offset, number_bytes, bool(length_bytes), number_offset + number_bytes + length_bytes
    )


def build(
    epoch: int,
    number: int,
    length: int | None,
    connection_id: bytes = b"",
    number_bytes: int = 2,
) -> bytes:
    """The header before record-number encryption, which is also the AEAD's associated data.

    ``length`` is that of the encrypted record, tag included; None leaves the field out.
    """
    first = FIXED_BITS | epoch & EPOCH_MASK
    first |= CONNECTION_ID if connection_id else 0
    first |= SEQUENCE_NUMBER_16 if number_bytes == 2 else 0
    first |= LENGTH if length is not None else 0
    low = (number % (1 << 8 * number_bytes)).to_bytes(number_bytes, "big")
    tail = b"" if length is None else length.to_bytes(2, "big")
    return bytes((first,)) + connection_id + low + tail


def parse(data: bytes, connection_id_bytes: int = 0) -> UnifiedHeader | None:
    """The header at the start of ``data``; None if there is none or it is cut off."""
    layout = layouts(connection_id_bytes)[data[0]] if data else None
    if layout is None or len(data) < layout.header_bytes:
        return None
    number_end = layout.number_offset + layout.number_bytes
    return UnifiedHeader(
        data[0] & EPOCH_MASK,
        data[1 : layout.number_offset],
        data[layout.number_offset : number_end],
        int.from_bytes(data[number_end : layout.header_bytes], "big")
        if layout.has_length
        else None,
    )
