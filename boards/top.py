"""What every board carries: the accelerator of a profile behind the host link."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from boards.lights import Lights, LightsLayout
from hdl.accelerator import Accelerator
from hdl.host_link.host_link import HostLink
from hdl.profile import Profile

__all__ = ["BoardTop"]


class BoardTop(wiring.Component):
    """The accelerator of ``profile`` with its host link, on plain wires and one clock, ``sync``.

    ``clock_hz`` is the frequency of that clock; the rates of the link follow from it. Raises
    ValueError, as `HostLink` does, for a clock that is too slow or too fast for the first of them.
    """

    def __init__(self, profile: Profile, clock_hz: int):
        self._profile, self._clock_hz = profile, clock_hz
        super().__init__(
            {
                #: The wires of the UART, seen from here, both high while idle.
                "rx": In(1),
                "tx": Out(1),
                "lights": Out(LightsLayout),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.accelerator = accelerator = Accelerator(self._profile)
        m.submodules.link = link = HostLink(self._clock_hz, self._profile.bus_bytes)
        m.submodules.lights = lights = Lights(self._clock_hz)
        wiring.connect(m, link.requests, accelerator.requests)
        wiring.connect(m, accelerator.completions, link.completions)
        completions = link.completions
        m.d.comb += [
            link.rx.eq(self.rx),
            self.tx.eq(link.tx),
            lights.received.eq(link.received),
            lights.damaged.eq(link.damaged),
            lights.answered.eq(completions.valid & completions.ready & completions.payload.last),
            self.lights.eq(lights.lights),
        ]
        return m
