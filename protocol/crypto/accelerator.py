"""Record protection on an accelerator, through `driver.Device`."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from driver import (
    BatchRefused,
    Device,
    DriverError,
    Load,
    RequestRefused,
    Status,
    Suite,
    Usage,
)
from driver.messages import Opcode
from protocol import unified_header
from protocol.crypto.provider import (
    KeyLimitError,
    OpenedRecord,
    OpenedRun,
    Refusal,
    TrafficKeys,
)
from protocol.crypto.suites import CipherSuite

__all__ = ["AcceleratorOpener", "AcceleratorProvider", "AcceleratorSealer"]


class AcceleratorProvider:
    """A `CryptoProvider` that gives every sealer and opener a slot of the device.

    Keys are loaded when the sealer or opener is made, and zeroized when it is closed; they are not
    kept here. Besides what `CryptoProvider` says, every call may raise `DriverError`. A slot that
    could not be zeroized is not lost: that is tried again before the next keys are loaded.
    """

    def __init__(self, device: Device):
        self._device = device
        self.name = f"accelerator ({device.info.profile})"
        self.suites = frozenset(map(_tls_suite, device.info.suites))
        self.largest_content = device.info.largest_record
        self.longest_connection_id = device.info.connection_id_bytes
        #: Records that the device has sealed and opened for this provider.
        self.records_sealed = 0
        self.records_opened = 0
        #: Slots that are closed, but not zeroized.
        self._unfreed: list[int] = []

    def sealer(
        self, keys: TrafficKeys, epoch: int, connection_id: bytes = b"", first: int = 0
    ) -> "AcceleratorSealer":
        """A sealer in a slot of its own; raises `NoFreeSlot`."""
        slot = self._load(keys, Usage.SEAL, epoch, connection_id, first)
        return AcceleratorSealer(self, slot, keys, epoch, first)

    def opener(
        self, keys: TrafficKeys, epoch: int, connection_id: bytes = b"", first: int = 0
    ) -> "AcceleratorOpener":
        """An opener in a slot of its own; raises `NoFreeSlot`."""
        slot = self._load(keys, Usage.OPEN, epoch, connection_id, first)
        return AcceleratorOpener(self, slot, epoch, connection_id, first)

    def _load(
        self, keys: TrafficKeys, usage: Usage, epoch: int, connection_id: bytes, first: int
    ) -> "_LoadedSlot":
        while self._unfreed:
            self._free(self._unfreed.pop())
        load = Load(
            suite=Suite(keys.suite & 0xFF),
            usage=usage,
            key=keys.key,
            iv=keys.iv,
            record_number_key=keys.record_number_key,
            epoch=epoch,
            connection_id=connection_id,
            sequence_number=first,
        )
        return _LoadedSlot(self._device, load, self._free)

    def _free(self, slot: int) -> None:
        try:
            self._device.free(slot)
        except DriverError:
            self._unfreed.append(slot)
            raise


class _LoadedSlot:
    """A slot of the device for as long as one sealer or opener lives."""

    def __init__(self, device: Device, load: Load, free: Callable[[int], None]):
        self.device = device
        self._free = free
        self._slot: int | None = device.allocate()
        try:
            device.load(self.number, load)
        except Exception:
            self.close()
            raise

    @property
    def number(self) -> int:
        if self._slot is None:
            raise ValueError("sealer or opener is closed")
        return self._slot

    def close(self) -> None:
        if self._slot is not None:
            slot, self._slot = self._slot, None
            self._free(slot)


class AcceleratorSealer:
    """A `Sealer` whose sequence numbers the device owns; they are counted along here.

    Once it is unknown whether the device has sealed a record, the count is lost: the sealer then
    refuses to go on (`DriverError`), because a record would be reported under a wrong number.
    """

    def __init__(
        self,
        provider: AcceleratorProvider,
        slot: _LoadedSlot,
        keys: TrafficKeys,
        epoch: int,
        first: int,
    ):
        self._provider = provider
        self._slot = slot
        self._epoch = epoch
        # The device counts the records of this slot; the key may have sealed some in another.
        self._limit = keys.suite.parameters.seal_limit
        self._next: int | None = first

    @property
    def next_number(self) -> int:
        """The sequence number of the next record; raises `DriverError` if it is lost."""
        if self._next is None:
            raise DriverError("an earlier record may or may not have been sealed: number unknown")
        return self._next

    def seal(self, content_type: int, content: bytes, padding: int = 0) -> bytes:
        """The next record. Raises `KeyLimitError`, or ValueError if the device takes less."""
        number = self.next_number
        if number >= self._limit:
            raise KeyLimitError(f"epoch {self._epoch}: after {number} records")
        self._next = None
        try:
            data = self._slot.device.seal(self._slot.number, content_type, content, padding)
        except ValueError:
            self._next = number
            raise
        except RequestRefused as refused:
            self._next = number
            if refused.status == Status.KEY_LIMIT:
                raise KeyLimitError(f"epoch {self._epoch}: after {number} records") from refused
            raise
        self._next = number + 1
        self._provider.records_sealed += 1
        return data

    def seal_many(self, content_type: int, contents: Sequence[bytes]) -> list[bytes]:
        """The next records, as a batch of the device."""
        first = self.next_number
        if first + len(contents) > self._limit:
            raise KeyLimitError(f"epoch {self._epoch}: after {first} records")
        self._next = None
        items = [(content_type, content) for content in contents]
        try:
            records = self._slot.device.seal_many(self._slot.number, items)
        except ValueError:
            self._next = first
            raise
        except BatchRefused as refused:
            self._next = first + sum(isinstance(result, bytes) for result in refused.results)
            if Status.KEY_LIMIT in refused.results:
                raise KeyLimitError(f"epoch {self._epoch}: after {self._next} records") from refused
            raise
        self._next = first + len(records)
        self._provider.records_sealed += len(records)
        return records

    def close(self) -> None:
        """Zeroize and free the slot."""
        self._slot.close()


class AcceleratorOpener:
    """An `Opener` whose replay window is the device's."""

    _REFUSALS: ClassVar = {
        Status.TOO_LONG: Refusal.MALFORMED,
        Status.MALFORMED_RECORD: Refusal.MALFORMED,
        Status.WRONG_EPOCH: Refusal.WRONG_EPOCH,
        Status.REPLAYED: Refusal.REPLAYED,
        Status.TOO_OLD: Refusal.TOO_OLD,
        Status.BAD_TAG: Refusal.BAD_TAG,
        Status.KEY_LIMIT: Refusal.KEY_LIMIT,
        Status.NO_CONTENT_TYPE: Refusal.NO_CONTENT_TYPE,
    }

    def __init__(
        self,
        provider: AcceleratorProvider,
        slot: _LoadedSlot,
        epoch: int,
        connection_id: bytes,
        first: int,
    ):
        self._provider = provider
        self._slot = slot
        self._epoch = epoch
        self._forms = unified_header.forms(epoch & unified_header.EPOCH_MASK, connection_id)
        self._next = first

    @property
    def next_number(self) -> int:
        """One above the highest sequence number of a record that was opened."""
        return self._next

    def open(self, record: bytes) -> OpenedRecord | Refusal:
        """Open exactly one DTLSCiphertext; a refusal of any other kind is a `RequestRefused`."""
        try:
            opened = self._slot.device.open(self._slot.number, record)
        except RequestRefused as refused:
            if refused.status not in self._REFUSALS:
                raise
            return self._REFUSALS[refused.status]
        self._provider.records_opened += 1
        self._next = max(self._next, opened.sequence_number + 1)
        return OpenedRecord(
            self._epoch, opened.sequence_number, opened.content_type, opened.content
        )

    def open_many(self, data: bytes, size: int) -> OpenedRun | None:
        """Open records of ``size`` bytes that look alike, as a batch of the device.

        None for numbers of 8 bits: a device reconstructs them from the highest one that it has
        opened, and while others are on their way that is too far back after a loss.
        """
        form = self._forms.get(data[0]) if data else None
        if form is None or form.number_bits == 8 or form.take_apart(data, size) is None:
            return None
        records = [data[start : start + size] for start in range(0, len(data), size)]
        run = OpenedRun(self._epoch)
        for opened in self._slot.device.open_many(self._slot.number, records):
            if isinstance(opened, Status):
                if opened not in self._REFUSALS:
                    raise RequestRefused(Opcode.OPEN, self._slot.number, opened)
                run.refuse(self._REFUSALS[opened])
                if opened is Status.NO_CONTENT_TYPE:
                    break
            else:
                self._next = max(self._next, opened.sequence_number + 1)
                run.add(opened.sequence_number, opened.content_type, opened.content)
        self._provider.records_opened += len(run.contents)
        return run

    def close(self) -> None:
        """Zeroize and free the slot."""
        self._slot.close()


def _tls_suite(suite: Suite) -> CipherSuite:
    """A device names a suite by the low byte of its TLS number."""
    return CipherSuite(0x1300 | suite)
