"""The C++ compiler: which one there is, and running it."""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from sim.errors import SimulationError

__all__ = ["compile_library", "compiler_name", "find_compiler"]

#: -O3 doubles the speed of -O2 for a quarter more compile time: it unrolls the loops over the words
#: of wide values. No -march: a cache directory may be shared by machines.
_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-DCXXRTL_NDEBUG", "-w")


def find_compiler() -> list[str]:
    """The command of a C++ compiler with its flags.

    $CXX if it is set, else c++, g++ or clang++ on PATH, else Zig's from PyPI. Raises
    `SimulationError` if there is none.
    """
    if chosen := shlex.split(os.environ.get("CXX", "")):
        return [*chosen, *_FLAGS]
    for name in ("c++", "g++", "clang++"):
        if shutil.which(name):
            return [name, *_FLAGS]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "c++", "-mcpu=baseline", *_FLAGS]
    raise SimulationError(
        "No C++ compiler to build the simulation with: install g++ or clang++, "
        "or run `pip install intaglio[compiler]`."
    )


def compiler_name(command: list[str]) -> str:
    """What to call a compiler of `find_compiler` in a message."""
    return "Zig (whose first use takes minutes)" if "ziglang" in command else command[0]


def compile_library(command: list[str], source: Path, library: Path, includes: list[Path]) -> None:
    """Compile one source file to a shared library; raises `SimulationError`."""
    arguments = [*command, *(f"-I{path}" for path in includes), "-o", str(library), str(source)]
    try:
        result = subprocess.run(arguments, capture_output=True, text=True, errors="replace")
    except OSError as error:
        raise SimulationError(f"Cannot run the C++ compiler {command[0]}: {error}.") from error
    if result.returncode:
        raise SimulationError(
            f"The C++ compiler {command[0]} failed with exit code {result.returncode}: "
            f"{_first_error(result.stderr)}."
        )


def _first_error(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line), lines[0] if lines else "no message")
