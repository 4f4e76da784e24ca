"""Sites for block RAMs: distinct, legal, in the order of the rounds, and only where they help."""

import copy
import itertools
import re

from boards.block_ram_sites import place_block_rams

#: What an LFE5U-85F has.
ROWS = {22, 46, 70, 82}
SITES = 208


def ram(kind="DP16KD"):
    return {"type": kind, "attributes": {"keep": "1"}, "connections": {}}


def netlist(rounds=14, others=30):
    """As Yosys writes a pipelined AES core in an accelerator, with one cell that is no RAM."""
    cells = {"core.aes.logic": {"type": "LUT4", "attributes": {}, "connections": {}}}
    for number in range(rounds + 1):
        for bit in (0, 36, 72, 108):
            cells[f"core.aes.round_keys_{number}.block_0_{bit}"] = ram("PDPW16KD")
        if number:
            for rom in range(0, 16, 2):
                cells[f"core.aes.round_{number}.rom_{rom}.block"] = ram()
    parts = ("released.memory", "lookup.contexts", "unknown")
    for index in range(others):
        cells[f"core.{parts[index % 3]}.{index}"] = ram()
    return {"creator": "Yosys", "modules": {"top": {"ports": {}, "cells": cells}}}


def sites(netlist):
    """Column and row of each RAM."""
    found = {}
    for name, cell in netlist["modules"]["top"]["cells"].items():
        if cell["type"] == "LUT4":
            assert "BEL" not in cell["attributes"]
            continue
        column, row = re.fullmatch(r"X(\d+)/Y(\d+)/EBR[0-3]", cell["attributes"]["BEL"]).groups()
        found[name] = int(column), int(row)
    return found


def test_every_ram_has_a_site_of_its_own():
    found = sites(place_block_rams(netlist(), "ecp5-85k"))
    assert len(found) == len(set(found.values())) == 14 * 12 + 4 + 30
    assert {row for _, row in found.values()} == ROWS


def test_all_sites_of_the_device_can_be_taken():
    found = sites(place_block_rams(netlist(others=SITES - 172), "ecp5-85k"))
    assert len(set(found.values())) == SITES


def test_rounds_follow_each_other_around_the_rest_and_end_where_they_begin():
    found = sites(place_block_rams(netlist(), "ecp5-85k"))
    rounds = [
        [site for name, site in found.items() if re.search(rf"round_(keys_)?{number}\.", name)]
        for number in range(15)
    ]
    for before, after in itertools.pairwise(rounds):
        # Beside each other in a row, or above each other at its end.
        gap = min(abs(a[0] - b[0]) + abs(a[1] - b[1]) for a in before for b in after)
        assert gap <= 5 or {row for _, row in before} != {row for _, row in after}
    rest = {column for name, (column, _) in found.items() if "round" not in name}
    beside = [column for column in range(min(rest)) if any(column == c for c, _ in found.values())]
    for ends in (rounds[0], rounds[14]):
        assert beside[-1] in {column for column, _ in ends}


def test_the_rest_is_in_the_order_in_which_a_record_passes_it():
    found = sites(place_block_rams(netlist(), "ecp5-85k"))
    rows = {
        part: [row for name, (_, row) in found.items() if part in name]
        for part in ("lookup", "released", "unknown")
    }
    assert max(rows["lookup"]) <= min(rows["released"])
    assert max(rows["released"]) <= min(rows["unknown"])


def test_other_attributes_stay_and_the_argument_is_not_changed():
    before = netlist()
    original = copy.deepcopy(before)
    after = place_block_rams(before, "ecp5-85k")
    assert before == original
    cell = after["modules"]["top"]["cells"]["core.aes.round_1.rom_0.block"]
    assert cell["attributes"]["keep"] == "1"


def test_where_it_does_not_help_nothing_changes():
    few, too_many, full = netlist(rounds=4), netlist(others=SITES - 171), netlist()
    no_rounds = netlist(rounds=-1, others=150)
    for design in (few, too_many, no_rounds):
        assert place_block_rams(design, "ecp5-85k") is design
    assert place_block_rams(full, "ecp5-45k") is full
