"""Reading RTLIL: which bits of a port are constants."""

from mutations.cells import read_cells

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
    connect \\RD_EN 1'1
  end
end
"""


def test_constants_are_found_at_their_places():
    cells = read_cells(RTL)
    gate = cells["$flatten\\core.$1"]
    assert gate.kind == "and"
    assert gate.constants("A") == {0: "0", 1: "1", 2: "0", 6: "x", 7: "1"}
    assert gate.constants("B") == {}
    assert [gate.width(port) for port in "ABY"] == [8, 4, 6]
    assert gate.constants("Y") == {0: "1"}
    assert gate.wires("A") == {"\\a", "\\b"}
    assert gate.sources == ("/a/b.py:12", "c.py:3.1-3.9")
    assert cells["core.memory"].sources == ()
    assert cells["core.memory"].constants("RD_EN") == {0: "1"}
