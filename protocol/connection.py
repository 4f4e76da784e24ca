"""A DTLS 1.3 connection without sockets or clocks: bytes and ``now`` in, bytes and events out.

::

    connection = Connection.client(config, now)
    for datagram in connection.datagrams_to_send(now): ...     after every call below
    connection.receive_datagram(datagram, now)                 when one comes
    connection.handle_timer(now)                               at connection.timer()
    while event := connection.next_event(): ...
    connection.send(data)                                      after HandshakeCompleted
    connection.send_early(data)                                before, in a session resumed
    connection.close(now)

``now`` is in seconds from any origin, and never goes back.
"""

import weakref
from collections.abc import Callable, Sequence

from protocol.alerts import Alert, AlertDescription, ProtocolViolation, UsageError
from protocol.client import ClientHandshake
from protocol.config import ConnectionConfig
from protocol.connection_ids import ConnectionIds
from protocol.crypto.provider import LONGEST_CONTENT, OpenedRecord, RecordNumber, Refusal
from protocol.delivery import Delivery
from protocol.epochs import Epochs
from protocol.events import (
    BatchReceived,
    ConnectionIdsReceived,
    DataReceived,
    Event,
    HandshakeCompleted,
    KeyUpdatesExhausted,
    PathMtuChanged,
    PeerClosed,
    ReadKeysUpdated,
    WriteKeysUpdated,
)
from protocol.handshake import (
    APPLICATION_EPOCH,
    EARLY_EPOCH,
    HANDSHAKE_EPOCH,
    PLAINTEXT_EPOCH,
    Encodable,
)
from protocol.handshake_messages import KeyUpdate, NewConnectionId, RequestConnectionId
from protocol.key_schedule import Exporter
from protocol.outbox import SAFE_MTU
from protocol.plaintext import Plaintext
from protocol.record import ContentType
from protocol.retransmit import earlier
from protocol.retry import Retry
from protocol.server import ServerHandshake
from protocol.session import SessionTicket

#: As a plain number: to look it up in its class takes longer than to compare it.
_APPLICATION_DATA = int(ContentType.APPLICATION_DATA)

#: What ends a connection after records that were refused, and the alert for it.
_FATAL_REFUSALS = {
    Refusal.NO_CONTENT_TYPE: (
        AlertDescription.UNEXPECTED_MESSAGE,
        "a genuine record without a content type",
    ),
    Refusal.KEY_LIMIT: (
        AlertDescription.BAD_RECORD_MAC,
        "too many forged records under one key (RFC 9147, 4.5.3)",
    ),
}

#: Above every sequence number of epoch 0.
_NO_NUMBER = 1 << 64


