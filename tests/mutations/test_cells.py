"""Reading RTLIL: what the bits of ports are connected to."""

import pytest

from mutations.cells import read_bits, read_cells

RTL = """module \\top
  wire width 3 output 1 \\y
  wire \\a
  wire width 4 signed \\b
  attribute \\full_case 1
  attribute \\src "/a/b.py:12|c.py:3.1-3.9"
  cell $and $flatten\\core.$1
    parameter \\A_WIDTH 8
    connect \\A { 2'1x \\b [2:1] \\a 3'010 }
    connect \\B \\b
    connect \\Y { \\b [3] \\b 1'1 }
  end
  cell $mem_v2 \\core.memory
    parameter \\WIDTH 7
    connect \\RD_EN 1'1
  end
end
"""


def test_what_bits_are_connected_to_is_found_at_their_places():
    cells = read_cells(RTL)
    gate = cells["$flatten\\core.$1"]
    assert gate.kind == "and"
    assert gate.bits("A") == [
        *(("", bit) for bit in "010"),
        ("\\a", 0),
        ("\\b", 1),
        ("\\b", 2),
        *(("", bit) for bit in "x1"),
    ]
    assert gate.bits("B") == [("\\b", number) for number in range(4)]
    assert gate.wires("A") == {"\\a", "\\b"}
    assert gate.sources == ("/a/b.py:12", "c.py:3.1-3.9")
    assert cells["core.memory"].sources == ()
    assert cells["core.memory"].size == 7
    assert cells["core.memory"].bits("RD_EN") == [("", "1")]


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("4'x", "xxxx"),
        ("5'01x", "x1000"),
        ("{ }", ""),
        ("5", "101" + "0" * 29),
        ("{ 2'10 -1 }", "1" * 32 + "01"),
    ],
)
def test_constants_are_written_in_many_ways(text, bits):
    assert read_bits(text, {}) == [("", bit) for bit in bits]
