"""From the clock on a board to the accelerator's, with a reset: the domain ``sync``."""

from amaranth.build import Platform
from amaranth.hdl import ClockDomain, ClockSignal, Instance, Module, ResetSignal, Signal, Value
from amaranth.lib import io
from amaranth.lib.cdc import FFSynchronizer

from boards.pll import ECP5PLL, ICE40PLL, GowinPLL

__all__ = ["CLOCKS"]

#: An iCE40's block RAMs read as zeros for some 3 us after configuration, and its PLL locks within
#: 50 us. Amaranth waits 15 us for the former; here, it is in cycles of at most 50 MHz.
_RESET_CYCLES = 1 << 10


def _ecp5_clock(m: Module, platform: Platform, pll: ECP5PLL, reset: Value) -> None:
    """An ECP5's: PLL, and the reset through its network for all registers, which takes no wires.

    ``reset`` may change at any time. Every register gets its initial value while it is 1, and while
    the PLL is not locked.
    """
    m.submodules.clock_pin = pin = io.Buffer("i", platform.request(platform.default_clk, dir="-"))
    clock, locked = Signal(name="pll_clock"), Signal(name="pll_locked")
    held, released = Signal(name="held"), Signal(name="released")
    m.submodules.pll = pll.instance(pin.i, clock, locked)
    platform.add_clock_constraint(clock, float(pll.megahertz) * 1e6)
    # What Amaranth does for a board's own clock (LatticePlatform.create_missing_domain).
    ready = locked & ~reset
    m.submodules.held = Instance("FD1S3AX", p_GSR="DISABLED", i_CK=clock, i_D=ready, o_Q=held)
    m.submodules.released = Instance(
        "FD1S3AX", p_GSR="DISABLED", i_CK=clock, i_D=held, o_Q=released
    )
    m.submodules.network = Instance("SGSR", i_CLK=clock, i_GSR=released)
    m.domains.sync = ClockDomain(reset_less=True)
    m.d.comb += ClockSignal().eq(clock)


def _ice40_clock(m: Module, platform: Platform, pll: ICE40PLL, reset: Value) -> None:
    """An iCE40's: PLL on the clock's pin, and a synchronous reset.

    ``reset`` may change at any time. The reset lasts 1,024 cycles longer than it is 1, and than the
    PLL takes to lock.
    """
    pad = platform.request(platform.default_clk, dir="-")
    _reset_with_wires(m, platform, pll, pad.io, reset)


def _gowin_clock(m: Module, platform: Platform, pll: GowinPLL, reset: Value) -> None:
    """A Gowin's: PLL behind the clock's pin, and the same synchronous reset as an iCE40's."""
    m.submodules.clock_pin = pin = io.Buffer("i", platform.request(platform.default_clk, dir="-"))
    _reset_with_wires(m, platform, pll, pin.i, reset)


def _reset_with_wires(
    m: Module, platform: Platform, pll: ICE40PLL | GowinPLL, source, reset: Value
) -> None:
    clock, locked = Signal(name="pll_clock"), Signal(name="pll_locked")
    ready = Signal()
    m.submodules.pll = pll.instance(source, clock, locked)
    platform.add_clock_constraint(clock, float(pll.megahertz) * 1e6)
    m.domains.sync = ClockDomain()
    m.domains.start = ClockDomain(reset_less=True, local=True)
    m.d.comb += [ClockSignal("start").eq(clock), ClockSignal().eq(clock)]
    m.submodules.ready = FFSynchronizer(locked & ~reset, ready, o_domain="start")
    cycles = Signal(range(_RESET_CYCLES + 1))
    with m.If(~ready):
        m.d.start += cycles.eq(0)
    with m.Elif(cycles != _RESET_CYCLES):
        m.d.start += cycles.eq(cycles + 1)
    held = Signal(init=1)
    m.d.start += held.eq(cycles != _RESET_CYCLES)
    m.d.comb += ResetSignal().eq(held)


#: By family of devices: adds the clock domain to a module, for a reset that is asynchronous.
CLOCKS = {"ecp5": _ecp5_clock, "ice40": _ice40_clock, "gowin": _gowin_clock}
