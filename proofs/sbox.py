"""The forms of the AES S-box that are logic (FIPS 197, 5.1.1)."""

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Array, Assert, Cat, Const, Elaboratable, Module, Signal

from hdl.aes.sbox import PipelinedSBox, SBox, SBoxForm
from proofs.property import Mutant, Property
from proofs.smt import AllInputs, Induction

__all__ = ["PROPERTIES", "TABLE"]

#: FIPS 197, figure 7, as it is printed there: row by row.
TABLE = bytes.fromhex(
    "637c777bf26b6fc53001672bfed7ab76ca82c97dfa5947f0add4a2af9ca472c0"
    "b7fd9326363ff7cc34a5e5f171d8311504c723c31896059a071280e2eb27b275"
    "09832c1a1b6e5aa0523bd6b329e32f8453d100ed20fcb15b6acbbe394a4c58cf"
    "d0efaafb434d338545f9027f503c9fa851a3408f929d38f5bcb6da2110fff3d2"
    "cd0c13ec5f974417c4a77e3d645d197360814fdc222a908846eeb814de5e0bdb"
    "e0323a0a4906245cc2d3ac629195e479e7c8376d8dd54ea96c56f4ea657aae08"
    "ba78252e1ca6b4c6e8dd741f4bbd8b8a703eb5664803f60e613557b986c11d9e"
    "e1f8981169d98e949b1e87e9ce5528df8ca1890dbfe6426841992d0fb054bb16"
)


class _SBox(Elaboratable):
    def __init__(self, form: SBoxForm):
        self._form = form

    def elaborate(self, platform):
        m = Module()
        m.submodules.block = block = SBox(self._form)
        m.d.comb += [
            block.input.eq(AnyConst(8)),
            Assert(block.output == _substitute(block.input), "FIPS 197"),
        ]
        return m


class _Pipelined(Elaboratable):
    def __init__(self, form: SBoxForm):
        self._form = form

    def elaborate(self, platform):
        m = Module()
        m.submodules.block = block = PipelinedSBox(self._form)
        bytes_before = [Signal(8) for _ in range(2)]
        begun = Signal(2)
        m.d.comb += block.input.eq(AnySeq(8))
        m.d.sync += [Cat(bytes_before).eq(Cat(block.input, bytes_before)), begun.eq(Cat(1, begun))]
        m.d.comb += Assert(
            ~begun.all() | (block.output == _substitute(bytes_before[1])),
            "FIPS 197, two cycles later",
        )
        return m


def _substitute(byte):
    return Array(Const(entry, 8) for entry in TABLE)[byte]


PROPERTIES = [
    *(
        Property(
            name=f"sbox.{form.value}",
            promise=f"The {form.value} form of the S-box is the table of FIPS 197, byte for byte.",
            design=lambda form=form: _SBox(form),
            method=AllInputs(),
            mutant=Mutant(
                what="the constant of the affine transformation has one bit changed",
                module="hdl.aes.sbox",
                old="_AFFINE_CONSTANT = 0x63",
                new="_AFFINE_CONSTANT = 0x61",
            ),
        )
        for form in (SBoxForm.TABLE, SBoxForm.COMPOSITE)
    ),
    *(
        Property(
            name=f"sbox.pipelined.{form.value}",
            promise=f"The {form.value} form in two cycles gives in each cycle what the table of "
            "FIPS 197 says of the byte of two cycles before.",
            design=lambda form=form: _Pipelined(form),
            method=Induction(depth=3, within=4),
            mutant=Mutant(
                what="a product in the small field has a bit of the wrong place",
                module="hdl.aes.sbox",
                old="return Cat(u, u ^ v, Const(_INVERSE16_ROM, 64).word_select(d, 4))",
                new="return Cat(u, v, Const(_INVERSE16_ROM, 64).word_select(d, 4))",
            )
            if form is SBoxForm.COMPOSITE
            else Mutant(
                what="it has one register only",
                module="hdl.aes.sbox",
                old="m.d.sync += [looked_up.eq(_look_up(m, self.input)), register.eq(looked_up)]",
                new="m.d.sync += register.eq(_look_up(m, self.input))",
            ),
        )
        for form in (SBoxForm.TABLE, SBoxForm.COMPOSITE)
    ),
]
