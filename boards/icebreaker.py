"""1BitSquared iCEBreaker: an iCE40 UP5K, and an FT2232H for its UART."""

from amaranth.build import Platform
from amaranth_boards.icebreaker import ICEBreakerPlatform

from boards.board import Board, Pins
from boards.devices import find_device
from hdl.profile import TINY

__all__ = ["BOARDS"]


class _Platform(ICEBreakerPlatform):
    #: As `boards.devices` has it, for components that ask.
    family = "ice40"


def _pins(platform: Platform) -> Pins:
    """The green light is alive, the red one received; the button is a reset."""
    uart = platform.request("uart", dir="-")
    return Pins(
        rx=uart.rx,
        tx=uart.tx,
        lights=[platform.request(name, dir="-") for name in ("led_g", "led_r")],
        reset=platform.request("button", dir="-"),
    )


BOARDS = (
    Board(
        name="icebreaker",
        title="iCEBreaker with an iCE40UP5K",
        device=find_device("up5k"),
        profile=TINY,
        megahertz=16.5,
        seed=1,
        platform=_Platform,
        pins=_pins,
        adapter="FT2232H on the board",
        baud=12_000_000,
    ),
)
