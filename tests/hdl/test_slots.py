"""The slot store: four memories, each read a cycle after its address."""

import pytest

from hdl.profile import Profile
from hdl.slots import STAGED_BYTES, WORDS_PER_SLOT, SlotStore, string_address_bits
from tests.hdl.streams import simulate

SLOTS = [2, 3]


@pytest.mark.parametrize("slots", SLOTS)
def test_every_round_key_has_a_place_of_its_own(slots):
    dut = SlotStore(Profile("p", slots=slots))
    places = [(key, number) for key in range(2 * slots) for number in range(16)]

    async def testbench(ctx):
        for key, number in places:
            ctx.set(dut.write_address, {"key": key, "round": number})
            for place, byte in enumerate((number, key)):
                ctx.set(dut.write_mask, 1 << place)
                ctx.set(dut.write_byte, byte)
                await ctx.tick()
        ctx.set(dut.write_mask, 0)
        for key, number in places:
            ctx.set(dut.round_key_address, {"key": key, "round": number})
            await ctx.tick()
            assert ctx.get(dut.round_key) == 256 * key + number
        rows = [ctx.get(dut.round_keys[row]) for row in range(slots * WORDS_PER_SLOT)]
        assert sorted(rows) == sorted(256 * key + number for key, number in places)

    simulate(dut, testbench)


@pytest.mark.parametrize("slots", SLOTS)
def test_context_state_and_subkey_are_written_apart(slots):
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
            await write(ctx, dut.write_state.next, slot, 20 + slot)
            ctx.set(dut.new_h, 30 + slot)
            await write(ctx, dut.write_h, slot, 0)
        for slot in range(slots):
            ctx.set(dut.slot, slot)
            await ctx.tick()
            assert ctx.get(dut.context.epoch) == 10 + slot
            assert ctx.get(dut.state.next) == 20 + slot
            ctx.set(dut.hash_row, 1)
            await ctx.tick()
            assert ctx.get(dut.h) == 30 + slot
            ctx.set(dut.hash_row, 0)

    simulate(dut, testbench)


def test_a_write_is_seen_by_the_next_read():
    dut = SlotStore(Profile("p", slots=2))

    async def testbench(ctx):
        ctx.set(dut.write_slot, 1)
        ctx.set(dut.slot, 1)
        ctx.set(dut.new_state.next, 7)
        ctx.set(dut.write_state.next, 1)
        await ctx.tick()
        ctx.set(dut.write_state.next, 0)
        await ctx.tick()
        assert ctx.get(dut.state.next) == 7
        await ctx.tick().repeat(3)
        assert ctx.get(dut.state.next) == 7  # holds while the address does

    simulate(dut, testbench)


@pytest.mark.parametrize("slots", SLOTS)
def test_strings_have_places_beside_that_of_a_payload(slots):
    profile = Profile("p", slots=slots)
    dut = SlotStore(profile)
    strings = [32 * slot + i for slot in range(slots) for i in range(32)]
    staged = [(1 << string_address_bits(profile) - 1) + i for i in range(STAGED_BYTES)]

    async def testbench(ctx):
        ctx.set(dut.write_string, 1)
        for value, address in enumerate([*strings, *staged]):
            ctx.set(dut.write_string_address, address)
            ctx.set(dut.new_string, value & 0xFF)
            await ctx.tick()
        ctx.set(dut.write_string, 0)
        for value, address in enumerate([*strings, *staged]):
            ctx.set(dut.string_address, address)
            await ctx.tick()
            assert ctx.get(dut.string) == value & 0xFF

    simulate(dut, testbench)
