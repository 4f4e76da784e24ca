"""A record of n blocks takes n + 2 cycles, exactly, whatever slots and keys its neighbours have."""

import itertools
import random

import pytest

from driver.messages import Suite, Usage
from hdl.accelerator import Accelerator
from hdl.model import AcceleratorModel
from hdl.profile import Profile
from tests.hdl.pipeline.batches import Key
from tests.hdl.ports import ask, beats
from tests.hdl.streams import put_all, simulate
from tests.hdl.traffic import pipelined

#: Room for a record of 17 blocks.
PROFILE = pipelined(Profile("rate", slots=4, largest_record=512), name="rate")
LENGTHS = (1, 2, 5, 17)
#: Records of each length; the last ones of them are measured, when the pipeline is full of them.
RECORDS, MEASURED = 40, 12


def keys(usage: Usage, mixed: bool) -> list[Key]:
    suites = [Suite.AES_128_GCM, Suite.AES_256_GCM, Suite.AES_256_GCM, Suite.AES_128_GCM]
    count = PROFILE.slots if mixed else 1
    return [Key(PROFILE, "rate", usage, slot, suites[slot]) for slot in range(count)]


def answer_cycles(loads: list[bytes], packets: list[bytes]) -> list[int]:
    """The cycles in which the completions end; ports that never wait."""
    dut, model = Accelerator(PROFILE), AcceleratorModel(PROFILE)
    ended = []

    async def send(ctx):
        for packet in loads:
            assert await ask(ctx, dut, packet) == model.request(packet)
        ctx.set(dut.completions.ready, 1)
        await put_all(ctx, dut.requests, [beat for packet in packets for beat in beats(packet, 16)])
        while len(ended) < len(packets) + len(loads):
            await ctx.tick()

    async def watch(ctx):
        cycle = 0
        signals = dut.completions.valid, dut.completions.ready, dut.completions.payload.last
        async for *_, valid, ready, last in ctx.tick().sample(*signals):
            if valid and ready and last:
                ended.append(cycle)
            cycle += 1

    simulate(dut, send, background=[watch])
    return ended[len(loads) :]


@pytest.mark.parametrize("mixed", [False, True], ids=["one slot", "random slots"])
@pytest.mark.parametrize("usage", [Usage.SEAL, Usage.OPEN], ids=lambda usage: usage.name)
def test_a_record_takes_two_cycles_more_than_it_has_blocks(usage, mixed):
    """One after the other of the same length, in steady state."""
    source = random.Random(f"{usage} {mixed}")
    all_keys = keys(usage, mixed)
    packets = []
    for blocks in LENGTHS:
        for _ in range(RECORDS):
            key, text = source.choice(all_keys), b"t" * (16 * blocks - 1) + b"\x17"
            packets.append(key.seal(text) if usage is Usage.SEAL else key.open(text))
    ends = answer_cycles([key.load for key in all_keys], packets)
    for number, blocks in enumerate(LENGTHS):
        measured = ends[(number + 1) * RECORDS - MEASURED : (number + 1) * RECORDS]
        distances = [b - a for a, b in itertools.pairwise(measured)]
        assert distances == [blocks + 2] * (MEASURED - 1), blocks
