"""Netlists under cocotb tests."""

import re
from collections.abc import Mapping

from boards.devices import Device
from boards.netlist import cell_models
from cocotb_tests.runner import new_folder, run_verilog, skip_without_libpython

__all__ = ["simulate_netlist"]

#: A netlist is large and its tests are short, so it is compiled without optimisation. The warnings
#: are about delays in the models, which Verilator leaves out, and about how their memories begin.
_ARGUMENTS = ("-Wno-SPECIFYIGN", "-Wno-INITIALDLY", "-CFLAGS", "-O0")


def simulate_netlist(
    netlist: str,
    device: Device,
    test_module: str,
    name: str,
    environment: Mapping[str, str] | None = None,
    tests: str | None = None,
) -> None:
    """Run the cocotb tests of ``test_module`` on a netlist in the cells of ``device``.

    ``name``, ``environment`` and ``tests`` are those of `cocotb_tests.runner`. Fails the pytest
    test if one of them does, or if a cell is used in a way that its model has not.
    """
    skip_without_libpython()
    folder = new_folder(name)
    source = folder / "top.v"
    source.write_text(netlist + cell_models(device))
    run_verilog(
        folder,
        [source],
        "top",
        _ports(netlist),
        test_module,
        environment,
        arguments=_ARGUMENTS,
        tests=tests,
    )


def _ports(netlist: str) -> dict[str, bool]:
    """Each port of a netlist, and whether it is an input."""
    ports = re.findall(r"^  (input|output) (?:\[\d+:0\] )?(\w+) ?;", netlist, re.MULTILINE)
    return {name: direction == "input" for direction, name in ports}
