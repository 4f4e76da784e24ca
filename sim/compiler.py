"""The C++ compiler: which one there is, and running it."""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sim.errors import SimulationError

__all__ = ["compile_library", "compiler_name", "find_compiler"]

#: -O3 doubles the speed of -O2 for a quarter more compile time: it unrolls the loops over the words
#: of wide values. No -march: a cache directory may be shared by machines.
_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-DCXXRTL_NDEBUG", "-w")


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


def compile_library(
    command: list[str], sources: Sequence[Path], library: Path, includes: Sequence[Path]
) -> None:
    """Compile sources, as many at a time as there are CPUs, and link them to a shared library.

    The object files stay beside the library. Raises `SimulationError`.
    """
    options = [f"-I{path}" for path in includes]

    def compile_source(source: Path) -> Path:
        target = library.with_name(f"{source.stem}.o")
        _run([*command, *options, "-c", "-o", str(target), str(source)])
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_source, sources))
    _run([*command, "-shared", "-o", str(library), *map(str, objects)])


def _run(command: list[str]) -> None:
    try:
        result = subprocess.run(command, capture_output=True, text=True, errors="replace")
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
