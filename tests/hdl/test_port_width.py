"""Packets keep their bytes and their ends on the way through beats of other widths."""

import random

import pytest

from hdl.port_width import Narrower, Widener
from tests.hdl.streams import get_all, pauses, put_all, simulate, with_idle_and_stall


def beats(packets, width):
    """The transfers of packets as payloads of `packet_layout`; byte-wide ones have no count."""
    for packet in packets:
        for at in range(0, len(packet), width):
            piece = packet[at : at + width]
            beat = {"data": int.from_bytes(piece, "little"), "last": at + width >= len(packet)}
            yield beat if width == 1 else beat | {"bytes": len(piece)}


def packets_of(transfers, width):
    packets, packet = [], b""
    for beat in transfers:
        count = 1 if width == 1 else beat.bytes
        packet += int(beat.data).to_bytes(width, "little")[:count]
        assert beat.last or count == width
        if beat.last:
            packets.append(packet)
            packet = b""
    assert not packet
    return packets


@pytest.mark.parametrize("narrow", [1, 2, 4, 8])
@pytest.mark.parametrize("component", [Widener, Narrower])
@with_idle_and_stall
def test_packets_come_out_as_they_went_in(component, narrow, idle, stall, seed):
    source = random.Random(f"{narrow} {seed}")
    packets = [source.randbytes(source.randint(1, 50)) for _ in range(30)]
    dut = component(narrow, 16)
    given, made = (narrow, 16) if component is Widener else (16, narrow)
    count = len(list(beats(packets, made)))
    received = []

    async def send(ctx):
        await put_all(ctx, dut.given, beats(packets, given), pauses(seed, idle))

    async def receive(ctx):
        received.extend(await get_all(ctx, dut.packets, count, pauses(-seed, stall)))

    simulate(dut, send, receive)
    assert packets_of(received, made) == packets


@pytest.mark.parametrize("narrow", [1, 2, 4, 8])
@with_idle_and_stall
def test_a_packet_may_end_with_a_beat_of_null_bytes(narrow, idle, stall, seed):
    """To a narrower port; a packet of nothing else is dropped there."""
    source = random.Random(f"{narrow} {seed}")
    packets = [source.randbytes(16 * source.randint(1, 3)) for _ in range(20)]
    null = {"data": 0, "bytes": 0, "last": 1}
    dut = Narrower(narrow, 16)
    given = []
    for packet in packets:
        given += [beat | {"last": 0} for beat in beats([packet], 16)]
        given += [null] * source.randint(1, 2)
    received = []

    async def send(ctx):
        await put_all(ctx, dut.given, given, pauses(seed, idle))

    async def receive(ctx):
        count = sum(len(packet) for packet in packets) // narrow
        received.extend(await get_all(ctx, dut.packets, count, pauses(-seed, stall)))

    simulate(dut, send, receive)
    assert packets_of(received, narrow) == packets


@pytest.mark.parametrize("component", [Widener, Narrower])
def test_a_narrow_beat_moves_in_every_cycle(component):
    packets = [bytes(range(48))] * 4
    dut = component(4, 16)
    given, made = (4, 16) if component is Widener else (16, 4)
    count = len(list(beats(packets, made)))
    cycles = []

    async def send(ctx):
        await put_all(ctx, dut.given, beats(packets, given))

    async def receive(ctx):
        ctx.set(dut.packets.ready, 1)
        cycle = 0
        async for *_, valid in ctx.tick().sample(dut.packets.valid):
            cycle += 1
            if valid:
                cycles.append(cycle)
            if len(cycles) == count:
                return

    simulate(dut, send, receive)
    assert cycles[-1] - cycles[0] == (len(packets) * 12 - 4 if component is Widener else 47)
