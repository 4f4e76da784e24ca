# amaranth: UnusedElaboratable=no
"""The UART: bytes at any rate that a divisor gives, and lines that are no UART's."""

import pytest

from hdl.host_link.uart import UARTReceiver, UARTTransmitter
from tests.hdl.streams import pause, put_all, simulate

BYTES = bytes([0x00, 0xFF, 0x55, 0xAA, 0x7E, 0x01, 0x80])


def levels(data: bytes, cycles: float, stop: int = 1) -> list[int]:
    """What the line is in each cycle."""
    bits = [bit for byte in data for bit in (0, *(byte >> n & 1 for n in range(8)), stop)]
    return [bits[int(cycle / cycles)] for cycle in range(int(len(bits) * cycles))]


def received(divisor: int, line: list[int]) -> tuple[bytes, int]:
    """The bytes that a receiver makes of a line, and how many it finds broken."""
    dut = UARTReceiver(12)
    found, broken = bytearray(), 0

    async def drive(ctx):
        ctx.set(dut.divisor, divisor)
        ctx.set(dut.rx, 1)
        await pause(ctx, 3)
        for level in (*line, *[1] * (2 * divisor)):
            ctx.set(dut.rx, level)
            await ctx.tick()

    async def watch(ctx):
        nonlocal broken
        async for *_, valid, data, bad in ctx.tick().sample(dut.valid, dut.data, dut.broken):
            if valid:
                found.append(data)
            broken += bad

    simulate(dut, drive, background=(watch,))
    return bytes(found), broken


@pytest.mark.parametrize("divisor", [4, 5, 16, 100])
def test_bytes_without_a_pause_are_received(divisor):
    assert received(divisor, levels(BYTES, divisor)) == (BYTES, 0)


@pytest.mark.parametrize("error", [0.97, 1.03])
def test_a_sender_may_be_off_by_three_percent(error):
    assert received(16, levels(BYTES, 16 * error)) == (BYTES, 0)


def test_a_glitch_is_no_byte():
    assert received(16, [0, 0, 0, *[1] * 40, *levels(b"x", 16)]) == (b"x", 0)


def test_a_byte_without_a_stop_bit_is_broken():
    line = levels(b"\xff", 16, stop=0)
    assert received(16, [*line, *[1] * 200, *levels(b"x", 16)]) == (b"x", 1)


def test_a_break_is_broken_again_and_again():
    found, broken = received(16, [0] * 160 * 9 + [1] * 320)
    assert len(found) <= 1  # the last, whose end the line's rise makes into a byte
    assert broken >= 8


@pytest.mark.parametrize("divisor", [4, 16])
def test_what_is_transmitted_is_received(divisor):
    dut = UARTTransmitter(12)
    line = []

    async def send(ctx):
        ctx.set(dut.divisor, divisor)
        await put_all(ctx, dut.bytes, BYTES, waits=[0, 0, 7, 100])
        await ctx.tick().until(dut.bytes.ready)

    async def watch(ctx):
        async for *_, level in ctx.tick().sample(dut.tx):
            line.append(level)

    simulate(dut, send, background=(watch,))
    assert received(divisor, line) == (BYTES, 0)
