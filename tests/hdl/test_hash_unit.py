"""GHASH units: the model against published values, every unit against `ghash`."""

import itertools
import random
from functools import reduce

import pytest
from amaranth.hdl import ResetInserter, Signal

from hdl.block import from_bytes, to_bytes
from hdl.ghash import ghash, multiply
from hdl.ghash_digit import DigitGHASH
from hdl.ghash_parallel import ParallelGHASH
from hdl.hash_unit import chained_blocks, powers
from tests.hdl.streams import pause, pauses, put, put_all, simulate, transfer_cycles

# McGrew and Viega, The Galois/Counter Mode of Operation (GCM), appendix B, test case 2.
H = bytes.fromhex("66e94bd4ef8a2c3b884cfa59ca342b2e")
CIPHERTEXT = bytes.fromhex("0388dace60b6a392f328c2b971b2fe78")
LENGTHS = bytes.fromhex("00000000000000000000000000000080")
DIGEST = bytes.fromhex("f38cbb1ad69223dcc3457ae5b6b0f885")

#: As many as a test has messages.
SLOTS = 16
UNITS = {
    "8 chains, 7 stages": lambda: ParallelGHASH(),
    "5 chains, 5 stages": lambda: ParallelGHASH(5, 5),
    "2 chains, 1 stage": lambda: ParallelGHASH(2, 1),
    "digit of 4 bits": lambda: DigitGHASH(4, SLOTS),
    "digit of 16 bits": lambda: DigitGHASH(16, SLOTS),
    "digit of 64 bits": lambda: DigitGHASH(64, SLOTS),
}
each_unit = pytest.mark.parametrize("unit", UNITS)


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def hash_in_chains(h, data, chains):
    """What a unit has to compute, from the schedule that it is given."""
    products, digest = [], bytes(16)
    for i, (block, exponent, final, _) in enumerate(chained_blocks(data, chains)):
        earlier = products[i - chains] if i >= chains else bytes(16)
        products.append(multiply(xor(block, earlier), powers(h, chains)[exponent - 1]))
        digest = xor(digest, products[-1]) if final else digest
    return digest


@pytest.mark.parametrize("chains", [1, 2, 3, 8])
def test_chains_give_the_hash(chains):
    source = random.Random(chains)
    assert hash_in_chains(H, CIPHERTEXT + LENGTHS, chains) == DIGEST
    for blocks in range(1, 3 * chains + 1):
        data = source.randbytes(16 * blocks)
        assert hash_in_chains(H, data, chains) == ghash(H, data)


def test_only_the_last_blocks_of_the_chains_are_final():
    schedule = [item[1:] for item in chained_blocks(bytes(16 * 4), chains=2)]
    assert schedule == [(2, False, False), (2, False, False), (2, True, False), (1, True, True)]
    assert [item[1:] for item in chained_blocks(bytes(16), chains=2)] == [(1, True, True)]


def test_powers_are_those_of_the_field():
    assert powers(H, 1) == [H]
    assert powers(H, 4) == [reduce(multiply, [H] * n) for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("length", [0, 17])
def test_a_message_is_one_block_or_more(length):
    with pytest.raises(ValueError, match=f"message of {length} bytes"):
        list(chained_blocks(bytes(length), 8))


def payloads(unit, messages):
    """The transfers on `blocks` for ``messages``, pairs of H and data.

    In a unit that keeps tables, message i has slot i: `fill`.
    """
    return [
        {
            "block": from_bytes(block),
            "power": from_bytes(powers(h, unit.chains)[exponent - 1]) if unit.chains > 1 else slot,
            "final": final,
            "last": last,
        }
        for slot, (h, data) in enumerate(messages)
        for block, exponent, final, last in chained_blocks(data, unit.chains)
    ]


async def fill(ctx, unit, messages):
    """The tables of a unit that keeps some."""
    if unit.chains > 1:
        return
    for slot, (h, _) in enumerate(messages):
        ctx.set(unit.h, from_bytes(h))
        for row in range(unit.powers):
            ctx.set(unit.address, {"power": row, "slot": slot})
            ctx.set(unit.derived, row > 0)
            await pause(ctx, 2)
            ctx.set(unit.write, 1)
            await ctx.tick()
            ctx.set(unit.write, 0)
    ctx.set(unit.derived, 0)


def random_messages(source, lengths):
    """A message of each of ``lengths`` blocks, each under an H of its own."""
    return [(source.randbytes(16), source.randbytes(16 * blocks)) for blocks in lengths]


async def get_digests(ctx, unit, count):
    """The next ``count`` digests."""
    digests = []
    while len(digests) < count:
        (digest,) = await ctx.tick().sample(unit.digests.payload).until(unit.digests.valid)
        digests.append(to_bytes(digest))
    return digests


def digests_of(unit, messages, waits=()):
    received = []

    async def feed(ctx):
        await fill(ctx, unit, messages)
        await put_all(ctx, unit.blocks, payloads(unit, messages), waits)

    async def drain(ctx):
        received.extend(await get_digests(ctx, unit, len(messages)))

    simulate(unit, feed, drain)
    return received


@each_unit
@pytest.mark.parametrize("idle", [0.0, 0.3])
def test_digests_are_those_of_the_messages_in_order(unit, idle):
    source = random.Random(f"{unit} {idle}")
    unit = UNITS[unit]()
    lengths = [*range(1, 3 * unit.chains + 1), *(source.randint(1, 4) for _ in range(6)), 1, 1, 1]
    source.shuffle(lengths)
    messages = [(H, CIPHERTEXT + LENGTHS), *random_messages(source, lengths)]
    received = digests_of(unit, messages, pauses(unit.chains, idle))
    assert received == [ghash(h, data) for h, data in messages]
    assert received[0] == DIGEST


@each_unit
def test_a_digest_comes_latency_cycles_after_the_last_block(unit):
    unit = UNITS[unit]()
    messages = random_messages(random.Random(1), [2 * unit.chains + 1, 1, unit.chains])
    taken, given = [], []

    async def feed(ctx):
        await fill(ctx, unit, messages)
        await put_all(ctx, unit.blocks, payloads(unit, messages))
        await pause(ctx, unit.latency + 1)

    watches = [transfer_cycles(unit.blocks, taken), transfer_cycles(unit.digests, given)]
    simulate(unit, feed, background=watches)
    ends = [taken[i] for i, item in enumerate(payloads(unit, messages)) if item["last"]]
    assert given == [cycle + unit.latency for cycle in ends]
    first_message = taken[: 2 * unit.chains + 1]
    distances = [b - a for a, b in itertools.pairwise(first_message)]
    assert distances == [unit.interval] * (len(first_message) - 1)


@each_unit
@pytest.mark.parametrize("wait", [0, 3])
def test_after_a_reset_nothing_is_left_of_the_messages_before(unit, wait):
    source = random.Random(unit)
    unit = UNITS[unit]()
    before, after = random_messages(source, [1, 2 * unit.chains + 2]), random_messages(source, [3])
    begun = payloads(unit, before)[: unit.chains + 2]
    reset = Signal()
    received = []

    async def hash_all(ctx):
        await fill(ctx, unit, before)
        for payload in begun:
            await put(ctx, unit.blocks, payload)
        await pause(ctx, wait)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        await fill(ctx, unit, after)
        for payload in payloads(unit, after):
            await put(ctx, unit.blocks, payload)

    async def drain(ctx):
        await ctx.posedge(reset)
        await ctx.tick()
        received.extend(await get_digests(ctx, unit, 1))

    simulate(ResetInserter(reset)(unit), hash_all, drain)
    assert received == [ghash(*after[0])]
