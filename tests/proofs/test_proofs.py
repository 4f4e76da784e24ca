"""The quickest proofs themselves, and that the frame can tell a proof from none."""

from pathlib import Path

import pytest
from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Const, Elaboratable, Module, Signal

from proofs.__main__ import find_properties, main
from proofs.broken import install
from proofs.property import Mutant, Property, Verdict
from proofs.run import prove
from proofs.smt import AllInputs, Driven, Induction, InductionAndRun
from proofs.symbolic import Integer, run

QUICK = (
    "record_number.serial",
    "record_number.pipelined",
    "sbox",
    "aes.serial",
    "aes.ring.block-ram",
    "aes.key_schedule",
    "multiplier.parallel.8",
    "ghash.serial.1",
    "streams.request_reader",
    "streams.skid_buffer",
    "release.tag",
    "release.verdict.compact",
    "release.egress.fast",
    "release.scheduler.compact",
    "fence.lookup",
    "queue.blocks.fast",
    "progress.lookup.compact",
    "progress.numbering.fast",
    "credits.compact",
    "zeroize.compact.one",
    "connection_id.fast",
)


@pytest.mark.parametrize("pair", find_properties(QUICK), ids=lambda pair: pair[1].name)
def test_a_property_holds_and_its_broken_copy_is_refuted(
    pair: tuple[str, Property], tmp_path: Path
) -> None:
    (result,) = prove([pair], jobs=2, seconds=300, keep=tmp_path)
    assert result.proof.verdict is Verdict.HOLDS, result.proof.detail
    assert result.refutation.verdict is Verdict.FAILS, result.refutation.detail


@pytest.mark.parametrize("pair", find_properties(slow=True), ids=lambda pair: pair[1].name)
def test_each_broken_copy_changes_what_is_there(pair: tuple[str, Property]) -> None:
    mutant = pair[1].mutant
    source = Path(*mutant.module.split(".")).with_suffix(".py")
    assert (Path(__file__).parents[2] / source).read_text().count(mutant.old) == 1
    assert mutant.old != mutant.new


def test_names_are_unique() -> None:
    names = [item.name for _, item in find_properties(slow=True)]
    assert len(names) == len(set(names))


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no_such_property"]) == 2
    assert "no_such_property" in capsys.readouterr().err


def test_a_module_that_was_imported_cannot_be_broken_any_more() -> None:
    with pytest.raises(ValueError, match=r"proofs\.broken has been imported"):
        install(Mutant("nothing", "proofs.broken", "a", "b"))


class Counter(Elaboratable):
    """Counts to ``limit`` and stays there; it asserts that it never is ``never``."""

    def __init__(self, limit: int, never: int):
        self._limit, self._never = limit, never

    def elaborate(self, platform):
        m = Module()
        count = Signal(8)
        with m.If((count < self._limit) & AnySeq(1)):
            m.d.sync += count.eq(count + 1)
        m.d.comb += Assert(count != self._never, "the count is never that")
        return m


def test_induction_proves_what_is_inductive(tmp_path: Path) -> None:
    finding = Induction().check(Counter(limit=5, never=6), tmp_path)
    assert finding.verdict is Verdict.HOLDS


def test_induction_leaves_open_what_only_unreachable_states_break(tmp_path: Path) -> None:
    finding = Induction().check(Counter(limit=5, never=200), tmp_path)
    assert finding.verdict is Verdict.HOLDS
    finding = Induction().check(Counter(limit=201, never=201), tmp_path)
    assert finding.verdict is Verdict.UNKNOWN
    assert "not inductive" in finding.detail


def test_a_counterexample_from_reset_names_its_assertion_and_cycle(tmp_path: Path) -> None:
    finding = Induction(within=10).refute(Counter(limit=5, never=4), tmp_path)
    assert finding.verdict is Verdict.FAILS
    assert finding.detail == "the count is never that, cycle 4"


class Timer(Driven):
    """Counts while a port is high; it asserts that it never is ``never``."""

    def __init__(self, never: int):
        super().__init__()
        self._never = never

    def elaborate(self, platform):
        m = Module()
        self.counts = self.port("counts")
        count = Signal(8)
        with m.If(self.counts & (count != 100)):
            m.d.sync += count.eq(count + 1)
        m.d.comb += Assert(count != self._never, "the count is never that")
        if not self.promises_only:
            m.d.comb += Assert(count <= 100)
        return m

    async def drive(self, context):
        context.set(self.counts, 1)
        for _ in range(150):
            await context.tick()


def test_ports_are_free_in_a_proof_and_driven_in_a_run(tmp_path: Path) -> None:
    method = InductionAndRun()
    assert method.check(Timer(101), tmp_path).verdict is Verdict.HOLDS
    assert method.check(Timer(99), tmp_path).verdict is Verdict.UNKNOWN
    finding = method.refute(Timer(99), tmp_path)
    assert finding.verdict is Verdict.FAILS
    assert finding.detail == "Assertion violated: the count is never that, cycle 99"
    assert method.refute(Timer(101), tmp_path).verdict is Verdict.UNKNOWN


def test_what_is_cut_is_free(tmp_path: Path) -> None:
    counter = Counter(limit=5, never=6)
    assert Induction().refute(counter, tmp_path).verdict is Verdict.HOLDS
    assert Induction(cut=("w:*count",)).refute(counter, tmp_path).verdict is Verdict.FAILS


class Contradiction(Elaboratable):
    """Assumes what cannot be, so that every assertion would hold."""

    def elaborate(self, platform):
        m = Module()
        value = Signal(8)
        m.d.comb += [value.eq(AnyConst(8)), Assume(value < 3), Assume(value > 4)]
        m.d.comb += Assert(value == 77, "anything")
        return m


def test_assumptions_that_contradict_each_other_prove_nothing(tmp_path: Path) -> None:
    assert AllInputs().check(Contradiction(), tmp_path).verdict is Verdict.UNKNOWN


class Halved(Elaboratable):
    """A Python function on signals, beside what it is for every input."""

    def __init__(self, right: int):
        self._right = right

    def elaborate(self, platform):
        m = Module()
        value = Signal(8)

        def halve_if_large(ways):
            number = Integer(value, ways)
            if number > 100:
                return (number >> 1,)
            return (min(number + 1, 50),)

        (result,) = run(m, halve_if_large)
        small = Signal(9)
        m.d.comb += [value.eq(AnyConst(8)), small.eq(value + 1)]
        with m.If(value > 100):
            m.d.comb += Assert(result == value >> 1, "halved")
        with m.Elif(small < self._right):
            m.d.comb += Assert(result == small, "one more")
        with m.Else():
            m.d.comb += Assert(result == Const(self._right), "at most")
        return m


def test_python_code_becomes_gates_that_do_the_same(tmp_path: Path) -> None:
    assert AllInputs().check(Halved(50), tmp_path).verdict is Verdict.HOLDS
    assert AllInputs().check(Halved(51), tmp_path).verdict is Verdict.FAILS
