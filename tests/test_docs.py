"""The pages under docs/ agree with the code, and their links lead somewhere."""

import re
from pathlib import Path

import pytest

from protocol.state import TRANSITIONS

DOCS = Path(__file__).parents[1] / "docs"


def test_the_diagram_of_states_is_the_table():
    drawn = re.findall(r"^    (\w+) --> (\w+): (\w+)$", (DOCS / "protocol.md").read_text(), re.M)
    table = [
        (before.name, after.name, step.name)
        for before, steps in TRANSITIONS.items()
        for step, after in steps.items()
    ]
    assert drawn == table


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_links_lead_to_files(page):
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []
