"""The packers against their model: the pieces of a packet one behind the other, in whole beats."""

import itertools
import random

import pytest

from hdl.pipeline.narrow_packer import NarrowPacker
from hdl.pipeline.packer import Packer
from tests.hdl.ports import bytes_of
from tests.hdl.streams import (
    get_all,
    pauses,
    simulate,
    transfer_cycles,
    with_idle_and_stall,
)


def transfers(packet: list[bytes], source: random.Random, width: int):
    """A packet of pieces; what stands behind a piece in its ``width`` bytes does not count."""
    for number, piece in enumerate(packet):
        padded = piece + source.randbytes(width - len(piece))
        yield {
            "data": int.from_bytes(padded, "little"),
            "bytes": len(piece),
            "last": number == len(packet) - 1,
        }


def pack(packets: list[list[bytes]], idle=0.0, stall=0.0, seed=0, width=16):
    """The packets that come out, and the cycles in which pieces go in and beats come out.

    Pieces come as late after `room` as they may, and leave a cycle for a rest only if they must.
    """
    dut, source = Packer() if width == 16 else NarrowPacker(width), random.Random(seed)
    count = sum(-(-len(b"".join(packet)) // width) for packet in packets)
    beats, taken, given = [], [], []

    async def send(ctx):
        rooms = [0, 0]  # in each cycle until now

        async def cycle(valid):
            ctx.set(dut.pieces.valid, valid)
            rooms.append(ctx.get(dut.room))
            await ctx.tick()

        fill, rest, waits = 0, False, pauses(seed, idle)
        for piece in (piece for packet in packets for piece in transfers(packet, source, width)):
            alone = width < 16 or piece["last"] or piece["bytes"] == width
            for _ in range(max(next(waits), rest and alone)):
                await cycle(0)
            while not rooms[-2]:
                await cycle(0)
            ctx.set(dut.pieces.payload, piece)
            await cycle(1)
            fill += piece["bytes"]
            rest = piece["last"] and fill > width
            fill = 0 if piece["last"] else fill % width
        ctx.set(dut.pieces.valid, 0)

    async def receive(ctx):
        beats.extend(await get_all(ctx, dut.packets, count, pauses(-seed, stall)))

    watches = [transfer_cycles(dut.pieces, taken), transfer_cycles(dut.packets, given)]
    simulate(dut, send, receive, background=watches)
    received, packet = [], b""
    for beat in beats:
        packet += bytes_of(beat, width)
        assert beat.last or int(beat.bytes) == width
        assert int(beat.bytes) > 0
        if beat.last:
            received.append(packet)
            packet = b""
    assert not packet
    return received, taken, given


def random_packets(source: random.Random, count: int, width: int) -> list[list[bytes]]:
    lengths = (1, width // 2, width - 1, width, width)
    return [
        [source.randbytes(source.choice(lengths)) for _ in range(source.randint(1, 6))]
        for _ in range(count)
    ]


with_all_widths = pytest.mark.parametrize("width", [2, 4, 8, 16])


@with_all_widths
@with_idle_and_stall
def test_pieces_are_put_together(width, idle, stall, seed):
    packets = random_packets(random.Random(seed), 60, width)
    received, *_ = pack(packets, idle, stall, seed, width)
    assert received == [b"".join(packet) for packet in packets]


@pytest.mark.parametrize(
    ("width", "first"), [(width, first) for width in (2, 4, 8, 16) for first in range(1, width + 1)]
)
def test_pieces_of_all_lengths_one_behind_the_other(width, first):
    source = random.Random(first)
    packets = [
        [source.randbytes(length) for length in (first, second, width, third)]
        for second in {1, width // 2, width - 1, width}
        for third in range(1, width + 1)
    ]
    received, *_ = pack(packets, width=width)
    assert received == [b"".join(packet) for packet in packets]


@pytest.mark.parametrize("width", [2, 4, 8])
def test_narrow_pieces_come_every_cycle_and_a_rest_takes_one_of_its_own(width):
    """As completions of records have them: 13 bytes, and then whole blocks."""
    packets = [[b"h" * width] * (12 // width) + [b"h"] + [b"t" * width] * 8 for _ in range(4)]
    received, taken, given = pack(packets, width=width)
    assert received == [b"".join(packet) for packet in packets]
    pieces = len(packets[0])
    starts = taken[::pieces]
    assert {b - a for a, b in itertools.pairwise(taken[:pieces])} == {1}
    assert {b - a for a, b in itertools.pairwise(starts)} == {pieces + 1}
    assert given[0] == taken[0] + 3


def test_packets_of_one_piece_each_follow_without_a_pause():
    packets = [[bytes([i]) * (1 + i % 16)] for i in range(48)]
    received, taken, given = pack(packets)
    assert received == [packet[0] for packet in packets]
    assert taken == list(range(taken[0], taken[0] + 48))
    assert given == list(range(given[0], given[0] + 48))


def test_a_piece_a_cycle_and_a_rest_beside_the_next_packet():
    """As completions of records have them: 13 bytes, then whole blocks, the last with 5."""
    packets = [[b"h" * 13, b"t" * 16, b"t" * 16, b"e" * 5] for _ in range(10)]
    received, taken, given = pack(packets)
    assert received == [b"".join(packet) for packet in packets]
    assert taken == list(range(taken[0], taken[0] + 40))
    assert given[0] == taken[1] + 4