class Connection(Plaintext):
    """One side of one association; made by `client` or `server`.

    What the network damages, forges or repeats is dropped and counted in `stats`. What a genuine
    peer does wrong ends the connection, with an alert to it and a `ConnectionTerminated` here.

    Nothing proves that plaintext (epoch 0) is genuine. Two things in it end a connection all the
    same, because that is how a genuine peer says no: a well-formed hello that is not acceptable,
    and an alert while a hello of ours is unanswered. The first genuine record of a later epoch
    closes epoch 0.

    Any call may raise what a provider raises. The connection has ended then, like in all other
    cases, with every sealer and opener closed, and `datagrams_to_send` has the alert for the peer.
    """

    __slots__ = (
        "_deadline",
        "_epochs",
        "_exhausted",
        "_newer",
        "_updating",
        "_wanted_update",
    )

    def __init__(
        self,
        config: ConnectionConfig,
        now: float,
        handshake: type[ClientHandshake] | type[ServerHandshake],
        ticket: SessionTicket | None = None,
    ) -> None:
        super().__init__(config, now)
        self._delivery = Delivery(config, self._outbox, self.stats, handshake.peer_hellos)
        self._epochs = Epochs(self._records, self._delivery)
        self._ids = ConnectionIds(config.connection_id, config.longest_connection_id, self._records)
        # Weak: a connection that nobody has any more goes at once, without the garbage collector.
        channel = _Channel(weakref.proxy(self))
        if issubclass(handshake, ClientHandshake):
            self._handshake = handshake(config, channel, ticket)
        else:
            self._handshake = handshake(config, channel)
        #: When to give up; None while nothing is outstanding.
        self._deadline: float | None = now + config.handshake_timeout
        #: A KeyUpdate that is to be sent when no flight of ours is outstanding.
        self._wanted_update: KeyUpdate | None = None
        self._updating = False
        #: The highest number of a protected record of the peer.
        self._newest_epoch, self._newest_number = PLAINTEXT_EPOCH, _NO_NUMBER
        #: Whether the last datagram had one with a higher number than all before.
        self._newer = False
        #: The number of the peer's close_notify: what comes after it is ignored.
        self._closed_at: RecordNumber | None = None
        #: Whether the user knows that there are no more messages to send.
        self._exhausted = False

    @classmethod
    def client(
        cls, config: ConnectionConfig, now: float, ticket: SessionTicket | None = None
    ) -> "Connection":
        """A client, its ClientHello ready to be sent; raises `UsageError` for a bad config.

        The session of ``ticket`` is resumed if it still fits and the server lets us; if not, the
        handshake is a full one.
        """
        connection = cls(config, now, ClientHandshake, ticket)
        assert isinstance(connection._handshake, ClientHandshake)
        connection._handshake.start()
        return connection

    @classmethod
    def server(cls, config: ConnectionConfig, now: float) -> "Connection":
        """A server for one client; raises `UsageError` for a bad config."""
        return cls(config, now, ServerHandshake)

    @classmethod
    def server_after_retry(
        cls, config: ConnectionConfig, now: float, retry: Retry, cookie: bytes, record_number: int
    ) -> "Connection":
        """A server whose client has brought back the cookie of a HelloRetryRequest without state.

        It waits for the ClientHello with the cookie, and numbers its records of epoch 0 from
        ``record_number`` on.
        """
        connection = cls.server(config, now)
        assert isinstance(connection._handshake, ServerHandshake)
        connection._handshake.after_retry(retry, cookie)
        connection._delivery.skip_messages(1)
        connection._records.number_plaintext_from(record_number)
        return connection

    @property
    def connected(self) -> bool:
        """Whether `send` may be called."""
        return self._connected

    @property
    def max_payload(self) -> int:
        """How many bytes one `send` takes: one record, in one datagram that the path takes.

        The peer's limit on records (RFC 8449) and the connection ID in them count as well.
        """
        return self._outbox.largest_content(APPLICATION_EPOCH, self._outbox.path_mtu)

    @property
    def early_data_left(self) -> int:
        """How many bytes `send_early` still takes; 0 where it may not be called."""
        may_send = isinstance(self._handshake, ClientHandshake) and not self._terminated
        return self._handshake.early_data_left if may_send else 0

    @property
    def connection_ids(self) -> frozenset[bytes]:
        """What records of the peer may begin with now; empty: they have no connection ID.

        All are of one length. They change with `receive_datagram` and `issue_connection_ids`.
        """
        return frozenset() if self._terminated else self._ids.receiving

    def receive_datagram(self, data: bytes, now: float) -> bool:
        """Process a datagram of the peer, or of whoever says so.

        Returns whether it holds a genuine record that is newer than all before it: only such a
        datagram may tell that the peer has another address now (RFC 9146, 6).
        """
        if self._terminated:
            self._answer_after_end(len(data), now)
            return False
        self._now = now
        self._newer = False
        try:
            for record in self._records.open_datagram(data):
                self._receive_record(record)
                if self._terminated:
                    break
            else:
                if self._records.alarm or not self.settled:
                    self._follow_up()
        except Exception as error:
            self._end_with(error)
        return self._newer

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """What has to be sent to the peer now, in this order; each of at most the MTU."""
        self._now = now
        if not self.settled:
            try:
                self._proceed()
                self.settled = self._connected and self.timer() is None
            except Exception as error:
                self._end_with(error)
        return self._outbox.take()

    def timer(self) -> float | None:
        """When `handle_timer` has to be called, if nothing else happens before; None: never."""
        if self._terminated or self.settled:
            return None
        return earlier(self._deadline, self._delivery.deadline)

    def handle_timer(self, now: float) -> None:
        """Do what the time asks for; harmless when called too early."""
        if self._terminated:
            return
        with self._errors_end_it(now):
            if self._deadline is not None and self._deadline <= now:
                self._terminate("the peer did not answer in time")
            else:
                self._delivery.handle_timer(now)

    def take_events(self) -> list[Event]:
        """All events that were not asked for yet, the oldest first."""
        events = list(self._events)
        self._events.clear()
        return events

    def next_event(self) -> Event | None:
        """The oldest event that was not asked for yet."""
        if not self._events:
            return None
        event = self._events.popleft()
        if type(event) is BatchReceived:
            self._events.extendleft(map(DataReceived, reversed(event.contents)))
            event = self._events.popleft()
        return event

    def send(self, data: bytes, *, padding: int = 0) -> None:
        """Send application data: one record. It may get lost, and is not sent again.

        ``padding`` is how many bytes the record is longer, to hide the length of ``data``. Raises
        `UsageError` for more than `max_payload` bytes in all, and when not `connected`.
        """
        if not self._connected:
            raise UsageError("data cannot be sent: the connection is not established")
        size = len(data) + padding
        outbox = self._outbox
        if size > outbox.content_limit or size + self._records.overhead > outbox.path_mtu:
            raise UsageError(f"{size} bytes are over {self.max_payload}, the largest payload")
        try:
            epoch = self._delivery.write_epoch
            outbox.send_data(epoch, data, padding)
            sent = self._records.sealers[epoch].next_number
            if sent >= self._config.update_keys_after and not self._updating:
                self._want_update(request_peer=False)
        except Exception as error:
            self._end_with(error)

    def send_early(self, data: bytes) -> None:
        """Send early data, one record, before the handshake is complete.

        Only a client that resumes a session may, as long as `early_data_left` says so. It may be
        lost, rejected as a whole (`EarlyDataRejected`), and replayed by an attacker to another
        server: send nothing that must not be done twice (RFC 8446, 8 and E.5). Raises `UsageError`
        for more than `early_data_left` or `max_payload` bytes.
        """
        longest = min(self.early_data_left, self.max_payload)
        if not longest:
            raise UsageError("early data cannot be sent: no session allows it now")
        if len(data) > longest:
            raise UsageError(f"{len(data)} bytes are over {longest}, what may be sent early")
        with self._errors_end_it(self._now):
            self._handshake.early_data_left -= len(data)
            self._outbox.send_data(EARLY_EPOCH, data)

    def export_keying_material(self, label: bytes, context: bytes, length: int) -> bytes:
        """``length`` bytes that both sides get by the same label and context (RFC 8446, 7.5).

        Raises `UsageError` before the handshake is complete, and for lengths that are not possible.
        """
        if not self._handshake.machine.connected:
            raise UsageError("nothing can be exported: the handshake is not complete")
        return _require(self._handshake.exporter).export(label, context, length)

    def export_early_keying_material(self, label: bytes, context: bytes, length: int) -> bytes:
        """The same for early data, from the moment that it is offered or taken (RFC 8446, 7.5).

        It has the weaknesses of early data. Raises `UsageError` where there is none.
        """
        return _require(self._handshake.early_exporter).export(label, context, length)

    def update_keys(self, now: float, *, request_peer: bool = False) -> None:
        """Change the keys that we send with, and ask the peer to do the same if wanted.

        They are in use from `WriteKeysUpdated` on. Raises `UsageError` when not `connected`, and
        after 65,536 handshake messages, since there is no number for another one.
        """
        self._check_may_send_messages("keys cannot be updated")
        with self._errors_end_it(now):
            self._want_update(request_peer=request_peer)
            self._proceed()

    def request_connection_ids(self, count: int, now: float) -> None:
        """Ask the peer for more connection IDs to send with; `ConnectionIdsReceived` follows.

        Raises `UsageError` when not `connected`, when the peer wants none in our records, and while
        an earlier request is not answered.
        """
        self._manage_ids(lambda: self._ids.request(count), now)

    def issue_connection_ids(self, count: int, now: float, *, immediate: bool = False) -> None:
        """Offer the peer more connection IDs to send with, made by ``config.connection_id``.

        ``immediate``: it uses one of them at once, and none of those before. Raises `UsageError`
        when not `connected`, when the peer sends with none, and when there are too many.
        """
        self._manage_ids(lambda: self._ids.issue(count, immediate=immediate), now)

    def use_next_connection_id(self, now: float) -> None:
        """Send with the next spare connection ID from now on, say on a new path.

        Raises `UsageError` when not `connected`, and when there is none.
        """
        self._manage_ids(self._ids.use_next, now)

    def path_mtu_exceeded(self, mtu: int, now: float) -> None:
        """The network reports that the path takes datagrams of ``mtu`` bytes at most.

        They are no larger from now on, and `PathMtuChanged` says so; what we sent of the handshake
        goes out again, cut anew. Ignored are reports of less than `SAFE_MTU`, which anyone can
        forge, and of more than what is known (RFC 9147, 4.4). IPv6 users should ignore those of
        less than 1232.
        """
        if self._terminated or not SAFE_MTU <= mtu < self._outbox.path_mtu:
            return
        with self._errors_end_it(now):
            self._set_path_mtu(mtu)
            if mtu < self._outbox.mtu:
                self._outbox.mtu = mtu
                self._delivery.send_smaller(now)

    def path_changed(self, now: float) -> None:
        """What we send takes another path from now on: our address, or the peer's, is a new one.

        The next spare connection ID is used, if there is one, so that nobody on the way can tell
        that it is the same connection (RFC 9147, 9). MTU and round trip are unknown again.
        """
        if self._terminated:
            return
        with self._errors_end_it(now):
            if self._ids.spares:
                self._ids.use_next()
            self._delivery.forget_path()
            self._outbox.mtu = self._config.mtu
            if self._outbox.path_mtu != self._config.mtu:
                self._set_path_mtu(self._config.mtu)

    def _set_path_mtu(self, mtu: int) -> None:
        self._outbox.path_mtu = mtu
        self._events.append(PathMtuChanged(mtu, self.max_payload))

    def _manage_ids(self, action: Callable[[], None], now: float) -> None:
        self._check_may_send_messages("connection IDs cannot change")
        self._now = now
        action()
        with self._errors_end_it(now):
            self._proceed()

    def _check_may_send_messages(self, problem: str) -> None:
        if not self.connected:
            raise UsageError(f"{problem}: the connection is not established")
        if self._delivery.exhausted:
            raise UsageError(f"{problem}: the connection has had all its handshake messages")

    def _follow_up(self) -> None:
        """Do what the records of a datagram ask for."""
        if self._records.alarm:
            self._check_keys()
        if not self.settled:
            self._proceed()

    def _receive_record(self, record: OpenedRecord) -> None:
        epoch, number = record.epoch, record.sequence_number
        if epoch > self._newest_epoch:
            self._newest_epoch, self._newest_number, self._newer = epoch, number, True
            self._epochs.saw(epoch)
            self._trust_peer()
        elif number > self._newest_number and epoch == self._newest_epoch:
            self._newest_number, self._newer = number, True
        if self._closed_at is not None and record.number > self._closed_at:
            return
        if record.content_type == _APPLICATION_DATA and epoch >= APPLICATION_EPOCH:
            self._events.append(DataReceived(record.content))
            return
        self.settled = False
        if epoch < HANDSHAKE_EPOCH:
            if epoch == PLAINTEXT_EPOCH:
                self._receive_plaintext(record)
            else:
                self._receive_early(record)
            return
        match record.content_type:
            case ContentType.HANDSHAKE:
                self._delivery.receive(record, self._now)
                self._handle_messages()
            case ContentType.ACK:
                self._delivery.receive_ack(record, self._now)
                self._check_arrived()
            case ContentType.ALERT:
                self._on_alert(record)
            case unexpected:
                raise ProtocolViolation(
                    AlertDescription.UNEXPECTED_MESSAGE,
                    f"content type {unexpected} in epoch {epoch}",
                )

    def _receive_early(self, record: OpenedRecord) -> None:
        """A record of epoch 1: early data, as much as we said, or an alert."""
        if record.content_type == ContentType.ALERT:
            self._on_alert(record)
            return
        self._handshake.early_data_left -= len(record.content)
        if record.content_type != ContentType.APPLICATION_DATA:
            problem = f"content type {record.content_type} in epoch 1"
        elif self._handshake.early_data_left < 0:  # RFC 8446, 4.6.1
            problem = "more early data than was allowed"
        else:
            self._events.append(DataReceived(record.content, early=True))
            return
        raise ProtocolViolation(AlertDescription.UNEXPECTED_MESSAGE, problem)

    def _handle_messages(self) -> None:
        while (message := self._delivery.next_message(self._now)) is not None:
            self._handshake.handle(message)

    def _on_alert(self, record: OpenedRecord) -> None:
        alert = Alert.parse(record.content)
        if alert.is_error or not self.connected:
            self._terminate(f"the peer sent {alert}", alert.description, by_peer=True)
        elif alert.description == AlertDescription.CLOSE_NOTIFY and self._closed_at is None:
            self._closed_at = record.number
            self._events.append(PeerClosed())

    def _check_keys(self) -> None:
        """Ask for new keys of the peer's before too many forgeries; raises when it is too late."""
        records = self._records
        records.alarm = False
        if records.fatal is not None:
            alert, problem = _FATAL_REFUSALS[records.fatal]
            raise ProtocolViolation(alert, problem)
        if self._connected and records.worn_opener == self._epochs.read_epoch:
            self._want_update(request_peer=True)

    def _check_arrived(self) -> None:
        """Once our KeyUpdate is acknowledged, its keys are in use (RFC 9147, 8)."""
        if not self._delivery.idle:
            return
        self._ids.acknowledged()
        if self._updating:
            self._updating = False
            self._events.append(WriteKeysUpdated(self._epochs.next_write()))

    def _want_update(self, *, request_peer: bool) -> None:
        self.settled = False
        if self._wanted_update is not None:
            request_peer = request_peer or self._wanted_update.update_requested
        self._wanted_update = KeyUpdate(request_peer)

    def _proceed(self) -> None:
        """Send what is due, and clear away what is over."""
        if self._terminated:
            return
        self._delivery.send_due_ack(self._now)
        if not (self._connected and self._delivery.idle):
            return
        self._deadline = None
        self._epochs.all_arrived()
        if not self._delivery.exhausted:  # No epoch wraps: each takes a message (RFC 9147bis, 8).
            self._send_next_message()
        elif not self._exhausted:
            self._exhausted = True
            self._events.append(KeyUpdatesExhausted())

    def _send_next_message(self) -> None:
        message: Encodable | None = self._ids.next_message()
        if message is None and self._wanted_update is not None:
            message, self._wanted_update = self._wanted_update, None
            self._updating = True
        if message is not None:
            self._deadline = self._now + self._config.handshake_timeout
            self._delivery.send_flight([(self._epochs.write_epoch, message)], self._now)


