"""Draw the table of the handshake's states into docs/protocol.md.

::

    python docs/draw_states.py
"""

import re
from pathlib import Path

from protocol.state import TRANSITIONS, State

PAGE = Path(__file__).with_name("protocol.md")
_BLOCK = re.compile(r"^```mermaid\nstateDiagram-v2\n.*?^```\n", re.M | re.S)


def draw() -> str:
    """The Mermaid block: an arrow for each entry of the table, in its order."""
    arrows = [
        f"    {before.name} --> {after.name}: {step.name}"
        for before, steps in TRANSITIONS.items()
        for step, after in steps.items()
    ]
    starts = [
        f"    [*] --> {state.name}" for state in (State.WAIT_SERVER_HELLO, State.WAIT_CLIENT_HELLO)
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", *starts, *arrows, "```", ""])


def replace(page: str) -> str:
    """The page with its diagram drawn anew."""
    return _BLOCK.sub(lambda _: draw(), page)


if __name__ == "__main__":
    PAGE.write_text(replace(PAGE.read_text()))
