"""Application records many at a time, which costs less than one by one."""

from abc import abstractmethod
from collections.abc import Sequence

from protocol.alerts import UsageError
from protocol.crypto.provider import OpenedRecord, OpenedRun, RecordNumber
from protocol.delivery import Delivery
from protocol.ending import Ending
from protocol.events import BatchReceived
from protocol.record import ContentType

#: As a plain number: to look it up in its class takes longer than to compare it.
_APPLICATION_DATA = int(ContentType.APPLICATION_DATA)


class Batches(Ending):
    """The part of a `protocol.connection.Connection` that sends and receives many records."""

    __slots__ = ("_closed_at", "_delivery", "_newest_epoch", "_newest_number")

    _delivery: Delivery
    _newest_epoch: int
    _newest_number: int
    _closed_at: RecordNumber | None

    @property
    @abstractmethod
    def max_payload(self) -> int:
        """How many bytes one record takes."""

    @abstractmethod
    def send(self, data: bytes, *, padding: int = 0) -> None:
        """Send one record."""

    @abstractmethod
    def _receive_record(self, record: OpenedRecord) -> None:
        """Process one record."""

    @abstractmethod
    def _follow_up(self) -> None:
        """Do what the records of a datagram ask for."""

    def send_many(self, contents: Sequence[bytes]) -> None:
        """Send each content as `send` does, only faster; raises `UsageError` before any is sent."""
        if not self._connected:
            raise UsageError("data cannot be sent: the connection is not established")
        longest = max(map(len, contents), default=0)
        if longest > self.max_payload:
            raise UsageError(f"{longest} bytes are over {self.max_payload}, the largest payload")
        if not self._send_run(contents):
            for content in contents:
                if self._connected:
                    self.send(content)

    def _send_run(self, contents: Sequence[bytes]) -> bool:
        """Returns False if each has to be sent alone: so few, or keys change in between."""
        epoch, count = self._delivery.write_epoch, len(contents)
        try:
            if count < 2 or (
                self._records.sealers[epoch].next_number + count >= self._config.update_keys_after
            ):
                return False
            self._outbox.send_many(epoch, contents)
        except Exception as error:
            self._end_with(error)
        return True

    def receive_segments(self, data: bytes, size: int, now: float) -> bool:
        """Process datagrams of ``size`` bytes that follow each other, as UDP_GRO gives them.

        The same as `receive_datagram` of each, only faster. Returns False, and nothing has
        happened, unless they are all records of one epoch, and nothing but those is going on.
        """
        if not self.settled:
            return False
        self._now = now
        try:
            run = self._records.open_segments(data, size)
            if run is None:
                return False
            self._take(run)
            if not self._terminated:
                self._follow_up()
        except Exception as error:
            self._end_with(error)
        return True

    def _take(self, run: OpenedRun) -> None:
        types = run.content_types
        only_data = types.count(_APPLICATION_DATA) == len(types) > 0
        if only_data and self._closed_at is None and run.epoch == self._newest_epoch:
            self._newest_number = max(self._newest_number, *run.sequence_numbers)
            self._events.append(BatchReceived(run.contents))
            return
        for number, content_type, content in zip(
            run.sequence_numbers, types, run.contents, strict=True
        ):
            if not self._terminated:
                self._receive_record(OpenedRecord(run.epoch, number, content_type, content))
