"""Serial ports: which ones lead to a board, and what goes wrong with them, in one sentence."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import serial
from serial.tools import list_ports

from driver.errors import LinkError

__all__ = ["FoundPort", "SerialPort", "find_board", "find_boards"]

#: Seconds after which a port that takes no bytes is given up.
_WRITE_TIMEOUT = 10.0


@dataclass(frozen=True)
class _Adapter:
    #: The most bits a second.
    baud: int
    #: Which of its ports is the UART, counted from 0.
    interface: int = 0


#: What boards have between USB and UART, by vendor and product, and the names that boards give it.
_ADAPTERS = {
    (0x0403, 0x6010): _Adapter(12_000_000, interface=1),  # FT2232H; the other port is for flash
    (0x0403, 0x6014): _Adapter(12_000_000),  # FT232H
    (0x0403, 0x6015): _Adapter(3_000_000),  # FT231X
    (0x0403, 0x6001): _Adapter(3_000_000),  # FT232R
}
#: What is known of no adapter is tried; the link goes back to a slower rate by itself.
_UNKNOWN = _Adapter(3_000_000)


@dataclass(frozen=True)
class FoundPort:
    """A port whose adapter is one that boards have."""

    name: str
    #: What the adapter says of itself.
    title: str


def find_boards() -> list[FoundPort]:
    """Ports with the USB ids of a board's adapter, by name."""
    return [
        FoundPort(port.device, port.product or port.description)
        for port in sorted(list_ports.comports(), key=lambda port: str(port.device))
        if (adapter := _ADAPTERS.get((port.vid, port.pid)))
        and _interface(port.location) in (None, adapter.interface)
    ]


def find_board() -> str:
    """The port of the only board; raises `LinkError` if there is none, or another one."""
    found = find_boards()
    if len(found) == 1:
        return found[0].name
    if not found:
        raise LinkError(
            "No board was found: plug it in, or give the name of its serial port, "
            "as in /dev/ttyUSB0."
        )
    names = ", ".join(f"{port.name} ({port.title})" for port in found)
    raise LinkError(f"More than one port may be the board: give the name of one of {names}.")


def _interface(location: str | None) -> int | None:
    """The number behind the point in a location such as 1-4:1.1; None if there is none."""
    _, point, number = (location or "").rpartition(".")
    return int(number) if point and ":" in (location or "") and number.isdigit() else None


class SerialPort:
    """An open port, nobody else's; it raises `LinkError` with a sentence that says what to do."""

    def __init__(self, name: str, baud: int):
        self.name = name
        #: Bits a second.
        self.baud = baud
        with self._explained():
            self._port = serial.Serial(
                name, baud, timeout=0, write_timeout=_WRITE_TIMEOUT, exclusive=True
            )
        adapter = self._find_adapter()
        #: The most bits a second of the adapter; None if there is no adapter, as with a pty.
        self.baud_limit = adapter.baud if adapter else None
        # FTDI's adapters wait up to 16 ms for more bytes unless told not to.
        with suppress(OSError, ValueError, NotImplementedError, AttributeError):
            self._port.set_low_latency_mode(True)

    def set_baud(self, baud: int) -> None:
        """Another rate, once all bytes have left."""
        with self._explained():
            self._port.flush()
            self._port.baudrate = baud
        self.baud = baud

    def write(self, data: bytes) -> None:
        """Hand over all bytes; it waits while the port takes none."""
        with self._explained():
            self._port.write(data)

    def read(self, timeout: float) -> bytes:
        """What has come, at least a byte; or none after ``timeout`` seconds."""
        with self._explained():
            self._port.timeout = timeout
            return bytes(self._port.read(1) + self._port.read(self._port.in_waiting))

    def forget_input(self) -> None:
        """Drop what has come so far."""
        with self._explained():
            self._port.reset_input_buffer()

    def close(self) -> None:
        """Release the port; closing twice does nothing."""
        with suppress(OSError):
            self._port.close()

    def _find_adapter(self) -> _Adapter | None:
        for port in list_ports.comports():
            if port.device == self.name and port.vid is not None:
                return _ADAPTERS.get((port.vid, port.pid), _UNKNOWN)
        return None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except serial.SerialTimeoutException:
            raise LinkError(f"{self.name} takes no more bytes: reset the board.") from None
        except (OSError, TypeError, ValueError) as error:
            # pyserial meets a port that was closed under it with a TypeError.
            raise LinkError(self._sentence(error)) from None

    def _sentence(self, error: Exception) -> str:
        match getattr(error, "errno", None):
            case errno.ENOENT | errno.ENODEV:
                return f"There is no port {self.name}: plug the board in, or name another port."
            case errno.EACCES | errno.EPERM:
                return (
                    f"{self.name} may not be opened by this user: join the group that owns it "
                    "(on Debian: sudo adduser $USER dialout) and log in again."
                )
            case errno.EBUSY | errno.EAGAIN:
                return f"{self.name} is in use: end the other program that has it open."
        if "exclusively lock" in str(error):
            return f"{self.name} is in use: end the other program that has it open."
        if isinstance(error, ValueError):
            return f"{self.name} does not have this rate: {error}."
        return f"The board at {self.name} is gone: plug it in again, and load its keys anew."
