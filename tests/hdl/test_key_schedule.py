"""The key expansion: its model against FIPS 197, the gateware against its model."""

import random

import pytest
from amaranth.hdl import Fragment

from hdl.aes import KeySchedule, SBoxForm
from hdl.aes.core import expand_key
from hdl.aes.sbox import SBOX
from hdl.block import from_bytes, to_bytes
from tests.hdl.streams import (
    get_all,
    pauses,
    put_all,
    simulate,
    transfer_cycles,
    with_idle_and_stall,
)

# FIPS 197, A.1 and A.3: the keys of the worked examples.
KEY_128 = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
KEY_256 = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")


def test_model_expands_the_examples_of_fips_197():
    # FIPS 197, A.1: w40 to w43; A.3: w8 to w11 and w56 to w59.
    assert expand_key(KEY_128)[10].hex() == "d014f9a8c9ee2589e13f0cc8b6630ca6"
    assert expand_key(KEY_256)[2].hex() == "9ba354118e6925afa51a8b5f2067fcde"
    assert expand_key(KEY_256)[14].hex() == "fe4890d1e6188d0b046df344706c631e"


@pytest.mark.parametrize("length", [0, 15, 24, 33])
def test_model_refuses_other_key_lengths(length):
    with pytest.raises(ValueError, match=f"{length} bytes"):
        expand_key(bytes(length))


def requests_for(keys):
    return [
        {"word": from_bytes(key[i : i + 4]), "aes256": len(key) == 32}
        for key in keys
        for i in range(0, len(key), 4)
    ]


def expected_for(keys):
    return [numbered for key in keys for numbered in enumerate(KeySchedule.model(key))]


@with_idle_and_stall
@pytest.mark.parametrize("form", [SBoxForm.TABLE, SBoxForm.COMPOSITE])
def test_round_keys_are_those_of_the_model(form, idle, stall, seed):
    source = random.Random(seed)
    keys = [KEY_128, KEY_256] + [source.randbytes(source.choice([16, 32])) for _ in range(6)]
    dut = KeySchedule(form)
    received = []

    async def feed(ctx):
        await put_all(ctx, dut.keys, requests_for(keys), pauses(seed, idle))

    async def check(ctx):
        count = len(expected_for(keys))
        for item in await get_all(ctx, dut.round_keys, count, pauses(-seed, stall)):
            received.append((item.round, to_bytes(item.round_key)))

    simulate(dut, feed, check)
    assert received == expected_for(keys)


def test_a_round_key_in_13_cycles():
    dut = KeySchedule(SBoxForm.TABLE)
    keys = [KEY_128, KEY_256, KEY_128]
    taken, given = [], []

    async def feed(ctx):
        await put_all(ctx, dut.keys, requests_for(keys))

    async def drain(ctx):
        await get_all(ctx, dut.round_keys, 11 + 15 + 11)

    simulate(
        dut,
        feed,
        drain,
        background=[transfer_cycles(dut.keys, taken), transfer_cycles(dut.round_keys, given)],
    )
    assert taken[::4] == [8, 8 + 144, 21 + 144, 8 + 144 + 196]
    assert given == [
        begin + 13 * i
        for begin, count in ((0, 11), (144, 15), (144 + 196, 11))
        for i in range(1, count + 1)
    ]


@pytest.mark.parametrize("key", [KEY_128, KEY_256], ids=["AES-128", "AES-256"])
def test_no_key_is_left_behind(key):
    dut = KeySchedule(SBoxForm.TABLE)
    fragment = Fragment.get(dut, None)
    registers = list(fragment.statements["sync"]._lhs_signals())

    def kept_bytes(ctx):
        return [ctx.get(register) for register in registers if len(register) >= 32]

    async def feed(ctx):
        await put_all(ctx, dut.keys, requests_for([key]))
        assert any(kept_bytes(ctx))

    async def drain(ctx):
        await get_all(ctx, dut.round_keys, len(expand_key(key)))
        await ctx.tick().repeat(8)
        words = {0, from_bytes(bytes(4)), from_bytes(bytes([SBOX[0]] * 4))}
        assert words.issuperset(kept_bytes(ctx))

    simulate(fragment, feed, drain)
