"""The compiled device with faults to choose from, and its state to look at and to change."""

import ctypes
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.cxxrtl_backend import CompiledModel, CXXRTLSimulation, load_library
from sim.cxxrtl_model import build_library
from sim.stream_timing import FULL_RATE, StreamTiming

__all__ = ["FaultySimulation", "MutatedModel", "State"]

_RUNNER = Path(__file__).with_name("runner.cc")

_HANDLE, _SIZE = ctypes.c_void_p, ctypes.c_size_t
_SIGNATURES = {
    "mutations_choose": (None, [_HANDLE, ctypes.c_uint32]),
    "mutations_state_count": (_SIZE, []),
    "mutations_state": (ctypes.c_char_p, [_HANDLE, _SIZE, *[ctypes.POINTER(_SIZE)] * 2]),
    "mutations_read": (ctypes.POINTER(ctypes.c_uint32), [_HANDLE, _SIZE, _SIZE]),
    "mutations_fill": (None, [_HANDLE, ctypes.c_uint64]),
    "mutations_reset": (None, [_HANDLE]),
    "mutations_flip": (None, [_HANDLE, _SIZE, _SIZE, _SIZE]),
}


@dataclass(frozen=True)
class State:
    """A register, or a memory of ``depth`` rows; ``bits`` in it or in each of them."""

    number: int
    name: str
    bits: int
    #: 0 for a register.
    depth: int


class MutatedModel(CompiledModel):
    """The compiled model of a netlist with an input ``mutant``.

    Raises `SimulationError` if it cannot be built.
    """

    def __init__(self, rtl: str, progress: Callable[[str], None] | None = None):
        self._library = load_library(build_library(rtl, False, progress, _RUNNER))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._library, name)
            function.restype = result
            function.argtypes = arguments

    def simulate(
        self, waves: None = None, timing: StreamTiming = FULL_RATE, mutant: int = 0
    ) -> "FaultySimulation":
        """A simulation of its own, from reset, with one mutant, or with none if it is 0."""
        return FaultySimulation(self._library, timing, mutant)


class FaultySimulation(CXXRTLSimulation):
    """A simulation whose registers and memories can be read and changed between cycles."""

    def __init__(self, library: ctypes.CDLL, timing: StreamTiming, mutant: int):
        super().__init__(library, None, timing)
        library.mutations_choose(self._handle, mutant)

    def states(self) -> list[State]:
        """All registers and memories, by CXXRTL's order."""
        bits, depth = ctypes.c_size_t(), ctypes.c_size_t()
        found = []
        for number in range(self._library.mutations_state_count()):
            name = self._library.mutations_state(
                self._open_handle(), number, ctypes.byref(bits), ctypes.byref(depth)
            )
            found.append(State(number, _plain(name.decode()), bits.value, depth.value))
        return found

    def read(self, state: State, row: int = 0) -> int:
        """What a register holds, or a row of a memory."""
        words = self._library.mutations_read(self._open_handle(), state.number, row)
        return sum(words[i] << 32 * i for i in range(-(-state.bits // 32)))

    def holds(self, secrets: Sequence[bytes]) -> bool:
        """Whether one of these stands in any register or row of a memory, in either byte order."""
        contents = "|".join(
            f"{self.read(state, row):b}"
            for state in self.states()
            for row in range(max(state.depth, 1))
        )
        patterns = (
            f"{int.from_bytes(secret, order):b}"
            for secret in secrets
            for order in ("little", "big")
        )
        return any(pattern in contents for pattern in patterns)

    def fill_memories(self, seed: int) -> None:
        """Random contents for all memories but tables, as they may have at power-up."""
        self._library.mutations_fill(self._open_handle(), seed)

    def reset(self) -> None:
        """A cycle in reset. Requests and completions that are under way are lost."""
        self._library.mutations_reset(self._open_handle())

    def flip(self, state: State, row: int, bit: int) -> None:
        """Turn over one bit."""
        self._library.mutations_flip(self._open_handle(), state.number, row, bit)


def _plain(name: str) -> str:
    """The name in the netlist of what CXXRTL has made an identifier of."""
    name = re.sub(r"^(memory_)?p_", "", name)
    plain = re.sub(r"__|_([0-9a-f]{2})_", lambda match: _character(match[1]), name)
    return plain.removeprefix("core.")


def _character(code: str | None) -> str:
    return chr(int(code, 16)) if code else "_"
