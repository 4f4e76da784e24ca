"""The light-emitting diodes of a board: what has just happened, long enough to be seen."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Lights", "LightsLayout"]

#: The most important one first, for boards that have few; 1 is lit.
LightsLayout = data.StructLayout(
    {
        #: Changes with every tick: there is a clock, and no reset.
        "alive": 1,
        #: A good frame has come.
        "received": 1,
        #: Something damaged has.
        "damaged": 1,
        #: A completion has left.
        "answered": 1,
    }
)


class Lights(wiring.Component):
    """Shows strobes of a cycle from the next tick to the one after it.

    A tick is 1/8 s at a clock of ``clock_hz``, to the next lower power of two in cycles.
    """

    def __init__(self, clock_hz: int):
        self._bits = (clock_hz // 8).bit_length() - 1
        super().__init__(
            {
                "received": In(1),
                "damaged": In(1),
                "answered": In(1),
                "lights": Out(LightsLayout),
            }
        )

    def elaborate(self, platform):
        m = Module()
        cycles, tick = Signal(self._bits), Signal()
        m.d.sync += [cycles.eq(cycles + 1), tick.eq(cycles == 0)]
        with m.If(tick):
            m.d.sync += self.lights.alive.eq(~self.lights.alive)
        for name in ("received", "damaged", "answered"):
            seen = Signal(name=f"{name}_seen")
            with m.If(tick):
                m.d.sync += [self.lights[name].eq(seen), seen.eq(getattr(self, name))]
            with m.Elif(getattr(self, name)):
                m.d.sync += seen.eq(1)
        return m
