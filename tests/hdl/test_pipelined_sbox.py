# amaranth: UnusedElaboratable=no
"""The S-box in two cycles against the table, and forms that an S-box does not have."""

import pytest

from hdl.aes.sbox import SBOX, PipelinedSBox, SBox, SBoxForm
from tests.hdl.streams import simulate


@pytest.mark.parametrize("form", [SBoxForm.TABLE, SBoxForm.COMPOSITE])
def test_a_byte_comes_out_substituted_two_cycles_later_every_cycle(form):
    dut = PipelinedSBox(form)
    received = []

    async def try_all(ctx):
        for value in [*range(256), 0, 0]:
            ctx.set(dut.input, value)
            received.append(ctx.get(dut.output))
            await ctx.tick()

    simulate(dut, try_all)
    assert bytes(received[2:]) == SBOX


@pytest.mark.parametrize("component", [SBox, PipelinedSBox])
def test_block_memories_make_no_combinational_s_box(component):
    with pytest.raises(ValueError, match="'block-ram' is not combinational"):
        component(SBoxForm.BLOCK_RAM)
