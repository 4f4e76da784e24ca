"""The report names every hole, and fails for one without a reason or with one that is not true."""

import json

import pytest

from cocotb_tests.coverage_points import POINTS
from cocotb_tests.plan import read_plan
from cocotb_tests.report import main
from hdl.profile import PROFILES

PLAN = read_plan()


@pytest.fixture
def hits():
    """Of each profile, as if everything had happened that can."""
    return {
        profile: {
            point: {name: int(PLAN.reason(profile, point, name) is None) for name in bins}
            for point, bins in POINTS.items()
        }
        for profile in PROFILES
    }


@pytest.fixture
def report(tmp_path, capsys, monkeypatch):
    """Writes what simulations leave; the exit code, and what is printed on one line."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(hits) -> tuple[int, str, dict]:
        for profile, points in hits.items():
            folder = tmp_path / f"accelerator-{profile}"
            folder.mkdir()
            left = {"profile": profile, "seed": 1, "points": points}
            (folder / "coverage.json").write_text(json.dumps(left))
        code = main(["--json", str(tmp_path / "new" / "verify.json")], tmp_path)
        written = json.loads((tmp_path / "new" / "verify.json").read_text())
        return code, " ".join(capsys.readouterr().out.split()), written

    return run


def test_holes_with_a_reason_are_good(hits, report):
    code, printed, written = report(hits)
    assert code == 0
    assert "hole without a reason" not in printed
    assert "hole fast: answer: OPEN KEY_LIMIT: A key of these profiles" in printed
    assert len(written["holes"]) == sum(len(h.bins) * len(h.profiles) for h in PLAN.holes)


def test_a_hole_without_a_reason_fails(hits, report):
    hits["compact"]["window"]["oldest again"] = 0
    code, printed, written = report(hits)
    assert code == 1
    assert "hole without a reason compact: window: oldest again" in printed
    assert any(hole["bin"] == "oldest again" for hole in written["holes"])


def test_a_reason_for_what_has_happened_fails(hits, report):
    hits["tiny"]["answer"]["OPEN KEY_LIMIT"] = 3
    code, printed, _ = report(hits)
    assert code == 1
    assert "hit 3 times tiny: answer: OPEN KEY_LIMIT" in printed


def test_a_profile_that_has_not_run_fails(hits, report):
    del hits["fast"]
    code, printed, _ = report(hits)
    assert code == 1
    assert "fast has not run" in printed
