"""Streams with a valid and ready handshake, driven and checked one clock edge at a time.

cocotb pays for each wake-up of a coroutine, so one coroutine serves all streams of a design: at
every rising edge it lets each of them see what the edge transferred and choose what to drive next.
"""

from collections import deque
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Protocol

from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

__all__ = [
    "PACES",
    "Bench",
    "PacketSink",
    "PacketSource",
    "Sink",
    "Source",
    "Watcher",
    "axi_stream",
    "width_bytes",
]

#: How often sources are idle and sinks not ready, as probabilities: what tests are crossed with.
PACES = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.3, 0.3))

#: An integer for each of the signals that make up a payload.
Item = tuple[int, ...]


class Source:
    """Feeds a stream from ``queue``; before an item it idles with probability ``idle`` a cycle."""

    def __init__(self, valid: Any, ready: Any, payload: Iterable[Any]):
        self._valid, self._ready, self._payload = valid, ready, tuple(payload)
        self._valid.value = 0
        self._offering = False
        self.queue: deque[Item] = deque()
        self.idle = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether everything has been transferred."""
        return not self._offering and not self.queue

    def edge(self, rng: Random) -> None:
        """A rising edge of the clock."""
        if self._offering:
            if not self._ready.value:
                return
            self._offering = False
            self._valid.value = 0
        if self.queue and rng.random() >= self.idle:
            for signal, value in zip(self._payload, self.queue.popleft(), strict=True):
                signal.value = value
            self._valid.value = 1
            self._offering = True


class Sink:
    """Collects ``items``; is not ready with probability ``stall`` a cycle, nor for ``hold`` cycles.

    It also holds the stream to its rule: what is offered stays until it is taken (AXI4-Stream,
    2.2.1).
    """

    def __init__(self, valid: Any, ready: Any, payload: Iterable[Any]):
        self._valid, self._ready, self._payload = valid, ready, tuple(payload)
        self._ready.value = 0
        self._is_ready = False
        self._waiting: Item | None = None
        self.items: list[Any] = []
        self.stall = 0.0
        self.hold = 0

    def collect(self, item: Item) -> None:
        """One transfer."""
        self.items.append(item)

    def take(self) -> list[Any]:
        """What was collected since the last call."""
        items, self.items = self.items, []
        return items

    def edge(self, rng: Random) -> None:
        """A rising edge of the clock."""
        if self._valid.value:
            item = tuple(int(signal.value) for signal in self._payload)
            assert self._waiting in (None, item), f"{self._waiting} became {item} before its turn"
            self._waiting = None if self._is_ready else item
            if self._is_ready:
                self.collect(item)
        else:
            assert self._waiting is None, f"{self._waiting} was withdrawn"
        self.hold = max(self.hold - 1, 0)
        is_ready = not self.hold and rng.random() >= self.stall
        if is_ready != self._is_ready:
            self._ready.value = self._is_ready = is_ready


class PacketSource(Source):
    """The AXI4-Stream port ``<prefix>_t*`` that takes packets; TDATA may have any width.

    In the last beat of a packet, the bytes that TKEEP leaves out are ones: they must not matter.
    """

    def __init__(self, dut: Any, prefix: str):
        super().__init__(*axi_stream(dut, prefix))
        self._width = width_bytes(dut, prefix)

    def send(self, packet: bytes) -> None:
        """Queue one packet of at least one byte."""
        for start in range(0, len(packet), self._width):
            beat = packet[start : start + self._width]
            data = int.from_bytes(beat.ljust(self._width, b"\xff"), "little")
            last = int(start + self._width >= len(packet))
            keep = (1 << len(beat)) - 1
            self.queue.append((data, last, keep) if self._width > 1 else (data, last))


class PacketSink(Sink):
    """The AXI4-Stream port ``<prefix>_t*`` that gives packets; its items are whole packets.

    TDATA may have any width. TKEEP is checked: null bytes come only in the last beat, and above its
    valid bytes, of which there is at least one.
    """

    def __init__(self, dut: Any, prefix: str):
        super().__init__(*axi_stream(dut, prefix))
        self._width = width_bytes(dut, prefix)
        self._packet = bytearray()

    def collect(self, item: Item) -> None:
        """One beat of a packet."""
        data, last, *keep = item
        self._packet += data.to_bytes(self._width, "little")[: self._valid_bytes(last, *keep)]
        if last:
            self.items.append(bytes(self._packet))
            self._packet.clear()

    def _valid_bytes(self, last: int, keep: int = 1) -> int:
        count = keep.bit_count()
        assert keep == (1 << count) - 1, f"TKEEP {keep:#b} has null bytes below valid ones"
        assert count == self._width or (last and count), f"TKEEP {keep:#b} with TLAST {last}"
        return count


class Watcher(Protocol):
    """Sees the ports at every rising edge, as the device does, and drives nothing."""

    def edge(self) -> None:
        """A rising edge of the clock."""


class Bench:
    """Clock, reset and the one coroutine that serves ``ports``.

    ``watchers`` see each edge before the ports choose what to drive next.
    """

    def __init__(
        self,
        dut: Any,
        ports: Iterable[Source | Sink],
        seed: int | str,
        watchers: Iterable[Watcher] = (),
    ):
        self._dut, self._ports, self._watchers = dut, tuple(ports), tuple(watchers)
        self._edge = RisingEdge(dut.clk)
        self._rng = Random(seed)
        Clock(dut.clk, 10, "ns").start()

    async def reset(self) -> None:
        """Hold the reset for two cycles."""
        self._dut.rst.value = 1
        await ClockCycles(self._dut.clk, 2)
        self._dut.rst.value = 0
        await self._edge

    def pace(self, idle: float, stall: float) -> None:
        """Set how often sources are idle and sinks not ready, as probabilities."""
        for port in self._ports:
            if isinstance(port, Source):
                port.idle = idle
            else:
                port.stall = stall

    async def run_until(self, done: Callable[[], bool], cycles: int) -> None:
        """Run until ``done``; fails if that takes more than ``cycles``."""
        for _ in range(cycles):
            await self._step()
            if done():
                return
        raise AssertionError(f"not done after {cycles} cycles")

    async def run_for(self, cycles: int) -> None:
        """Run for so many cycles."""
        for _ in range(cycles):
            await self._step()

    async def _step(self) -> None:
        await self._edge
        for watcher in self._watchers:
            watcher.edge()
        for port in self._ports:
            port.edge(self._rng)


def axi_stream(dut: Any, prefix: str) -> tuple[Any, Any, list[Any]]:
    """TVALID, TREADY and what they transfer: TDATA, TLAST and, if TDATA has many bytes, TKEEP."""
    valid, ready, data, last = (
        getattr(dut, f"{prefix}_t{name}") for name in ("valid", "ready", "data", "last")
    )
    keep = [getattr(dut, f"{prefix}_tkeep")] if width_bytes(dut, prefix) > 1 else []
    return valid, ready, [data, last, *keep]


def width_bytes(dut: Any, prefix: str) -> int:
    """Bytes in a beat of a port."""
    return len(getattr(dut, f"{prefix}_tdata")) // 8
