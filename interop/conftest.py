"""Each test runs with every stack, role of ours and provider; the table at the end shows all."""

from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import pytest

from interop import table
from interop.patience import ON_A_BOARD
from interop.session import Case
from interop.stacks import STACKS, Stack
from tests.protocol.providers import PLUGGED_IN

#: By the names in the table: the accelerator is its compiled RTL, alone or on a virtual board.
PROVIDERS = (
    {"board": "virtual_board"} if ON_A_BOARD else {"software": "software", "RTL": "accelerator_rtl"}
)
ROLES = ("client", "server")
#: Of the table, in characters.
_WIDTH = 132


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> Stack:
    return STACKS[request.param]


@pytest.fixture(params=ROLES)
def role(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    return PROVIDERS[request.param]


@pytest.fixture(autouse=True)
def unplugged() -> Iterator[None]:
    """No virtual board outlives its test."""
    yield
    PLUGGED_IN.close()


@pytest.fixture
def case(stack: Stack, role: str, provider: str, tmp_path: Path) -> Case:
    return Case(stack, role, provider, tmp_path)


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Give each item its place in the table, and skip what its stack cannot do, with the reason."""
    for item in items:
        cell = table.Cell.of(item)
        if cell is None:
            continue
        item.user_properties.append((table.PROPERTY, astuple(cell)))
        reason = STACKS[cell.stack].limit(cell.feature, cell.role)
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    found = table.outcomes(terminalreporter.stats)
    if found:
        terminalreporter.write_line(table.render(found, _WIDTH))
