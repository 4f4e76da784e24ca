"""Record numbers given and found against `hdl.record_number`, in the corners and back to back."""

import dataclasses
import itertools
import random

import pytest

from driver.messages import Opcode, Status
from hdl.pipeline.numbering import Numbering
from hdl.record_number import nonce_model, reconstruct
from tests.hdl.streams import get, pauses, put_all, simulate, transfer_cycles
from tests.hdl.test_record_number import cases_around
from tests.hdl.traffic import SMALL_PIPELINED

END = 1 << 48
LAST_NUMBER = END - 1
IV = bytes(range(0xA0, 0xAC))


def request(opcode, slot=0, *, wire=0, sixteen=1, masked=0, status=Status.OK):
    return {
        "echo": {"opcode": opcode, "slot": slot, "request_id": 0},
        "status": status,
        "sixteen": int(sixteen),
        "masked": masked,
        "wire": wire,
        "nonce": int.from_bytes(IV, "little"),
    }


async def load(ctx, dut, slot, next_number):
    ctx.set(dut.load, 1)
    ctx.set(dut.load_slot, slot)
    ctx.set(dut.load_next, next_number % END)
    ctx.set(dut.open, 1)
    ctx.set(dut.open_slot, slot)
    ctx.set(dut.open_next, next_number % END)
    await ctx.tick()
    ctx.set(dut.load, 0)
    ctx.set(dut.open, 0)
    await ctx.tick().repeat(2)


async def opened(ctx, dut, slot, next_number):
    ctx.set(dut.open, 1)
    ctx.set(dut.open_slot, slot)
    ctx.set(dut.open_next, next_number)
    await ctx.tick()
    ctx.set(dut.open, 0)


async def results(ctx, dut, count, stall=0.0, seed=0):
    """Status, number and nonce of so many requests."""
    found = []
    for _, wait in zip(range(count), pauses(seed, stall), strict=False):
        for _ in range(wait):
            await ctx.tick()
        payload = await get(ctx, dut.numbered)
        nonce = int(payload.request.nonce).to_bytes(12, "little")
        found.append((Status(payload.request.status), int(payload.number), nonce))
    return found


@pytest.mark.parametrize(
    "next_number",
    [0, 1, 5, 127, 128, 129, 255, 256, 32_767, 32_768, 32_769, 65_535, 65_536, 1 << 47]
    + [END - distance for distance in (0, 1, 2, 127, 128, 129, 256, 32_768, 65_536)],
)
def test_a_number_is_the_nearest_one(next_number):
    dut, source = Numbering(SMALL_PIPELINED), random.Random(next_number)
    cases = [(wire, bits) for wire, bits, _ in cases_around([next_number])]
    cases += [(source.getrandbits(bits), bits) for bits in (8, 16) * 8]
    masks = [source.getrandbits(16) for _ in cases]
    requests = []
    for (wire, bits), mask in zip(cases, masks, strict=True):
        # Byte 0 of the mask is for the first byte of the number.
        hidden = int.from_bytes(mask.to_bytes(2, "little"), "big") if bits == 16 else mask & 0xFF
        requests.append(
            request(Opcode.OPEN, 1, wire=wire ^ hidden, sixteen=int(bits == 16), masked=1)
        )

    async def send(ctx):
        await load(ctx, dut, 1, min(next_number, LAST_NUMBER))
        if next_number == END:
            await opened(ctx, dut, 1, END)
        await put_all(ctx, dut.requests, requests)

    async def mask(ctx):
        await ctx.tick().repeat(2)
        await put_all(ctx, dut.masks, masks)

    async def receive(ctx):
        for (wire, bits), found in zip(cases, await results(ctx, dut, len(cases)), strict=True):
            number = reconstruct(wire, bits, next_number)
            assert found == (Status.OK, number, nonce_model(IV, number)), (wire, bits)

    simulate(dut, send, mask, receive)


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_records_of_one_slot_get_consecutive_numbers_however_close_they_are(stall):
    dut, cycles = Numbering(SMALL_PIPELINED), []
    count = 30

    async def send(ctx):
        await load(ctx, dut, 2, 65_530)
        await put_all(ctx, dut.requests, [request(Opcode.SEAL, 2)] * count)

    async def receive(ctx):
        found = await results(ctx, dut, count, stall, seed=1)
        expected = [(Status.OK, 65_530 + i, nonce_model(IV, 65_530 + i)) for i in range(count)]
        assert found == expected

    simulate(dut, send, receive, background=[transfer_cycles(dut.requests, cycles)])
    if not stall:
        assert {b - a for a, b in itertools.pairwise(cycles)} == {3}


