"""docs/conformance.md names only tests that exist, and says of each row how it stands."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
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


def test_there_are_rows():
    assert len(rows()) > 50


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
