"""What goes to the tools for each board: its pins, its clocks, and a PLL between them."""

import re
from dataclasses import replace
from functools import cache

import pytest

from boards.bitstream import elaborate
from boards.catalogue import BOARDS, find_board
from boards.devices import DEVICES
from hdl.profile import TINY

#: Where the boards' schematics have the clock, RX, TX, lights and the button for a reset.
PINS = {
    "icebreaker": "35 6 9 37 11 10",
    "ulx3s-12f": "G2 M1 L4 B2 C2 C1 D2 R1",
    "ulx3s-25f": "G2 M1 L4 B2 C2 C1 D2 R1",
    "ulx3s-85f": "G2 M1 L4 B2 C2 C1 D2 R1",
    "orangecrab-25f": "A9 N17 M18 M3 J3 K4 J17",
    "orangecrab-85f": "A9 N17 M18 M3 J3 K4 J17",
    "tang-nano-9k": "52 18 17 10 11 13 14 3",
}

#: How the PLL is called; and where the file of pins has its clock, if the tools read one there.
PLLS = {
    "ecp5": ("EHXPLLL", r'FREQUENCY NET "pll_clock" (\S+)'),
    "ice40": ("SB_PLL40_PAD", r"set_frequency pll_clock (\S+)"),
    "gowin": ("rPLL", None),
}


@cache
def elaborated(name):
    """With the smallest profile; any has the same pins."""
    return elaborate(BOARDS[name], TINY)


every_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


@every_board
def test_pins_and_clocks_are_those_of_the_board(board):
    text, constraints = elaborated(board.name)
    located = re.findall(r'(?:set_io \S+ |SITE "|IO_LOC "\S+" )(\w+)', constraints)
    assert set(PINS[board.name].split()) <= set(located)
    primitive, frequency = PLLS[board.device.family]
    assert text.count(f"cell \\{primitive} ") == 1
    if frequency:
        (found,) = re.findall(frequency, constraints)
        assert found in {f"{board.megahertz * 1e6:.1f}", f"{board.megahertz:.1f}"}


@every_board
def test_no_file_or_folder_is_named(board):
    text, constraints = elaborated(board.name)
    assert ".py" not in text + constraints


@every_board
def test_the_part_is_that_of_its_device(board):
    device = DEVICES[board.device.name]
    assert board.device.family == device.family
    assert board.device.part.rpartition("-")[0] == device.part.rpartition("-")[0]
    assert "--out-of-context" not in board.device.arguments
    platform = board.platform()
    if device.family == "gowin":
        assert platform.part == device.part
        return
    assert platform.device.lower() == device.part.rpartition("-")[0].lower()
    if device.family == "ecp5":
        assert board.device.part.endswith(f"-{platform.speed}{platform.package}C")


def test_an_unknown_board_is_told_with_the_choices():
    with pytest.raises(ValueError, match="board 'papilio' is not one of icebreaker, ulx3s-12f"):
        find_board("papilio")


def test_a_clock_that_the_pll_does_not_make_is_named():
    with pytest.raises(ValueError, match="an iCE40's PLL cannot make 17 MHz of 12"):
        replace(find_board("icebreaker"), megahertz=17)
