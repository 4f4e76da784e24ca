# amaranth: UnusedElaboratable=no
"""The tag of a digest, and the ticket that says whether it is the received one, back to back."""

import random

import pytest

from hdl.pipeline.tag import Tag
from tests.hdl.pipeline.tickets import as_dict, void
from tests.hdl.streams import simulate

TAGS = 200


@pytest.mark.parametrize("rate", [1.0, 0.3])
def test_one_wrong_bit_anywhere_is_seen(rate):
    source = random.Random(rate)
    dut, expected, got = Tag(), [], []

    async def give(ctx):
        for number in range(TAGS):
            digest, key = source.getrandbits(128), source.getrandbits(128)
            wrong = 1 << number % 128 if number % 3 else 0
            ticket = {"number": source.getrandbits(7), "opening": source.getrandbits(1)}
            ctx.set(dut.digests.payload, digest)
            ctx.set(dut.tag_keys.payload, {"block": key, "ticket": ticket})
            ctx.set(dut.received_tags.payload, digest ^ key ^ wrong)
            expected.append((digest ^ key, void(ticket) if wrong and ticket["opening"] else ticket))
            while source.random() >= rate:
                await ctx.tick()
            ctx.set(dut.digests.valid, 1)
            assert ctx.get(dut.tag_keys.ready)
            assert ctx.get(dut.received_tags.ready)
            await ctx.tick()
            ctx.set(dut.digests.valid, 0)
        await ctx.tick().repeat(4)

    async def watch(ctx):
        async for *_, valid, tag in ctx.tick().sample(dut.tags.valid, dut.tags.payload):
            if valid:
                got.append((tag.tag, as_dict(tag.ticket)))

    simulate(dut, give, background=[watch])
    assert got == expected
