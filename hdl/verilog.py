"""The accelerator as Verilog, for those who take it into a design of their own."""

import re
from dataclasses import replace
from enum import Enum

from amaranth.back import verilog

from hdl.accelerator import Accelerator
from hdl.axi4_lite import WORD_BYTES, AXI4LiteTop
from hdl.packet_stream import AXI4StreamTop
from hdl.profile import Profile

__all__ = ["Bus", "generate_verilog"]

#: Zeros for every row of a memory: most of the text, and no row is read before it is written.
_ZERO_INIT = re.compile(
    r"^  initial begin\n(?:    \S+ ?\[\d+\] = \d+'h0+;\n)+  end\n", re.MULTILINE
)
#: Signals without bits, which would have two in Verilog; nothing refers to them.
_NO_BITS = re.compile(r"^  wire \[-1:0\] \S+ ?;\n", re.MULTILINE)


class Bus(Enum):
    """What the packets come and go through."""

    #: `AXI4StreamTop`.
    AXI4_STREAM = "axi4-stream"
    #: `AXI4LiteTop`; the ``bus_bytes`` of the profile do not count.
    AXI4_LITE = "axi4-lite"


def generate_verilog(profile: Profile, module: str = "intaglio", bus: Bus = Bus.AXI4_STREAM) -> str:
    """Verilog-2001 of an `Accelerator` behind a bus, with ``module`` as its top.

    Beside the ports of the bus there are ``clk``, and ``rst``, synchronous and active high. A
    reset of one cycle is needed only where registers do not start with their ``initial`` values.
    Memories may hold anything when it ends: only tables have initial contents. Reset both stream
    partners with it: the first byte afterwards begins a packet, whatever was cut off.
    """
    text = verilog.convert(_top(profile, bus), name=module, emit_src=False)
    return _NO_BITS.sub("", _ZERO_INIT.sub("", text))


def _top(profile: Profile, bus: Bus):
    if bus is Bus.AXI4_LITE:
        return AXI4LiteTop(Accelerator(replace(profile, bus_bytes=WORD_BYTES)))
    return AXI4StreamTop(Accelerator(profile))
