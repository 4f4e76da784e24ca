"""DigitGHASH: its pace; `test_hash_unit` has what it computes."""

import gc
import random

import pytest

from hdl.ghash import ghash
from hdl.ghash_digit import DigitGHASH
from tests.hdl.streams import pause, put_all, simulate, transfer_cycles
from tests.hdl.test_hash_unit import digests_of, payloads, random_messages


@pytest.mark.parametrize("digit", [4, 8, 16, 32, 64])
def test_every_digit_computes_the_same(digit):
    messages = random_messages(random.Random(digit), [1, 3])
    assert digests_of(DigitGHASH(digit), messages) == [ghash(h, data) for h, data in messages]


@pytest.mark.parametrize("digit", [8, 16])
def test_a_block_an_interval_and_a_digest_a_cycle_earlier(digit):
    unit = DigitGHASH(digit, slots=3)
    taken, given = [], []

    async def feed(ctx):
        messages = random_messages(random.Random(digit), [3, 1, 1])
        await put_all(ctx, unit.blocks, payloads(unit, messages))
        await pause(ctx, unit.latency + 1)

    watches = [transfer_cycles(unit.blocks, taken), transfer_cycles(unit.digests, given)]
    simulate(unit, feed, background=watches)
    interval = 128 // digit + 2
    assert unit.interval == unit.latency + 1 == interval
    assert taken == [interval * i for i in range(5)]
    assert given == [interval * i - 1 for i in (3, 4, 5)]


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("digit", [0, 2, 12, 128])
def test_other_digits_are_refused(digit):
    with pytest.raises(ValueError, match=f"digit of {digit} bits"):
        DigitGHASH(digit)
    gc.collect()  # Amaranth warns of the refused object when it goes: here, not in a later test.
