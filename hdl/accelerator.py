"""The accelerator of a profile: request packets in, completion packets out."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.packet_stream import packet_signature
from hdl.pipeline.accelerator import PipelinedAccelerator
from hdl.port_width import Narrower, Widener
from hdl.profile import Profile
from hdl.serial_accelerator import SerialAccelerator

__all__ = ["Accelerator"]


class Accelerator(wiring.Component):
    """Carries out the requests of `driver.messages`, in the engine that the profile asks for.

    Both packet streams have beats of ``bus_bytes`` of the profile. Every packet, whatever it holds,
    gets one completion, in order; nothing on ``requests`` can wedge it. `SerialAccelerator` and
    `PipelinedAccelerator` say how long a request takes.
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        super().__init__(
            {
                "requests": In(packet_signature(profile.bus_bytes)),
                "completions": Out(packet_signature(profile.bus_bytes)),
            }
        )
        #: What does the work.
        self.engine = (PipelinedAccelerator if profile.pipelined else SerialAccelerator)(profile)

    def elaborate(self, platform):
        m = Module()
        m.submodules.engine = engine = self.engine
        bus_bytes, engine_bytes = self._profile.bus_bytes, self._profile.engine_bytes
        if bus_bytes == engine_bytes:
            wiring.connect(m, wiring.flipped(self.requests), engine.requests)
            wiring.connect(m, engine.completions, wiring.flipped(self.completions))
            return m
        adapter = Widener if bus_bytes < engine_bytes else Narrower
        back = Narrower if bus_bytes < engine_bytes else Widener
        narrow, wide = sorted((bus_bytes, engine_bytes))
        m.submodules.requests_width = requests = adapter(narrow, wide)
        m.submodules.completions_width = completions = back(narrow, wide)
        wiring.connect(m, wiring.flipped(self.requests), requests.given)
        wiring.connect(m, requests.packets, engine.requests)
        wiring.connect(m, engine.completions, completions.given)
        wiring.connect(m, completions.packets, wiring.flipped(self.completions))
        return m