def test_slots_are_numbered_apart():
    dut, source = Numbering(SMALL_PIPELINED), random.Random(3)
    slots = [source.randrange(4) for _ in range(40)]

    async def send(ctx):
        for slot in range(4):
            await load(ctx, dut, slot, 1000 * slot)
        await put_all(ctx, dut.requests, [request(Opcode.SEAL, slot) for slot in slots])

    async def receive(ctx):
        numbers = [1000 * slot for slot in range(4)]
        for slot, (_, number, _) in zip(slots, await results(ctx, dut, 40), strict=True):
            assert number == numbers[slot]
            numbers[slot] += 1

    simulate(dut, send, receive)


@pytest.mark.parametrize(
    ("first", "limit", "sealed"),
    [(0, 5, 5), (LAST_NUMBER - 3, 40, 3), (LAST_NUMBER, 40, 0), (LAST_NUMBER - 1, 40, 1)],
)
def test_a_key_at_its_limit_seals_no_more(first, limit, sealed):
    """Its own limit, or its last number: 2**48 - 1 itself is never given."""
    dut = Numbering(dataclasses.replace(SMALL_PIPELINED, seal_limit=limit))

    async def send(ctx):
        await load(ctx, dut, 0, first)
        await load(ctx, dut, 1, 0)
        await put_all(ctx, dut.requests, [request(Opcode.SEAL, 0)] * (sealed + 3))
        await put_all(ctx, dut.requests, [request(Opcode.SEAL, 1)])

    async def receive(ctx):
        *found, other = await results(ctx, dut, sealed + 4)
        statuses = [status for status, _, _ in found]
        assert statuses == [Status.OK] * sealed + [Status.KEY_LIMIT] * 3
        assert [number for _, number, _ in found[:sealed]] == list(range(first, first + sealed))
        assert other[0] is Status.OK

    simulate(dut, send, receive)


def test_what_is_refused_or_no_record_moves_nothing():
    dut = Numbering(SMALL_PIPELINED)
    others = [
        request(Opcode.SEAL, 0, status=Status.WRONG_USAGE),
        request(Opcode.AEAD_SEAL, 0),
        request(Opcode.STATS, 0),
        request(0xFF, 0, status=Status.UNKNOWN_OPCODE),
    ]

    async def send(ctx):
        await load(ctx, dut, 0, 7)
        await put_all(ctx, dut.requests, [*others, request(Opcode.SEAL, 0)])

    async def receive(ctx):
        *passed, sealed = await results(ctx, dut, len(others) + 1)
        assert [status for status, _, _ in passed] == [other["status"] for other in others]
        # An AEAD message has the nonce that came with it.
        assert passed[1][2] == IV
        assert sealed == (Status.OK, 7, nonce_model(IV, 7))

    simulate(dut, send, receive)


@pytest.mark.parametrize("seed", range(3))
def test_numbers_follow_what_has_been_opened_meanwhile(seed):
    """``open`` comes at any time, also in the cycles around a request of the same slot."""
    dut, source = Numbering(SMALL_PIPELINED), random.Random(seed)
    nexts = []

    async def send(ctx):
        await load(ctx, dut, 0, 0)
        for i in range(40):
            following = 200 * (i + 1)
            await opened(ctx, dut, 0, following)
            nexts.append(following)
            await put_all(ctx, dut.requests, [request(Opcode.OPEN, 0, sixteen=0, wire=i)])
            for _ in range(source.randrange(4)):
                await ctx.tick()

    async def receive(ctx):
        for i, (_, number, _) in enumerate(await results(ctx, dut, 40)):
            assert number == reconstruct(i, 8, nexts[i]), i

    simulate(dut, send, receive)
