"""A compiled design with the pins of a UART, and the UART at the other end of its wires."""

import ctypes
from collections.abc import Callable
from typing import Self

from amaranth.lib.wiring import Component

from sim.cxxrtl_model import UART_RUNNER, build_model
from sim.errors import SimulationError

__all__ = ["CompiledBoard", "UARTSimulation"]

_HANDLE = ctypes.c_void_p
_SIGNATURES = {
    "uart_open": (_HANDLE, []),
    "uart_close": (None, [_HANDLE]),
    "uart_set_period": (None, [_HANDLE, ctypes.c_uint64]),
    "uart_send": (None, [_HANDLE, ctypes.c_char_p, ctypes.c_size_t]),
    "uart_send_break": (None, [_HANDLE, ctypes.c_uint32]),
    "uart_run": (ctypes.c_size_t, [_HANDLE, ctypes.c_uint64, ctypes.c_uint64]),
    "uart_take": (None, [_HANDLE, ctypes.c_char_p]),
    "uart_pending": (ctypes.c_size_t, [_HANDLE]),
    "uart_cycles": (ctypes.c_uint64, [_HANDLE]),
}


class CompiledBoard:
    """A component with pins ``rx`` and ``tx``, compiled as `sim.CompiledModel` is, and cached.

    ``progress`` is told what is being built. Raises `SimulationError` if it cannot be built.
    """

    def __init__(self, top: Component, progress: Callable[[str], None] | None = None):
        path = build_model(top, waves=False, progress=progress, runner=UART_RUNNER)
        try:
            self._library = ctypes.CDLL(str(path))
        except OSError as error:
            raise SimulationError(f"Cannot load the compiled model {path}: {error}.") from error
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._library, name)
            function.restype = result
            function.argtypes = arguments

    def simulate(self) -> "UARTSimulation":
        """A simulation of its own, from reset."""
        return UARTSimulation(self._library)


class UARTSimulation:
    """Bits on the pins, from bytes: both made in C++, some hundred thousand cycles a second.

    Time stands still but in `run`. The interpreter lock is free there. Not thread-safe.
    """

    def __init__(self, library: ctypes.CDLL):
        self._library = library
        self._handle: int | None = library.uart_open()

    @property
    def cycles(self) -> int:
        """Clock cycles since reset."""
        return int(self._library.uart_cycles(self._open_handle()))

    @property
    def pending(self) -> int:
        """Bytes that wait to be sent."""
        return int(self._library.uart_pending(self._open_handle()))

    def set_period(self, cycles: float) -> None:
        """What a bit takes at this end, in both directions; raises ValueError under 2 cycles."""
        if cycles < 2:
            raise ValueError(f"a bit of {cycles} cycles is shorter than 2")
        self._library.uart_set_period(self._open_handle(), round(cycles * (1 << 16)))

    def send(self, data: bytes) -> None:
        """Queue bytes for ``rx``."""
        self._library.uart_send(self._open_handle(), data, len(data))

    def send_break(self, bits: int) -> None:
        """Queue a time in which ``rx`` is low."""
        self._library.uart_send_break(self._open_handle(), bits)

    def run(self, cycles: int, quiet: int) -> bytes:
        """Run for ``cycles``, or until both wires have been idle for ``quiet``; what came."""
        count = self._library.uart_run(self._open_handle(), cycles, quiet)
        received = ctypes.create_string_buffer(count)
        self._library.uart_take(self._handle, received)
        return received.raw

    def close(self) -> None:
        """End the simulation; closing twice does nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._library.uart_close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _open_handle(self) -> int:
        if self._handle is None:
            raise SimulationError("The simulation is closed.")
        return self._handle
