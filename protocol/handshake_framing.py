"""Handshake messages on their way: their types, and the fragments that records carry.

A message on the wire is one or more fragments, each with the DTLS header of RFC 9147, 5.2,
12 bytes, big-endian::

    msg_type (8) | length (24) | message_seq (16) | fragment_offset (24) | fragment_length (24)
"""

from dataclasses import dataclass, field
from enum import IntEnum

from protocol.alerts import DecodeError
from protocol.wire import Reader, uint, vector

FRAGMENT_HEADER_BYTES = 12


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


@dataclass(frozen=True)
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
        header = (
            uint(self.msg_type, 1)
            + uint(self.length, 3)
            + uint(self.message_seq, 2)
            + uint(self.offset, 3)
        )
        return header + vector(self.data, 3)

    @classmethod
    def parse(cls, reader: Reader) -> "Fragment":
        """Read one fragment; raises `DecodeError`, also for one that leaves its message."""
        header = reader.take(FRAGMENT_HEADER_BYTES)
        msg_type, length = header[0], int.from_bytes(header[1:4], "big")
        message_seq, offset = int.from_bytes(header[4:6], "big"), int.from_bytes(header[6:9], "big")
        data = reader.take(int.from_bytes(header[9:12], "big"))
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
