"""The table that a run ends with: features by stack, role of ours and provider."""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from enum import Enum

import pytest
from rich.console import Console
from rich.table import Table

from interop.stacks import STACKS

#: The property of a test's report that says where in the table it belongs.
PROPERTY = "interop"

_MARKS = {"passed": "✓", "failed": "✗", "error": "✗", "skipped": "n/a", None: ""}


@dataclass(frozen=True, order=True)
class Cell:
    """One test's place."""

    feature: str
    stack: str
    role: str
    provider: str

    @classmethod
    def of(cls, item: pytest.Function) -> "Cell | None":
        """Where the test belongs, if it is one of the matrix."""
        params = dict(item.callspec.params) if hasattr(item, "callspec") else {}
        if not {"stack", "role", "provider"} <= params.keys():
            return None
        place = [params.pop(name) for name in ("stack", "role", "provider")]
        title = item.originalname.removeprefix("test_").replace("_", " ")
        return cls(" ".join([title, *map(_name, params.values())]), *place)


def _name(parameter: object) -> str:
    return parameter.name if isinstance(parameter, Enum) else str(parameter)


def outcomes(reports: Mapping[str, Iterable[pytest.TestReport]]) -> dict[Cell, str]:
    """What became of each test, from pytest's reports by outcome."""
    found = {}
    for outcome in ("passed", "skipped", "failed", "error"):  # the worst one wins
        for report in reports.get(outcome, ()):
            for name, value in getattr(report, "user_properties", ()):
                if name == PROPERTY:
                    found[Cell(*value)] = outcome
    return found


def render(found: Mapping[Cell, str], width: int) -> str:
    """The table, and under it what stacks cannot do."""
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(_table(found))
        for name, stack in STACKS.items():
            reasons = [(cell, stack.limit(cell.feature, cell.role)) for cell in sorted(found)]
            for feature, reason in dict.fromkeys(
                (cell.feature, why) for cell, why in reasons if why and cell.stack == name
            ):
                console.print(f"n/a: {stack.name}, {feature}: {reason}")
    return capture.get()


def _table(found: Mapping[Cell, str]) -> Table:
    columns = sorted({astuple(cell)[1:] for cell in found}, reverse=True)
    table = Table(title="Sessions with other stacks: our role, and who protects our records")
    table.add_column("", no_wrap=True)
    for stack, role, provider in columns:
        name = STACKS[stack].name.replace(" ", "\n")
        table.add_column(f"{role}\n{provider}\n{name}", justify="center")
    for feature in sorted({cell.feature for cell in found}):
        row = (found.get(Cell(feature, *column)) for column in columns)
        table.add_row(feature, *(_MARKS[outcome] for outcome in row))
    return table
