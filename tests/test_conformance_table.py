"""docs/conformance.md names only tests that exist, and says of each row how it stands."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: How often each section of RFC 9147 says MUST (NOT) or SHALL; section 2 only defines the words.
REQUIREMENTS = {
    section: count
    for count, sections in {
        1: ("4.5.2", "5.8.4", "5.9", "5.10", "6.1", "9.1", "14"),
        2: ("4.4", "5", "5.8.1", "5.11"),
        3: ("4.2.3", "4.3", "4.5.1", "5.2", "7.1", "7.2"),
        4: ("4.1", "4.2.1", "5.3", "7", "11"),
        5: ("4.5.3", "5.5"),
        6: ("5.1", "8"),
        7: ("4",),
        8: ("9",),
    }.items()
    for section in sections
}
STATUSES = {"met", "partly", "not yet", "does not apply"}


def rows() -> list[list[str]]:
    """The cells of each row of the page's tables of requirements."""
    lines = (ROOT / "docs" / "conformance.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return [row for row in cells if re.match(r"\d", row[0])]


def functions_of(path: Path) -> set[str]:
    """``name`` and ``Class::name`` of the functions in a test file."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {f"{prefix}{item.name}" for item in inner if isinstance(item, ast.FunctionDef)}
    return found


def references(row: list[str]) -> list[tuple[Path, str]]:
    """The tests that a row names; a path counts from tests/."""
    found = re.findall(r"`([\w/.]+\.py)::([\w:]+)`", row[3])
    return [(ROOT / "tests" / path, name) for path, name in found]


def test_every_requirement_has_a_row():
    found = Counter(row[0] for row in rows() if not row[1].startswith("SHOULD"))
    missing = Counter(REQUIREMENTS) - found
    assert not missing


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[0]} {row[1][:40]}")
def test_a_row_has_a_status_and_tests_that_exist(row):
    _, _, status, _ = row
    assert status in STATUSES
    for path, name in references(row):
        assert name in functions_of(path), f"{path.name} has no {name}"
    if status in ("met", "partly"):
        assert references(row)
    if status != "met":
        assert re.sub(r"`[^`]*`|,", "", row[3]).strip(), "what is missing, or why not"
