"""The PLLs of a board's FPGA: the clock of a board in, the clock of the accelerator out.

Each class finds dividers that give the wanted clock exactly, within what the data sheet allows.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from amaranth.hdl import Const, Instance, Signal

__all__ = ["ECP5PLL", "ICE40PLL", "PLL", "PLLS", "GowinPLL"]


@dataclass(frozen=True)
class ECP5PLL:
    """An EHXPLLL that takes its feedback from CLKOP.

    VCO = input / ``reference`` * ``feedback`` * ``output``; CLKOP = VCO / ``output``. Limits:
    Lattice FPGA-DS-02012, "sysCLOCK PLL Timing"; dividers: FPGA-TN-02200.
    """

    megahertz: Fraction
    #: CLKI_DIV, CLKFB_DIV and CLKOP_DIV.
    reference: int
    feedback: int
    output: int

    @classmethod
    def find(cls, given_megahertz: float, megahertz: float) -> Self:
        """The dividers; of those that give this clock, the ones whose VCO is nearest to 600 MHz.

        Raises ValueError, naming the value, if there are none.
        """
        given, wanted = Fraction(given_megahertz), Fraction(megahertz)
        if not 8 <= given <= 400:
            raise ValueError(f"an ECP5's PLL takes 8 to 400 MHz, not {float(given):g}")
        if not Fraction("3.125") <= wanted <= 400:
            raise ValueError(f"an ECP5's PLL gives 3.125 to 400 MHz, not {float(wanted):g}")
        ratio = wanted / given
        for scale in range(1, 128 // ratio.denominator + 1):
            reference, feedback = ratio.denominator * scale, ratio.numerator * scale
            if feedback > 80 or given / reference < Fraction("3.125"):
                break
            outputs = [each for each in range(1, 129) if 400 <= wanted * each <= 800]
            if outputs:
                output = min(outputs, key=lambda each: abs(wanted * each - 600))
                return cls(wanted, reference, feedback, output)
        raise ValueError(f"an ECP5's PLL cannot make {float(wanted):g} MHz of {float(given):g}")

    def instance(self, source: Signal, clock: Signal, locked: Signal) -> Instance:
        """The primitive: no phase shift, and the loop filter of Project Trellis' ecppll."""
        return Instance(
            "EHXPLLL",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            p_OUTDIVIDER_MUXA="DIVA",
            p_CLKI_DIV=self.reference,
            p_CLKFB_DIV=self.feedback,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_DIV=self.output,
            p_CLKOP_CPHASE=self.output - 1,
            p_CLKOP_FPHASE=0,
            p_FEEDBK_PATH="CLKOP",
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(1),
            i_PHASESTEP=Const(1),
            i_PHASELOADREG=Const(1),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            i_CLKI=source,
            i_CLKFB=clock,
            o_CLKOP=clock,
            o_LOCK=locked,
        )


@dataclass(frozen=True)
class ICE40PLL:
    """An SB_PLL40_PAD with simple feedback: its input comes straight from the pin beside it.

    VCO = input / (``divr`` + 1) * (``divf`` + 1); output = VCO / 2 ** ``divq``. Limits: Lattice
    FPGA-DS-02008, "sysCLOCK PLL Timing"; parameters: FPGA-TN-02052.
    """

    megahertz: Fraction
    divr: int
    divf: int
    divq: int
    filter_range: int

    @classmethod
    def find(cls, given_megahertz: float, megahertz: float) -> Self:
        """The dividers, with the fastest phase detector.

        Raises ValueError, naming the value, if there are none.
        """
        given, wanted = Fraction(given_megahertz), Fraction(megahertz)
        if not 10 <= given <= 133:
            raise ValueError(f"an iCE40's PLL takes 10 to 133 MHz, not {float(given):g}")
        if not 16 <= wanted <= 275:
            raise ValueError(f"an iCE40's PLL gives 16 to 275 MHz, not {float(wanted):g}")
        for divr in range(16):
            detector = given / (divr + 1)
            for divq in range(1, 7):
                vco = wanted * 2**divq
                multiple = vco / detector
                fits = multiple.denominator == 1 and 1 <= multiple <= 128
                if fits and detector >= 10 and 533 <= vco <= 1066:
                    return cls(wanted, divr, int(multiple) - 1, divq, _filter_range(detector))
        raise ValueError(f"an iCE40's PLL cannot make {float(wanted):g} MHz of {float(given):g}")

    def instance(self, pad, clock: Signal, locked: Signal) -> Instance:
        """The primitive; ``pad`` is the port of the clock's pin, without a buffer."""
        return Instance(
            "SB_PLL40_PAD",
            p_FEEDBACK_PATH="SIMPLE",
            p_DIVR=Const(self.divr, 4),
            p_DIVF=Const(self.divf, 7),
            p_DIVQ=Const(self.divq, 3),
            p_FILTER_RANGE=Const(self.filter_range, 3),
            i_RESETB=Const(1),
            i_BYPASS=Const(0),
            i_PACKAGEPIN=pad,
            o_PLLOUTGLOBAL=clock,
            o_LOCK=locked,
        )


