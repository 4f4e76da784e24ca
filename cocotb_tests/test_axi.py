"""Both buses, driven by cocotbext-axi, which nobody here wrote, against the device's model.

Idle and back-pressure are at random on every channel; the seed is `runner.SEED`.
"""

import dataclasses
import logging
import os
from itertools import islice
from random import Random

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from cocotb_tests.runner import FULL, SEED, run
from cocotb_tests.streams import PACES
from driver.messages import HEADER_BYTES, Opcode, Request, Status
from hdl.accelerator import Accelerator
from hdl.axi4_lite import IDENTITY, WORD_BYTES, AXI4LiteTop, Register
from hdl.model import AcceleratorModel
from hdl.packet_stream import AXI4StreamTop
from hdl.profile import Profile
from tests.hdl.test_accelerator import without_cycles
from tests.hdl.traffic import SMALL, SMALL_NARROW, SMALL_PIPELINED, SMALL_RING, Traffic

REQUESTS = 400 if FULL else 60
#: The serial engine takes and gives single bytes.
WORDS = dataclasses.replace(SMALL, name="words", bus_bytes=WORD_BYTES)
STREAMS = [WORDS, *([SMALL, SMALL_RING, SMALL_PIPELINED] if FULL else [])]
REGISTERS = [WORDS, *([SMALL_RING, SMALL_NARROW] if FULL else [])]
PROFILES = {profile.name: profile for profile in (*STREAMS, *REGISTERS)}

PROFILE = PROFILES[os.environ.get("INTAGLIO_PROFILE", WORDS.name)]
BUS = os.environ.get("INTAGLIO_BUS", "stream")


@pytest.mark.parametrize("profile", STREAMS, ids=lambda profile: profile.name)
def test_axi4_stream(profile):
    start(AXI4StreamTop(Accelerator(profile)), profile, "stream")


@pytest.mark.parametrize("profile", REGISTERS, ids=lambda profile: profile.name)
def test_axi4_lite(profile):
    start(AXI4LiteTop(Accelerator(profile)), profile, "registers")


def start(top, profile: Profile, bus: str):
    environment = {"INTAGLIO_PROFILE": profile.name, "INTAGLIO_BUS": bus}
    run(top, __name__, f"{bus}-{profile.name}", environment)


def pauses(rng: Random, chance: float):
    while True:
        yield rng.random() < chance


def pace(rng: Random, sources, sinks):
    """Another pace for all channels, and a pattern of its own for each."""
    idle, stall = rng.choice(PACES)
    for channels, chance in ((sources, idle), (sinks, stall)):
        for channel in channels:
            channel.set_pause_generator(pauses(Random(rng.random()), chance))


async def reset(dut):
    Clock(dut.clk, 10, unit="ns").start()
    dut.rst.value = 1
    await ClockCycles(dut.clk, 5)
    dut.rst.value = 0
    await RisingEdge(dut.clk)


def cocotb_test(bus):
    """A cocotb test for one of the buses only."""
    return cocotb.test(skip=bus != BUS, timeout_time=20, timeout_unit="ms")


@cocotb_test("stream")
async def streams_answer_as_the_model_does(dut):
    rng = Random(f"{SEED} streams")
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
    await reset(dut)
    model = AcceleratorModel(PROFILE)
    packets = list(islice(Traffic(PROFILE, SEED), REQUESTS))
    for begin in range(0, REQUESTS, 10):
        pace(rng, [source], [sink])
        batch = packets[begin : begin + 10]
        for packet in batch:
            await source.send(AxiStreamFrame(packet))
        for packet in batch:
            frame = await sink.recv()
            expected = model.request(packet)
            assert without_cycles(bytes(frame.tdata)).hex() == expected.hex(), packet[:8].hex()


class Host:
    """A processor that asks STATUS before each word, and knows the packets' lengths.

    With `use_interrupt` it sleeps until a completion comes, instead of asking again and again.
    """

    def __init__(self, dut, rng: Random):
        self._bus = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        # Two lines for each access otherwise.
        for half in (self._bus.write_if, self._bus.read_if):
            half.log.setLevel(logging.WARNING)
        self._rng = rng
        self._irq = dut.irq
        self._sleeps = False

    async def use_interrupt(self):
        assert await self.write(Register.INTERRUPT_ENABLE, bytes([2, 0, 0, 0])) == AxiResp.OKAY
        self._sleeps = True

    def pace(self):
        write, read = self._bus.write_if, self._bus.read_if
        sources = [write.aw_channel, write.w_channel, read.ar_channel]
        pace(self._rng, sources, [write.b_channel, read.r_channel])

    async def write(self, register: int, value: bytes) -> AxiResp:
        return (await self._bus.write(register, value)).resp

    async def read(self, register: int) -> tuple[int, AxiResp]:
        answer = await self._bus.read(register, WORD_BYTES)
        return int.from_bytes(answer.data, "little"), answer.resp

    async def wait_for(self, bit: int):
        while not (await self.read(Register.STATUS))[0] >> bit & 1:
            if bit and self._sleeps and not self._irq.value:
                await RisingEdge(self._irq)

    async def send(self, packet: bytes):
        for at in range(0, len(packet), WORD_BYTES):
            word = packet[at : at + WORD_BYTES]
            last = at + WORD_BYTES >= len(packet)
            register = Register[f"REQUEST_LAST_{len(word)}"] if last else Register.REQUEST
            await self.wait_for(0)
            # Null bytes must not matter.
            assert await self.write(register, word.ljust(WORD_BYTES, b"\xff")) == AxiResp.OKAY

    async def receive(self) -> bytes:
        packet, length = b"", HEADER_BYTES
        while len(packet) < length:
            await self.wait_for(1)
            word, response = await self.read(Register.COMPLETION)
            assert response == AxiResp.OKAY
            packet += word.to_bytes(WORD_BYTES, "little")
            if len(packet) == HEADER_BYTES:
                length += int.from_bytes(packet[6:], "big")
        assert not any(packet[length:]), "bytes behind the end of a completion"
        return packet[:length]


