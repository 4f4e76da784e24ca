"""What a proof is made of: a promise, a design that asserts it, a method, and a broken block."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from amaranth.hdl import Elaboratable

__all__ = ["Finding", "Method", "Mutant", "Property", "Verdict"]


class Verdict(Enum):
    """What came out of a proof."""

    HOLDS = "holds"
    #: There is a counterexample that begins at reset.
    FAILS = "fails"
    #: Neither was found.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """A verdict, and what more is known: which assertion failed, and after how many cycles."""

    verdict: Verdict
    detail: str = ""


class Method(Protocol):
    """How a design is proved or refuted."""

    @property
    def words(self) -> str:
        """The method in words, with its bound if it has one."""

    def check(self, design: Elaboratable, folder: Path) -> Finding:
        """Whether all assertions of ``design`` hold; files go to ``folder``."""

    def refute(self, design: Elaboratable, folder: Path) -> Finding:
        """Find a counterexample that begins at reset, if there is one."""


@dataclass(frozen=True)
class Mutant:
    """A broken copy of a module: ``old``, which its source contains once, becomes ``new``."""

    what: str
    module: str
    old: str
    new: str


@dataclass(frozen=True)
class Property:
    """One property of one block."""

    name: str
    #: What it promises, in one sentence.
    promise: str
    design: Callable[[], Elaboratable]
    method: Method
    mutant: Mutant
    #: The broken copy is refuted in this design, where the whole one is too large for that.
    broken_design: Callable[[], Elaboratable] | None = None
    #: Takes longer than ten minutes, and runs only when it is asked for.
    slow: bool = False
