"""Which bits an output depends on."""

from mutations.cells import read_cells
from mutations.live import live_places

RTL = """module \\top
  wire width 2 input 1 \\in
  wire width 4 \\state
  wire width 4 \\next
  wire width 2 \\row
  wire \\above
  wire \\unread
  wire output 2 \\out
  cell $dffe $1
    connect \\CLK \\in [0]
    connect \\EN \\in [1]
    connect \\D \\next
    connect \\Q \\state
  end
  cell $not $2
    connect \\A \\state
    connect \\Y \\next
  end
  cell $gt $3
    connect \\A \\state [3:2]
    connect \\B \\state [2]
    connect \\Y \\above
  end
  cell $mem_v2 \\memory
    parameter \\WIDTH 2
    connect \\WR_DATA { \\next [1] \\above \\in }
    connect \\WR_EN \\in [0]
    connect \\RD_DATA \\row
  end
  cell $not $4
    connect \\A \\row [1]
    connect \\Y \\unread
  end
  connect \\out \\row [0]
end
"""


def test_what_no_output_depends_on_is_not_live():
    live = live_places(RTL, read_cells(RTL))
    # Rows of two bits, the lower one of which is read: of one port a bit of the input, of the other
    # a comparison of two bits of the state.
    assert {number for cell, port, number in live if port == "WR_DATA"} == {0, 2}
    for port in ("D", "Q"):
        assert {number for cell, each, number in live if (cell, each) == ("$1", port)} == {2, 3}
    assert {number for cell, port, number in live if cell == "$2"} == {2, 3}
    assert ("$1", "EN", 0) in live
    assert ("memory", "WR_EN", 0) in live
    assert not any(cell == "$4" for cell, port, number in live)
