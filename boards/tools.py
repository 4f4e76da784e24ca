"""Yosys, nextpnr and the packers as PyPI has them: WebAssembly (YoWASP) or Python."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path

import platformdirs

__all__ = ["SynthesisError", "Tool"]


class SynthesisError(Exception):
    """A design could not be synthesised; the text is one sentence for the user."""


class Tool:
    """A tool that reads and writes files of one folder, and leaves its output there as a log.

    ``name`` is what it is called on the command line. Raises `SynthesisError` if no installed
    package has it.
    """

    def __init__(self, name: str, folder: Path):
        self.name = name
        # The tools take a /tmp of their own for the real one, so all they get is relative to this.
        self._folder = folder.resolve()
        found = tuple(entry_points(group="console_scripts", name=name))
        if not found:
            raise SynthesisError(
                f"the tool {name} is missing: pip install 'intaglio[synth]' brings it"
            )
        self._entry = found[0]

    @property
    def package(self) -> str:
        """The package that it is of."""
        return self._entry.dist.name

    def prepare(self) -> None:
        """Have the tool compiled for this machine, which is done once and takes up to a minute.

        YoWASP keeps what it has compiled, but would spoil it if two processes did so at once.
        """
        with _exclusive(_yowasp_cache() / "intaglio.lock"):
            self.run(["--version"], f"{self.name}.version.log")

    def run(self, arguments: Sequence[str], log: str) -> None:
        """Run the tool once; raises `SynthesisError` if it fails."""
        self.run_all({log: arguments}, lambda log: None)

    def run_all(self, runs: Mapping[str, Sequence[str]], finished: Callable[[str], None]) -> None:
        """Run the tool with each of these arguments, by the name of their log, a core each.

        ``finished`` is told of each log in turn. Nothing runs any more when this returns or raises.
        """
        waiting = list(runs.items())
        running: dict[str, subprocess.Popen] = {}
        try:
            while waiting or running:
                while waiting and len(running) < _cores():
                    log, arguments = waiting.pop(0)
                    running[log] = self._start(arguments, log)
                time.sleep(0.05)
                for log in [log for log, process in running.items() if process.poll() is not None]:
                    self._check(running.pop(log).returncode, log)
                    finished(log)
        finally:
            for process in running.values():
                process.kill()
                process.wait()

    def _start(self, arguments: Sequence[str], log: str) -> subprocess.Popen:
        module, function = self._entry.module, self._entry.attr
        program = f"import sys; from {module} import {function} as run; sys.exit(run())"
        with (self._folder / log).open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-c", program, *arguments],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # What a killed tool leaves goes the way of the folder.
                env={**os.environ, "TMPDIR": str(self._folder)},
            )

    def _check(self, code: int, log: str) -> None:
        if code < 0:
            raise SynthesisError(f"{self.name} was ended by {signal.Signals(-code).name}")
        if code:
            output = (self._folder / log).read_text(errors="replace")
            raise SynthesisError(
                f"{self.name} failed with exit code {code}: {_first_error(output)}"
            )


def _first_error(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next((line for line in lines if "ERROR" in line), lines[-1] if lines else "no message")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _yowasp_cache() -> Path:
    chosen = os.environ.get("YOWASP_CACHE_DIR")
    return Path(chosen) if chosen else platformdirs.user_cache_path("YoWASP", appauthor=False)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
