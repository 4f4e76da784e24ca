"""Completions as `Egress` writes them, from judged requests and their blocks, at any pace.

And that nothing leaves of what does not belong together.
"""

import itertools
import random
from collections import deque

import pytest

from driver.messages import Opcode, Status
from hdl.pipeline.egress import Egress
from tests.hdl.pipeline.tickets import ticket_of, void
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
OPENS = (Opcode.OPEN, Opcode.AEAD_OPEN)
OPCODES = (Opcode.SEAL, Opcode.OPEN, Opcode.AEAD_SEAL, Opcode.AEAD_OPEN, Opcode.STATS)


class Completion:
    """A request that was judged, what waits in the block queue for it, and what must come out.

    ``number`` is that of its ticket, counted from reset; a ``padded`` record may have zeros behind
    its content.
    """

    def __init__(self, number, source, opcode, status, text_bytes, padded=True):
        self.ticket = ticket_of(number, opcode in OPENS)
        self.sealed = opcode in (Opcode.SEAL, Opcode.AEAD_SEAL) and status == Status.OK
        self.masked = opcode == Opcode.SEAL and status == Status.OK
        self.mask = source.getrandbits(16)
        length, sixteen = source.getrandbits(1), source.getrandbits(1)
        tail_at = 1 + source.choice((0, 1, 3, 4, 5, 8, 12, 13, 14, 15, 20))
        number, epoch = source.getrandbits(48), source.getrandbits(16)
        slot, request_id = source.getrandbits(16), source.getrandbits(16)
        text = source.randbytes(text_bytes)
        content = text
        if opcode == Opcode.OPEN and padded:
            content = text[: source.choice((0, text_bytes, source.randrange(text_bytes + 1)))]
        self.judged = {
            "request": {
                "ticket": self.ticket if status == Status.OK else void(self.ticket),
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
        blocks = [
            {"block": int.from_bytes(block, "little"), "ticket": completion.ticket}
            for completion in self.completions
            for block in completion.blocks
        ]
        for given, block in enumerate(blocks):
            while given == self.released:
                await ctx.tick()
            await put(ctx, self.dut.blocks, block)

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
            number,
            source,
            source.choice(OPCODES),
            source.choice((Status.OK, Status.OK, Status.BAD_TAG)),
            source.choice((1, 15, 16, 17, 32, 33, 40, 48, 64, 100)),
        )
        for number in range(150)
    ]
    received, _ = write(completions, idle, stall, seed, width)
    for completion, packet in zip(completions, received, strict=True):
        assert packet.hex() == completion.packet.hex(), completion.judged


