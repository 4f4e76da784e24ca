"""What really went over the accelerator's AXI4-Stream ports, and in which cycles."""

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

from cocotb_tests.streams import axi_stream, width_bytes

__all__ = ["HANDSHAKES", "Monitor", "Packet", "Transaction"]

#: States of a port in a cycle, by 2 * TVALID + TREADY.
HANDSHAKES = ("idle", "ready", "waiting", "transfer")


@dataclass(frozen=True)
class Packet:
    """One packet, as it was transferred. Cycles are counted from the device's reset."""

    data: bytes
    #: The cycles of its first and its last beat.
    first: int
    last: int
    #: Cycles between the last beat of the packet before and the first offer of this one.
    pause: int
    #: Most cycles in a row in which, within it, no beat was offered.
    idle: int
    #: Most cycles in a row in which a beat of it was offered and not taken.
    waited: int


@dataclass(frozen=True)
class Transaction:
    """A request and its completion."""

    request: Packet
    completion: Packet

    def is_under_way_with(self, later: "Transaction") -> bool:
        """Whether ``later``'s request was all in the device before any of this completion left."""
        return self.completion.first > later.request.last


class Monitor:
    """Watches both ports, and drives nothing."""

    def __init__(self, dut: Any):
        self._ports = (_Port(dut, "s_axis"), _Port(dut, "m_axis"))
        self._cycle = 0
        #: How often the ports of requests and completions were in which of `HANDSHAKES`.
        self.handshakes: Counter[tuple[str, str]] = Counter()

    def edge(self) -> None:
        """A rising edge of the clock."""
        self._cycle += 1
        requests, completions = (port.edge(self._cycle) for port in self._ports)
        self.handshakes[HANDSHAKES[requests], HANDSHAKES[completions]] += 1

    def take(self) -> list[Transaction]:
        """What ended since the last call; completions come in the order of their requests."""
        requests, completions = (port.packets for port in self._ports)
        return [
            Transaction(requests.popleft(), completions.popleft()) for _ in range(len(completions))
        ]


class _Port:
    """One port: its ``packets``, and what has been seen of the next one."""

    def __init__(self, dut: Any, prefix: str):
        self._valid, self._ready, (self._data, self._last, *self._keep) = axi_stream(dut, prefix)
        self._width = width_bytes(dut, prefix)
        self.packets: deque[Packet] = deque()
        self._bytes = bytearray()
        self._first: int | None = None
        self._pause = self._idle = self._waited = 0
        self._idle_now = self._waiting_now = 0

    def edge(self, cycle: int) -> int:
        """See what the edge transfers; 2 * TVALID + TREADY."""
        valid, ready = int(self._valid.value), int(self._ready.value)
        if not valid:
            self._idle_now += 1
        elif not ready:
            self._waiting_now += 1
            self._waited = max(self._waited, self._waiting_now)
        else:
            self._transfer(cycle)
        return 2 * valid + ready

    def _transfer(self, cycle: int) -> None:
        if self._first is None:
            self._first, self._pause = cycle, self._idle_now
        else:
            self._idle = max(self._idle, self._idle_now)
        self._idle_now = self._waiting_now = 0
        count = int(self._keep[0].value).bit_count() if self._keep else 1
        self._bytes += int(self._data.value).to_bytes(self._width, "little")[:count]
        if self._last.value:
            self.packets.append(
                Packet(
                    bytes(self._bytes), self._first, cycle, self._pause, self._idle, self._waited
                )
            )
            self._bytes.clear()
            self._first, self._idle, self._waited = None, 0, 0
