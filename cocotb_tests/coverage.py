"""Functional coverage of one simulation, kept by cocotb-coverage and written as JSON."""

import json
from pathlib import Path

from cocotb_coverage.coverage import CoverPoint

from cocotb_tests.coverage_points import POINTS
from cocotb_tests.monitor import Monitor
from cocotb_tests.sampling import Sampler

__all__ = ["Coverage"]


class Coverage:
    """Counts hits of the bins of `POINTS`.

    cocotb-coverage keeps its points in one database for the whole process: all with the same
    ``name`` count together.
    """

    def __init__(self, name: str):
        self._points = {
            point: CoverPoint(f"{name}.{point}", bins=list(bins)) for point, bins in POINTS.items()
        }
        # A CoverPoint samples the argument of a function that it decorates.
        self._samplers = {point: cover(lambda bin_: bin_) for point, cover in self._points.items()}

    def hit(self, point: str, bin_: str) -> None:
        """Count one hit; fails for a bin that the point does not have: it must not happen."""
        assert bin_ in POINTS[point], f"{bin_!r} is not a bin of {point!r}"
        self._samplers[point](bin_)

    def sample(self, monitor: Monitor, sampler: Sampler) -> None:
        """Count what the monitor has seen since the last call."""
        for transaction in monitor.take():
            for point, bin_ in sampler.samples(transaction):
                self.hit(point, bin_)
        for requests, completions in monitor.handshakes:
            self.hit("ports", f"requests {requests}, completions {completions}")
        monitor.handshakes.clear()

    def hits(self) -> dict[str, dict[str, int]]:
        """How often each bin has been hit."""
        return {
            name: {str(bin_): hits for bin_, hits in point.detailed_coverage.items()}
            for name, point in self._points.items()
        }

    def write(self, path: Path, **run: object) -> None:
        """Write the hits, and what there is to say about the run."""
        path.write_text(json.dumps({**run, "points": self.hits()}, indent=1) + "\n")
