"""What a reset leaves behind, and what power-up does: nothing that a completion could show."""

import random

import pytest
from amaranth.hdl import Fragment, ResetInserter, Signal, Value
from amaranth.hdl._mem import MemoryInstance

from driver.messages import HeaderForm, Load, Opcode, Request, Suite, Usage
from hdl.accelerator import Accelerator
from hdl.model import AcceleratorModel
from hdl.profile import Profile
from tests.hdl.ports import ask, beats, width_of
from tests.hdl.streams import simulate
from tests.hdl.test_accelerator import without_cycles
from tests.hdl.traffic import pipelined

#: Three slots, so that one of the four that two bits name is not there.
TINY = Profile("reset", slots=3, largest_record=64, window=8)

with_engine = pytest.mark.parametrize(
    "profile", [TINY, pipelined(TINY), pipelined(TINY, 4, "narrow")], ids=lambda p: p.name
)


def load(slot: int, usage: Usage, sequence_number: int = 0) -> bytes:
    payload = Load(
        Suite.AES_256_GCM,
        usage,
        key=bytes(range(32)),
        iv=bytes(range(12)),
        record_number_key=bytes(range(32, 64)),
        connection_id=b"cid",
        sequence_number=sequence_number,
        header_form=HeaderForm.LENGTH,
    ).pack()
    return Request(Opcode.LOAD, slot, payload=payload).pack()


def seal(slot: int) -> bytes:
    return Request(Opcode.SEAL, slot, payload=b"some text, longer than a block\x17").pack()


def open_(slot: int) -> bytes:
    """Of the record that a slot of number 0 seals first."""
    model = AcceleratorModel(TINY)
    model.request(load(0, Usage.SEAL))
    return Request(Opcode.OPEN, slot, payload=model.request(seal(0))[8:]).pack()


STATS = Request(Opcode.STATS).pack()
#: Every slot is empty, every counter zero; and then all goes on as ever.
FROM_THE_START = [
    STATS,
    *(seal(slot) for slot in range(TINY.slots)),
    load(2, Usage.SEAL),
    seal(2),
    load(1, Usage.OPEN),
    open_(1),
    open_(1),
    STATS,
]
#: A reset comes in the middle of these.
WORK = [load(0, Usage.SEAL), seal(0), STATS, load(1, Usage.OPEN), open_(1), b"\x04", seal(0)]


async def check_from_the_start(ctx, dut):
    model = AcceleratorModel(TINY)
    for number, packet in enumerate(FROM_THE_START):
        completion = await ask(ctx, dut, packet)
        expected = model.request(packet)
        assert without_cycles(completion).hex() == without_cycles(expected).hex(), number


async def work(ctx, dut, cycles: int, source: random.Random) -> None:
    """For so many cycles, the bytes of `WORK` are offered and completions taken."""
    transfers = [beat for packet in WORK for beat in beats(packet, width_of(dut.requests))]
    for _ in range(cycles):
        ctx.set(dut.requests.valid, bool(transfers))
        if transfers:
            ctx.set(dut.requests.payload, transfers[0])
        ctx.set(dut.completions.ready, source.random() < 0.7)
        _, _, taken = await ctx.tick().sample(dut.requests.ready)
        if taken:
            del transfers[:1]
    ctx.set(dut.requests.valid, 0)
    ctx.set(dut.completions.ready, 0)


@with_engine
@pytest.mark.parametrize("seed", [1, 2])
def test_a_reset_in_the_middle_of_anything(profile, seed):
    dut, reset, source = Accelerator(profile), Signal(), random.Random(seed)
    most = 300 if profile.pipelined else 1500

    async def testbench(ctx):
        # The first is in the middle of the wipe after the reset before it.
        for cycles in (50, source.randrange(100, most)):
            await work(ctx, dut, cycles, source)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            await check_from_the_start(ctx, dut)

    simulate(ResetInserter(reset)(dut), testbench)


def zero_memories(fragment: Fragment) -> list:
    """All memories but tables."""
    found = []
    for subfragment, *_ in fragment.subfragments:
        if not isinstance(subfragment, MemoryInstance):
            found += zero_memories(subfragment)
        elif not any(subfragment._data.init):
            found.append(subfragment._data)
    return found


@with_engine
def test_memories_may_hold_anything_at_power_up(profile):
    """`hdl.verilog` gives them no initial contents."""
    dut, source = Accelerator(profile), random.Random(3)
    fragment = Fragment.get(dut, None)

    async def testbench(ctx):
        memories = zero_memories(fragment)
        assert len(memories) >= 6
        for memory in memories:
            for index in range(memory.depth):
                row = Value.cast(memory[index])
                ctx.set(row, source.getrandbits(len(row)))
        await check_from_the_start(ctx, dut)

    simulate(fragment, testbench)
