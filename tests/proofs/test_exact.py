"""Exact forms, and machines that work on them."""

from pathlib import Path

import pytest
from amaranth.hdl import Cat, Elaboratable, Module, Signal
from amaranth.lib.memory import Memory

from hdl.aes.core import expand_key
from hdl.aes.key_schedule import KeySchedule
from hdl.block import from_bytes
from proofs.exact import Claim, Exact, Walk, reached
from proofs.machine import doubled, translate
from proofs.polynomials import ANYTHING, Polynomials, added, constant
from proofs.property import Verdict
from proofs.sbox import TABLE


def test_equal_functions_have_equal_forms() -> None:
    forms = Polynomials()
    a, b, c = forms.variables(3)
    assert forms.times(a, a) == a
    assert forms.times(a ^ b, c) == forms.times(a, c) ^ forms.times(c, b)
    assert forms.times(a ^ 1, a) == 0
    assert forms.times(forms.times(a, b), c) == forms.times(a, forms.times(c, b))
    assert len({a, b, c, a ^ b, forms.times(a, b), forms.times(b, c)}) == 6


def test_what_may_be_anything_counts_unless_it_is_multiplied_by_0() -> None:
    forms = Polynomials()
    (a,) = forms.variables(1)
    assert forms.times(ANYTHING, 0) == 0
    assert forms.times(ANYTHING, a) is ANYTHING
    assert added((ANYTHING, 1), (1, 1)) == (ANYTHING, 0)


def test_a_table_says_the_same_of_the_same_byte() -> None:
    forms = Polynomials()
    byte, other = forms.variables(8), forms.variables(8)
    assert forms.look_up(TABLE, byte) == forms.look_up(TABLE, byte)
    assert forms.look_up(TABLE, byte) != forms.look_up(TABLE, other)
    assert forms.look_up(TABLE, constant(0x53, 8)) == constant(0xED, 8)  # FIPS 197, 5.1.1
    assert forms.look_up(TABLE, (ANYTHING, *byte[1:])) == (ANYTHING,) * 8


def test_words_differ_if_some_values_tell_them_apart() -> None:
    forms = Polynomials()
    byte = forms.variables(8)
    substituted = forms.look_up(TABLE, byte)
    assert forms.differ(substituted, substituted) is False
    assert forms.differ(substituted, byte) is True
    assert forms.differ(substituted, added(substituted, (1,) + (0,) * 7)) is True
    assert forms.differ(substituted, (ANYTHING,) * 8) is None


def test_a_table_that_is_another_one_by_its_entries_is_not_called_different() -> None:
    forms = Polynomials()
    byte = forms.variables(8)
    identity = bytes(range(256))
    assert forms.differ(forms.look_up(identity, byte), byte) is None


def test_double_is_the_product_with_x() -> None:
    assert doubled(constant(0x57, 8)) == constant(0xAE, 8)  # FIPS 197, 4.2.1
    assert doubled(constant(0xAE, 8)) == constant(0x47, 8)


class KeyWalk(Walk):
    def __init__(self):
        block = KeySchedule()
        keys, round_keys = block.keys, block.round_keys
        super().__init__(
            block,
            valid=keys.valid,
            ready=keys.ready,
            word=keys.payload,
            given=round_keys.valid,
            taken=round_keys.ready,
            round_key=round_keys.payload,
        )

    def claims(self, machine):
        yield from ()


def test_a_machine_computes_with_constants_what_the_block_computes(tmp_path: Path) -> None:
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")  # FIPS 197, A.1
    walk = KeyWalk()
    machine = translate(walk, walk.ports, tmp_path, TABLE)
    state, found = machine.reset, []
    words = [constant(from_bytes(key[i : i + 4]), 33) for i in range(0, 16, 4)]
    while len(found) < 11:
        word = words[0] if words else constant(0, 33)
        outputs, state = machine.step(state, {"valid": (1,), "word": word, "taken": (1,)})
        if outputs["ready"] == (1,):
            words.pop(0)
        if outputs["given"] == (1,):
            found.append(outputs["round_key"][4:])
    assert found == [constant(from_bytes(round_key), 128) for round_key in expand_key(key)]


