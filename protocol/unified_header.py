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

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

#: What the three high bits of the first byte are, and which they are.
FIXED_BITS = 0x20
FIXED_MASK = 0xE0
CONNECTION_ID = 0x10
SEQUENCE_NUMBER_16 = 0x08
LENGTH = 0x04
EPOCH_MASK = 0x03
#: How much of a ciphertext the mask of the record's number is made of (RFC 9147, 4.2.3).
SAMPLE_BYTES = 16

#: What stands in the place of the length in a `Form` whose headers have none.
NO_LENGTH: Final = b""


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

    @property
    def header_bytes(self) -> int:
        """How long the header itself is."""
        length_bytes = 0 if self.length is None else 2
        return 1 + len(self.connection_id) + len(self.number_bytes) + length_bytes


@dataclass(frozen=True, slots=True)
class Form:
    """How to take a header with a given first byte apart, and how to put it together.

    ``unpack`` gives what ``pack`` takes: what stands before the number, the number's low bits, and
    the length or `NO_LENGTH`. Behind that it gives the `SAMPLE_BYTES` which follow the header.
    """

    unpack: Callable[[bytes], tuple[Any, ...]]
    pack: Callable[[bytes, int, int | bytes], bytes]
    #: What stands before the number if epoch and connection ID are right.
    prefix: bytes
    number_bits: int
    header_bytes: int
    #: The format of ``pack`` in the terms of `struct`.
    format: str

    def take_apart(
        self, data: bytes, size: int
    ) -> tuple[Sequence[int], Sequence[bytes], int | bytes] | None:
        """Take apart records of ``size`` bytes, header included, which follow each other.

        The low bits of each one's number, each one's ciphertext, and what is the same in all: the
        length or `NO_LENGTH`. None if one begins with something else, or has another length.
        """
        count, rest = divmod(len(data), size)
        ciphertext_bytes = size - self.header_bytes
        if rest or not count or ciphertext_bytes < 0:
            return None
        unpacked = struct.iter_unpack(f"{self.format}{ciphertext_bytes}s", data)
        prefixes, numbers, lengths, ciphertexts = zip(*unpacked, strict=True)
        length = lengths[0]
        if length not in (ciphertext_bytes, NO_LENGTH) or lengths.count(length) != count:
            return None
        return (numbers, ciphertexts, length) if prefixes.count(self.prefix) == count else None


@cache
def layouts(connection_id_bytes: int) -> tuple[Layout | None, ...]:
    """The layout for each of the 256 first bytes; None for those that may not be.

    The first byte must have the fixed bits, and bit C exactly if connection IDs have a length: a
    peer that was asked for a connection ID sends it always, another never (RFC 9147, 4 and 9.1).
    """
    return tuple(_layout(first, connection_id_bytes) for first in range(256))


@lru_cache(maxsize=1024)  # for those in use; they are the same for all that have no connection ID
def forms(epoch_bits: int, connection_id: bytes) -> Mapping[int, Form]:
    """The forms that a header may have in one epoch, by its first byte."""
    return {
        first: _form(first, layout, connection_id)
        for first, layout in enumerate(layouts(len(connection_id)))
        if layout is not None and first & EPOCH_MASK == epoch_bits
    }


def full_form(epoch_bits: int, connection_id: bytes) -> Form:
    """The one with a 16-bit number and a length, which we send."""
    first = FIXED_BITS | SEQUENCE_NUMBER_16 | LENGTH | epoch_bits
    return forms(epoch_bits, connection_id)[first | (CONNECTION_ID if connection_id else 0)]


def _form(first: int, layout: Layout, connection_id: bytes) -> Form:
    number, length = "BH"[layout.number_bytes - 1], "H" if layout.has_length else "0s"
    header = f">{layout.number_offset}s{number}{length}"
    return Form(
        struct.Struct(f"{header}{SAMPLE_BYTES}s").unpack_from,
        struct.Struct(header).pack,
        bytes((first,)) + connection_id,
        8 * layout.number_bytes,
        layout.header_bytes,
        header,
    )


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
