"""How a connection ends: what went wrong, the alert for the peer, the event for the user."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from protocol.alerts import Alert, AlertDescription, LocalError, ProtocolViolation
from protocol.config import ConnectionConfig
from protocol.crypto.provider import KeyLimitError
from protocol.epochs import Epochs
from protocol.events import ConnectionTerminated, Event
from protocol.outbox import Outbox
from protocol.record import ContentType, RecordLayer
from protocol.stats import Statistics


class LastAlert:
    """A fatal alert, for a peer that goes on (RFC 9147, 5.10); ``record`` was sent at ``now``.

    The very same record goes out again, so that no key has to be kept: who has had it drops it as a
    replay. Without keys nobody can tell whether what comes is genuine, so answers are rare: after
    the initial interval of retransmissions, then twice that, and so on up to the longest interval.
    Nor are they larger than what they answer.
    """

    def __init__(self, record: bytes, config: ConnectionConfig, now: float) -> None:
        self.record = record
        self._interval = config.retransmission_timeout
        self._longest = config.max_retransmission_timeout
        self._next = now + self._interval

    def answers(self, size: int, now: float) -> bool:
        """Whether to send it again, now that a datagram of so many bytes came."""
        if now < self._next or self._interval > self._longest or size < len(self.record):
            return False
        self._interval *= 2
        self._next = now + self._interval
        return True


class Ending:
    """The part of a `protocol.connection.Connection` that ends it."""

    __slots__ = (
        "__weakref__",
        "_config",
        "_connected",
        "_events",
        "_now",
        "_outbox",
        "_records",
        "_terminated",
        "last_alert",
        "settled",
        "stats",
    )

    _epochs: Epochs

    def __init__(self, config: ConnectionConfig, now: float) -> None:
        #: Counters of datagrams, records and bytes, and of what was dropped and why.
        self.stats = Statistics()
        self._config = config
        self._now = now
        self._records = RecordLayer(config.provider, self.stats)
        self._outbox = Outbox(self._records, config.mtu)
        self._events: deque[Event] = deque()
        self._connected = False
        self._terminated = False
        #: The fatal alert that we ended the connection with, if we did.
        self.last_alert: LastAlert | None = None
        #: Whether nothing but application data has come or gone since `datagrams_to_send`, and
        #: nothing else is to be sent, now or at some time.
        self.settled = False

    def close(self, now: float) -> None:
        """Send close_notify and end the connection; what comes afterwards is ignored."""
        if self._terminated:
            return
        with self._errors_end_it(now):
            self._send_alert(AlertDescription.CLOSE_NOTIFY)
            self._terminate("closed", AlertDescription.CLOSE_NOTIFY)

    @contextmanager
    def _errors_end_it(self, now: float) -> Iterator[None]:
        self._now = now
        self.settled = False
        try:
            yield
        except Exception as error:
            self._end_with(error)

    def _end_with(self, error: Exception) -> None:
        """End the connection for an error, which is raised again if it is a stranger."""
        self.settled = False
        match error:
            case ProtocolViolation():
                self._fail(error.alert, str(error))
            case LocalError():
                self._fail(AlertDescription.INTERNAL_ERROR, str(error))
            case KeyLimitError():
                self._terminate(str(error))
            case _:
                self._fail(AlertDescription.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
                raise error

    def _fail(self, alert: AlertDescription, problem: str) -> None:
        """End the connection, because of the peer or of ourselves, and say why to both."""
        alert_sent = None
        with suppress(Exception):  # The end does not depend on whether it can be sealed.
            self.last_alert = LastAlert(self._send_alert(alert), self._config, self._now)
            alert_sent = alert
        self._terminate(problem, alert_sent)

    def _send_alert(self, alert: AlertDescription) -> bytes:
        """Returns the record."""
        content = Alert(alert).encode()
        record = self._records.seal(self._epochs.write_epoch, ContentType.ALERT, content)
        self._outbox.add(record)
        return record

    def _terminate(
        self, reason: str, alert: AlertDescription | int | None = None, *, by_peer: bool = False
    ) -> None:
        if not self._terminated:
            self._terminated = True
            self._connected = False
            self._events.append(ConnectionTerminated(reason, alert, by_peer))
            self._records.close()

    def _answer_after_end(self, size: int, now: float) -> None:
        """A datagram of so many bytes came although the connection has ended."""
        if self.last_alert is not None and self.last_alert.answers(size, now):
            self._outbox.add(self.last_alert.record)
