"""The pages agree with the code, their links lead somewhere, and their snippets are Python."""

import ast
import re
from pathlib import Path

import pytest

from protocol.state import TRANSITIONS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])


def test_the_diagram_of_states_is_the_table():
    drawn = re.findall(r"^    (\w+) --> (\w+): (\w+)$", (DOCS / "protocol.md").read_text(), re.M)
    table = [
        (before.name, after.name, step.name)
        for before, steps in TRANSITIONS.items()
        for step, after in steps.items()
    ]
    assert drawn == table


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    targets = re.findall(r"\]\((?!https:)([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets_are_python_and_import_what_there_is(page):
    for snippet in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S):
        compile(snippet, page.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for line in re.findall(r"^(?:from|import) .*", snippet, re.M):
            exec(line)
