"""ParallelGHASH: no cycle lost, whatever the messages; `test_hash_unit` has what it computes."""

import gc
import random

import pytest

from hdl.ghash import ghash
from hdl.ghash_parallel import ParallelGHASH
from tests.hdl.streams import pause, put_all, simulate, transfer_cycles
from tests.hdl.test_hash_unit import digests_of, payloads, random_messages


@pytest.mark.parametrize("lengths", [[1] * 20, [8, 9, 1, 7, 24, 1, 2, 16, 8]], ids=str)
def test_a_block_a_cycle_whatever_the_messages(lengths):
    unit = ParallelGHASH()
    taken, given = [], []
    messages = random_messages(random.Random(1), lengths)

    async def feed(ctx):
        await put_all(ctx, unit.blocks, payloads(unit, messages))
        await pause(ctx, unit.latency + 1)

    watches = [transfer_cycles(unit.blocks, taken), transfer_cycles(unit.digests, given)]
    simulate(unit, feed, background=watches)
    assert taken == list(range(sum(lengths)))
    ends = [sum(lengths[: i + 1]) - 1 for i in range(len(lengths))]
    assert given == [end + unit.latency for end in ends]


@pytest.mark.parametrize("gap", range(10))
@pytest.mark.parametrize("stages", [7, 8])
def test_a_chain_goes_on_after_any_gap(stages, gap):
    messages = random_messages(random.Random(gap), [17, 9])
    waits = [0] * 8 + [gap] + [0] * 7 + [gap, gap]
    received = digests_of(ParallelGHASH(8, stages), messages, waits)
    assert received == [ghash(h, data) for h, data in messages]


@pytest.mark.parametrize("stages", range(1, 9))
def test_every_number_of_stages_computes_the_same(stages):
    messages = random_messages(random.Random(stages), [1, 12, 3])
    received = digests_of(ParallelGHASH(12, stages), messages)
    assert received == [ghash(h, data) for h, data in messages]


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(
    ("chains", "stages", "message"),
    [
        (1, 1, "1 chains are under 2"),
        (8, 0, "0 stages are not 1 to 8, with 8 chains"),
        (4, 5, "5 stages are not 1 to 4, with 4 chains"),
        (12, 9, "9 stages are not 1 to 8, with 12 chains"),
    ],
)
def test_other_chains_and_stages_are_refused(chains, stages, message):
    with pytest.raises(ValueError, match=message):
        ParallelGHASH(chains, stages)
    gc.collect()  # Amaranth warns of the refused object when it goes: here, not in a later test.
