"""A simulated accelerator at the other end of the driver."""

import time
from collections.abc import Callable

from driver.errors import LinkError, LinkTimeout
from sim.errors import SimulationError
from sim.simulation import Simulation

__all__ = ["SimulatedLink"]

#: Cycles between two looks at the clock.
_CYCLES_PER_LOOK = 4096


class SimulatedLink:
    """`driver.link.Link` over a simulation, which runs only while a completion is waited for.

    Time-outs are in seconds of ``clock``, the host's by default, as for a real device. The link
    owns the simulation and closes it.
    """

    def __init__(self, simulation: Simulation, clock: Callable[[], float] = time.monotonic):
        self.simulation = simulation
        #: Seconds spent in the simulation so far.
        self.seconds = 0.0
        self._clock = clock

    @property
    def cycles_per_second(self) -> float:
        """Cycles simulated for each second spent in the simulation."""
        return self.simulation.cycles / self.seconds

    def send(self, packet: bytes) -> None:
        """Queue a request; raises `LinkError` if the link is closed."""
        try:
            self.simulation.send(packet)
        except SimulationError as error:
            raise LinkError(str(error)) from error

    def receive(self, timeout: float) -> bytes:
        """The next completion; raises `LinkTimeout` after ``timeout`` seconds without one."""
        began = self._clock()
        deadline = began + timeout
        try:
            while (packet := self.simulation.receive(_CYCLES_PER_LOOK)) is None:
                if self._clock() >= deadline:
                    raise LinkTimeout(f"no completion from the simulation in {timeout} s")
        except SimulationError as error:
            raise LinkError(str(error)) from error
        finally:
            self.seconds += self._clock() - began
        return packet

    def close(self) -> None:
        """End the simulation; closing twice does nothing."""
        self.simulation.close()
