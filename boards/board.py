"""What there is to know of a board, and the design that goes onto it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from amaranth.build import Platform
from amaranth.hdl import Elaboratable, Module
from amaranth.lib import io

from boards.clocks import CLOCKS
from boards.devices import Device
from boards.pll import PLL, PLLS
from boards.top import BoardTop
from hdl.profile import Profile

__all__ = ["Board", "BoardDesign", "Pins"]


@dataclass(frozen=True)
class Pins:
    """The ports that a board's file asks its platform for; 1 is lit, or pressed."""

    rx: io.PortLike
    tx: io.PortLike
    #: As many as there are, up to those of `boards.lights.LightsLayout`, in their order.
    lights: Sequence[io.PortLike]
    reset: io.PortLike


@dataclass(frozen=True)
class Board:
    """A board, with the profile and the clock that it gets.

    Raises ValueError, naming the value, for a clock that the PLL of its FPGA does not make.
    """

    #: What `intaglio build` calls it.
    name: str
    #: What people call it.
    title: str
    device: Device
    profile: Profile
    #: The clock of the accelerator in MHz, which its build must meet.
    megahertz: float
    #: Where nextpnr begins; one that meets the clock.
    seed: int
    #: The board's description, from amaranth-boards.
    platform: Callable[[], Platform]
    pins: Callable[[Platform], Pins]
    #: What the UART's pins lead to, and the most bits a second that this takes.
    adapter: str
    baud: int
    #: Options of the packer, beside what its family gives it.
    packing: tuple[str, ...] = ()

    def __post_init__(self):
        self.find_pll()

    def find_pll(self) -> PLL:
        """What makes the clock of the accelerator of the one on the board."""
        given = self.platform().default_clk_frequency / 1e6
        return PLLS[self.device.family].find(given, self.megahertz)


class BoardDesign(Elaboratable):
    """`BoardTop` on the pins of a board, with its clock, its reset and its lights."""

    def __init__(self, board: Board, profile: Profile):
        self._board, self._profile = board, profile

    def elaborate(self, platform):
        m = Module()
        board = self._board
        pins = board.pins(platform)
        m.submodules.rx = rx = io.Buffer("i", pins.rx)
        m.submodules.tx = tx = io.Buffer("o", pins.tx)
        m.submodules.reset = reset = io.Buffer("i", pins.reset)
        CLOCKS[board.device.family](m, platform, board.find_pll(), reset.i)
        m.submodules.top = top = BoardTop(self._profile, round(board.megahertz * 1e6))
        m.d.comb += [top.rx.eq(rx.i), tx.o.eq(top.tx)]
        for number, (port, lit) in enumerate(zip(pins.lights, top.lights.as_value(), strict=False)):
            m.submodules[f"light_{number}"] = light = io.Buffer("o", port)
            m.d.comb += light.o.eq(lit)
        return m
