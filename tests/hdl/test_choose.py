"""What is chosen is the choice that was asked for, however many there are."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from hdl.choose import choose_word


@pytest.mark.parametrize("bits", range(5))
def test_each_word_can_be_chosen(bits):
    source = random.Random(bits)
    words = [source.getrandbits(8) for _ in range(1 << bits)]
    m, select, value, chosen = Module(), Signal(bits), Signal(8 << bits), Signal(8)
    m.d.comb += chosen.eq(choose_word(value, select, 8))

    async def work(ctx):
        ctx.set(value, sum(word << 8 * i for i, word in enumerate(words)))
        for number, word in enumerate(words):
            ctx.set(select, number)
            assert ctx.get(chosen) == word

    simulator = Simulator(m)
    simulator.add_testbench(work)
    simulator.run()
