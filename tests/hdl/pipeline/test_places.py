"""Queues whose writers count on times, not on a level, have places enough when most comes at once.

What is sealed gives its tag some 80 cycles behind its last block, in `fast`, and that waits for a
cycle in which no text is written. So most waits behind many short messages with a long one.
"""

import dataclasses

import pytest
from amaranth.hdl import Mux, Signal

from driver.messages import Opcode, Request, Usage
from hdl.pipeline.accelerator import PipelinedAccelerator
from hdl.pipeline.queue import Places, Queue
from hdl.profile import FAST, AESCore, Profile
from tests.hdl.pipeline.batches import Key
from tests.hdl.ports import ask, beats
from tests.hdl.streams import put_all, simulate
from tests.hdl.traffic import SMALL_PIPELINED, SMALL_RING

#: Short messages, so many that each queue is as full as it gets.
SHORT = {AESCore.PIPELINED: 24, AESCore.RING: 8}
#: With records as long as in `fast`.
LONG = dataclasses.replace(SMALL_PIPELINED, largest_record=FAST.largest_record)


@pytest.fixture(autouse=True)
def queues_that_count(monkeypatch):
    """Each has the most that it ever held, in its memory and the register behind it; an overflow of
    `Places` is one more than all of them.
    """
    for kind, places, held in (
        (Queue, lambda queue: queue.depth + 1, lambda queue: queue.level + queue.write.valid),
        (
            Places,
            lambda places: places._count,
            lambda places: Mux(places.write.ready, 1, places._count + 1),
        ),
    ):
        elaborate = kind.elaborate

        def count(self, platform, elaborate=elaborate, places=places, held=held):
            m = elaborate(self, platform)
            self.places, self.most = places(self), Signal(8)
            with m.If(self.write.valid & (held(self) > self.most)):
                m.d.sync += self.most.eq(held(self))
            return m

        monkeypatch.setattr(kind, "elaborate", count)


def batches(profile: Profile, keys: tuple[Key, Key, Key]) -> list[list[bytes]]:
    """Sealed, opened and both in turn: short ones, and the longest behind them.

    All of them wait in front of the scheduler while a report is given.
    """
    seal, opens, aead = keys
    text, count = bytes(profile.largest_record) + b"\x17", SHORT[profile.aes]
    return [
        [seal.seal(b"s\x17")] * count + [seal.seal(text)],
        [aead.aead_seal(b"", b"")] * count + [aead.aead_seal(bytes(256), text[1:])],
        [opens.open(b"o\x17") for _ in range(count)] + [opens.open(text)],
        [packet for _ in range(count // 2) for packet in (seal.seal(b"\x17"), opens.open())],
    ]


def fullest(profile: Profile) -> dict[str, tuple[int, int]]:
    """Of each queue between two parts, the most that it held, and its places."""
    dut = PipelinedAccelerator(profile)
    dut._MustUse__used = True
    design = dut.elaborate(None)
    queues = {
        name: part
        for name, (part, _) in design._named_submodules.items()
        if isinstance(part, Queue | Places)
    }
    keys = tuple(
        Key(profile, "places", usage, slot)
        for slot, usage in enumerate((Usage.SEAL, Usage.OPEN, Usage.AEAD))
    )
    stats = Request(Opcode.STATS).pack()
    packets = [packet for batch in batches(profile, keys) for packet in (stats, *batch)]
    held = {}

    async def send(ctx):
        for key in keys:
            await ask(ctx, dut, key.load)
        ctx.set(dut.completions.ready, 1)
        await put_all(ctx, dut.requests, [beat for one in packets for beat in beats(one, 16)])
        while ctx.get(dut.scheduler.busy) or ctx.get(dut.completions.valid):
            await ctx.tick()
        held.update({name: (ctx.get(one.most), one.places) for name, one in queues.items()})

    simulate(design, send)
    return held


@pytest.mark.parametrize("profile", [LONG, SMALL_RING], ids=lambda item: item.name)
def test_there_are_places_for_all_that_comes(profile):
    held = fullest(profile)
    for name, (most, places) in held.items():
        assert 0 < most <= places, name
    if profile is LONG:
        # It is a crowd: requests wait for their verdicts, and tags for their places.
        assert held["pending"][0] > 20
        assert held["tags"][0] > 8
