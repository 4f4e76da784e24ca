"""Self-composition tells what depends on a secret from what does not."""

from pathlib import Path

import pytest
from amaranth.hdl import Module, Mux, Signal

from proofs.independence import Copy, Independence, Stimulus
from proofs.property import Verdict


class Held(Stimulus):
    def inputs(self) -> dict[str, int]:
        return {"takes": 1}

    def outputs(self, equal: dict[str, int]) -> bool:
        return True


class Kept(Copy):
    """Takes a secret byte, counts a while, and gives what ``gives`` makes of byte and count."""

    def __init__(self, gives, never: int = 9):
        super().__init__()
        self._gives, self._never = gives, never

    def describe(self, m: Module) -> None:
        secret, count = Signal(8), Signal(4)
        with m.If(self.shared("takes")):
            m.d.sync += secret.eq(self.private("byte", 8))
            with m.If(count != 8):
                m.d.sync += count.eq(count + 1)
        self.invariant(m, "count", count != self._never)
        self.equal(m, "given", self._gives(secret, count))

    def stimulus(self) -> Stimulus:
        return Held()


METHOD = Independence(runs=64, cycles=40)


@pytest.mark.parametrize(
    "gives",
    [
        lambda secret, count: count,
        lambda secret, count: secret & ~secret,
        # Never, since the count stays below 9: which only the invariant says.
        lambda secret, count: Mux(count == 9, secret, 0),
    ],
)
def test_what_shows_no_secret_is_proved(gives, tmp_path: Path) -> None:
    design = Kept(gives)
    assert METHOD.check(design, tmp_path).verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    "gives", [lambda secret, count: secret[7], lambda secret, count: Mux(count == 8, secret, 0)]
)
def test_what_shows_a_secret_is_not_proved_and_refuted(gives, tmp_path: Path) -> None:
    finding = METHOD.check(Kept(gives), tmp_path)
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.detail == "not shown equal: equal_given"
    finding = METHOD.refute(Kept(gives), tmp_path)
    assert finding.verdict is Verdict.FAILS
    assert finding.detail.startswith("copies differ in given, cycle ")


def test_what_is_no_invariant_proves_nothing(tmp_path: Path) -> None:
    finding = METHOD.check(Kept(lambda secret, count: count, never=8), tmp_path)
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.detail == "not invariant: invariant_count"
