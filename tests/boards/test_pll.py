"""Dividers against those of ecppll, icepll and gowin_pll, which come with the tools; and limits."""

import re

import pytest

from boards.pll import ECP5PLL, ICE40PLL, GowinPLL
from boards.tools import Tool


def said(folder, program, arguments):
    """What a program prints."""
    Tool(program, folder).run(arguments, "pll.log")
    return (folder / "pll.log").read_text()


@pytest.mark.parametrize(("given", "wanted"), [(25, 100), (25, 120), (25, 90), (48, 100)])
def test_an_ecp5_gets_what_ecppll_says(tmp_path, given, wanted):
    text = said(tmp_path, "yowasp-ecppll", ["-i", f"{given}", "-o", f"{wanted}", "-f", "p"])
    dividers = re.findall(r"(?:Refclk|Feedback|clkout0) divisor: (\d+)", text)
    pll = ECP5PLL.find(given, wanted)
    assert dividers == [f"{pll.reference}", f"{pll.feedback}", f"{pll.output}"]


@pytest.mark.parametrize("wanted", [16.875, 18, 24, 60])
def test_an_ice40_gets_what_icepll_says(tmp_path, wanted):
    text = said(tmp_path, "yowasp-icepll", ["-i", "12", "-o", f"{wanted}"])
    fields = {name: int(value) for name, value in re.findall(r"(DIV\w|RANGE): +(\d+)", text)}
    pll = ICE40PLL.find(12, wanted)
    assert fields == {
        "DIVR": pll.divr,
        "DIVF": pll.divf,
        "DIVQ": pll.divq,
        "RANGE": pll.filter_range,
    }


@pytest.mark.parametrize("wanted", [9, 36, 40.5, 54, 108])
def test_a_gowin_gets_what_gowin_pll_says(tmp_path, wanted):
    text = said(tmp_path, "gowin_pll", ["-i", "27", "-o", f"{wanted}", "-d", "GW1NR-9 C6/I5"])
    dividers = [int(value) for value in re.findall(r"\.(?:ID|FBD|OD)IV_SEL\((\d+)\)", text)]
    pll = GowinPLL.find(27, wanted)
    assert dividers == [pll.idiv, pll.fbdiv, pll.odiv]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        *((25, wanted) for wanted in range(10, 201, 5)),
        *((48, wanted) for wanted in range(8, 193, 8)),
    ],
)
def test_what_an_ecp5_gets_is_exact_and_within_its_limits(given, wanted):
    pll = ECP5PLL.find(given, wanted)
    assert given * pll.feedback == wanted * pll.reference
    assert given / pll.reference >= 3.125
    assert 400 <= wanted * pll.output <= 800
    assert max(pll.reference, pll.output) <= 128
    assert pll.feedback <= 80


@pytest.mark.parametrize(
    ("pll", "given", "wanted", "sentence"),
    [
        (ECP5PLL, 25, 401, "an ECP5's PLL gives 3.125 to 400 MHz, not 401"),
        (ECP5PLL, 7, 100, "an ECP5's PLL takes 8 to 400 MHz, not 7"),
        (ECP5PLL, 25, 97.7, "an ECP5's PLL cannot make 97.7 MHz of 25"),
        (ICE40PLL, 12, 12, "an iCE40's PLL gives 16 to 275 MHz, not 12"),
        (ICE40PLL, 9, 18, "an iCE40's PLL takes 10 to 133 MHz, not 9"),
        (ICE40PLL, 12, 17, "an iCE40's PLL cannot make 17 MHz of 12"),
        (GowinPLL, 27, 3, "a Gowin PLL gives 3.125 to 600 MHz, not 3"),
        (GowinPLL, 2, 36, "a Gowin PLL takes 3 to 400 MHz, not 2"),
        (GowinPLL, 27, 37, "a Gowin PLL cannot make 37 MHz of 27"),
    ],
)
def test_a_clock_that_cannot_be_is_named(pll, given, wanted, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        pll.find(given, wanted)
