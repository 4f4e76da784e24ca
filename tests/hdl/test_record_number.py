"""Reconstruction of record numbers and nonces, against their models and in the corners."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator
from hypothesis import given
from hypothesis import strategies as st

from hdl.record_number import Reconstruction, nonce, nonce_model, reconstruct

END = 1 << 48


def run(cases):
    """The gateware's numbers for ``cases`` of (wire, bits, next)."""
    dut = Reconstruction()
    numbers = []

    async def offer(ctx):
        for wire, bits, next_number in cases:
            ctx.set(dut.wire, wire)
            ctx.set(dut.sixteen, bits == 16)
            ctx.set(dut.next, next_number)
            numbers.append(ctx.get(dut.number))

    sim = Simulator(dut)
    sim.add_testbench(offer)
    sim.run()
    return numbers


def cases_around(nexts):
    """Each next number with what lies at, and one beside, 0, half and a whole modulus from it."""
    for next_number in nexts:
        for bits in (8, 16):
            half = 1 << bits - 1
            for distance in (-half - 1, -half, 1 - half, -1, 0, 1, half - 1, half, half + 1):
                yield (next_number + distance) % (1 << bits), bits, next_number


@given(
    bits=st.sampled_from([8, 16]),
    next_number=st.integers(0, END),
    data=st.data(),
)
def test_any_number_within_half_the_modulus_is_found_again(bits, next_number, data):
    half = 1 << bits - 1
    low, high = max(0, next_number - half + 1), min(END - 1, next_number + half)
    number = data.draw(st.integers(low, high))
    assert reconstruct(number % (1 << bits), bits, next_number) == number


def test_ties_go_up():
    assert reconstruct(0x80, 8, 0x1000) == 0x1080
    assert reconstruct(0x8000, 16, 0x10000) == 0x18000


def test_numbers_stay_in_range_at_both_ends():
    assert reconstruct(0xFF, 8, 0) == 0xFF
    assert reconstruct(0x00, 8, END - 1) == END - 256
    assert reconstruct(0xFFFF, 16, END) == END - 1


@pytest.mark.parametrize("bits", [8, 16])
def test_gateware_equals_model_on_random_numbers(bits):
    rng = random.Random(bits)
    cases = [
        (rng.randrange(1 << bits), bits, rng.randrange(1 << rng.randint(1, 48)))
        for _ in range(5000)
    ]
    assert run(cases) == [reconstruct(*case) for case in cases]


def test_gateware_equals_model_in_the_corners():
    corners = [0, 1, 127, 128, 129, 255, 256, 32767, 32768, 32769, 65535, 65536, 65537]
    cases = list(cases_around(corners + [END - corner for corner in corners]))
    assert run(cases) == [reconstruct(*case) for case in cases]


def test_the_high_byte_is_ignored_in_the_8_bit_form():
    assert run([(0xAB07, 8, 0x1000)]) == [0x1007]


def test_nonce_is_the_number_in_big_endian_over_the_iv():
    iv = bytes(range(0x10, 0x1C))
    assert nonce_model(iv, 0) == iv
    assert nonce_model(iv, 0x010203040506).hex() == "10111213141517151b1d1f1d"


def test_nonce_gateware_equals_model():
    rng = random.Random(0)
    iv, number, result = Signal(96), Signal(48), Signal(96)
    m = Module()
    m.d.comb += result.eq(nonce(iv, number))

    async def offer(ctx):
        for _ in range(100):
            iv_bytes, n = rng.randbytes(12), rng.randrange(END)
            ctx.set(iv, int.from_bytes(iv_bytes, "little"))
            ctx.set(number, n)
            assert ctx.get(result).to_bytes(12, "little") == nonce_model(iv_bytes, n)

    sim = Simulator(m)
    sim.add_testbench(offer)
    sim.run()
