"""Sipeed Tang Nano 9K: a GW1NR-9C, and a BL702 for its UART that speaks as an FT2232."""

from amaranth.build import Platform
from amaranth_boards.tang_nano_9k import TangNano9kPlatform

from boards.board import Board, Pins
from boards.devices import find_device
from hdl.profile import TINY

__all__ = ["BOARDS"]


def _pins(platform: Platform) -> Pins:
    """The lights LED0 to LED3, and the button S2 for a reset."""
    uart = platform.request("uart", dir="-")
    return Pins(
        rx=uart.rx,
        tx=uart.tx,
        lights=[platform.request("led", number, dir="-") for number in range(4)],
        reset=platform.request("button", 0, dir="-"),
    )


BOARDS = (
    Board(
        name="tang-nano-9k",
        title="Tang Nano 9K with a GW1NR-9C",
        device=find_device("gw1nr-9c"),
        profile=TINY,
        megahertz=36,
        seed=1,
        platform=TangNano9kPlatform,
        pins=_pins,
        adapter="BL702 on the board",
        baud=3_000_000,
        # As amaranth-boards has it: the pins of the configuration's SPI are for the design.
        packing=("--sspi_as_gpio", "--mspi_as_gpio"),
    ),
)