def _require(exporter: Exporter | None) -> Exporter:
    if exporter is None:
        raise UsageError("nothing can be exported: there is no early data")
    return exporter


class _Channel:
    """The `protocol.handshake.Channel` of a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.read_with = connection._epochs.read_with
        self.write_with = connection._epochs.write_with
        self.use_connection_ids = connection._ids.negotiated
        self.write_early_with = connection._epochs.write_early_with
        self.end_early_writing = connection._epochs.end_early_writing
        self.report = connection._events.append

    def send_flight(self, messages: Sequence[tuple[int, Encodable]]) -> None:
        self._connection._delivery.send_flight(messages, self._connection._now)

    def complete(self, result: HandshakeCompleted, *, acknowledge: bool) -> None:
        connection = self._connection
        connection._connected = True
        connection._delivery.finish(connection._now, acknowledge=acknowledge)
        if acknowledge:  # only a ticket of ours may still be outstanding
            connection._deadline = connection._now + connection._config.handshake_timeout
        connection._events.append(result)

    def limit_records(self, limit: int) -> None:
        self._connection._outbox.content_limit = min(limit - 1, LONGEST_CONTENT)

    def peer_requests_connection_ids(self, message: RequestConnectionId) -> None:
        self._connection._ids.on_request(message)

    def peer_has_new_connection_ids(self, message: NewConnectionId) -> None:
        ids = self._connection._ids
        ids.on_new(message)
        self._connection._events.append(ConnectionIdsReceived(ids.spares, message.immediate))

    def peer_updated_keys(self, *, update_requested: bool) -> None:
        connection = self._connection
        connection._events.append(ReadKeysUpdated(connection._epochs.next_read()))
        if update_requested:
            connection._want_update(request_peer=False)