@pytest.mark.parametrize("opcode", [Opcode.AEAD_SEAL, Opcode.OPEN, Opcode.AEAD_OPEN])
@pytest.mark.parametrize("blocks", [1, 2, 5])
@pytest.mark.parametrize("status", [Status.OK, Status.BAD_TAG])
def test_two_cycles_more_than_a_text_has_blocks(opcode, blocks, status):
    source = random.Random(blocks)
    completions = [Completion(i, source, opcode, status, 16 * blocks) for i in range(20)]
    received, cycles = write(completions)
    assert received == [completion.packet for completion in completions]
    beats = itertools.accumulate(-(-len(packet) // 16) for packet in received)
    ends = [cycles[beat - 1] for beat in beats]
    assert ends[-1] - ends[4] <= (blocks + 2) * 15


def all_that_leaves(completions: list[Completion], width: int, tickets=None) -> bytes:
    """What leaves in some hundred cycles; ``tickets`` are those of all blocks, if not their own."""
    bench, left = Bench(completions, 0.0, 0.0, 0, width), bytearray()
    dut = bench.dut
    blocks = [
        {"block": int.from_bytes(block, "little"), "ticket": completion.ticket}
        for completion in completions
        for block in completion.blocks
    ]
    if tickets:
        blocks = [block | {"ticket": ticket} for block, ticket in zip(blocks, tickets, strict=True)]
    offers = (
        (dut.judged, [completion.judged for completion in completions]),
        (dut.masks, [completion.mask for completion in completions if completion.masked]),
        (dut.blocks, blocks),
    )

    async def receive(ctx):
        ctx.set(dut.packets.ready, 1)
        async for *_, valid, beat in ctx.tick().sample(dut.packets.valid, dut.packets.payload):
            if valid:
                left.extend(bytes_of(beat, width))

    async def work(ctx):
        await bench.write_tags(ctx)
        await ctx.tick().repeat(200)

    simulate(dut, work, background=[*(offer_all(*offer) for offer in offers), receive])
    return bytes(left)


def offer_all(stream, payloads):
    """A background process that gives them as they are taken, and may wait for ever."""

    async def offer(ctx):
        waiting = deque(payloads)
        while waiting:
            ctx.set(stream.payload, waiting[0])
            ctx.set(stream.valid, 1)
            _, _, ready = await ctx.tick().sample(stream.ready)
            if ready:
                waiting.popleft()
        ctx.set(stream.valid, 0)

    return offer


def pieces_of(text: bytes) -> set[bytes]:
    return {text[at : at + 4] for at in range(len(text) - 3)}


with_widths = pytest.mark.parametrize("width", [4, 16])


@with_widths
@pytest.mark.parametrize("opcode", [Opcode.SEAL, *OPENS])
@pytest.mark.parametrize("bit", range(8))
def test_nothing_leaves_from_the_first_block_on_that_has_another_ticket(width, opcode, bit):
    """Whichever bit of the ticket is another one; in front of it, all that there is."""
    source, foreign = random.Random(bit), bit % 3
    completions = [Completion(i, source, opcode, Status.OK, 48, padded=False) for i in range(3)]
    tickets = [one.ticket for one in completions for _ in one.blocks]
    at = len(completions[0].blocks) + foreign
    number, opening = tickets[at]["number"], tickets[at]["opening"]
    tickets[at] = {"number": number ^ (1 << bit & 127), "opening": opening ^ bit // 7}
    left = all_that_leaves(completions, width, tickets)
    first, second, third = (one.packet for one in completions)
    assert left.startswith(first)
    assert (first + second).startswith(left)
    kept = b"".join(completions[1].blocks[foreign:]) + b"".join(completions[2].blocks)
    assert not pieces_of(left[len(first) :]) & pieces_of(kept)
    assert third not in left


@with_widths
@pytest.mark.parametrize("opcode", OPENS)
def test_blocks_of_a_refused_request_do_not_leave_behind_an_accepted_one(width, opcode):
    """As if a completion had got lost, and the next one met the blocks of a forgery."""
    source = random.Random(1)
    genuine = [Completion(i, source, opcode, Status.OK, 48, padded=False) for i in range(2)]
    tickets = [ticket_of(0, True)] * 3 + [ticket_of(7, True)] * 3
    left = all_that_leaves(genuine, width, tickets)
    text = b"".join(genuine[1].blocks)
    assert left.startswith(genuine[0].packet)
    assert not pieces_of(left) & pieces_of(text)


@with_widths
@pytest.mark.parametrize(
    ("status", "ticket"),
    [
        (Status.OK, void(ticket_of(1, True))),  # its tag was another one
        (Status.BAD_TAG, ticket_of(1, True)),
        (Status.OK, ticket_of(0, True)),  # the completion before, again
        (Status.OK, ticket_of(2, True)),  # one got lost
        (Status.BAD_TAG, void(ticket_of(2, True))),
    ],
)
def test_what_is_out_of_order_is_not_answered_and_nothing_behind_it(width, status, ticket):
    source = random.Random(1)
    completions = [Completion(i, source, Opcode.OPEN, Status.OK, 48) for i in range(4)]
    completions[1].judged["request"] |= {"status": status, "ticket": ticket}
    assert all_that_leaves(completions, width) == completions[0].packet