@cocotb_test("registers")
async def registers_answer_as_the_model_does(dut):
    host = Host(dut, Random(f"{SEED} registers"))
    await reset(dut)
    await host.use_interrupt()
    model = AcceleratorModel(PROFILE)
    for packet in islice(Traffic(PROFILE, SEED), REQUESTS):
        host.pace()
        await host.send(packet)
        completion, expected = await host.receive(), model.request(packet)
        assert without_cycles(completion).hex() == expected.hex(), packet[:8].hex()


@cocotb_test("registers")
async def what_cannot_be_done_gets_an_error_and_changes_nothing(dut):
    host = Host(dut, Random(f"{SEED} errors"))
    await reset(dut)
    info = Request(Opcode.INFO, 0, 7).pack()
    expected = AcceleratorModel(PROFILE).request(info)
    assert await host.read(Register.IDENTITY) == (IDENTITY, AxiResp.OKAY)

    async def refused():
        """Everything that is not possible before or in the middle of a packet."""
        assert await host.read(Register.COMPLETION) == (0, AxiResp.SLVERR)
        for register in (Register.REQUEST, 0x24, 0x3C):
            if register != Register.REQUEST:
                assert await host.write(register, bytes(4)) == AxiResp.SLVERR
            assert await host.read(register) == (0, AxiResp.SLVERR)
        for register in (Register.IDENTITY, Register.STATUS, Register.COMPLETION):
            assert await host.write(register, b"\xff" * 4) == AxiResp.SLVERR
        for register in (Register.REQUEST, Register.REQUEST_LAST_1, Register.INTERRUPT_ENABLE):
            assert await host.write(register, b"\xff") == AxiResp.SLVERR  # WSTRB is 0001
            assert await host.write(register + 2, b"\xff\xff") == AxiResp.SLVERR
        assert await host.read(Register.INTERRUPT_ENABLE) == (0, AxiResp.OKAY)

    host.pace()
    await refused()
    await host.wait_for(0)
    assert await host.write(Register.REQUEST, info[:4]) == AxiResp.OKAY
    await refused()
    await host.wait_for(0)
    assert await host.write(Register.REQUEST_LAST_4, info[4:]) == AxiResp.OKAY
    assert await host.receive() == expected


@cocotb_test("registers")
async def words_are_refused_while_the_device_is_busy_and_none_is_lost(dut):
    """A host that does not ask STATUS, writes what was refused again, and reads only then."""
    host = Host(dut, Random(f"{SEED} busy"))
    await reset(dut)
    info = Request(Opcode.INFO, 0, 7).pack()
    expected = AcceleratorModel(PROFILE).request(info)
    sent, refusals = 0, 0
    # Completions that nobody takes stop the device in the end, and with it the requests.
    while refusals < 300:
        register = Register.REQUEST_LAST_4 if sent % 2 else Register.REQUEST
        answer = await host.write(register, info[4:] if sent % 2 else info[:4])
        sent += answer == AxiResp.OKAY
        refusals = 0 if answer == AxiResp.OKAY else refusals + 1
        assert answer in (AxiResp.OKAY, AxiResp.SLVERR)
    for _ in range(sent // 2):
        assert await host.receive() == expected
    if sent % 2:
        await host.wait_for(0)
        assert await host.write(Register.REQUEST_LAST_4, info[4:]) == AxiResp.OKAY
        assert await host.receive() == expected
    await ClockCycles(dut.clk, 2000)
    assert (await host.read(Register.STATUS))[0] == 1


@cocotb_test("registers")
async def the_interrupt_follows_the_enabled_bits_of_status(dut):
    host = Host(dut, Random(f"{SEED} interrupt"))
    await reset(dut)
    assert not dut.irq.value
    assert await host.write(Register.INTERRUPT_ENABLE, bytes([1, 0, 0, 0])) == AxiResp.OKAY
    await host.wait_for(0)
    await RisingEdge(dut.clk)
    assert dut.irq.value
    assert await host.write(Register.INTERRUPT_ENABLE, bytes([2, 0, 0, 0])) == AxiResp.OKAY
    await RisingEdge(dut.clk)
    assert not dut.irq.value
    await host.send(Request(Opcode.SEAL, 0, 0, b"\x17").pack())
    await RisingEdge(dut.irq)
    completion = await host.receive()
    assert completion[1] == Status.SLOT_EMPTY
    await RisingEdge(dut.clk)
    assert not dut.irq.value
