"""The test plan names tests, proofs and coverage points that there are, and leaves none out."""

import ast
from functools import cache
from pathlib import Path

import pytest

from cocotb_tests.coverage_points import POINTS
from cocotb_tests.plan import STAGES, read_plan
from hdl.profile import PROFILES
from proofs.__main__ import find_properties

ROOT = Path(__file__).parents[2]
PLAN = read_plan()
with_point = pytest.mark.parametrize("point", PLAN.points, ids=lambda point: point.name)


def is_test(node: ast.stmt) -> bool:
    """Whether pytest or cocotb collects it."""
    match node:
        case ast.ClassDef(name=name):
            return name.startswith("Test")
        case ast.FunctionDef(name=name):
            return name.startswith("test_")
        case ast.AsyncFunctionDef(decorator_list=decorators):
            return "cocotb.test()" in map(ast.unparse, decorators)
    return False


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of the tests in a file, those in classes behind the name of their class."""
    names = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        if is_test(node):
            names.add(node.name)
        if isinstance(node, ast.ClassDef) and is_test(node):
            names |= {f"{node.name}::{inner.name}" for inner in node.body if is_test(inner)}
    return frozenset(names)


def is_there(test: str) -> bool:
    path, _, name = test.partition("::")
    return (ROOT / path).is_file() and (name in names_in(path) if name else bool(names_in(path)))


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("tests/hdl/test_model.py::TestOpen::test_malformed_records", True),
        ("tests/hdl/test_model.py::TestOpen", True),
        ("cocotb_tests/random_traffic.py::random_traffic", True),
        ("cocotb_tests/test_axi.py", True),
        ("cocotb_tests/test_accelerator.py::start", False),
        ("tests/hdl/test_model.py::test_malformed_records", False),
        ("tests/hdl/traffic.py", False),
        ("tests/hdl/test_nothing.py::test_nothing", False),
    ],
)
def test_a_test_is_told_from_what_is_none(test, expected):
    assert is_there(test) is expected


def test_names_are_unique():
    names = [point.name for point in PLAN.points]
    assert len(names) == len(set(names))


@with_point
def test_what_shows_a_point_is_there(point):
    properties = [item.name for _, item in find_properties(slow=True)]
    assert point.stage in STAGES
    assert point.tests
    assert [test for test in point.tests if not is_there(test)] == []
    assert [
        proof for proof in point.proofs if not any(name.startswith(proof) for name in properties)
    ] == []
    assert set(point.coverage) <= set(POINTS)


def test_every_stage_has_a_point():
    assert {point.stage for point in PLAN.points} == set(STAGES)


def test_every_coverage_point_is_in_the_plan():
    assert {name for point in PLAN.points for name in point.coverage} == set(POINTS)


def test_every_property_that_is_proved_is_in_the_plan():
    named = tuple(proof for point in PLAN.points for proof in point.proofs)
    properties = [item.name for _, item in find_properties(slow=True)]
    assert [name for name in properties if not name.startswith(named)] == []


@pytest.mark.parametrize("hole", PLAN.holes, ids=lambda hole: hole.coverage)
def test_holes_are_bins_of_profiles_and_have_a_reason(hole):
    assert set(hole.bins) <= set(POINTS[hole.coverage])
    assert set(hole.profiles) <= set(PROFILES)
    assert hole.reason
