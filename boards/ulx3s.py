"""Radiona ULX3S: an ECP5 of any size, and an FT231X for its UART."""

from collections.abc import Callable

from amaranth.build import Platform
from amaranth_boards.ulx3s import ULX3S_12F_Platform, ULX3S_25F_Platform, ULX3S_85F_Platform

from boards.board import Board, Pins
from boards.devices import find_device, on_board
from hdl.profile import COMPACT, FAST, Profile

__all__ = ["BOARDS"]


def _pins(platform: Platform) -> Pins:
    """The lights D0 to D3, and the button F1 for a reset."""
    uart = platform.request("uart", dir="-")
    return Pins(
        rx=uart.rx,
        tx=uart.tx,
        lights=[platform.request("led", number, dir="-") for number in range(4)],
        reset=platform.request("button_fire", 0, dir="-"),
    )


def _ulx3s(
    size: str, platform: Callable[[], Platform], profile: Profile, megahertz: float, seed: int
) -> Board:
    return Board(
        name=f"ulx3s-{size}f",
        title=f"ULX3S with an LFE5U-{size}F",
        device=on_board(find_device(f"ecp5-{size}k"), "CABGA381", speed=6),
        profile=profile,
        megahertz=megahertz,
        seed=seed,
        platform=platform,
        pins=_pins,
        adapter="FT231X on the board",
        baud=3_000_000,
    )


BOARDS = (
    _ulx3s("12", ULX3S_12F_Platform, COMPACT, 80, seed=1),
    _ulx3s("25", ULX3S_25F_Platform, COMPACT, 80, seed=1),
    _ulx3s("85", ULX3S_85F_Platform, FAST, 80, seed=1),
)
