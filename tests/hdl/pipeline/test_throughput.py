"""A record of n blocks takes n + 2 cycles, exactly, whatever slots and keys its neighbours have."""

import dataclasses
import itertools
import random

import pytest

from driver.messages import Suite, Usage
from hdl.pipeline.accelerator import PipelinedAccelerator
from hdl.profile import FAST
from tests.hdl.pipeline.batches import Key
from tests.hdl.ports import ask, beats
from tests.hdl.streams import put_all, simulate

PROFILE = dataclasses.replace(FAST, slots=4)
LENGTHS = (1, 2, 17)
MEASURED = 12
#: Cycles until a record is sealed, at most. So many behind those that are measured, others must
#: follow: in their slots the numbers are encrypted.
SEALING = 150
#: Records to open until all are in step. A mask waits for the end of the message that has the core;
#: each time that it comes too late, its record and all behind it are a cycle later from then on.
OPENING = 64


def keys(usage: Usage, mixed: bool) -> list[Key]:
    suites = [Suite.AES_128_GCM, Suite.AES_256_GCM, Suite.AES_256_GCM, Suite.AES_128_GCM]
    count = PROFILE.slots if mixed else 1
    return [Key(PROFILE, "rate", usage, slot, suites[slot]) for slot in range(count)]


def answer_cycles(
    loads: list[bytes], batches: list[list[bytes]], encrypt_numbers: bool = True
) -> list[list[int]]:
    """The cycles in which the completions of each batch end; neither port ever waits."""
    dut, ended = PipelinedAccelerator(PROFILE, encrypt_numbers), []

    async def send(ctx):
        for packet in loads:
            await ask(ctx, dut, packet)
        ctx.set(dut.completions.ready, 1)
        expected = len(loads)
        for packets in batches:
            await put_all(ctx, dut.requests, [beat for one in packets for beat in beats(one, 16)])
            expected += len(packets)
            while len(ended) < expected:
                await ctx.tick()

    async def watch(ctx):
        cycle = 0
        signals = dut.completions.valid, dut.completions.ready, dut.completions.payload.last
        async for *_, valid, ready, last in ctx.tick().sample(*signals):
            if valid and ready and last:
                ended.append(cycle)
            cycle += 1

    simulate(dut, send, background=[watch])
    ends = iter(ended[len(loads) :])
    return [list(itertools.islice(ends, len(packets))) for packets in batches]


@pytest.mark.parametrize("mixed", [False, True], ids=["one slot", "random slots"])
@pytest.mark.parametrize("usage", [Usage.SEAL, Usage.OPEN], ids=lambda usage: usage.name)
def test_a_record_takes_two_cycles_more_than_it_has_blocks(usage, mixed):
    source = random.Random(f"{usage} {mixed}")
    all_keys = keys(usage, mixed)
    batches = []
    for blocks in LENGTHS:
        text = b"t" * (16 * blocks - 1) + b"\x17"
        seals = usage is Usage.SEAL
        count = MEASURED + (SEALING // (blocks + 2) if seals else OPENING)
        chosen = [source.choice(all_keys) for _ in range(count)]
        batches.append([key.seal(text) if seals else key.open(text) for key in chosen])
    ends = answer_cycles([key.load for key in all_keys], batches)
    for blocks, cycles in zip(LENGTHS, ends, strict=True):
        measured = cycles[:MEASURED] if usage is Usage.SEAL else cycles[-MEASURED:]
        distances = [b - a for a, b in itertools.pairwise(measured)]
        assert distances == [blocks + 2] * (MEASURED - 1), blocks


def test_sealing_takes_as_many_cycles_without_the_masks_of_record_numbers():
    """The one AES slot that GHASH's extra block leaves idle is all that they take."""
    (key,) = keys(Usage.SEAL, mixed=False)
    batches = [
        [key.seal(b"t" * (16 * n - 1) + b"\x17")] * (MEASURED + SEALING // (n + 2)) for n in LENGTHS
    ]
    paces = []
    for encrypt_numbers in (True, False):
        ends = answer_cycles([key.load], batches, encrypt_numbers)
        paces.append([cycles[MEASURED] - cycles[0] for cycles in ends])
    assert paces[0] == paces[1]


def test_opening_takes_as_many_cycles_without_the_masks_of_record_numbers():
    """The records that are refused for their wrong number take what genuine ones do."""
    (key,) = keys(Usage.OPEN, mixed=False)
    batches = [
        [key.open(b"t" * (16 * n - 1) + b"\x17") for _ in range(MEASURED + OPENING)] for n in (2, 5)
    ]
    paces = []
    for encrypt_numbers in (True, False):
        ends = answer_cycles([key.load], batches, encrypt_numbers)
        paces.append([cycles[-1] - cycles[-MEASURED] for cycles in ends])
    assert paces[0] == paces[1]
