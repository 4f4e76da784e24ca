"""A board without an accelerator: the host link, with its requests for completions."""

from functools import cache

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from driver.frames import BoardFrame, Unstuffer
from hdl.host_link.host_link import HostLink
from sim.uart import CompiledBoard, UARTSimulation

#: Sixteen cycles for a bit at the first rate.
CLOCK_HZ = 16 * 115_200


class Echo(wiring.Component):
    """Every request is its own completion."""

    def __init__(self, bus_bytes: int = 1, buffer_bytes: int = 2048):
        super().__init__({"rx": In(1), "tx": Out(1)})
        self._link = HostLink(CLOCK_HZ, bus_bytes, buffer_bytes)

    def elaborate(self, platform):
        m = Module()
        m.submodules.link = link = self._link
        m.d.comb += [link.rx.eq(self.rx), self.tx.eq(link.tx)]
        wiring.connect(m, link.requests, link.completions)
        return m


@cache
def compiled_echo(bus_bytes: int = 1) -> CompiledBoard:
    return CompiledBoard(Echo(bus_bytes))


class Host:
    """Frames over a simulated UART, by hand."""

    def __init__(self, simulation: UARTSimulation, divisor: float = 16):
        self.simulation = simulation
        self.simulation.set_period(divisor)
        self._unstuffer = Unstuffer()

    def exchange(self, data: bytes, quiet: int = 2000) -> list[BoardFrame]:
        """Send bytes; the frames that come until the wires are idle."""
        self.simulation.send(data)
        return self.listen(quiet)

    def listen(self, quiet: int = 2000) -> list[BoardFrame]:
        contents = self._unstuffer.feed(self.simulation.run(10_000_000, quiet))
        assert not self._unstuffer.damaged
        return [BoardFrame.unpack(content) for content in contents]
