"""Bytes to blocks and back, against the models."""

import random

from hdl.block import from_bytes, to_bytes
from hdl.packer import BlockPacker, BlockUnpacker, pack_blocks, unpack_blocks
from tests.hdl.streams import (
    get_all,
    pauses,
    put_all,
    simulate,
    transfer_cycles,
    with_idle_and_stall,
)

LENGTHS = [1, 2, 15, 16, 17, 31, 32, 33, 16, 1, 48]


def section_bytes(sections):
    for section in sections:
        for i, byte in enumerate(section):
            yield {"data": byte, "last": i == len(section) - 1}


def pack(sections, *, idle=0.0, stall=0.0, seed=0):
    """The blocks that came, and the cycles in which they and the bytes went."""
    dut = BlockPacker()
    blocks, bytes_at, blocks_at = [], [], []
    count = sum(len(pack_blocks(section)) for section in sections)

    async def send(ctx):
        await put_all(ctx, dut.bytes, section_bytes(sections), pauses(seed, idle))

    async def receive(ctx):
        blocks.extend(await get_all(ctx, dut.blocks, count, pauses(seed + 1, stall)))

    watchers = [transfer_cycles(dut.bytes, bytes_at), transfer_cycles(dut.blocks, blocks_at)]
    simulate(dut, send, receive, background=watchers)
    return [to_bytes(block) for block in blocks], bytes_at, blocks_at


@with_idle_and_stall
def test_packs_as_the_model_does(idle, stall, seed):
    source = random.Random(seed)
    sections = [source.randbytes(length) for length in LENGTHS]
    blocks, _, _ = pack(sections, idle=idle, stall=stall, seed=seed)
    assert blocks == [block for section in sections for block in pack_blocks(section)]


def test_packs_a_byte_a_cycle_and_gives_a_block_the_cycle_after():
    _, bytes_at, blocks_at = pack([bytes(40), bytes(16), bytes(1)])
    assert bytes_at == list(range(57))
    assert blocks_at == [16, 32, 40, 56, 57]


def unpack(blocks, *, idle=0.0, stall=0.0, seed=0):
    """The bytes that came, and the cycles in which they and the blocks went."""
    dut = BlockUnpacker()
    result, bytes_at, blocks_at = [], [], []
    payloads = [{"block": from_bytes(block), "bytes": count} for block, count in blocks]

    async def send(ctx):
        await put_all(ctx, dut.blocks, payloads, pauses(seed, idle))

    async def receive(ctx):
        count = len(unpack_blocks(blocks))
        result.extend(await get_all(ctx, dut.bytes, count, pauses(seed + 1, stall)))
        assert ctx.get(dut.idle)

    watchers = [transfer_cycles(dut.bytes, bytes_at), transfer_cycles(dut.blocks, blocks_at)]
    simulate(dut, send, receive, background=watchers)
    return bytes(result), bytes_at, blocks_at


@with_idle_and_stall
def test_unpacks_as_the_model_does(idle, stall, seed):
    source = random.Random(seed)
    blocks = [(source.randbytes(16), count) for count in (*range(1, 17), 16, 1, 1, 16)]
    result, _, _ = unpack(blocks, idle=idle, stall=stall, seed=seed)
    assert result == unpack_blocks(blocks)


def test_unpacks_without_a_pause_between_blocks():
    _, bytes_at, blocks_at = unpack([(bytes(16), 16), (bytes(16), 1), (bytes(16), 16)])
    assert bytes_at == list(range(1, 34))
    assert blocks_at == [0, 16, 17]
