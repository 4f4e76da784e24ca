"""The record layer (RFC 9147, 4): datagrams in, opened records out, and the reverse.

::

    DTLSPlaintext    type (8) version (16) epoch (16) sequence number (48) length (16) fragment
    DTLSCiphertext   unified header, encrypted record: see protocol.unified_header
"""

from enum import IntEnum

from protocol.crypto.provider import (
    CryptoProvider,
    OpenedRecord,
    Refusal,
    SealedRecord,
    TrafficKeys,
)
from protocol.stats import Statistics


class ContentType(IntEnum):
    """What a record carries (RFC 9147, 4.1)."""

    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23
    ACK = 26


class RecordLayer:
    """The records of one connection, both directions, all epochs.

    Epoch 0 is open from the beginning and needs no keys; `discard_opener(0)` ends it, so that
    plaintext records are dropped from then on. Whatever is wrong with what comes in is dropped and
    counted in ``statistics``, never raised.

    ``fatal`` is the refusal after which the connection must end, once there was one:
    NO_CONTENT_TYPE (alert unexpected_message; RFC 8446, 5.4) or KEY_LIMIT (RFC 9147, 4.5.3).
    """

    def __init__(self, provider: CryptoProvider, statistics: Statistics | None = None) -> None:
        self.statistics = statistics or Statistics()
        self.fatal: Refusal | None = None

    def use_connection_ids(self, receive: bytes, send: bytes) -> None:
        """The negotiated connection IDs, before the first keys: ours, and the peer's (RFC 9146)."""

    def install_sealer(self, epoch: int, keys: TrafficKeys) -> None:
        """Protect the records of ``epoch`` with these keys from now on."""

    def install_opener(self, epoch: int, keys: TrafficKeys) -> None:
        """Open the records of ``epoch`` with these keys from now on."""

    def discard_sealer(self, epoch: int) -> None:
        """Forget the keys; records of ``epoch`` can no longer be sent."""

    def discard_opener(self, epoch: int) -> None:
        """Forget the keys; records of ``epoch`` are dropped from now on."""

    def seal(self, epoch: int, content_type: int, content: bytes) -> SealedRecord:
        """The next record of ``epoch``, to be sent.

        Raises `KeyLimitError`, ValueError for more than 2**14 bytes, and LookupError when the
        epoch has no sealer.
        """
        raise NotImplementedError

    def open_datagram(self, data: bytes) -> list[OpenedRecord]:
        """The genuine records of a datagram in their order; none twice."""
        raise NotImplementedError

    def close(self) -> None:
        """Forget all keys."""
