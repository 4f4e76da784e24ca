"""The backend without a compiler: Amaranth's own simulator, for small blocks and short runs."""

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from amaranth.hdl import Const
from amaranth.sim import Simulator

from hdl.packet_stream import AXI4StreamTop
from sim.errors import SimulationError
from sim.simulation import Simulation
from sim.stream_timing import FULL_RATE, StreamTiming

__all__ = ["AmaranthSimulation"]

#: Seconds; it only gives the waves their time axis, the same as in the other backend.
_CLOCK_PERIOD = 10e-9


class AmaranthSimulation(Simulation):
    """Runs some thousand cycles a second; starts at once."""

    def __init__(
        self,
        top: AXI4StreamTop,
        waves: Path | None = None,
        timing: StreamTiming = FULL_RATE,
    ):
        self._top: Any = top
        self._waves = waves
        self._open = True
        self._cycles = 0
        self._idle = timing.idle_pattern
        self._stall = timing.stall_pattern
        #: Beats to send: valid bytes and ``last``; the first may be on offer already.
        self._requests: deque[tuple[bytes, bool]] = deque()
        self._offered = False
        self._partial = bytearray()
        self._completions: deque[bytes] = deque()

        self._simulator = Simulator(top)
        self._simulator.add_clock(_CLOCK_PERIOD, phase=_CLOCK_PERIOD)
        self._resources = ExitStack()
        if waves is not None:
            with self._reporting_waves():
                self._resources.enter_context(self._simulator.write_vcd(str(waves)))
        self._simulator.add_testbench(self._drive_pins)
        self._simulator.advance()  # to the first falling edge

    @property
    def cycles(self) -> int:
        """Clock cycles since reset."""
        self._check_open()
        return self._cycles

    def send(self, packet: bytes) -> None:
        """See `Simulation.send`."""
        self._check_open()
        if not packet:
            raise ValueError("a packet has at least one byte")
        width = self._top.width_bytes
        for start in range(0, len(packet), width):
            end = start + width
            self._requests.append((packet[start:end], end >= len(packet)))

    def receive(self, max_cycles: int) -> bytes | None:
        """See `Simulation.receive`."""
        self._advance(max_cycles, until_packet=True)
        return self._completions.popleft() if self._completions else None

    def run(self, cycles: int) -> None:
        """See `Simulation.run`."""
        self._advance(cycles, until_packet=False)

    def close(self) -> None:
        """See `Simulation.close`."""
        self._open = False
        with self._reporting_waves():
            self._resources.close()

    def _advance(self, cycles: int, until_packet: bool) -> None:
        self._check_open()
        deadline = self._cycles + cycles
        with self._reporting_waves():
            while self._cycles < deadline and not (until_packet and self._completions):
                self._simulator.advance()

    def _check_open(self) -> None:
        if not self._open:
            raise SimulationError("The simulation is closed.")

    @contextmanager
    def _reporting_waves(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SimulationError(
                f"Cannot write the waves to {self._waves}: {error.strerror}."
            ) from error

    async def _drive_pins(self, ctx: Any) -> None:
        top = self._top
        keep = top.m_axis_tkeep if top.width_bytes > 1 else Const(1)
        while True:
            await ctx.delay(_CLOCK_PERIOD / 2)  # the falling edge
            ready = self._set_inputs(ctx)
            _, _, taken, valid, *beat = await ctx.tick().sample(
                top.s_axis_tready, top.m_axis_tvalid, top.m_axis_tdata, keep, top.m_axis_tlast
            )
            self._cycles += 1
            if self._offered and taken:
                self._requests.popleft()
                self._offered = False
            if valid and ready:
                self._collect(*beat)

    def _set_inputs(self, ctx: Any) -> bool:
        top = self._top
        if not self._offered and self._requests and not self._idle.draw():
            self._offered = True
            data, last = self._requests[0]
            ctx.set(top.s_axis_tdata, int.from_bytes(data, "little"))
            if top.width_bytes > 1:
                ctx.set(top.s_axis_tkeep, (1 << len(data)) - 1)
            ctx.set(top.s_axis_tlast, last)
        ctx.set(top.s_axis_tvalid, self._offered)
        ready = not self._stall.draw()
        ctx.set(top.m_axis_tready, ready)
        return ready

    def _collect(self, data: int, keep: int, last: int) -> None:
        """One beat; the valid bytes are those below the lowest null byte."""
        valid = (~keep & (keep + 1)).bit_length() - 1
        self._partial += data.to_bytes(self._top.width_bytes, "little")[:valid]
        if last:
            self._completions.append(bytes(self._partial))
            self._partial.clear()
