"""The fast backend: the design compiled to machine code and loaded into this process."""

import ctypes
import os
from array import array
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

from amaranth.lib.wiring import Component

from hdl.packet_stream import AXI4StreamTop
from sim.cxxrtl_model import build_model
from sim.errors import SimulationError
from sim.simulation import Simulation
from sim.stream_timing import FULL_RATE, StreamTiming

__all__ = ["CXXRTLSimulation", "CompiledModel", "load_library"]

#: Cycles in one call of the model; between calls Python handles signals such as Ctrl-C.
_CYCLES_PER_CALL = 1 << 15

#: More completions than there will ever be: run for all cycles.
_NEVER = (1 << 64) - 1

_HANDLE = ctypes.c_void_p
_SIZES = ctypes.POINTER(ctypes.c_uint64)
_SIGNATURES = {
    "intaglio_open": (_HANDLE, [ctypes.c_char_p, *[ctypes.c_uint64] * 4]),
    "intaglio_send": (None, [_HANDLE, ctypes.c_char_p, ctypes.c_size_t]),
    "intaglio_send_all": (None, [_HANDLE, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]),
    "intaglio_run": (ctypes.c_int64, [_HANDLE, ctypes.c_uint64, ctypes.c_size_t]),
    "intaglio_take": (ctypes.c_void_p, [_HANDLE, ctypes.c_size_t, _SIZES]),
    "intaglio_cycles": (ctypes.c_uint64, [_HANDLE]),
    "intaglio_close": (ctypes.c_bool, [_HANDLE]),
}


class CompiledModel:
    """A component with packet streams, compiled; it can be simulated any number of times.

    Elaborating and translating takes seconds, and compiling about a minute, once for each design;
    the cache keeps the result. With ``waves`` its simulations can write waves. ``progress`` is told
    what is being built. Raises `SimulationError` if the model cannot be built.
    """

    def __init__(
        self,
        component: Component,
        waves: bool = False,
        progress: Callable[[str], None] | None = None,
    ):
        self._library = load_library(build_model(AXI4StreamTop(component), waves, progress))

    def simulate(
        self, waves: Path | None = None, timing: StreamTiming = FULL_RATE
    ) -> "CXXRTLSimulation":
        """A simulation of its own, from reset; raises `SimulationError` if ``waves`` fail."""
        return CXXRTLSimulation(self._library, waves, timing)


class CXXRTLSimulation(Simulation):
    """Runs some hundred thousand cycles a second; `CompiledModel.simulate` makes it.

    The interpreter lock is free while the model runs.
    """

    def __init__(self, library: ctypes.CDLL, waves: Path | None, timing: StreamTiming):
        self._handle: int | None = None
        self._waves = waves
        self._library = library
        self._size = (ctypes.c_uint64 * 1)()
        idle, stall = timing.idle_pattern, timing.stall_pattern
        self._handle = self._library.intaglio_open(
            None if waves is None else os.fsencode(waves),
            idle.state,
            idle.threshold,
            stall.state,
            stall.threshold,
        )
        if self._handle is None:
            reason = os.strerror(ctypes.get_errno())
            raise SimulationError(f"Cannot write the waves to {waves}: {reason}.")

    @property
    def cycles(self) -> int:
        """Clock cycles since reset."""
        return int(self._library.intaglio_cycles(self._open_handle()))

    def send(self, packet: bytes) -> None:
        """See `Simulation.send`."""
        if not packet:
            raise ValueError("a packet has at least one byte")
        self._library.intaglio_send(self._open_handle(), bytes(packet), len(packet))

    def receive(self, max_cycles: int) -> bytes | None:
        """See `Simulation.receive`."""
        if not self._advance(max_cycles, 1):
            return None
        data = self._library.intaglio_take(self._handle, 1, self._size)
        return ctypes.string_at(data, self._size[0])

    def exchange(self, packets: Sequence[bytes], max_cycles: int) -> list[bytes]:
        """See `Simulation.exchange`; two calls of the model, however many packets."""
        handle = self._open_handle()
        if not all(packets):
            raise ValueError("a packet has at least one byte")
        sizes = array("Q", map(len, packets))
        self._library.intaglio_send_all(handle, b"".join(packets), sizes.tobytes(), len(packets))
        return self._take(min(len(packets), self._advance(max_cycles, len(packets))))

    def run(self, cycles: int) -> None:
        """See `Simulation.run`."""
        self._advance(cycles, _NEVER)

    def close(self) -> None:
        """See `Simulation.close`."""
        handle, self._handle = self._handle, None
        if handle is not None and not self._library.intaglio_close(handle):
            raise self._waves_failed()

    def _take(self, count: int) -> list[bytes]:
        """The oldest completions, of which there are so many."""
        sizes = (ctypes.c_uint64 * count)()
        data = self._library.intaglio_take(self._handle, count, sizes)
        ends = list(accumulate(sizes, initial=0))
        received = ctypes.string_at(data, ends[-1])
        return [received[start:end] for start, end in pairwise(ends)]

    def _advance(self, cycles: int, wanted: int) -> int:
        """Run until so many completions are whole, at most ``cycles``; how many are."""
        handle = self._open_handle()
        while True:
            step = min(cycles, _CYCLES_PER_CALL)
            whole = int(self._library.intaglio_run(handle, step, wanted))
            if whole < 0:
                raise self._waves_failed()
            cycles -= step
            if not cycles or whole >= wanted:
                return whole

    def _open_handle(self) -> int:
        if self._handle is None:
            raise SimulationError("The simulation is closed.")
        return self._handle

    def _waves_failed(self) -> SimulationError:
        return SimulationError(f"Cannot write the waves to {self._waves}: is the disk full?")


def load_library(path: Path) -> ctypes.CDLL:
    """A compiled model with its runner; raises `SimulationError` if it is damaged."""
    try:
        library = ctypes.CDLL(str(path), use_errno=True)
    except OSError as error:
        raise SimulationError(f"Cannot load the compiled model {path}: {error}.") from error
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library
