"""A run on symbols tells what is overwritten from what is left."""

from pathlib import Path

import pytest
from amaranth.hdl import Const, Module, Signal

from proofs.erasure import Erasing, Erasure
from proofs.independence import Stimulus
from proofs.property import Verdict

METHOD = Erasure(cycles=30)


class Filled(Stimulus):
    """A secret goes in, and then all is erased."""

    def __init__(self):
        self._cycle = -1

    def inputs(self):
        self._cycle += 1
        return {"zero": 0, "slot": 1, "fills": self._cycle < 8, "secret": 0xA5}

    def outputs(self, equal):
        return not equal["ends_run"]


class Eraser(Erasing):
    """While it ``fills``, a secret goes to each of 4 words of a slot and a register; then zeros."""

    def __init__(self, fault: str = ""):
        super().__init__()
        self._fault = fault

    def describe(self, m: Module) -> None:
        fills, secret = self.shared("fills"), self.shared("secret", 8)
        slot = self.steady("slot", 1)
        register, word, ends = Signal(8), Signal(2), Signal()
        m.d.sync += [word.eq(word + 1), ends.eq((word == 3) & ~fills)]
        if self._fault == "secret time":
            m.d.sync += ends.eq((word == 3) & ~fills & secret[0])
        data = Signal(8)
        with m.If(fills):
            m.d.comb += data.eq(secret)
            m.d.sync += register.eq(secret)
        with m.Elif(self._fault != "register"):
            m.d.sync += register.eq(0)
        writes = Const(1) if self._fault != "word" else fills | (word != 2)
        if self._fault == "not zero":
            m.d.comb += data.eq(secret)
        self.begins(m, "word", word, 0)
        self.ends(m, ends)
        self.erased(m, "register", register)
        self.erased_slot(m, slot)
        self.words(m, "memory", writes, word, slot if self._fault != "slot" else fills, data)

    def given(self, cycle):
        return {"fills": 0}

    def stimulus(self) -> Stimulus:
        return Filled()


def test_what_is_erased_is_proved(tmp_path: Path) -> None:
    finding = METHOD.check(Eraser(), tmp_path)
    assert (finding.verdict, finding.detail) == (Verdict.HOLDS, "4 words in 5 cycles")
    assert METHOD.refute(Eraser(), tmp_path).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("fault", "finding", "left"),
    [
        ("register", "not erased: register", "left in erased_register"),
        ("word", "not erased: memory", "left in memory"),
        ("slot", "not erased: memory", "left in memory"),
        ("not zero", "not erased: memory", "left in memory"),
        ("secret time", "it may end or not", ""),
    ],
)
def test_what_is_left_is_not_proved_and_refuted(fault, finding, left, tmp_path: Path) -> None:
    found = METHOD.check(Eraser(fault), tmp_path)
    assert found.verdict is Verdict.UNKNOWN
    assert found.detail.startswith(finding)
    found = METHOD.refute(Eraser(fault), tmp_path)
    assert found.verdict is (Verdict.FAILS if left else Verdict.UNKNOWN)
    assert found.detail.startswith(left)
