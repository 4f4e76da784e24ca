"""LOAD and ZEROIZE: what stands in the slot store afterwards, and what does not any more."""

import random
from dataclasses import replace

import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.lib import wiring

from driver.messages import (
    ALL_SLOTS,
    LOAD_BYTES,
    HeaderForm,
    Load,
    Opcode,
    Status,
    Suite,
    Usage,
)
from hdl.aes import encrypt_block, expand_key
from hdl.aes.serial import SerialAES
from hdl.block import to_bytes
from hdl.loader import SlotLoader
from hdl.profile import Profile
from hdl.slots import (
    STAGED_BYTES,
    WORDS_PER_SLOT,
    SlotStore,
    state_layout,
    string_address_bits,
)
from tests.hdl.streams import pauses, simulate
from tests.hdl.units import first_phase, second_phase

PROFILE = Profile("loader", slots=3, largest_record=64, window=8)
KEY_BYTES = {Suite.AES_128_GCM: 16, Suite.AES_256_GCM: 32}


class LoaderWithStore(Elaboratable):
    """The loader between the slot store and the AES core, as in the accelerator."""

    def __init__(self):
        self.loader = SlotLoader(PROFILE)
        self.slots = SlotStore(PROFILE)

    def elaborate(self, platform):
        m = Module()
        loader, slots = self.loader, self.slots
        m.submodules.loader = loader
        m.submodules.slots = slots
        m.submodules.aes = aes = SerialAES(2 * PROFILE.slots)
        wiring.connect(m, loader.aes_requests, aes.requests)
        wiring.connect(m, aes.results, loader.aes_results)
        m.d.comb += [
            slots.round_key_address.eq(aes.round_key_address),
            aes.round_key.eq(slots.round_key),
            slots.string_address.eq(loader.string_address),
            loader.string.eq(slots.string),
            slots.write_mask.eq(loader.write_mask),
            slots.write_address.eq(loader.write_address),
            slots.write_byte.eq(loader.write_byte),
            slots.write_slot.eq(loader.write_slot),
            slots.write_context.eq(loader.write_context),
            slots.new_context.eq(loader.new_context),
            slots.write_state.eq(loader.write_state),
            slots.new_state.eq(loader.new_state),
            slots.write_h.eq(loader.write_h),
            slots.new_h.eq(loader.new_h),
            slots.write_string.eq(loader.write_string),
            slots.write_string_address.eq(loader.write_string_address),
            slots.new_string.eq(loader.new_string),
        ]
        return m

    async def load(self, ctx, slot, payload: bytes, *, keep=True, waits=()) -> Status:
        said = await first_phase(ctx, self.loader.unit, Opcode.LOAD, slot, payload, waits)
        await second_phase(ctx, self.loader.unit, keep)
        assert not any(self.staged(ctx))
        return Status(said["status"])

    async def zeroize(self, ctx, slot, *, keep=True) -> int:
        """Returns the cycles that it took."""
        await first_phase(ctx, self.loader.unit, Opcode.ZEROIZE, slot)
        return await second_phase(ctx, self.loader.unit, keep)

    def staged(self, ctx) -> bytes:
        """The place where a payload stands while it is worked on."""
        return bytes(ctx.get(self.slots.strings[row]) for row in range(STAGING, STAGING + 128))

    def round_keys(self, ctx, slot) -> list[bytes]:
        rows = range(WORDS_PER_SLOT * slot, WORDS_PER_SLOT * (slot + 1))
        return [to_bytes(ctx.get(self.slots.round_keys[row])) for row in rows]

    def strings(self, ctx, slot) -> bytes:
        rows = range(32 * slot, 32 * (slot + 1))
        return bytes(ctx.get(self.slots.strings[row]) for row in rows)

    def record_rows(self, ctx, slot) -> tuple[int, int]:
        """The state and H."""
        return tuple(ctx.get(self.slots.records[2 * slot + i]) for i in range(2))

    def memories(self, ctx, slot) -> tuple:
        """All that is kept of a slot."""
        context = ctx.get(self.slots.contexts[slot]).as_bits()
        return (
            self.round_keys(ctx, slot),
            context,
            self.strings(ctx, slot),
            self.record_rows(ctx, slot),
        )


STAGING = 1 << string_address_bits(PROFILE) - 1
EMPTY = ([bytes(16)] * WORDS_PER_SLOT, 0, bytes(32), (0, 0))


def random_load(source, suite=Suite.AES_256_GCM, usage=Usage.OPEN) -> Load:
    return Load(
        suite,
        usage,
        key=source.randbytes(KEY_BYTES[suite]),
        iv=source.randbytes(12),
        record_number_key=source.randbytes(KEY_BYTES[suite]),
        epoch=source.getrandbits(16),
        connection_id=source.randbytes(source.randrange(21)),
        sequence_number=source.getrandbits(48),
        header_form=HeaderForm(source.choice((0, 4, 8, 12))),
    )


def expected_round_keys(load: Load) -> list[bytes]:
    rows = []
    for key in (load.key, load.record_number_key):
        rows += expand_key(key)
        rows += [bytes(16)] * (-len(rows) % 16)
    return rows


