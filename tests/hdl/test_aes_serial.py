"""The byte-serial AES core against its model and FIPS 197, and the cycles it takes."""

import random

import pytest
from amaranth.hdl import Fragment, Module
from amaranth.lib import wiring

from hdl.aes.serial import SerialAES
from hdl.block import from_bytes, to_bytes
from tests.hdl.round_keys import connect_round_keys
from tests.hdl.streams import (
    get_all,
    pauses,
    put_all,
    simulate,
    transfer_cycles,
    with_idle_and_stall,
)
from tests.hdl.test_aes import AES_128, AES_256, PLAINTEXT, VECTORS


class CoreWithKeys(wiring.Component):
    """An AES core, and the memory with the round keys of ``keys``."""

    def __init__(self, core, keys):
        self._core = core
        self._keys = keys
        super().__init__({name: core.signature.members[name] for name in ("requests", "results")})

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = core = self._core
        connect_round_keys(m, core, self._keys)
        for name in self.signature.members:
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(core, name))
        return m


def request(keys, index, block):
    return {"block": from_bytes(block), "key": index, "aes256": len(keys[index]) == 32}


def run(keys, blocks, idle=(), stall=()):
    """The results of ``blocks`` (index of the key, block); when each is taken, and when given."""
    dut = CoreWithKeys(SerialAES(len(keys)), keys)
    results, taken, given = [], [], []

    async def feed(ctx):
        await put_all(ctx, dut.requests, [request(keys, *item) for item in blocks], idle)

    async def check(ctx):
        results.extend(map(to_bytes, await get_all(ctx, dut.results, len(blocks), stall)))

    watches = [transfer_cycles(dut.requests, taken), transfer_cycles(dut.results, given)]
    simulate(dut, feed, check, background=watches)
    return results, taken, given


def test_results_are_those_of_fips_197():
    results, *_ = run([AES_128, AES_256], [(0, PLAINTEXT), (1, PLAINTEXT)])
    assert [result.hex() for result in results] == [ciphertext for _, ciphertext in VECTORS]


@with_idle_and_stall
def test_results_are_those_of_the_model_whatever_key_each_block_uses(idle, stall, seed):
    source = random.Random(seed)
    keys = [source.randbytes(length) for length in (16, 32, 32, 16, 16)]
    blocks = [(source.randrange(len(keys)), source.randbytes(16)) for _ in range(12)]
    results, *_ = run(keys, blocks, pauses(seed, idle), pauses(-seed, stall))
    assert results == [SerialAES.model(keys[index], block) for index, block in blocks]


@pytest.mark.parametrize(("key", "latency"), [(AES_128, 193), (AES_256, 269)])
def test_cycles_do_not_depend_on_key_or_data(key, latency):
    source = random.Random(1)
    assert SerialAES.latency(len(key) == 32) == latency
    for _ in range(3):
        blocks = [(0, source.randbytes(16)) for _ in range(3)]
        _, taken, given = run([source.randbytes(len(key))], blocks)
        assert given == [cycle + latency for cycle in taken]
        assert taken[1:] == [cycle + 1 for cycle in given[:-1]]


def test_a_result_that_was_taken_stands_in_no_register():
    source = random.Random(2)
    core = SerialAES(1)
    key = source.randbytes(16)
    dut = CoreWithKeys(core, [key])

    async def work(ctx):
        await put_all(ctx, dut.requests, [request([key], 0, source.randbytes(16))])
        await get_all(ctx, dut.results, 1)
        await ctx.tick()
        assert ctx.get(core.results.payload) == 0

    simulate(dut, work)


def registers_after(key, block):
    """What all registers of a core hold some cycles after its one result was taken."""
    dut = CoreWithKeys(SerialAES(1), [key])
    fragment = Fragment.get(dut, None)
    state = fragment.find_subfragment("core").statements["sync"]._lhs_signals()
    values = []

    async def work(ctx):
        await put_all(ctx, dut.requests, [request([key], 0, block)])
        await get_all(ctx, dut.results, 1)
        await ctx.tick().repeat(8)
        values.extend(ctx.get(signal) for signal in state)

    simulate(fragment, work)
    return values


def test_nothing_of_key_or_block_is_left_behind_a_result():
    source = random.Random(3)
    first, second = (registers_after(source.randbytes(16), source.randbytes(16)) for _ in range(2))
    assert first == second
