"""The slot store: three memories, each read a cycle after its address."""

import pytest

from hdl.profile import Profile
from hdl.slots import WORDS_PER_SLOT, SlotStore
from tests.hdl.streams import simulate

SLOTS = [2, 3]


@pytest.mark.parametrize("slots", SLOTS)
def test_every_round_key_has_a_place_of_its_own(slots):
    dut = SlotStore(Profile("p", slots=slots))
    places = [(key, number) for key in range(2 * slots) for number in range(16)]

    async def testbench(ctx):
        ctx.set(dut.write_round_key, 1)
        for key, number in places:
            ctx.set(dut.write_address, {"key": key, "round": number})
            ctx.set(dut.write_data, 1000 * key + number)
            await ctx.tick()
        ctx.set(dut.write_round_key, 0)
        for key, number in places:
            ctx.set(dut.round_key_address, {"key": key, "round": number})
            await ctx.tick()
            assert ctx.get(dut.round_key) == 1000 * key + number
        rows = [ctx.get(dut.round_keys.data[row]) for row in range(slots * WORDS_PER_SLOT)]
        assert sorted(rows) == sorted(1000 * key + number for key, number in places)

    simulate(dut, testbench)


@pytest.mark.parametrize("slots", SLOTS)
def test_context_and_state_are_written_apart(slots):
    dut = SlotStore(Profile("p", slots=slots))

    async def write(ctx, enable, slot, value):
        ctx.set(dut.write_slot, slot)
        ctx.set(dut.new_context.epoch, value)
        ctx.set(dut.new_state.next, value)
        ctx.set(enable, 1)
        await ctx.tick()
        ctx.set(enable, 0)

    async def testbench(ctx):
        for slot in range(slots):
            await write(ctx, dut.write_context, slot, 10 + slot)
            await write(ctx, dut.write_state, slot, 20 + slot)
        for slot in range(slots):
            ctx.set(dut.slot, slot)
            await ctx.tick()
            assert ctx.get(dut.context.epoch) == 10 + slot
            assert ctx.get(dut.state.next) == 20 + slot

    simulate(dut, testbench)


def test_a_write_is_seen_by_the_next_read():
    dut = SlotStore(Profile("p", slots=2))

    async def testbench(ctx):
        ctx.set(dut.write_slot, 1)
        ctx.set(dut.slot, 1)
        ctx.set(dut.new_state.next, 7)
        ctx.set(dut.write_state, 1)
        await ctx.tick()
        ctx.set(dut.write_state, 0)
        await ctx.tick()
        assert ctx.get(dut.state.next) == 7
        await ctx.tick().repeat(3)
        assert ctx.get(dut.state.next) == 7  # holds while the address does

    simulate(dut, testbench)
