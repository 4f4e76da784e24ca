"""Handshake messages on their way: their types, and the fragments that records carry.

A message on the wire is one or more fragments, each with the DTLS header of RFC 9147, 5.2,
12 bytes, big-endian::

    msg_type (8) | length (24) | message_seq (16) | fragment_offset (24) | fragment_length (24)
"""

import struct
from dataclasses import dataclass, field
from enum import IntEnum

from protocol.alerts import DecodeError, UsageError
from protocol.wire import Reader

#: Numbers of 24 bits are bytes to `struct`.
_HEADER = struct.Struct(">B3sH3s3s")
FRAGMENT_HEADER_BYTES = _HEADER.size


class HandshakeType(IntEnum):
    """RFC 9147, 5.2; HelloVerifyRequest is of DTLS 1.2."""

    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    HELLO_VERIFY_REQUEST = 3
    NEW_SESSION_TICKET = 4
    END_OF_EARLY_DATA = 5
    ENCRYPTED_EXTENSIONS = 8
    REQUEST_CONNECTION_ID = 9
    NEW_CONNECTION_ID = 10
    CERTIFICATE = 11
    CERTIFICATE_REQUEST = 13
    CERTIFICATE_VERIFY = 15
    FINISHED = 20
    KEY_UPDATE = 24
    MESSAGE_HASH = 254


@dataclass(slots=True)
class Fragment:
    """A handshake message, or a part of one, as it stands in a record (RFC 9147, 5.2 and 5.5)."""

    #: A `HandshakeType`, or a number that we do not know.
    msg_type: int
    #: Bytes in the whole message.
    length: int
    message_seq: int
    #: Where ``data`` begins in the message.
    offset: int
    data: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Header and data; raises `UsageError` for a field that does not fit."""
        try:
            header = _HEADER.pack(
                self.msg_type,
                self.length.to_bytes(3, "big"),
                self.message_seq,
                self.offset.to_bytes(3, "big"),
                len(self.data).to_bytes(3, "big"),
            )
        except (struct.error, OverflowError):
            raise UsageError(f"{self} does not fit its header") from None
        return header + self.data

    @classmethod
    def parse(cls, reader: Reader) -> "Fragment":
        """Read one fragment; raises `DecodeError`, also for one that leaves its message."""
        msg_type, length, message_seq, offset, size = _HEADER.unpack(reader.take(_HEADER.size))
        length, offset = int.from_bytes(length, "big"), int.from_bytes(offset, "big")
        data = reader.take(int.from_bytes(size, "big"))
        end = offset + len(data)
        if end > length:
            raise DecodeError(f"fragment ends at {end} in a message of {length} bytes")
        return cls(msg_type, length, message_seq, offset, data)


def parse_fragments(content: bytes) -> tuple[Fragment, ...]:
    """The fragments in the content of one handshake record: at least one (RFC 8446, 5.1).

    Raises `DecodeError` when the content is empty or does not end with a fragment.
    """
    reader = Reader(content, "handshake record")
    fragments = [Fragment.parse(reader)]
    while reader.remaining:
        fragments.append(Fragment.parse(reader))
    return tuple(fragments)
