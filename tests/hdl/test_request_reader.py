"""The request reader against its model: any bytes in, one request, payload and verdict out."""

import random

import pytest
from amaranth.sim import Simulator

from driver.messages import Opcode, Request
from hdl.request_reader import RequestReader, read_request

REQUEST = Request(Opcode.SEAL, slot=0x1234, request_id=0x5678, payload=bytes(range(1, 40))).pack()
EMPTY = Request(Opcode.INFO).pack()


def run(packets, *, idle=0.0, pressure=0.0, seed=0):
    """Read ``packets``; returns what came out for each."""
    dut = RequestReader()
    rng = random.Random(seed)
    results = []

    async def send(ctx):
        for packet in packets:
            for index, byte in enumerate(packet):
                while rng.random() < idle:
                    await ctx.tick()
                ctx.set(dut.packets.payload, {"data": byte, "last": index == len(packet) - 1})
                ctx.set(dut.packets.valid, 1)
                await ctx.tick().until(dut.packets.ready)
                ctx.set(dut.packets.valid, 0)

    async def take(ctx, port):
        while rng.random() < pressure:
            await ctx.tick()
        ctx.set(port.ready, 1)
        (payload,) = await ctx.tick().sample(port.payload).until(port.valid)
        ctx.set(port.ready, 0)
        return payload

    async def receive(ctx):
        for _ in packets:
            request = await take(ctx, dut.requests)
            fields = {name: request[name] for name in request.shape().members}
            payload = bytes([await take(ctx, dut.payload) for _ in range(fields["length"])])
            verdict = await take(ctx, dut.end)
            results.append((fields, payload, bool(verdict.well_formed)))

    async def deadline(ctx):
        await ctx.tick().repeat(20_000)
        raise TimeoutError(f"wedged after {len(results)} of {len(packets)} packets")

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(send, background=True)
    sim.add_testbench(deadline, background=True)
    sim.add_testbench(receive)
    sim.run()
    return results


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


@pytest.mark.parametrize("packet", [REQUEST, EMPTY])
def test_surplus_bytes_are_dropped(packet):
    results = run([packet + b"surplus", REQUEST])
    assert results[0] == (*read_request(packet)[:2], False)
    assert results[1] == read_request(REQUEST)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pressure", [0, 0.3, 0.7])
@pytest.mark.parametrize("idle", [0, 0.3, 0.7])
def test_random_packets_under_idle_and_back_pressure(idle, pressure, seed):
    rng = random.Random(seed)
    packets = [random_packet(rng) for _ in range(12)]
    results = run(packets, idle=idle, pressure=pressure, seed=seed)
    assert results == [read_request(packet) for packet in packets]


def test_a_byte_a_cycle_and_two_cycles_a_packet():
    packets = [REQUEST, EMPTY, REQUEST]
    dut = RequestReader()
    ends = []

    async def send(ctx):
        ctx.set(dut.requests.ready, 1)
        ctx.set(dut.payload.ready, 1)
        ctx.set(dut.end.ready, 1)
        ctx.set(dut.packets.valid, 1)
        for packet in packets:
            for index, byte in enumerate(packet):
                ctx.set(dut.packets.payload, {"data": byte, "last": index == len(packet) - 1})
                await ctx.tick().until(dut.packets.ready)

    async def watch(ctx):
        cycle = 0
        async for _, _, end, starved in ctx.tick().sample(dut.end.valid, dut.starved):
            cycle += 1
            assert not starved
            if end:
                ends.append(cycle)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(send)
    sim.add_testbench(watch, background=True)
    sim.run()
    assert ends[0] == len(REQUEST) + 2
    assert ends[1] - ends[0] == len(EMPTY) + 2


def test_starved_counts_the_cycles_without_a_byte_inside_a_packet_only():
    dut = RequestReader()

    async def send(ctx):
        ctx.set(dut.requests.ready, 1)
        ctx.set(dut.payload.ready, 1)
        ctx.set(dut.end.ready, 1)
        assert not ctx.get(dut.starved)
        for index, byte in enumerate(REQUEST):
            if index:
                for _ in range(3):
                    # In the cycle of the request's transfer nothing is waited for.
                    waiting = not ctx.get(dut.requests.valid)
                    assert ctx.get(dut.starved) == waiting
                    await ctx.tick()
            ctx.set(dut.packets.payload, {"data": byte, "last": index == len(REQUEST) - 1})
            ctx.set(dut.packets.valid, 1)
            assert not ctx.get(dut.starved)
            await ctx.tick().until(dut.packets.ready)
            ctx.set(dut.packets.valid, 0)
        for _ in range(5):
            assert not ctx.get(dut.starved)
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(send)
    sim.run()
