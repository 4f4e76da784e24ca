"""Completions as `Egress` writes them, from judged requests and their blocks, at any pace."""

import random

import pytest

from driver.messages import Opcode, Status
from hdl.pipeline.egress import Egress
from tests.hdl.ports import bytes_of
from tests.hdl.streams import get_all, pauses, put, put_all, simulate, with_idle_and_stall

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


def write(completions: list[Completion], idle=0.0, stall=0.0, seed=0):
    """The packets, and the cycles in which they end."""
    dut, received, ends = Egress(DEPTH), [], []
    beats = sum(-(-len(completion.packet) // 16) for completion in completions)
    released = 0

    async def judge(ctx):
        waits = pauses(seed, idle)
        for completion, wait in zip(completions, waits, strict=False):
            await ctx.tick().repeat(wait) if wait else None
            await put(ctx, dut.judged, completion.judged)

    async def give_masks(ctx):
        masks = [completion.mask for completion in completions if completion.masked]
        await put_all(ctx, dut.masks, masks, pauses((seed, "mask"), idle))

    async def write_tags(ctx):
        for _ in range(sum(completion.sealed for completion in completions)):
            ctx.set(dut.tag_written, 1)
            await ctx.tick()
            ctx.set(dut.tag_written, 0)
            await ctx.tick().repeat(2)

    async def give_blocks(ctx):
        nonlocal released
        given = 0
        for completion in completions:
            for block in completion.blocks:
                while given == released:
                    await ctx.tick()
                await put(ctx, dut.blocks, int.from_bytes(block, "little"))
                given += 1

    async def count_released(ctx):
        nonlocal released
        async for *_, release in ctx.tick().sample(dut.release):
            released += release

    async def watch(ctx):
        cycle = 0
        packets = dut.packets
        signals = packets.valid, packets.ready, packets.payload.last
        async for *_, valid, ready, last in ctx.tick().sample(*signals):
            if valid and ready and last:
                ends.append(cycle)
            cycle += 1

    async def receive(ctx):
        packet = b""
        for beat in await get_all(ctx, dut.packets, beats, pauses(-seed, stall)):
            packet += bytes_of(beat, 16)
            if beat.last:
                received.append(packet)
                packet = b""
        assert not packet

    simulate(
        dut,
        judge,
        give_masks,
        write_tags,
        give_blocks,
        receive,
        background=[count_released, watch],
        limit=20_000,
    )
    assert released == sum(len(completion.blocks) for completion in completions)
    return received, ends


@with_idle_and_stall
def test_completions_of_all_kinds(idle, stall, seed):
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
    received, _ = write(completions, idle, stall, seed)
    for completion, packet in zip(completions, received, strict=True):
        assert packet.hex() == completion.packet.hex(), completion.judged


@pytest.mark.parametrize("opcode", [Opcode.AEAD_SEAL, Opcode.OPEN, Opcode.AEAD_OPEN])
@pytest.mark.parametrize("blocks", [1, 2, 5])
@pytest.mark.parametrize("status", [Status.OK, Status.BAD_TAG])
def test_two_cycles_more_than_a_text_has_blocks(opcode, blocks, status):
    source = random.Random(blocks)
    completions = [Completion(source, opcode, status, 16 * blocks) for _ in range(20)]
    received, ends = write(completions)
    assert received == [completion.packet for completion in completions]
    assert ends[-1] - ends[4] <= (blocks + 2) * 15
