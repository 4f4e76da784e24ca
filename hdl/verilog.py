"""The accelerator as Verilog, for those who take it into a design of their own."""

from amaranth.back import verilog

from hdl.accelerator import Accelerator
from hdl.packet_stream import AXI4StreamTop
from hdl.profile import Profile

__all__ = ["generate_verilog"]


def generate_verilog(profile: Profile, module: str = "intaglio") -> str:
    """Verilog-2001 of `AXI4StreamTop` around an `Accelerator`, with ``module`` as its top.

    Beside the AXI4-Stream ports there are ``clk``, and ``rst``, synchronous and active high.
    """
    return str(verilog.convert(AXI4StreamTop(Accelerator(profile)), name=module, emit_src=False))
