"""Explanations of mutants that survive: of lines that are there, and of those alone."""

from pathlib import Path

import pytest

from mutations.draw import Mutant
from mutations.survivors import Explanation, explain, read_explanations

ROOT = Path(__file__).parents[2]


def mutant(**fields):
    given = {
        "number": 1,
        "mode": "inv",
        "block": "engine.tag",
        "cell_type": "xor",
        "cell": "cell",
        "port": "A",
        "bit": 3,
        "other_bit": 3,
        "source": "tests/mutations/test_survivors.py:1",
    }
    return Mutant(**given | fields)


LINE = '"""Explanations of mutants that survive: of lines that are there, and of those alone."""'


@pytest.mark.parametrize(
    ("fields", "covers"),
    [
        ({}, True),
        ({"cells": ("xor", "or")}, True),
        ({"cells": ("and",)}, False),
        ({"ports": ("A", "B")}, True),
        ({"ports": ("Y",)}, False),
        ({"modes": ("inv",)}, True),
        ({"modes": ("const0",)}, False),
        ({"bits": (0, 3)}, True),
        ({"bits": (4, 7)}, False),
        ({"block": "engine"}, False),
        ({"line": "another"}, False),
    ],
)
def test_an_explanation_is_about_what_it_names(fields, covers):
    entry = Explanation(**{"block": "engine.tag", "line": LINE, "why": "so"} | fields)
    assert entry.covers(mutant()) is covers
    assert explain(mutant(), [entry]) == ("so" if covers else None)


def test_each_explanation_is_of_a_line_that_is_there():
    texts = (path.read_text() for path in (ROOT / "hdl").rglob("*.py"))
    lines = {line.strip() for text in texts for line in text.splitlines()}
    for entry in read_explanations():
        assert entry.why
        assert entry.line in lines or not entry.line
