"""The S-box against FIPS 197 and, in both forms, against its table."""

import pytest
from amaranth.sim import Simulator

from hdl.aes.sbox import SBOX, SBox, SBoxForm, multiply


def test_multiplication_example_of_fips_197():
    # FIPS 197, 4.2: {57} * {83} = {c1}, and {57} * {13} = {fe}.
    assert multiply(0x57, 0x83) == 0xC1
    assert multiply(0x57, 0x13) == 0xFE


def test_table_has_the_entries_of_fips_197():
    # FIPS 197, figure 7: the first row, the last row and the example of 5.1.1, {53} -> {ed}.
    assert SBOX[:16].hex() == "637c777bf26b6fc53001672bfed7ab76"
    assert SBOX[-16:].hex() == "8ca1890dbfe6426841992d0fb054bb16"
    assert SBOX[0x53] == 0xED
    assert sorted(SBOX) == list(range(256))


@pytest.mark.parametrize("form", [SBoxForm.TABLE, SBoxForm.COMPOSITE])
def test_every_form_computes_the_table(form):
    dut = SBox(form)

    async def try_all(ctx):
        for value, expected in enumerate(SBOX):
            ctx.set(dut.input, value)
            assert ctx.get(dut.output) == expected

    simulator = Simulator(dut)
    simulator.add_testbench(try_all)
    simulator.run()