@dataclass(frozen=True)
class GowinPLL:
    """An rPLL of a GW1NR-9C in speed grade C6/I5, with its feedback inside.

    Output = input / (``idiv`` + 1) * (``fbdiv`` + 1); VCO = output * ``odiv``. Limits: Gowin DS117,
    "PLL Switching Characteristic", as Apicula's gowin_pll has them; parameters: Gowin UG286.
    """

    given_megahertz: Fraction
    megahertz: Fraction
    idiv: int
    fbdiv: int
    odiv: int

    @classmethod
    def find(cls, given_megahertz: float, megahertz: float) -> Self:
        """The dividers, with the fastest phase detector and the slowest VCO.

        Raises ValueError, naming the value, if there are none.
        """
        given, wanted = Fraction(given_megahertz), Fraction(megahertz)
        if not 3 <= given <= 400:
            raise ValueError(f"a Gowin PLL takes 3 to 400 MHz, not {float(given):g}")
        if not Fraction("3.125") <= wanted <= 600:
            raise ValueError(f"a Gowin PLL gives 3.125 to 600 MHz, not {float(wanted):g}")
        for idiv in range(64):
            detector = given / (idiv + 1)
            multiple = wanted / detector
            if detector < 3 or multiple > 64:
                break
            for odiv in (2, 4, 8, *range(16, 129, 16)):
                if multiple.denominator == 1 and 400 < wanted * odiv < 1200:
                    return cls(given, wanted, idiv, int(multiple) - 1, odiv)
        raise ValueError(f"a Gowin PLL cannot make {float(wanted):g} MHz of {float(given):g}")

    def instance(self, source: Signal, clock: Signal, locked: Signal) -> Instance:
        """The primitive; what can be changed while it runs is fixed."""
        fixed = {"RESET": 1, "RESET_P": 1, "CLKFB": 1, "FBDSEL": 6, "IDSEL": 6, "ODSEL": 6}
        fixed |= {"PSDA": 4, "DUTYDA": 4, "FDLY": 4}
        return Instance(
            "rPLL",
            p_DEVICE="GW1NR-9C",
            p_FCLKIN=f"{float(self.given_megahertz):g}",
            p_IDIV_SEL=self.idiv,
            p_FBDIV_SEL=self.fbdiv,
            p_ODIV_SEL=self.odiv,
            **{f"i_{name}": Const(0, width) for name, width in fixed.items()},
            i_CLKIN=source,
            o_CLKOUT=clock,
            o_LOCK=locked,
        )


PLL = ECP5PLL | ICE40PLL | GowinPLL

#: By family of devices.
PLLS: dict[str, type[PLL]] = {"ecp5": ECP5PLL, "ice40": ICE40PLL, "gowin": GowinPLL}


def _filter_range(detector: Fraction) -> int:
    """By the frequency of the phase detector, as Project IceStorm's icepll has it."""
    return 1 + sum(detector >= limit for limit in (17, 26, 44, 66, 101))
