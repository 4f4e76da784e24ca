"""The LiteX example: a program on its processor seals and opens records through the registers."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from cocotb_tests.runner import new_folder, run_verilog, skip_without_libpython
from driver.messages import Completion, Load, Opcode, Request, Status, Suite, Usage
from hdl.model import AcceleratorModel
from hdl.profile import TINY

ROOT = Path(__file__).parents[1]
NEEDED = ("litex", "migen", "pythondata_cpu_vexriscv", "ziglang")
PORTS = {
    "clk": True,
    "rst": True,
    "serial_source_valid": False,
    "serial_source_ready": True,
    "serial_source_data": False,
    "serial_sink_valid": True,
}


def test_litex():
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        pytest.skip(f"{', '.join(missing)} is missing: pip install 'intaglio[litex]' brings it")
    skip_without_libpython()
    folder = new_folder("litex")
    command = [sys.executable, ROOT / "examples" / "litex" / "soc.py", "--profile", TINY.name]
    result = subprocess.run(
        [*command, "--output", folder],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    # How Migen writes combinational logic.
    (folder / "migen.vlt").write_text("`verilator_config\nlint_off -rule COMBDLY\n")
    sources = [folder / name for name in ("migen.vlt", "soc.v", "intaglio.v", "VexRiscv_Min.v")]
    run_verilog(folder, sources, "soc", PORTS, __name__)


def expected_completions() -> list[bytes]:
    """What `AcceleratorModel` answers to what examples/litex/main.c asks."""
    model = AcceleratorModel(TINY)

    def ask(opcode: Opcode, slot: int, payload: bytes = b"") -> Completion:
        completion = model.request(Request(opcode, slot, 0, payload).pack())
        answers.append(completion)
        return Completion.unpack(completion)

    def load(usage: Usage) -> bytes:
        key, iv = bytes(range(16)), bytes(range(0xA0, 0xAC))
        record_number_key = bytes(range(0x40, 0x50))
        return Load(Suite.AES_128_GCM, usage, key, iv, record_number_key, epoch=3).pack()

    answers: list[bytes] = []
    ask(Opcode.INFO, 0)
    ask(Opcode.LOAD, 0, load(Usage.SEAL))
    ask(Opcode.LOAD, 1, load(Usage.OPEN))
    record = ask(Opcode.SEAL, 0, b"hello\x17").payload
    assert ask(Opcode.OPEN, 1, record).payload[8:] == b"hello\x17"
    damaged = record[:-1] + bytes([record[-1] ^ 1])
    assert ask(Opcode.OPEN, 1, damaged).status == Status.BAD_TAG
    return answers


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def the_program_prints_the_completions_of_the_model(dut):
    Clock(dut.clk, 20, unit="ns").start()
    dut.serial_source_ready.value = 1
    dut.serial_sink_valid.value = 0
    dut.rst.value = 1
    await ClockCycles(dut.clk, 10)
    dut.rst.value = 0
    expected = [completion.hex() for completion in expected_completions()]
    printed = ""
    while printed.count("\n") < len(expected):
        await RisingEdge(dut.clk)
        if dut.serial_source_valid.value:
            printed += chr(int(dut.serial_source_data.value))
    assert printed.splitlines() == expected
