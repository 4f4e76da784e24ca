"""The request reader against its model: any bytes in, one request, payload and verdict out."""

import random

import pytest

from driver.messages import Opcode, Request
from hdl.request_reader import RequestHeader, RequestReader, read_request
from tests.hdl.streams import (
    get_all,
    pauses,
    put,
    put_all,
    simulate,
    transfer_cycles,
    with_idle_and_stall,
)

REQUEST = Request(Opcode.SEAL, slot=0x1234, request_id=0x5678, payload=bytes(range(1, 40))).pack()
EMPTY = Request(Opcode.INFO).pack()


def run(packets, *, idle=0.0, stall=0.0, seed=0):
    """Read ``packets``; returns what came out for each."""
    dut = RequestReader(EMPTY)
    results = []

    async def send(ctx):
        await put_all(ctx, dut.packets, packet_bytes(packets), pauses(seed, idle))

    async def receive(ctx):
        waits = pauses(seed + 1, stall)
        await get_all(ctx, dut.end, 1, waits)  # of the request at reset
        for _ in packets:
            (request,) = await get_all(ctx, dut.requests, 1, waits)
            fields = {name: request[name] for name in RequestHeader.members}
            payload = bytes(await get_all(ctx, dut.payload, request.length, waits))
            (end,) = await get_all(ctx, dut.end, 1, waits)
            results.append((fields, payload, bool(end.well_formed)))

    simulate(dut, send, receive)
    return results


def packet_bytes(packets):
    """The transfers of ``packets``, one after the other."""
    for packet in packets:
        for index, byte in enumerate(packet):
            yield {"data": byte, "last": index == len(packet) - 1}


def random_packet(rng):
    """A request that is right, short, long, cut or arbitrary."""
    packet = Request(
        rng.randrange(256), rng.randrange(1 << 16), rng.randrange(1 << 16), rng.randbytes(20)
    ).pack()
    return rng.choice(
        [
            packet,
            packet[: rng.randrange(1, len(packet))],
            packet + rng.randbytes(rng.randrange(1, 20)),
            packet[:6] + rng.randrange(40).to_bytes(2, "big") + packet[8:],
            rng.randbytes(rng.randrange(1, 7)),
        ]
    )


def test_well_formed_requests_are_read_field_by_field():
    fields, payload, well_formed = read_request(REQUEST)
    assert fields == {
        "opcode": Opcode.SEAL,
        "reserved": 0,
        "slot": 0x1234,
        "request_id": 0x5678,
        "length": 39,
    }
    assert payload == bytes(range(1, 40))
    assert well_formed
    assert run([REQUEST, EMPTY]) == [read_request(REQUEST), read_request(EMPTY)]


@pytest.mark.parametrize("length", range(1, len(REQUEST)))
def test_a_packet_cut_anywhere_still_ends_and_the_next_one_is_read(length):
    results = run([REQUEST[:length], REQUEST])
    assert results == [read_request(REQUEST[:length]), read_request(REQUEST)]
    assert [well_formed for _, _, well_formed in results] == [False, True]
    assert results[0][0]["length"] == (0 if length < 8 else 39)


def test_a_length_cut_in_half_counts_as_none():
    packet = REQUEST[:6] + b"\xff"
    assert run([packet]) == [read_request(packet)]
    assert read_request(packet)[0]["length"] == 0


@pytest.mark.parametrize("packet", [REQUEST, EMPTY])
def test_surplus_bytes_are_dropped(packet):
    results = run([packet + b"surplus", REQUEST])
    assert results[0] == (*read_request(packet)[:2], False)
    assert results[1] == read_request(REQUEST)


@with_idle_and_stall
def test_random_packets_under_idle_and_back_pressure(idle, stall, seed):
    rng = random.Random(seed)
    packets = [random_packet(rng) for _ in range(40)]
    results = run(packets, idle=idle, stall=stall, seed=seed)
    assert results == [read_request(packet) for packet in packets]


def test_a_byte_a_cycle_and_two_cycles_a_packet():
    packets = [REQUEST, EMPTY, REQUEST]
    dut = RequestReader(EMPTY)
    ends = []

    async def send(ctx):
        for port in (dut.requests, dut.payload, dut.end):
            ctx.set(port.ready, 1)
        await put_all(ctx, dut.packets, packet_bytes(packets))
        await ctx.tick().repeat(2)

    simulate(dut, send, background=[transfer_cycles(dut.end, ends)])
    read = (b"", REQUEST, REQUEST + EMPTY, REQUEST + EMPTY + REQUEST)
    assert ends == [len(packets) + 2 * number for number, packets in enumerate(read)]


def test_starved_is_high_without_a_byte_inside_a_packet_only():
    dut = RequestReader(EMPTY)

    async def send(ctx):
        for port in (dut.requests, dut.payload, dut.end):
            ctx.set(port.ready, 1)
        for index, transfer in enumerate(packet_bytes([REQUEST + b"surplus"])):
            for _ in range(3):
                # While the header is handed over, no byte is waited for.
                waits = index > 0 and not ctx.get(dut.requests.valid)
                assert ctx.get(dut.starved) == waits
                await ctx.tick()
            await put(ctx, dut.packets, transfer)
        for _ in range(5):
            assert not ctx.get(dut.starved)
            await ctx.tick()

    simulate(dut, send)


def test_starved_is_low_while_the_receiver_stalls():
    dut = RequestReader(EMPTY)

    async def send(ctx):
        ctx.set(dut.requests.ready, 1)
        ctx.set(dut.end.ready, 1)
        await put_all(ctx, dut.packets, packet_bytes([REQUEST[:8] + b"?"]))

    async def stall(ctx):
        await ctx.tick().repeat(20)
        ctx.set(dut.payload.ready, 1)

    async def watch(ctx):
        async for *_, starved in ctx.tick().sample(dut.starved):
            assert not starved

    simulate(dut, send, stall, background=[watch])
