"""Completions as `Egress` writes them, from judged requests and their blocks, at any pace."""

import itertools
import random

import pytest

from driver.messages import Opcode, Status
from hdl.pipeline.egress import Egress
from tests.hdl.ports import bytes_of
from tests.hdl.streams import (
    get_all,
    pauses,
    put,
    put_all,
    simulate,
    transfer_cycles,
    with_idle_and_stall,
)

DEPTH = 64
OPCODES = (Opcode.SEAL, Opcode.OPEN, Opcode.AEAD_SEAL, Opcode.AEAD_OPEN, Opcode.STATS)


class Completion:
    """A request that was judged, what waits in the block queue for it, and what must come out."""

    def __init__(self, source: random.Random, opcode: Opcode, status: Status, text_bytes: int):
        self.sealed = opcode in (Opcode.SEAL, Opcode.AEAD_SEAL) and status == Status.OK
        self.masked = opcode == Opcode.SEAL and status == Status.OK
        self.mask = source.getrandbits(16)
        length, sixteen = source.getrandbits(1), source.getrandbits(1)
        tail_at = 1 + source.choice((0, 1, 3, 4, 5, 8, 12, 13, 14, 15, 20))
        number, epoch = source.getrandbits(48), source.getrandbits(16)
        slot, request_id = source.getrandbits(16), source.getrandbits(16)
        text = source.randbytes(text_bytes)
        content = text
        if opcode == Opcode.OPEN:
            content = text[: source.choice((0, text_bytes, source.randrange(text_bytes + 1)))]
        self.judged = {
            "request": {
                "echo": {"opcode": opcode, "slot": slot, "request_id": request_id},
                "status": status,
                "tagged": opcode != Opcode.STATS,
                "aes256": 0,
                "sixteen": sixteen,
                "length": length,
                "tail_at": tail_at,
                "epoch": epoch,
                "number": number,
                "text_bytes": text_bytes,
            },
            "content_bytes": len(content),
        }
        self.blocks = cut(text)
        front = behind = b""
        if self.masked:
            header = source.randbytes(tail_at + 1 + sixteen + 2 * length)
            self.blocks = cut(header) + self.blocks
            front = bytearray(header)
            for i in range(1 + sixteen):
                front[tail_at + i] ^= self.mask >> 8 * i & 0xFF
        if opcode == Opcode.OPEN:
            front = epoch.to_bytes(2, "big") + number.to_bytes(6, "big")
        if self.sealed:
            behind = source.randbytes(16)
            self.blocks += [behind]
        payload = bytes(front) + content + behind if status == Status.OK else b""
        if status != Status.OK and opcode in (Opcode.SEAL, Opcode.STATS):
            self.blocks = []
        self.packet = bytes([opcode, status])
        for field in (slot, request_id, len(payload)):
            self.packet += field.to_bytes(2, "big")
        self.packet += payload


def cut(text: bytes) -> list[bytes]:
    return [text[at : at + 16].ljust(16, b"\xee") for at in range(0, len(text), 16)]


class Bench:
    """All that is around an `Egress` which writes ``completions``."""

    def __init__(self, completions: list[Completion], idle: float, stall: float, seed, width):
        self.dut, self.width = Egress(DEPTH, width), width
        self.completions = completions
        self.idle, self.stall, self.seed = idle, stall, seed
        self.released = 0
        self.packets: list[bytes] = []

    async def judge(self, ctx):
        judged = [completion.judged for completion in self.completions]
        await put_all(ctx, self.dut.judged, judged, pauses(self.seed, self.idle))

    async def give_masks(self, ctx):
        masks = [completion.mask for completion in self.completions if completion.masked]
        await put_all(ctx, self.dut.masks, masks, pauses((self.seed, "mask"), self.idle))

    async def write_tags(self, ctx):
        for _ in range(sum(completion.sealed for completion in self.completions)):
            ctx.set(self.dut.tag_written, 1)
            await ctx.tick()
            ctx.set(self.dut.tag_written, 0)
            await ctx.tick().repeat(2)

    async def give_blocks(self, ctx):
        blocks = [block for completion in self.completions for block in completion.blocks]
        for given, block in enumerate(blocks):
            while given == self.released:
                await ctx.tick()
            await put(ctx, self.dut.blocks, int.from_bytes(block, "little"))

    async def count_released(self, ctx):
        async for *_, release in ctx.tick().sample(self.dut.release):
            self.released += release

    async def receive(self, ctx):
        packet = b""
        beats = sum(-(-len(completion.packet) // self.width) for completion in self.completions)
        for beat in await get_all(ctx, self.dut.packets, beats, pauses(-self.seed, self.stall)):
            packet += bytes_of(beat, self.width)
            if beat.last:
                self.packets.append(packet)
                packet = b""
        assert not packet


def write(completions: list[Completion], idle=0.0, stall=0.0, seed=0, width=16):
    """The packets, and the cycles in which their beats come."""
    bench, cycles = Bench(completions, idle, stall, seed, width), []
    simulate(
        bench.dut,
        *(bench.judge, bench.give_masks, bench.write_tags, bench.give_blocks, bench.receive),
        background=[bench.count_released, transfer_cycles(bench.dut.packets, cycles)],
    )
    assert bench.released == sum(len(completion.blocks) for completion in completions)
    return bench.packets, cycles


@pytest.mark.parametrize("width", [2, 4, 8, 16])
@with_idle_and_stall
def test_completions_of_all_kinds(idle, stall, seed, width):
    source = random.Random(seed)
    completions = [
        Completion(
            source,
            source.choice(OPCODES),
            source.choice((Status.OK, Status.OK, Status.BAD_TAG)),
            source.choice((1, 15, 16, 17, 32, 33, 40, 48, 64, 100)),
        )
        for _ in range(150)
    ]
    received, _ = write(completions, idle, stall, seed, width)
    for completion, packet in zip(completions, received, strict=True):
        assert packet.hex() == completion.packet.hex(), completion.judged


@pytest.mark.parametrize("opcode", [Opcode.AEAD_SEAL, Opcode.OPEN, Opcode.AEAD_OPEN])
@pytest.mark.parametrize("blocks", [1, 2, 5])
@pytest.mark.parametrize("status", [Status.OK, Status.BAD_TAG])
def test_two_cycles_more_than_a_text_has_blocks(opcode, blocks, status):
    source = random.Random(blocks)
    completions = [Completion(source, opcode, status, 16 * blocks) for _ in range(20)]
    received, cycles = write(completions)
    assert received == [completion.packet for completion in completions]
    beats = itertools.accumulate(-(-len(packet) // 16) for packet in received)
    ends = [cycles[beat - 1] for beat in beats]
    assert ends[-1] - ends[4] <= (blocks + 2) * 15
