"""A LiteX SoC with the accelerator on its bus: VexRiscv, RAM, a UART, and registers on AXI4-Lite.

    pip install 'intaglio[litex]'
    python examples/litex/soc.py --profile tiny --output build/litex

writes the SoC as Verilog, with `main.c` compiled into its ROM. On a board, take `Intaglio` and the
lines that add it into a target of litex-boards. cocotb_tests/test_litex.py simulates all of it.
"""

import argparse
import contextlib
import shutil
import struct
import subprocess
import sys
from pathlib import Path

from litex.build.generic_platform import GenericPlatform, Pins, Subsignal
from litex.build.io import CRG
from litex.gen import LiteXModule
from litex.soc.integration.export import get_csr_header, get_mem_header
from litex.soc.integration.soc import SoCRegion
from litex.soc.integration.soc_core import SoCCore
from litex.soc.interconnect.axi import AXILiteInterface
from litex.soc.interconnect.csr_eventmanager import EventManager, EventSourceLevel
from migen import ClockSignal, Instance, ResetSignal, Signal

from hdl.profile import PROFILES
from hdl.verilog import Bus, generate_verilog

HERE = Path(__file__).parent
#: In the region that the processor does not cache.
ORIGIN = 0x9000_0000
IO = [
    ("clk", 0, Pins(1)),
    ("rst", 0, Pins(1)),
    # Bytes instead of a line with a baud rate.
    (
        "serial",
        0,
        Subsignal("source_valid", Pins(1)),
        Subsignal("source_ready", Pins(1)),
        Subsignal("source_data", Pins(8)),
        Subsignal("sink_valid", Pins(1)),
        Subsignal("sink_ready", Pins(1)),
        Subsignal("sink_data", Pins(8)),
    ),
]


class Intaglio(LiteXModule):
    """The generated Verilog: ``bus`` is AXI4-Lite, ``ev`` makes the interrupt one of LiteX."""

    def __init__(self, platform, verilog: Path):
        self.bus = AXILiteInterface(data_width=32, address_width=32)
        self.ev = EventManager()
        self.ev.ready = EventSourceLevel()
        self.ev.finalize()
        irq = Signal()
        self.comb += self.ev.ready.trigger.eq(irq)
        self.specials += Instance(
            "intaglio",
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            o_irq=irq,
            **self._channel("aw", "i", addr=6, prot=3),
            **self._channel("w", "i", data=32, strb=4),
            **self._channel("b", "o", resp=2),
            **self._channel("ar", "i", addr=6, prot=3),
            **self._channel("r", "o", data=32, resp=2),
        )
        platform.add_source(str(verilog))

    def _channel(self, name: str, forward: str, **payload: int) -> dict[str, Signal]:
        """The ports of a channel, whose payload goes ``forward``: into the instance, or out."""
        channel, backward = getattr(self.bus, name), "o" if forward == "i" else "i"
        ports = {f"{forward}_s_axil_{name}valid": channel.valid}
        ports[f"{backward}_s_axil_{name}ready"] = channel.ready
        for field, width in payload.items():
            ports[f"{forward}_s_axil_{name}{field}"] = getattr(channel, field)[:width]
        return ports


class SoC(SoCCore):
    """What the example needs and no more."""

    def __init__(self, platform, verilog: Path):
        self.crg = CRG(platform.request("clk"), platform.request("rst"))
        super().__init__(
            platform,
            clk_freq=50e6,
            cpu_type="vexriscv",
            cpu_variant="minimal",
            integrated_rom_size=0x2000,
            integrated_sram_size=0x1000,
            uart_name="sim",
            with_timer=False,
        )
        self.intaglio = Intaglio(platform, verilog)
        region = SoCRegion(origin=ORIGIN, size=0x1000, cached=False)
        self.bus.add_slave("intaglio", self.intaglio.bus, region)
        self.irq.add("intaglio")


def compile_firmware(folder: Path) -> list[int]:
    """The words of the ROM, from main.c and the headers that LiteX generated."""
    # Zig has a C compiler for every processor, and comes from PyPI.
    flags = ["-target", "riscv32-freestanding", "-mcpu=generic_rv32", "-Os", "-Wall", "-Werror"]
    flags += ["-ffreestanding", "-fno-builtin", "-nostdlib", f"-I{folder}"]
    sources = ["-T", HERE / "link.ld", HERE / "main.c", "-o", folder / "main.elf"]
    subprocess.run([sys.executable, "-m", "ziglang", "cc", *flags, *sources], check=True)
    return loaded_words((folder / "main.elf").read_bytes())


def loaded_words(elf: bytes) -> list[int]:
    """What an ELF file of 32 bits loads at address 0, by its first program header."""
    (program_header,) = struct.unpack_from("<I", elf, 28)
    _, offset, address, _, size = struct.unpack_from("<5I", elf, program_header)
    assert address == 0
    image = elf[offset : offset + size]
    return [word for (word,) in struct.iter_unpack("<I", image + bytes(-size % 4))]


def build(profile: str, folder: Path) -> None:
    """Write soc.v, what it instantiates, and what its memories hold."""
    folder.mkdir(parents=True, exist_ok=True)
    verilog = folder / "intaglio.v"
    verilog.write_text(generate_verilog(PROFILES[profile], bus=Bus.AXI4_LITE))
    platform = GenericPlatform("none", IO)
    soc = SoC(platform, verilog)
    soc.finalize()
    header = get_mem_header(soc.mem_regions)
    header += get_csr_header(
        soc.csr.regions, soc.constants, with_csr_base_define=False, with_access_functions=False
    )
    (folder / "soc.h").write_text(header)
    soc.init_rom("rom", compile_firmware(folder))
    with contextlib.chdir(folder):  # what memories hold goes to files beside it
        platform.get_verilog(soc, name="soc").write("soc.v")
    for source, *_ in platform.sources:
        if Path(source).parent != folder:
            shutil.copy(source, folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--profile", choices=PROFILES, default="compact")
    parser.add_argument("--output", type=Path, default=Path("build/litex"))
    arguments = parser.parse_args()
    build(arguments.profile, arguments.output.resolve())
