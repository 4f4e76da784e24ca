"""The model of an ECP5's block RAM does what the gateware's portable memories do."""

from random import Random

import cocotb
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from boards.devices import find_device
from boards.netlist import synthesise_netlist
from cocotb_tests.runner import SEED
from hdl.block_ram import BlockRAM, TwinROM
from tests.boards.netlists import simulate_netlist

DEVICE = find_device("ecp5-25k")
#: Blocks of 36, 18, 9, 4, 2 and 1 bits a word; the first ones need several.
SHAPES = ((40, 512), (20, 1024), (10, 2048), (5, 4096), (3, 8192), (1, 16384))
TABLE = [Random(1).getrandbits(18) for _ in range(256)]


class Memories(wiring.Component):
    """A memory of each shape at one set of pins, and a table."""

    def __init__(self):
        pins = {"write": In(1), "write_address": In(14), "read_address": In(14)}
        pins |= {"write_data": In(40), "table_a": Out(18), "table_b": Out(18)}
        super().__init__(pins | {f"out_{width}": Out(width) for width, _ in SHAPES})

    def elaborate(self, platform):
        m = Module()
        for width, depth in SHAPES:
            m.submodules[f"ram_{width}"] = ram = BlockRAM(width, depth)
            m.d.comb += [
                ram.write.eq(self.write),
                ram.write_address.eq(self.write_address),
                ram.read_address.eq(self.read_address),
                ram.write_data.eq(self.write_data),
                getattr(self, f"out_{width}").eq(ram.read_data),
            ]
        m.submodules.table = table = TwinROM(TABLE, width=18)
        m.d.comb += [
            table.inputs[0].eq(self.read_address[:8]),
            table.inputs[1].eq(self.write_address[:8]),
            self.table_a.eq(table.outputs[0]),
            self.table_b.eq(table.outputs[1]),
        ]
        return m


@pytest.fixture(scope="module")
def netlist(tmp_path_factory) -> str:
    return synthesise_netlist(Memories, DEVICE, tmp_path_factory.mktemp("netlist"))


def simulate(netlist: str, name: str) -> None:
    simulate_netlist(netlist, DEVICE, __name__, f"block-ram-{name}")


def test_primitives_do_what_the_portable_memory_does(netlist):
    assert "PDPW16KD" in netlist
    assert "DP16KD" in netlist
    simulate(netlist, "good")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (".DATA_WIDTH_R(32'd36)", ".DATA_WIDTH_R(32'd18)"),
        ('.REGMODE("OUTREG")', '.REGMODE("OUTREG"), .CLKRMUX("INV")'),
    ],
)
def test_what_is_not_modelled_is_an_error(netlist, old, new):
    assert old in netlist
    with pytest.raises(pytest.fail.Exception, match="not_modelled"):
        simulate(netlist.replace(old, new), "odd")


def test_a_reset_that_is_used_ends_the_simulation(netlist):
    assert ".RSTB(1'h0)" in netlist
    with pytest.raises(pytest.fail.Exception, match="reset of a block RAM is not modelled"):
        simulate(netlist.replace(".RSTB(1'h0)", ".RSTB(write)"), "reset")


@cocotb.test()
async def words_come_back_two_cycles_later(dut):
    rng, addresses = Random(SEED), [0, 1, 511, 512, 1023, 8191, 16383]
    addresses += [rng.randrange(1 << 14) for _ in range(10)]
    # What each memory holds, by its own address, and what the last two reads were for.
    words: dict[int, dict[int, int]] = {width: {} for width, _ in SHAPES}
    expected: list[dict[str, int | None]] = []
    Clock(dut.clk, 10, "ns").start()
    dut.write.value = 0
    for _ in range(1500):
        await FallingEdge(dut.clk)
        if len(expected) == 2:
            for name, word in expected.pop(0).items():
                assert word is None or int(getattr(dut, name).value) == word, name
        write, written, read = rng.random() < 0.6, rng.choice(addresses), rng.choice(addresses)
        data = rng.getrandbits(40)
        dut.write.value, dut.write_data.value = int(write), data
        dut.write_address.value, dut.read_address.value = written, read
        outputs: dict[str, int | None] = {"table_a": TABLE[read & 255]}
        outputs["table_b"] = TABLE[written & 255]
        for width, depth in SHAPES:
            at, to = read % depth, written % depth
            # A read of what is being written is undefined: see the next test.
            outputs[f"out_{width}"] = None if write and at == to else words[width].get(at, 0)
            if write:
                words[width][to] = data & (1 << width) - 1
        expected.append(outputs)


@cocotb.test()
async def a_read_of_what_is_being_written_gives_neither_word(dut):
    Clock(dut.clk, 10, "ns").start()
    dut.write_address.value = dut.read_address.value = 5
    seen = []
    for write, data in ((1, 0x123), (1, 0x456), (0, 0), (0, 0), (0, 0)):
        dut.write.value, dut.write_data.value = write, data
        await FallingEdge(dut.clk)
        seen.append(int(dut.out_40.value))
    assert seen[2] == 0x123 ^ (1 << 40) - 1
    assert seen[4] == 0x456
