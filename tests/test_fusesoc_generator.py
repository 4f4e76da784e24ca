"""FuseSoC's generator, run as FuseSoC runs it: a YAML file in, Verilog and a core out."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
GENERATOR = ROOT / "fusesoc" / "generate.py"


def generate(folder, parameters):
    asked = folder / "asked.yml"
    asked.write_text(yaml.safe_dump({"vlnv": "::sealer:0", "parameters": parameters}))
    return subprocess.run(
        [sys.executable, GENERATOR, asked],
        cwd=folder,
        # The code of this checkout, whatever is installed.
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_the_core_has_the_verilog_that_was_asked_for(tmp_path):
    asked = {"profile": "tiny", "bus": "axi4-lite", "module": "sealer", "slots": 2}
    result = generate(tmp_path, asked)
    assert result.returncode == 0, result.stderr
    core = yaml.safe_load((tmp_path / "generated.core").read_text().removeprefix("CAPI=2:\n"))
    assert core["name"] == "::sealer:0"
    (name,) = core["filesets"]["rtl"]["files"]
    header, *_ = (tmp_path / name).read_text().splitlines()
    assert "sealer: Intaglio" in header
    assert "axi4-lite" in header
    assert "slots=2" in header


def test_a_wrong_parameter_is_one_sentence(tmp_path):
    for parameters, word in (
        ({"profile": "huge"}, "huge"),
        ({"bus": "wishbone"}, "wishbone"),
        ({"slot": 4}, "slot"),
        ({"slots": 1}, "slots is 1"),
    ):
        result = generate(tmp_path, parameters)
        assert result.returncode == 1
        assert word in result.stderr
        assert result.stderr.count("\n") == 1
