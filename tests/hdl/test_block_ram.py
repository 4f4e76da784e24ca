# amaranth: UnusedElaboratable=no
"""Block memories: what they store, and when it comes out."""

import random
import re

import pytest
from amaranth.back import rtlil

from hdl.aes.round_stage import RoundStage
from hdl.aes.sbox import SBOX, SBoxForm, multiply
from hdl.block_ram import BlockRAM, TwinROM
from proofs.sbox import TABLE
from tests.hdl.streams import simulate


class ECP5:
    """As much of a platform as the memories ask for."""

    family = "ecp5"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("width", "depth"), [(128, 20), (7, 1024)])
def test_a_word_comes_two_cycles_after_its_address_every_cycle(width, depth, seed):
    source = random.Random(seed)
    dut = BlockRAM(width, depth)
    words, expected, received = [0] * depth, [], []

    async def work(ctx):
        for _ in range(500):
            write, written, word = source.random() < 0.5, source.randrange(depth), 0
            read = source.choice([address for address in range(depth) if address != written])
            word = source.getrandbits(width)
            ctx.set(dut.write, write)
            ctx.set(dut.write_address, written)
            ctx.set(dut.write_data, word)
            ctx.set(dut.read_address, read)
            expected.append(words[read])
            if write:
                words[written] = word
            received.append(ctx.get(dut.read_data))
            await ctx.tick()

    simulate(dut, work)
    assert received[2:] == expected[:-2]


def test_what_was_written_is_there_for_reads_from_the_next_cycle_on():
    dut = BlockRAM(8, 4)

    async def work(ctx):
        ctx.set(dut.write, 1)
        ctx.set(dut.write_address, 2)
        ctx.set(dut.write_data, 0xA5)
        await ctx.tick()
        ctx.set(dut.write, 0)
        ctx.set(dut.read_address, 2)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.read_data) == 0xA5
        assert ctx.get(dut.memory[2]) == 0xA5

    simulate(dut, work)


def test_both_ports_of_the_table_answer_two_cycles_later_every_cycle():
    source = random.Random(1)
    table = [source.getrandbits(18) for _ in range(256)]
    dut = TwinROM(table, width=18)
    inputs = [(source.randrange(256), source.randrange(256)) for _ in range(300)]
    received = []

    async def work(ctx):
        for pair in inputs:
            for port, address in zip(dut.inputs, pair, strict=True):
                ctx.set(port, address)
            received.append(tuple(ctx.get(output) for output in dut.outputs))
            await ctx.tick()

    simulate(dut, work)
    assert received[2:] == [(table[a], table[b]) for a, b in inputs[:-2]]


def test_a_table_has_256_words_of_up_to_18_bits():
    with pytest.raises(ValueError, match="255 words"):
        TwinROM(SBOX[1:])
    with pytest.raises(ValueError, match="width is 19"):
        TwinROM(SBOX, width=19)


@pytest.mark.parametrize(
    ("width", "depth", "cell", "blocks"),
    [
        (128, 16, "DP16KD", 0),
        (128, 17, "PDPW16KD", 4),
        (36, 512, "PDPW16KD", 1),
        (37, 512, "PDPW16KD", 2),
        (128, 513, "DP16KD", 8),
        (128, 2048, "DP16KD", 15),
        (9, 4096, "DP16KD", 2),
        (8, 4096, "DP16KD", 2),
        (3, 8192, "DP16KD", 2),
        (2, 16384, "DP16KD", 2),
        (1, 16385, "DP16KD", 2),
    ],
)
def test_an_ecp5_takes_blocks_that_are_deep_enough(width, depth, cell, blocks):
    text = rtlil.convert(BlockRAM(width, depth), platform=ECP5())
    assert text.count("cell \\PDPW16KD") + text.count("cell \\DP16KD") == blocks
    assert text.count(f"cell \\{cell}") == blocks


def test_an_ecp5_takes_one_block_for_a_table():
    text = rtlil.convert(TwinROM(SBOX), platform=ECP5())
    assert text.count("cell \\DP16KD") == 1


def test_the_tables_of_aes_on_an_ecp5_are_that_of_fips_197():
    text = rtlil.convert(RoundStage(SBoxForm.BLOCK_RAM), platform=ECP5(), emit_src=False)
    rows = dict(re.findall(r"parameter \\INITVAL_(\w\w) 320'(\d+)", text))
    # Lattice FPGA-TN-02204: 16 words of 18 bits in a row, each in 20.
    words = [int(rows[f"{i >> 4:02X}"][::-1][20 * (i & 15) :][:18][::-1], 2) for i in range(256)]
    assert bytes(word & 0xFF for word in words) == TABLE
    assert [word >> 8 for word in words] == [multiply(entry, 2) for entry in TABLE]
    assert len(set(re.findall(r"INITVAL_00 320'(\d+)", text))) == 1
    assert text.count("INITVAL_00") == text.count("cell \\DP16KD") == 8