class Store(Elaboratable):
    """A memory of five words of two bits; bits can be written by themselves."""

    def __init__(self):
        self.write, self.place, self.data = Signal(2), Signal(3), Signal(2)
        self.read_place, self.read = Signal(3), Signal(2)

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=2, depth=5, init=[])
        write, read = memory.write_port(granularity=1), memory.read_port(domain="comb")
        m.d.comb += [
            Cat(write.en, write.addr, write.data).eq(Cat(self.write, self.place, self.data)),
            read.addr.eq(self.read_place),
            self.read.eq(read.data),
        ]
        return m


class StoreWalk(Walk):
    def __init__(self):
        block = Store()
        super().__init__(
            block,
            write=block.write,
            place=block.place,
            data=block.data,
            read_place=block.read_place,
            read=block.read,
        )

    def claims(self, machine):
        yield from ()


def test_a_memory_keeps_forms_and_chooses_between_them(tmp_path: Path) -> None:
    walk = StoreWalk()
    machine = translate(walk, walk.ports, tmp_path, TABLE)
    a, b, c, d, select = machine.forms.variables(5)
    state = machine.reset

    def write(state, place, data, bits=(1, 1)):
        return machine.step(state, {"write": bits, "place": place, "data": data})[1]

    def read(state, place):
        return machine.step(state, {"write": (0, 0), "read_place": place})[0]["read"]

    assert read(state, constant(2, 3)) == (ANYTHING, ANYTHING)
    state = write(state, constant(2, 3), (a, b))
    state = write(state, constant(3, 3), (c, d), bits=(1, 0))
    assert read(state, constant(2, 3)) == (a, b)
    assert read(state, constant(3, 3)) == (c, ANYTHING)
    assert read(state, (select, 1, 0)) == (a ^ machine.forms.times(select, a ^ c), ANYTHING)
    assert read(state, constant(6, 3)) == (ANYTHING, ANYTHING)
    assert read(write(state, constant(3, 3), (0, 0), bits=(ANYTHING, 0)), (0, 1, 0)) == (a, b)
    assert read(write(state, (select, 1, 0), (a, b)), (0, 1, 0)) == (ANYTHING, ANYTHING)


class Product(Walk, Elaboratable):
    """The product of two bits each, modulo x**2 + x + 1, with faults."""

    def __init__(self, fault: str = ""):
        self._fault = fault
        self.a, self.b, self.product = Signal(2), Signal(2), Signal(2)
        super().__init__(self, a=self.a, b=self.b, product=self.product)

    def elaborate(self, platform):
        m = Module()
        (a0, a1), (b0, b1) = self.a, self.b
        if self._fault == "late":
            later = Signal()
            m.d.sync += later.eq(a1)
            a1 = later
        low, high = Signal(), Signal()
        m.d.comb += [low.eq((a0 & b0) ^ (a1 & b1)), high.eq((a0 & b1) ^ (a1 & b0) ^ (a1 & b1))]
        if self._fault == "square":
            m.d.comb += self.product.eq(Cat(low, high ^ (a0 & a1 & b0)))
        else:
            m.d.comb += self.product.eq(Cat(low, high ^ (self._fault == "one")))
        return m

    def claims(self, machine):
        a, b = machine.forms.variables(2), machine.forms.variables(2)
        outputs, _ = machine.step(machine.anything, {"a": a, "b": b})
        (p00, p01), (p10, p11) = ([machine.forms.times(x, y) for y in b] for x in a)
        yield Claim("the product", outputs["product"], (p00 ^ p11, p01 ^ p10 ^ p11))


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        ("", Verdict.HOLDS),
        ("one", Verdict.FAILS),
        ("late", Verdict.UNKNOWN),
        ("square", Verdict.FAILS),
    ],
)
def test_a_product_has_one_form(fault, verdict, tmp_path: Path) -> None:
    assert Exact().check(Product(fault), tmp_path).verdict is verdict


def test_a_walk_without_claims_proves_nothing(tmp_path: Path) -> None:
    assert Exact().check(StoreWalk(), tmp_path).verdict is Verdict.UNKNOWN


def test_all_places_are_reached() -> None:
    assert reached([3], lambda place: {place * 2 % 7, place}) == {3, 6, 5}
