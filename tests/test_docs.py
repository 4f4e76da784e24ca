"""The pages agree with the code, their links lead somewhere, and their snippets are Python."""

import ast
import re
import runpy
from pathlib import Path
from textwrap import indent
from typing import get_args

import pytest

from hdl.axi4_lite import IDENTITY, Register
from protocol.crypto.provider import Refusal
from protocol.events import Event
from protocol.stats import Drop

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])


PROTOCOL = (DOCS / "protocol.md").read_text()


def test_the_diagram_of_states_is_the_table():
    drawing = runpy.run_path(str(DOCS / "draw_states.py"))
    assert drawing["draw"]() in PROTOCOL, "python docs/draw_states.py draws it anew"


def test_every_event_and_every_reason_to_drop_has_a_row():
    names = [f"`{event.__name__}`" for event in get_args(Event)]
    names += [reason.value for reason in (*Drop, *Refusal)]
    first_cells = re.findall(r"^\| ([^|]+) \|", PROTOCOL, re.M)
    assert set(names) <= set(first_cells)


def test_every_register_has_a_row():
    page = (DOCS / "registers.md").read_text()
    rows = re.findall(r"^\| 0x(\w+) \| (\w+) \|", page, re.M)
    assert {(name, int(address, 16)) for address, name in rows} == {
        (register.name, register.value) for register in Register
    }
    assert f"0x{IDENTITY:08X}" in page


def test_the_waveform_is_the_simulator_s():
    drawing = runpy.run_path(str(DOCS / "draw_bus.py"))
    drawn = (DOCS / "img" / "axi4-lite.svg").read_text()
    assert drawing["draw"]() == drawn, "python docs/draw_bus.py draws it anew"


def test_the_request_in_c_and_the_lines_for_litex_are_the_example_s():
    (c,) = re.findall(r"```c\n(.*?)```", (DOCS / "registers.md").read_text(), re.S)
    assert c in (ROOT / "examples" / "litex" / "intaglio.h").read_text()
    (lines,) = re.findall(r"```python\n(.*?)```", (DOCS / "integration.md").read_text(), re.S)
    soc = (ROOT / "examples" / "litex" / "soc.py").read_text()
    assert indent(lines, " " * 8) in soc


def test_the_first_server_is_the_example():
    (snippet,) = re.findall(r"## A first server.*?```python\n(.*?)```", PROTOCOL, re.S)
    assert snippet in (ROOT / "examples" / "first_server.py").read_text()


def test_the_recipes_work():
    """Each may use what those before it have made."""
    recipes: dict[str, object] = {}
    for title, snippet in re.findall(
        r"^## (.*?)$.*?^```python\n(.*?)^```", (DOCS / "recipes.md").read_text(), re.M | re.S
    ):
        exec(compile(snippet, f"docs/recipes.md, {title}", "exec"), recipes)


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
