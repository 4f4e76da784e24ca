"""Self-composition tells what depends on a secret from what does not."""

from pathlib import Path

import pytest
from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.memory import Memory

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


class Stored(Copy):
    """Secret and public bits side by side in a memory; gives what ``gives`` makes of a word."""

    def __init__(self, gives, public_address: bool = True):
        super().__init__()
        self._gives, self._public_address = gives, public_address

    def describe(self, m: Module) -> None:
        m.submodules.memory = memory = Memory(shape=8, depth=16, init=[])
        read, write = memory.read_port(), memory.write_port()
        address = self.shared if self._public_address else self.private
        m.d.comb += [
            write.en.eq(self.shared("writes")),
            write.addr.eq(address("write", 4)),
            write.data.eq(Cat(self.private("secret", 4), self.shared("public", 4))),
            read.addr.eq(self.shared("read", 4)),
        ]
        self.equal(m, "given", self._gives(read.data))

    def stimulus(self) -> Stimulus:
        return Held()


@pytest.mark.parametrize(
    ("gives", "public_address", "verdict"),
    [
        (lambda word: word[4:], True, Verdict.HOLDS),
        (lambda word: word[3:5], True, Verdict.UNKNOWN),
        (lambda word: word[4:], False, Verdict.UNKNOWN),
    ],
)
def test_a_memory_that_is_taken_out_keeps_bits_apart(
    gives, public_address, verdict, tmp_path: Path
) -> None:
    design = Stored(gives, public_address)
    assert Independence(takes_memories_out=True).check(design, tmp_path).verdict is verdict


class Sometimes(Copy):
    """A byte that is public if it comes with ``marks``; it shows only then, or ``always``."""

    def __init__(self, always: bool = False, public: bool = True):
        super().__init__()
        self._always, self._public = always, public

    def describe(self, m: Module) -> None:
        marks, byte, marked = self.shared("marks"), Signal(8), Signal()
        public = (self.shared if self._public else self.private)("public", 8)
        m.d.sync += [byte.eq(Mux(marks, public, self.private("secret", 8))), marked.eq(marks)]
        self.equal_when(m, "marked", marked, byte)
        self.equal(m, "given", byte if self._always else Mux(marked, byte, 0))

    def stimulus(self) -> Stimulus:
        return Held()


@pytest.mark.parametrize(
    ("how", "detail"),
    [
        ({}, "1 of 9 registers are equal"),
        ({"always": True}, "not shown equal: equal_given"),
        ({"public": False}, "not always equal then: marked"),
    ],
)
def test_what_is_equal_in_some_cycles_helps_in_those(how, detail, tmp_path: Path) -> None:
    assert METHOD.check(Sometimes(**how), tmp_path).detail == detail


class Zero(Copy):
    """A secret passes if 1 is read of a memory, to which is written what ``writes`` makes of 0."""

    def __init__(self, writes):
        super().__init__()
        self._writes = writes

    def describe(self, m: Module) -> None:
        never, opens, given = Signal(), Signal(), Signal()
        m.submodules.memory = memory = Memory(shape=1, depth=16, init=[])
        read, write = memory.read_port(), memory.write_port()
        m.d.sync += [never.eq(never & self.shared("input")), opens.eq(read.data)]
        m.d.comb += [
            write.en.eq(self.shared("writes")),
            write.addr.eq(self.shared("write", 4)),
            write.data.eq(self._writes(never)),
            read.addr.eq(self.shared("read", 4)),
        ]
        m.d.sync += given.eq(opens & self.private("secret"))
        self.never(m, "never", never)
        self.equal(m, "given", given)

    def stimulus(self) -> Stimulus:
        return Held()


@pytest.mark.parametrize(
    ("writes", "detail"),
    [
        (lambda never: never, "4 of 4 registers are equal"),
        (lambda never: ~never, "not shown equal: equal_given"),
    ],
)
def test_what_is_always_zero_is_known_also_behind_a_memory(writes, detail, tmp_path: Path) -> None:
    finding = Independence(takes_memories_out=True).check(Zero(writes), tmp_path)
    assert finding.detail == detail


def test_what_is_not_always_zero_proves_nothing(tmp_path: Path) -> None:
    class Once(Kept):
        def describe(self, m: Module) -> None:
            count = Signal()
            m.d.sync += count.eq(self.shared("takes"))
            self.never(m, "count", count)
            self.equal(m, "given", count & self.private("byte"))

    finding = METHOD.check(Once(None), tmp_path)
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.detail == "not invariant: never_count"
