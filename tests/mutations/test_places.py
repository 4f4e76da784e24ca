"""Where a cell comes from, and where one does that Yosys has made."""

import pytest

from mutations.cells import read_cells
from mutations.places import ROOT, Places

RTL = f"""module \\top
  wire \\core.engine.tag.whole
  wire width 2 \\core.engine.age
  wire $auto$1
  wire $auto$2
  attribute \\src "/elsewhere/stream.py:49|{ROOT}/hdl/gcm.py:12.1-12.9"
  cell $and $flatten\\core.\\engine.\\verdict$7.$150
    connect \\A \\core.engine.age
    connect \\Y $auto$1
  end
  cell $not $auto$simple.cc:1$3
    connect \\A $auto$1
    connect \\Y $auto$2
  end
  attribute \\src "{ROOT}/.venv/lib/stream.py:3"
  cell $dffe $auto$ff.cc:1$4
    connect \\D $auto$1
    connect \\EN $auto$2
    connect \\Q \\core.engine.tag.whole
  end
  attribute \\src "{ROOT}/hdl/unit.py:5"
  cell $mem_v2 \\core.engine.judged.memory
    connect \\RD_ADDR \\core.engine.tag.whole
    connect \\RD_DATA \\core.engine.age
  end
  cell $not $13
    connect \\A $auto$1
    connect \\Y \\out
  end
end
"""


@pytest.mark.parametrize(
    ("cell", "block", "source"),
    [
        ("$flatten\\core.\\engine.\\verdict$7.$150", "engine.verdict", "hdl/gcm.py:12"),
        # By the register that it leads to, and by what reads that.
        ("$auto$simple.cc:1$3", "engine.tag", "hdl/unit.py:5"),
        ("$auto$ff.cc:1$4", "engine.tag", "hdl/unit.py:5"),
        ("core.engine.judged.memory", "engine.judged", "hdl/unit.py:5"),
        ("$13", "", ""),
    ],
)
def test_places_are_of_the_cell_or_of_what_it_leads_to(cell, block, source):
    places = Places(read_cells(RTL))
    assert places.block(cell) == block
    assert places.source(cell) == source
