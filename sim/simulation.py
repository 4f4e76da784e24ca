"""One simulated design, seen from outside: packets in, packets out, cycles."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Self

__all__ = ["Simulation"]


class Simulation(ABC):
    """A component with packet streams, out of reset and clocked on demand.

    Nothing moves between the calls of `receive` and `run`. In each clock cycle the inputs change
    at the falling edge, and both handshakes count at the rising edge. Not thread-safe.
    """

    @property
    @abstractmethod
    def cycles(self) -> int:
        """Clock cycles since reset."""

    @abstractmethod
    def send(self, packet: bytes) -> None:
        """Queue a request packet; its first beat is offered in the next cycle that is run.

        Raises ValueError for an empty packet: AXI4-Stream has none.
        """

    @abstractmethod
    def receive(self, max_cycles: int) -> bytes | None:
        """The oldest completion packet not yet received; runs until one is whole.

        Returns None after ``max_cycles`` cycles; what has come of a packet by then stays.
        """

    def exchange(self, packets: Sequence[bytes], max_cycles: int) -> list[bytes]:
        """Send all packets, then receive as many completions; fewer after ``max_cycles`` cycles.

        Completions from before come first. Raises ValueError, and sends none, if one is empty.
        """
        deadline = self.cycles + max_cycles
        if not all(packets):
            raise ValueError("a packet has at least one byte")
        for packet in packets:
            self.send(packet)
        completions: list[bytes] = []
        while len(completions) < len(packets):
            completion = self.receive(deadline - self.cycles)
            if completion is None:
                break
            completions.append(completion)
        return completions

    @abstractmethod
    def run(self, cycles: int) -> None:
        """Run for exactly so many cycles; completions that come meanwhile are kept."""

    @abstractmethod
    def close(self) -> None:
        """End the simulation and complete its waves; closing twice does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
