"""Simulation backends of the gateware, and the link from the driver to them."""

from collections.abc import Callable
from pathlib import Path

from amaranth.lib.wiring import Component

from hdl.packet_stream import AXI4StreamTop
from sim.amaranth_backend import AmaranthSimulation
from sim.cxxrtl_backend import CompiledModel
from sim.errors import SimulationError
from sim.link import SimulatedLink
from sim.simulation import Simulation
from sim.stream_timing import FULL_RATE, StreamTiming

__all__ = [
    "CompiledModel",
    "SimulatedLink",
    "Simulation",
    "SimulationError",
    "StreamTiming",
    "simulate",
]


def simulate(
    component: Component,
    backend: str = "cxxrtl",
    waves: Path | None = None,
    timing: StreamTiming = FULL_RATE,
    progress: Callable[[str], None] | None = None,
) -> Simulation:
    """Simulate a component with packet streams ``requests`` and ``completions``, from its reset.

    ``backend`` is "cxxrtl" (compiled, cached, fast) or "amaranth" (slow, needs no compiler).
    ``waves`` is a VCD file to write, ``timing`` makes the streams idle and stall, and ``progress``
    is told what is being built. Raises ValueError for another backend, `SimulationError` if the
    model cannot be built.
    """
    if backend == "cxxrtl":
        return CompiledModel(component, waves is not None, progress).simulate(waves, timing)
    if backend == "amaranth":
        return AmaranthSimulation(AXI4StreamTop(component), waves, timing)
    raise ValueError(f"backend {backend!r} is neither 'cxxrtl' nor 'amaranth'")
