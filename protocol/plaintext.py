"""Epoch 0, which has no keys: anyone can forge what comes in it, and the network can damage it.

A hello that is refused need not be genuine. So nothing has changed until it comes once more: a
genuine peer repeats itself.

Nor need one that is accepted; but the keys that follow from it tell, as soon as they open a record.
Until then another hello may take its place. A client sends its own again, and tries each
ServerHello that is not the one it has. A server tries a ClientHello that comes twice and has the
random of the one it has, which those who do not see what the client sends cannot know.
"""

from abc import abstractmethod
from typing import NamedTuple

from protocol.alerts import ProtocolViolation
from protocol.batches import Batches
from protocol.client import ClientHandshake
from protocol.config import ConnectionConfig
from protocol.connection_ids import ConnectionIds
from protocol.crypto.provider import OpenedRecord
from protocol.delivery import Mark
from protocol.fragments import Message
from protocol.handshake import PLAINTEXT_EPOCH
from protocol.handshake_messages import RANDOM_BYTES
from protocol.record import ContentType
from protocol.server import ServerHandshake
from protocol.stats import Drop

#: So many hellos in a row that are refused end a connection, even if no two of them are alike.
_MOST_REFUSALS = 3
#: ClientHello.random stands behind legacy_version.
_RANDOM = slice(2, 2 + RANDOM_BYTES)
#: So many times another hello is tried: each costs a key exchange.
_MOST_CHANGES = 16


class _Before(NamedTuple):
    """What a connection was before it took a hello."""

    handshake: ClientHandshake | ServerHandshake
    delivery: Mark


class Plaintext(Batches):
    """The part of a `protocol.connection.Connection` that receives in epoch 0."""

    __slots__ = (
        "_accepted",
        "_another",
        "_before",
        "_changes",
        "_handshake",
        "_ids",
        "_refusals",
        "_refused",
    )

    _handshake: ClientHandshake | ServerHandshake
    _ids: ConnectionIds

    def __init__(self, config: ConnectionConfig, now: float) -> None:
        super().__init__(config, now)
        #: The hello that was refused last, and how many were in a row.
        self._refused: Message | None = None
        self._refusals = 0
        #: The hello that has led to keys, and what to go back to if it is not genuine; None once
        #: they have opened a record.
        self._accepted: Message | None = None
        self._before: _Before | None = None
        #: The other hello that came last, and how often one was tried.
        self._another: Message | None = None
        self._changes = 0

    @abstractmethod
    def _on_alert(self, record: OpenedRecord) -> None:
        """Believe an alert."""

    def _receive_plaintext(self, record: OpenedRecord) -> None:
        """Anyone can forge it: what is of no use is dropped and counted."""
        late = self._epochs.read_epoch > PLAINTEXT_EPOCH
        try:
            used = self._use_plaintext(record, late)
        except ProtocolViolation:
            used = False
        if not late:
            mark = self._delivery.mark()
            message = self._delivery.next_message(self._now)
            if message is not None:
                used = self._take_hello(message, mark) and used
        if not used:
            self.stats.drops[Drop.LATE_PLAINTEXT if late else Drop.BAD_PLAINTEXT] += 1

    def _use_plaintext(self, record: OpenedRecord, late: bool) -> bool:
        match record.content_type:
            case ContentType.HANDSHAKE if late and self._delivery.doubts:
                return self._try_another(record)
            case ContentType.HANDSHAKE if late:
                return self._delivery.receive_repeated(record, self._now)
            case ContentType.HANDSHAKE:
                return self._delivery.receive_hello(record, self._now)
            case ContentType.ACK if self._delivery.acks_allowed and not late:
                self._delivery.receive_ack(record, self._now)
                return True
            case ContentType.ALERT if self._delivery.hello_outstanding:
                self._on_alert(record)
                return True
        return False

    def _trust_peer(self) -> None:
        """A record that it has protected came."""
        self._accepted = self._before = self._another = None
        self._delivery.trust(self._now)

    def _take_hello(self, message: Message, mark: Mark) -> bool:
        """Whether it is accepted; raises `ProtocolViolation` if it has been refused before."""
        before = _Before(self._handshake.copy(), mark)
        try:
            self._handshake.handle(message)
        except ProtocolViolation:
            self._refusals += 1
            if message == self._refused or self._refusals == _MOST_REFUSALS:
                raise
            self._refused = message
            self._go_back(before)
            return False
        self._refused, self._refusals = None, 0
        if self._epochs.read_epoch > PLAINTEXT_EPOCH:
            self._accepted, self._before = message, before
            self._delivery.doubt(message)
            if isinstance(self._handshake, ClientHandshake):
                self._delivery.repeat_hello(mark)
        return True

    def _try_another(self, record: OpenedRecord) -> bool:
        """Whether the record is of the ServerHello that we have, or makes another one whole."""
        is_old, another = self._delivery.receive_another(record, self._now)
        if another is None or self._changes == _MOST_CHANGES or not self._may_replace(another):
            return is_old
        assert self._before is not None  # as long as there are doubts
        self._changes += 1
        self._go_back(self._before)
        mark = self._delivery.mark()
        self._delivery.take(another, self._now)
        return self._take_hello(another, mark)

    def _may_replace(self, another: Message) -> bool:
        if isinstance(self._handshake, ClientHandshake):
            return True
        assert self._accepted is not None  # as long as there are doubts
        seen, self._another = another == self._another, another
        return seen and another.body[_RANDOM] == self._accepted.body[_RANDOM]

    def _go_back(self, before: _Before) -> None:
        """As if the last hello had never come."""
        before.handshake.early_data_left = self._handshake.early_data_left
        self._handshake = before.handshake
        self._epochs.go_back()
        self._ids.negotiated(b"", b"")
        self._delivery.go_back(before.delivery)