def check_slot(ctx, dut, slot, load):
    assert dut.round_keys(ctx, slot) == expected_round_keys(load)
    context = ctx.get(dut.slots.contexts[slot])
    assert context.valid == 1
    assert context.aes256 == (load.suite is Suite.AES_256_GCM)
    assert context.usage == load.usage
    assert context.form == load.header_form
    assert context.epoch == load.epoch
    assert context.connection_id_bytes == len(load.connection_id)
    assert dut.strings(ctx, slot) == load.iv + load.connection_id.ljust(20, b"\0")
    row, h = dut.record_rows(ctx, slot)
    assert to_bytes(h) == encrypt_block(load.key, bytes(16))
    state = state_layout(PROFILE).from_bits(row & (1 << state_layout(PROFILE).size) - 1)
    assert state.next == load.sequence_number
    assert state.seen == (1 << PROFILE.window) - 1
    assert state.count == 0


@pytest.mark.parametrize(("idle", "seed"), [(0.0, 1), (0.2, 2)])
def test_loads_everything_over_whatever_was_there(idle, seed):
    """Of AES-256 keys under AES-128 keys, nothing is left."""
    dut, source, waits = LoaderWithStore(), random.Random(seed), pauses(seed, idle)
    suites = [Suite.AES_256_GCM, Suite.AES_128_GCM, Suite.AES_128_GCM, Suite.AES_256_GCM]

    async def testbench(ctx):
        neighbour = random_load(source)
        assert await dut.load(ctx, 1, neighbour.pack()) is Status.OK
        for suite in suites:
            load = random_load(source, suite, source.choice(list(Usage)))
            assert await dut.load(ctx, 2, load.pack(), waits=waits) is Status.OK
            check_slot(ctx, dut, 2, load)
        check_slot(ctx, dut, 1, neighbour)
        assert dut.memories(ctx, 0) == EMPTY

    simulate(dut, testbench)


def changed(payload: bytes, position: int, value: int) -> bytes:
    return payload[:position] + bytes([value]) + payload[position + 1 :]


def test_a_refused_load_changes_nothing_and_forgets_its_keys():
    dut, source = LoaderWithStore(), random.Random(3)
    load = random_load(source)
    other = random_load(source).pack()
    refusals = [
        *((0, suite, Status.UNSUPPORTED_SUITE) for suite in (0, 3, 255)),
        *((1, usage, Status.MALFORMED_REQUEST) for usage in (0, 4, 255)),
        *((2, form, Status.MALFORMED_REQUEST) for form in (1, 2, 16, 255)),
        *((3, length, Status.MALFORMED_REQUEST) for length in (21, 32, 255)),
    ]

    async def testbench(ctx):
        assert await dut.load(ctx, 0, load.pack()) is Status.OK
        for position, value, status in refusals:
            assert await dut.load(ctx, 0, changed(other, position, value)) is status
            check_slot(ctx, dut, 0, load)

    simulate(dut, testbench)


def test_a_load_in_a_malformed_packet_changes_nothing_and_forgets_its_keys():
    dut, source = LoaderWithStore(), random.Random(4)
    load = random_load(source)

    async def testbench(ctx):
        assert await dut.load(ctx, 0, load.pack()) is Status.OK
        assert await dut.load(ctx, 0, random_load(source).pack(), keep=False) is Status.OK
        # Cut short after its first key, so that zeros follow (`hdl.request_reader`).
        cut = random_load(source).pack()[:76].ljust(LOAD_BYTES, b"\0")
        assert await dut.load(ctx, 0, cut, keep=False) is Status.OK
        await dut.zeroize(ctx, 0, keep=False)
        check_slot(ctx, dut, 0, load)

    simulate(dut, testbench)


def test_zeroize_wipes_one_slot_or_all():
    dut, source = LoaderWithStore(), random.Random(5)
    loads = [random_load(source) for _ in range(PROFILE.slots)]

    async def testbench(ctx):
        for slot, load in enumerate(loads):
            await dut.load(ctx, slot, load.pack())
        assert await dut.zeroize(ctx, 1) == WORDS_PER_SLOT + STAGED_BYTES
        assert dut.memories(ctx, 1) == EMPTY
        check_slot(ctx, dut, 0, loads[0])
        check_slot(ctx, dut, 2, loads[2])
        await dut.load(ctx, 1, loads[1].pack())
        check_slot(ctx, dut, 1, loads[1])
        assert await dut.zeroize(ctx, ALL_SLOTS) == PROFILE.slots * WORDS_PER_SLOT + STAGED_BYTES
        assert [dut.memories(ctx, slot) for slot in range(PROFILE.slots)] == [EMPTY] * PROFILE.slots

    simulate(dut, testbench)


@pytest.mark.parametrize("suite", Suite, ids=lambda suite: suite.name)
def test_loading_takes_the_same_for_any_key(suite):
    dut, source = LoaderWithStore(), random.Random(6)
    cycles = set()

    async def testbench(ctx):
        load = random_load(source, suite)
        blank = replace(load, key=bytes(len(load.key)), record_number_key=bytes(len(load.key)))
        for payload in (load.pack(), random_load(source, suite).pack(), blank.pack()):
            await first_phase(ctx, dut.loader.unit, Opcode.LOAD, 0, payload)
            cycles.add(await second_phase(ctx, dut.loader.unit, keep=True))

    simulate(dut, testbench)
    assert len(cycles) == 1
