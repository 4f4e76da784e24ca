"""One end of the demo's session: its provider, and the device behind it if there is one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from driver import Device, Link
from driver.messages import Counter
from intaglio.check import RecordingProvider
from intaglio.providers import DEVICE_TIMEOUT
from protocol.crypto.accelerator import AcceleratorProvider
from protocol.crypto.openssl import SoftwareProvider

__all__ = ["DeviceFigures", "Side", "SideFigures"]


@dataclass(frozen=True)
class DeviceFigures:
    """What a device did; cycles are its own."""

    records_sealed: int
    records_opened: int
    bytes_sealed: int
    bytes_opened: int
    #: Cycles in which it worked on a request.
    busy_cycles: int
    #: Cycles simulated for each second that the simulation ran.
    cycles_per_second: float

    @property
    def cycles_per_record(self) -> float:
        """Busy cycles for each record."""
        return self.busy_cycles / (self.records_sealed + self.records_opened)

    @property
    def cycles_per_byte(self) -> float:
        """Busy cycles for each byte of plaintext, its content type included."""
        return self.busy_cycles / (self.bytes_sealed + self.bytes_opened)


@dataclass(frozen=True)
class SideFigures:
    """Protected records of one side, by who protected them."""

    sealed_by_device: int
    sealed_by_software: int
    opened_by_device: int
    opened_by_software: int
    device: DeviceFigures | None


class Side:
    """A provider that is listened to; a context manager that closes the device.

    ``speed`` tells how many cycles of the device are simulated a second.
    """

    def __init__(self, link: Link | None = None, speed: Callable[[], float] = lambda: 0.0):
        self._speed = speed
        self._device = None if link is None else Device(link, timeout=DEVICE_TIMEOUT)
        self.provider = RecordingProvider(
            SoftwareProvider() if self._device is None else AcceleratorProvider(self._device)
        )

    def figures(self) -> SideFigures:
        """What was protected so far. The device's numbers are those that it counted itself."""
        sealed, opened = self.provider.records_sealed, self.provider.records_opened
        if self._device is None:
            return SideFigures(0, sealed, 0, opened, None)
        device = _device_figures(self._device, self._speed())
        return SideFigures(
            device.records_sealed,
            sealed - device.records_sealed,
            device.records_opened,
            opened - device.records_opened,
            device,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._device is not None:
            self._device.close()


def _device_figures(device: Device, cycles_per_second: float) -> DeviceFigures:
    counters = device.stats()
    return DeviceFigures(
        counters[Counter.RECORDS_SEALED],
        counters[Counter.RECORDS_OPENED],
        counters[Counter.BYTES_SEALED],
        counters[Counter.BYTES_OPENED],
        counters[Counter.BUSY_CYCLES],
        cycles_per_second,
    )
