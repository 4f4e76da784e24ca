"""The types of handshake messages, and the form that the transcript hashes.

In a DTLS record a message stands in fragments, each with a header of 12 bytes (`fragments.py`).
The transcript hashes every message as TLS 1.3 would have sent it, big-endian (RFC 9147, 5.2)::

    msg_type (8) | length (24) | body
"""

from enum import IntEnum

from protocol.wire import uint, vector


class HandshakeType(IntEnum):
    """RFC 9147, 5.2."""

    CLIENT_HELLO = 1
    SERVER_HELLO = 2
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


def transcript_form(msg_type: int, body: bytes) -> bytes:
    """The message as the transcript hashes it (RFC 9147, 5.2): type, 24-bit length, body."""
    return uint(msg_type, 1) + vector(body, 3)


def message_hash(client_hello_hash: bytes) -> bytes:
    """What stands for the first ClientHello in the transcript after a HelloRetryRequest.

    ``client_hello_hash`` is the hash of that ClientHello's transcript form (RFC 8446, 4.4.1).
    """
    return transcript_form(HandshakeType.MESSAGE_HASH, client_hello_hash)
