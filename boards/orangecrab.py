"""OrangeCrab r0.2: an ECP5 on a Feather; its UART is on the pins 0 (RX) and 1 (TX)."""

from collections.abc import Callable

from amaranth.build import Attrs, Platform
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform, OrangeCrabR0_2_85FPlatform
from amaranth_boards.resources import UARTResource

from boards.board import Board, Pins
from boards.devices import find_device, on_board
from hdl.profile import COMPACT, FAST, Profile

__all__ = ["BOARDS"]

_UART = UARTResource(0, rx="0", tx="1", conn=("io", 0), attrs=Attrs(IO_TYPE="LVCMOS33"))


def _pins(platform: Platform) -> Pins:
    """Green: alive; blue: received; red: damaged. The button is a reset."""
    platform.add_resources([_UART])
    uart, led = platform.request("uart", dir="-"), platform.request("rgb_led", dir="-")
    return Pins(
        rx=uart.rx,
        tx=uart.tx,
        lights=[led.g, led.b, led.r],
        reset=platform.request("button", dir="-"),
    )


def _orangecrab(
    size: str, platform: Callable[[], Platform], profile: Profile, megahertz: float, seed: int
) -> Board:
    return Board(
        name=f"orangecrab-{size}f",
        title=f"OrangeCrab r0.2 with an LFE5U-{size}F",
        device=on_board(find_device(f"ecp5-{size}k"), "CSFBGA285", speed=8),
        profile=profile,
        megahertz=megahertz,
        seed=seed,
        platform=platform,
        pins=_pins,
        adapter="an adapter for 3.3 V on pins 0 and 1",
        baud=3_000_000,
        packing=("--freq", "38.8"),
    )


BOARDS = (
    _orangecrab("25", OrangeCrabR0_2_25FPlatform, COMPACT, 80, seed=1),
    _orangecrab("85", OrangeCrabR0_2_85FPlatform, FAST, 80, seed=1),
)
