"""Changes to RTLIL as text."""

from sim.rtlil_text import split_wires

RTL = """module \\top
  wire width 2 \\whole
  attribute \\init 4'1101
  attribute \\src "a.py:1"
  wire width 4 \\pieces
  cell $dff $1
    connect \\D \\pieces
    connect \\Q \\pieces [0]
  end
  cell $dff $2
    connect \\D { \\whole 1'0 }
    connect \\Q \\pieces [3:1]
  end
end
"""

SPLIT = """module \\top
  wire width 2 \\whole
  attribute \\src "a.py:1"
  attribute \\init 1'1
  wire width 1 \\pieces@0
  attribute \\init 3'110
  wire width 3 \\pieces@1
  cell $dff $1
    connect \\D { \\pieces@1 [2:0] \\pieces@0 [0:0] }
    connect \\Q { \\pieces@0 [0:0] }
  end
  cell $dff $2
    connect \\D { \\whole 1'0 }
    connect \\Q { \\pieces@1 [2:0] }
  end
end
"""


def test_the_pieces_of_a_register_begin_with_their_part_of_what_it_begins_with():
    assert split_wires(RTL) == SPLIT
