"""The AES engines against their model and FIPS 197, and the cycles they take."""

import random

import pytest

from hdl.aes import SBoxForm, expand_key
from hdl.aes.pipelined import PipelinedAES
from hdl.aes.ring import RingAES
from hdl.block import from_bytes, to_bytes
from tests.hdl.streams import pauses, put_all, simulate, transfer_cycles

PLAINTEXT = bytes.fromhex("00112233445566778899aabbccddeeff")
# FIPS 197, C.1 and C.3: keys and ciphertexts of the example vectors.
AES_128, AES_256 = bytes(range(16)), bytes(range(32))
CIPHERTEXTS = ["69c4e0d86a7b0430d8cdb78070b4c55a", "8ea2b7ca516745bfeafc49904b496089"]

every_engine = pytest.mark.parametrize("engine", [PipelinedAES, RingAES])


class Run:
    """Writes ``keys``, then requests (index of the key, block); all results, and when."""

    def __init__(self, dut, keys, requests, waits=(), before=()):
        self._dut = dut
        self.results: list[bytes] = []
        self.taken: list[int] = []
        self.given: list[int] = []

        async def work(ctx):
            for written in (*before, keys):
                await self._write(ctx, written)
            payloads = [
                {"block": from_bytes(block), "key": index, "aes256": len(keys[index]) == 32}
                for index, block in requests
            ]
            await put_all(ctx, dut.requests, payloads, waits)
            await ctx.tick().repeat(100)

        async def collect(ctx):
            async for *_, valid, payload in ctx.tick().sample(
                dut.results.valid, dut.results.payload
            ):
                if valid:
                    self.results.append(to_bytes(payload))

        simulate(
            dut,
            work,
            background=[
                collect,
                transfer_cycles(dut.requests, self.taken),
                transfer_cycles(dut.results, self.given),
            ],
        )

    async def _write(self, ctx, keys):
        dut = self._dut
        ctx.set(dut.write, 1)
        for index, key in enumerate(keys):
            for number, round_key in enumerate(expand_key(key)):
                ctx.set(dut.write_address, {"key": index, "round": number})
                ctx.set(dut.write_data, from_bytes(round_key))
                await ctx.tick()
        ctx.set(dut.write, 0)


@every_engine
def test_results_are_those_of_fips_197(engine):
    run = Run(engine(2), [AES_128, AES_256], [(0, PLAINTEXT), (1, PLAINTEXT)])
    assert [result.hex() for result in run.results] == CIPHERTEXTS


@every_engine
@pytest.mark.parametrize(
    ("form", "idle", "seed"),
    [
        (SBoxForm.TABLE, 0.0, 1),
        (SBoxForm.TABLE, 0.9, 2),
        (SBoxForm.BLOCK_RAM, 0.3, 3),
        (SBoxForm.COMPOSITE, 0.1, 4),
    ],
)
def test_results_are_those_of_the_model_in_the_order_of_the_requests(engine, form, idle, seed):
    source = random.Random(seed)
    keys = [source.randbytes(source.choice([16, 32])) for _ in range(6)]
    blocks = [(source.randrange(6), source.randbytes(16)) for _ in range(40)]
    run = Run(engine(6, form), keys, blocks, pauses(seed, idle))
    assert run.results == [engine.model(keys[index], block) for index, block in blocks]


@every_engine
def test_a_key_is_what_was_written_last(engine):
    source = random.Random(5)
    for first, second in [(16, 32), (32, 16)]:
        before, after = source.randbytes(first), source.randbytes(second)
        block = source.randbytes(16)
        run = Run(engine(2), [AES_128, after], [(1, block)], before=[[AES_128, before]])
        assert run.results == [engine.model(after, block)]


@every_engine
def test_there_may_be_one_key_only(engine):
    run = Run(engine(1), [AES_256], [(0, PLAINTEXT)])
    assert [result.hex() for result in run.results] == CIPHERTEXTS[1:]


@pytest.mark.parametrize("seed", range(2))
def test_the_pipeline_takes_a_block_a_cycle_and_45_cycles_for_each(seed):
    source = random.Random(seed)
    blocks = [(source.randrange(2), PLAINTEXT) for _ in range(60)]
    run = Run(PipelinedAES(2, SBoxForm.TABLE), [AES_128, AES_256], blocks)
    assert PipelinedAES.interval == 1
    assert PipelinedAES.latency == 45
    assert run.taken == list(range(run.taken[0], run.taken[0] + 60))
    assert run.given == [cycle + 45 for cycle in run.taken]


@pytest.mark.parametrize(("key", "interval", "latency"), [(AES_128, 10, 33), (AES_256, 14, 45)])
def test_the_ring_takes_three_blocks_in_30_or_42_cycles(key, interval, latency):
    run = Run(RingAES(1), [key], [(0, PLAINTEXT)] * 12)
    assert RingAES.interval(len(key) == 32) == interval
    assert RingAES.latency(len(key) == 32) == latency
    assert [cycle - run.taken[0] for cycle in run.taken] == [
        3 * interval * turn + place for turn in range(4) for place in range(3)
    ]
    assert run.given == [cycle + latency for cycle in run.taken]


def test_in_the_ring_an_aes_128_block_overtakes_no_aes_256_block():
    run = Run(RingAES(2), [AES_128, AES_256], [(i, PLAINTEXT) for i in (1, 0, 1, 0, 0, 1, 1, 0)])
    assert [result.hex() for result in run.results] == [
        CIPHERTEXTS[i] for i in (1, 0, 1, 0, 0, 1, 1, 0)
    ]
    assert run.given == sorted(set(run.given))
    assert [cycle - run.taken[0] for cycle in run.taken[:2]] == [0, 13]


@every_engine
def test_time_does_not_depend_on_keys_or_data(engine):
    source = random.Random(1)
    times = []
    for _ in range(3):
        keys = [source.randbytes(16), source.randbytes(32)]
        blocks = [(index, source.randbytes(16)) for index in (0, 1, 1, 0, 1)]
        run = Run(engine(2), keys, blocks, pauses(7, 0.3))
        times.append((run.taken, run.given))
    assert times == times[:1] * 3
