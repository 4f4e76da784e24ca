"""The accelerator as Verilog, for those who take it into a design of their own."""

import re

from amaranth.back import verilog

from hdl.accelerator import Accelerator
from hdl.packet_stream import AXI4StreamTop
from hdl.profile import Profile

__all__ = ["generate_verilog"]

#: Zeros for every row of a memory: most of the text, and no row is read before it is written.
_ZERO_INIT = re.compile(
    r"^  initial begin\n(?:    \S+ ?\[\d+\] = \d+'h0+;\n)+  end\n", re.MULTILINE
)
#: Signals without bits, which would have two in Verilog; nothing refers to them.
_NO_BITS = re.compile(r"^  wire \[-1:0\] \S+ ?;\n", re.MULTILINE)


def generate_verilog(profile: Profile, module: str = "intaglio") -> str:
    """Verilog-2001 of `AXI4StreamTop` around an `Accelerator`, with ``module`` as its top.

    Beside the AXI4-Stream ports there are ``clk``, and ``rst``, synchronous and active high. A
    reset of one cycle is needed only where registers do not start with their ``initial`` values.
    Memories may hold anything when it ends: only tables have initial contents. Reset both stream
    partners with it: the first byte afterwards begins a packet, whatever was cut off.
    """
    text = verilog.convert(AXI4StreamTop(Accelerator(profile)), name=module, emit_src=False)
    return _NO_BITS.sub("", _ZERO_INIT.sub("", text))
