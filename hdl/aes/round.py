"""One round of the cipher (FIPS 197, 5.1), for the cores that do a whole round at once."""

from amaranth.hdl import Cat, Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.aes.sbox import SBox, SBoxForm

__all__ = ["Round", "xtime"]


def xtime(byte: Value) -> Value:
    """The product of a byte and x (FIPS 197, 4.2.1)."""
    return Cat(0, byte[:7]) ^ Mux(byte[7], 0x1B, 0)


class Round(wiring.Component):
    """SubBytes, ShiftRows, MixColumns and AddRoundKey in the same cycle, with 16 S-boxes.

    ``state`` and ``round_key`` are blocks: byte 4c + r is row r of column c (FIPS 197, 3.4). With
    ``final``, MixColumns is left out.
    """

    state: In(128)
    round_key: In(128)
    final: In(1)
    next_state: Out(128)

    def __init__(self, sbox: SBoxForm):
        self._sbox = sbox
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        substituted = []
        for i in range(16):
            m.submodules[f"sbox_{i}"] = box = SBox(self._sbox)
            m.d.comb += box.input.eq(self.state.word_select(i, 8))
            substituted.append(box.output)
        # ShiftRows: row r comes from the column r places to the right.
        shifted = [substituted[5 * i % 16] for i in range(16)]
        mixed = [byte for c in range(0, 16, 4) for byte in _mix_column(shifted[c : c + 4])]
        m.d.comb += self.next_state.eq(Mux(self.final, Cat(shifted), Cat(mixed)) ^ self.round_key)
        return m


def _mix_column(column: list[Value]) -> list[Value]:
    """MixColumns (FIPS 197, 5.1.3): 2*a0 + 3*a1 + a2 + a3, and so on around."""
    total = column[0] ^ column[1] ^ column[2] ^ column[3]
    return [column[r] ^ total ^ xtime(column[r] ^ column[(r + 1) % 4]) for r in range(4)]
