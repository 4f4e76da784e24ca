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
        profile = self._profile
        self._connect(
            m,
            "requests_width",
            (wiring.flipped(self.requests), profile.bus_bytes),
            (engine.requests, profile.engine_bytes),
        )
        self._connect(
            m,
            "completions_width",
            (engine.completions, profile.completion_bytes),
            (wiring.flipped(self.completions), profile.bus_bytes),
        )
        return m

    def _connect(self, m, name, source, sink):
        """Two packet streams, each with the bytes in its beats."""
        (given, given_bytes), (taken, taken_bytes) = source, sink
        if given_bytes == taken_bytes:
            wiring.connect(m, given, taken)
            return
        adapter = Widener if given_bytes < taken_bytes else Narrower
        m.submodules[name] = width = adapter(*sorted((given_bytes, taken_bytes)))
        wiring.connect(m, given, width.given)
        wiring.connect(m, width.packets, taken)
