"""GHASH: the model against published values, the gateware against its model."""

import gc
import random

import pytest

from hdl.block import from_bytes
from hdl.ghash import GHASH, ghash, multiply
from tests.hdl.streams import pause, pauses, put, simulate, transfer_cycles

# McGrew and Viega, The Galois/Counter Mode of Operation (GCM), appendix B, test case 2.
H = bytes.fromhex("66e94bd4ef8a2c3b884cfa59ca342b2e")
CIPHERTEXT = bytes.fromhex("0388dace60b6a392f328c2b971b2fe78")
LENGTHS = bytes.fromhex("00000000000000000000000000000080")
ONE = bytes([0x80]) + bytes(15)


def test_model_gives_the_intermediate_values_of_the_gcm_specification():
    assert multiply(CIPHERTEXT, H).hex() == "5e2ec746917062882c85b0685353deb7"
    assert ghash(H, CIPHERTEXT + LENGTHS).hex() == "f38cbb1ad69223dcc3457ae5b6b0f885"


def test_model_multiplies_in_a_field():
    source = random.Random(1)
    a, b, c = (source.randbytes(16) for _ in range(3))
    assert multiply(a, ONE) == multiply(ONE, a) == a
    assert multiply(a, b) == multiply(b, a)
    assert multiply(multiply(a, b), c) == multiply(a, multiply(b, c))


def test_model_refuses_a_partial_block():
    with pytest.raises(ValueError, match="17 bytes"):
        ghash(H, bytes(17))


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("digit", [0, 3, 16])
def test_gateware_refuses_other_digits(digit):
    with pytest.raises(ValueError, match=f"digit of {digit} bits"):
        GHASH(digit)
    gc.collect()  # Amaranth warns of the refused object when it goes: here, not in a later test.


async def begin(ctx, dut, h):
    ctx.set(dut.h, from_bytes(h))
    ctx.set(dut.clear, 1)
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.clear, 0)
    ctx.set(dut.start, 0)


@pytest.mark.parametrize("idle", [0.0, 0.5])
@pytest.mark.parametrize("digit", [1, 2, 4, 8])
def test_digest_is_that_of_the_model(digit, idle):
    source = random.Random(digit)
    messages = [(H, CIPHERTEXT + LENGTHS), (H, b""), (bytes(16), CIPHERTEXT)]
    messages += [(source.randbytes(16), source.randbytes(16 * n)) for n in (1, 2, 5)]
    dut = GHASH(digit)
    waits = pauses(digit, idle)

    async def hash_all(ctx):
        for h, data in messages:
            await begin(ctx, dut, h)
            for byte in data:
                await pause(ctx, next(waits))
                await put(ctx, dut.bytes, byte)
            digest = b""
            for _ in range(16):
                await pause(ctx, next(waits))
                await put(ctx, dut.bytes, 0)
                digest += bytes([ctx.get(dut.sum)])
            assert digest == GHASH.model(h, data)
            # And plus what goes in; the digest has gone by now, so it is that of another message.
            await begin(ctx, dut, h)
            for byte in data:
                await put(ctx, dut.bytes, byte)
            for byte in GHASH.model(h, data):
                await put(ctx, dut.bytes, byte)
                assert ctx.get(dut.sum) == 0

    simulate(dut, hash_all)


@pytest.mark.parametrize("digit", [1, 8])
def test_a_byte_in_8_by_digit_cycles(digit):
    dut = GHASH(digit)
    taken = []

    async def feed(ctx):
        for byte in CIPHERTEXT * 3:
            await put(ctx, dut.bytes, byte)

    simulate(dut, feed, background=[transfer_cycles(dut.bytes, taken)])
    assert dut.interval == 8 // digit
    assert taken == [dut.interval * i for i in range(3 * len(CIPHERTEXT))]


def test_clear_leaves_nothing_of_the_subkey():
    dut = GHASH(8)
    h = from_bytes(H)

    async def work(ctx):
        await begin(ctx, dut, H)
        for byte in CIPHERTEXT:
            await put(ctx, dut.bytes, byte)
        ctx.set(dut.clear, 1)
        await ctx.tick()
        assert ctx.get(dut.h) == h
        for byte in range(16):
            ctx.set(dut.clear, 0)
            await put(ctx, dut.bytes, byte)
            assert ctx.get(dut.sum) == byte

    simulate(dut, work)
