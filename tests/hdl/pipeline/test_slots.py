"""How many slots there are, and what happens while they are wiped."""

import dataclasses

import pytest

from driver.messages import ALL_SLOTS, Opcode, Request, Status, Usage
from hdl.accelerator import Accelerator
from hdl.slots import WORDS_PER_SLOT
from sim import simulate
from tests.hdl.pipeline.batches import Device, Key, flipped
from tests.hdl.traffic import SMALL_PIPELINED, SMALL_RING

OK, BAD_TAG, SLOT_EMPTY = Status.OK, Status.BAD_TAG, Status.SLOT_EMPTY


def test_hundreds_of_slots_are_apart():
    """First, last, and on both sides of where a block memory ends (512 words, 32 of them a key)."""
    profile = dataclasses.replace(SMALL_RING, name="many", slots=512)
    slots = (0, 15, 16, 127, 128, 255, 256, 511)
    keys = [Key(profile, "many", Usage.OPEN, slot) for slot in slots]
    with simulate(Accelerator(profile)) as simulation:
        device = Device(simulation, profile)
        assert set(device.send_all(key.load for key in keys)) == {OK}
        packets = [key.open() for key in keys]
        assert device.send_all([*packets, *packets]) == [OK] * 8 + [Status.REPLAYED] * 8
        assert device.send_all([Request(Opcode.SEAL, 512).pack()]) == [Status.NO_SUCH_SLOT]
        device.send_all([Request(Opcode.ZEROIZE, 255).pack()])
        statuses = device.send_all([key.open() for key in keys])
        assert statuses == [SLOT_EMPTY if slot == 255 else OK for slot in slots]


@pytest.mark.parametrize("profile", [SMALL_PIPELINED, SMALL_RING], ids=lambda p: p.name)
def test_requests_that_come_during_the_wipe_after_reset_wait_for_its_end(profile):
    key = Key(profile, "early", Usage.SEAL, 1)
    with simulate(Accelerator(profile), backend="amaranth") as simulation:
        device = Device(simulation, profile)
        text = bytes(20)
        early = [key.seal(text), key.load, key.seal(text), Request(Opcode.INFO).pack()]
        assert device.send_all(early) == [SLOT_EMPTY, OK, OK, OK]
        assert simulation.cycles > profile.slots * WORDS_PER_SLOT


@pytest.mark.parametrize("profile", [SMALL_PIPELINED, SMALL_RING], ids=lambda p: p.name)
def test_a_wipe_amid_traffic_takes_effect_between_its_neighbours(profile):
    """Records in front of it are opened, and those behind it find no key; then there is one."""
    key = Key(profile, "wipe", Usage.OPEN, 2)
    wipe = Request(Opcode.ZEROIZE, ALL_SLOTS).pack()
    with simulate(Accelerator(profile), backend="amaranth") as simulation:
        device = Device(simulation, profile)
        device.clear(key)
        records = [key.open() for _ in range(3)]
        batch = [*records, flipped(records[0]), wipe, *records, wipe, key.load, *records]
        assert device.send_all(batch) == [
            *[OK, OK, OK, BAD_TAG, OK],
            *[SLOT_EMPTY] * 3,
            *[OK, OK],
            *[OK] * 3,
        ]
