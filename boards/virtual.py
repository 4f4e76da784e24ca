"""A board that is not there: its top in the compiled simulator, its pins behind a pseudo-terminal.

Whoever opens the port's name sees a serial port, and sets its rate as that of any other.
"""

import errno
import fcntl
import os
import select
import struct
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from boards.top import BoardTop
from driver.frames import FIRST_BAUD
from hdl.profile import Profile
from hdl.rate import Record, record_cycles
from sim.uart import CompiledBoard, UARTSimulation

__all__ = ["CLOCK_HZ", "VirtualBoard", "VirtualBoardModel"]

#: Sixteen cycles for a bit at the first rate, four at the fastest: a bit takes as many cycles as
#: the clock says, and each of them has to be simulated.
CLOCK_HZ = 16 * FIRST_BAUD

#: asm-generic/ioctls.h and termbits.h: struct termios2, whose last word is the output's rate.
_TCGETS2 = 0x802C542A
_TERMIOS2 = struct.Struct("4I20B2I")

#: Few, so that what a board says is soon with the host.
_CYCLES_PER_RUN = 2_000
#: Bytes from the host that may wait for the wire.
_WAITING_BYTES = 256
_POLL_SECONDS = 0.2


class VirtualBoard:
    """Runs in a thread of its own from `__init__` to `close`; ``port`` is what a host opens.

    After ``quiet_cycles`` without a bit on the wires time stands still until the host sends
    something: more than any request takes.
    """

    def __init__(self, simulation: UARTSimulation, quiet_cycles: int):
        self._simulation = simulation
        self._quiet_cycles = quiet_cycles
        self._master, self._slave = os.openpty()  # the slave stays open: hosts come and go
        tty.setraw(self._slave)
        attributes = termios.tcgetattr(self._slave)
        attributes[4:6] = [termios.B115200] * 2
        termios.tcsetattr(self._slave, termios.TCSANOW, attributes)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._baud = 0
        self._seconds = 0.0
        self._to_host = b""
        self._ends = threading.Event()
        self._stands_still = threading.Event()
        self._thread = threading.Thread(target=self._run, name="virtual board", daemon=True)
        self._thread.start()

    @property
    def cycles(self) -> int:
        """Clock cycles since reset."""
        return self._simulation.cycles

    @property
    def cycles_per_second(self) -> float:
        """Cycles simulated for each second spent in the simulation."""
        return self.cycles / max(self._seconds, 1e-9)

    def settle(self) -> None:
        """Wait until all that the host has written has been on the wire, and its answers too."""
        for _ in range(2):  # the first may have begun before the host wrote
            self._stands_still.clear()
            self._stands_still.wait()

    def close(self) -> None:
        """Unplug the board: whoever has its port open finds it gone."""
        if self._ends.is_set():
            return
        self._ends.set()
        self._thread.join()
        self._simulation.close()
        os.close(self._master)
        os.close(self._slave)

    def _run(self) -> None:
        running = False
        while not self._ends.is_set():
            self._take_from_host(0 if running else _POLL_SECONDS)
            before, began = self._simulation.cycles, time.perf_counter()
            self._to_host += self._simulation.run(_CYCLES_PER_RUN, self._quiet_cycles)
            self._seconds += time.perf_counter() - began
            running = self._simulation.cycles - before == _CYCLES_PER_RUN
            if not running:
                self._stands_still.set()
            self._give_to_host()

    def _take_from_host(self, timeout: float) -> None:
        if self._simulation.pending >= _WAITING_BYTES:
            return
        ready, _, _ = select.select([self._master], [], [], timeout)
        if not ready:
            return
        with suppress(BlockingIOError):
            data = os.read(self._master, _WAITING_BYTES)
            self._follow_baud()
            self._simulation.send(data)

    def _give_to_host(self) -> None:
        """As much as the port takes: a host that does not read keeps the rest waiting."""
        try:
            self._to_host = self._to_host[os.write(self._master, self._to_host) :]
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise

    def _follow_baud(self) -> None:
        """What comes from the host goes onto the wire at the rate that it has set."""
        termios = fcntl.ioctl(self._master, _TCGETS2, bytes(_TERMIOS2.size))
        baud = _TERMIOS2.unpack(termios)[-1]
        if baud and baud != self._baud:
            self._baud = baud
            self._simulation.set_period(max(2.0, CLOCK_HZ / baud))


class VirtualBoardModel:
    """The board of a profile, compiled first if it is not in the cache; boards are made from it.

    ``progress`` is told what is being built. Raises `sim.SimulationError` if it cannot be built.
    """

    def __init__(self, profile: Profile, progress: Callable[[str], None] | None = None):
        self._compiled = CompiledBoard(BoardTop(profile, CLOCK_HZ), progress)
        self._quiet_cycles = _quiet_cycles(profile)

    @contextmanager
    def plugged_in(self) -> Iterator[VirtualBoard]:
        """A board of its own, from its reset; at the end it is unplugged."""
        board = VirtualBoard(self._compiled.simulate(), self._quiet_cycles)
        try:
            yield board
        finally:
            board.close()


def _quiet_cycles(profile: Profile) -> int:
    """More than any request of a profile takes from its last bit to the first of its answer.

    The longest are a record that comes alone, which takes up to three times what it takes among
    others, and ZEROIZE of all slots, which takes 32 cycles for each.
    """
    longest = Record(profile.largest_record, aes256=True, opens=True)
    return 4 * record_cycles(profile, longest) + 64 * profile.slots
