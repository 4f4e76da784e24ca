"""GHASH a few coefficients at a time (SP 800-38D, 6.3 and 6.4), by Shoup's tables.

A product with a fixed H is linear: H times each of the 16 polynomials below x**4 stands in a table,
and a block times H is the sum of 32 rows, each times a power of x (McGrew and Viega, The
Galois/Counter Mode of Operation, 4.1).

Inside this file polynomials have the form of `hdl.ghash`: the coefficient of x**i stands in bit
127 - i, a product with x is a shift to the right, and what leaves on the right comes back by
x**128 = 1 + x + x**2 + x**7.
"""

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hdl.aes.history import History
from hdl.block import BLOCK_BYTES
from hdl.block_ram import BlockRAM
from hdl.hash_unit import HashSignature, power_address_layout

__all__ = ["DigitGHASH"]

#: Coefficients that a row is looked up by.
_ROW_BITS = 4
#: Of a memory, from an address to its word.
_READ_CYCLES = 2


class DigitGHASH(wiring.Component):
    """Digit-serial GHASH: multiplies by ``digit`` coefficients a cycle, for the H of ``slots``.

    The ports are those of `HashSignature`, for one chain, whose ``power`` is the number of a slot.
    ``final``, which is ignored, is ``last``.

    A block plus the product so far is taken apart into digits, its highest coefficients first: each
    cycle multiplies the product by x**digit, and adds the rows of the digit (Horner's rule). The
    last of 128 / ``digit`` digits is added two cycles after it was looked up, and then the next
    block is taken: `interval` = 128 / ``digit`` + 2. A digest is there a cycle earlier, and costs
    none. Time depends on handshakes only, never on data.

    The rows of a slot stand behind a write port. With ``write``, row ``address.power`` of
    ``address.slot`` becomes zero, or H if it is odd. If it is ``derived``, x times the row of half
    its number is added; the ``address`` must have been there for two cycles, and no block be under
    way. So all rows of an H are derived in turn, behind a row 0 of zeros.
    """

    chains = 1
    #: Rows of a slot.
    powers = 1 << _ROW_BITS

    def __init__(self, digit: int = 16, slots: int = 2):
        if digit not in (4, 8, 16, 32, 64):
            raise ValueError(f"digit of {digit} bits is not a power of two from 4 to 64")
        self._digit = digit
        self._slot = range(slots)
        self.interval = 128 // digit + _READ_CYCLES
        self.latency = self.interval - 1
        address = power_address_layout(self.powers, slots)
        ports = {"write": In(1), "address": In(address), "h": In(128), "derived": In(1)}
        super().__init__(dict(HashSignature(self._slot).members) | ports)
        #: All alike: as many as rows are looked up in a cycle.
        self.tables = [BlockRAM(128, slots << _ROW_BITS) for _ in range(digit // _ROW_BITS)]

    def elaborate(self, platform):
        m = Module()
        digit, steps = self._digit, 128 // self._digit
        factor = Signal(128)  # what is left of it, the highest coefficients lowest
        now = Signal(128)  # the same, of this cycle
        product = Signal(128)
        slot, now_slot = Signal(self._slot), Signal(self._slot)
        free, last, ends = Signal(init=1), Signal(), Signal()
        step = Signal(range(self.interval))
        looks_up = Signal()

        # While nothing is under way, what is looked up does not matter.
        block = self.blocks.payload
        m.d.comb += [
            self.blocks.ready.eq(free),
            now.eq(Mux(free, _reverse_bytes(block.block) ^ product, factor)),
            now_slot.eq(Mux(free, block.power, slot)),
            looks_up.eq(Mux(free, self.blocks.valid, step < steps)),
            ends.eq(step == self.interval - 1),
        ]
        m.d.sync += [factor.eq(now >> digit), slot.eq(now_slot)]
        with m.If(free):
            m.d.sync += [free.eq(~self.blocks.valid), last.eq(block.last), step.eq(1)]
        with m.Else():
            m.d.sync += [free.eq(ends), step.eq(step + 1)]

        rows = self._look_up(m, now, now_slot)
        # Unreduced: x**128 and higher stand lowest.
        total, reduced = Signal(128 + digit), Signal(128)
        shifted = (row.shift_left(_ROW_BITS * (i + 1)) for i, row in enumerate(rows))
        m.d.comb += [
            total.eq(reduce(xor, shifted, product)),
            reduced.eq(total[digit:] ^ _fold(total[:digit].shift_left(128 - digit))),
            self.digests.payload.eq(_reverse_bytes(reduced)),
            self.digests.valid.eq(ends & last),
        ]
        with m.If(History(m, "looks_up", looks_up, _READ_CYCLES, reset_less=False)[_READ_CYCLES]):
            m.d.sync += product.eq(reduced)
        with m.If((free & self.blocks.valid) | self.digests.valid):
            m.d.sync += product.eq(0)  # it went into the factor, or out
        return m

    def _look_up(self, m, factor, slot):
        """The rows of the lowest digit of ``factor``, two cycles later, and their write port."""
        address = self.address
        derived = Mux(self.derived, self.tables[0].read_data, 0)
        for i, table in enumerate(self.tables):
            m.submodules[f"table_{i}"] = table
            row = factor.word_select(i, _ROW_BITS)[::-1]
            m.d.comb += [
                table.read_address.eq(Cat(row, slot)),
                table.write.eq(self.write),
                table.write_address.eq(address),
                table.write_data.eq(
                    _times_x(derived) ^ Mux(address.power[0], _reverse_bytes(self.h), 0)
                ),
            ]
        with m.If(self.derived):
            m.d.comb += self.tables[0].read_address.eq(Cat(address.power >> 1, address.slot))
        return [table.read_data for table in self.tables]


def _fold(high: Value) -> Value:
    """The product with x**128; ``high`` has no coefficients so high that they leave again."""
    return high ^ high >> 1 ^ high >> 2 ^ high >> 7


def _times_x(value: Value) -> Value:
    return value >> 1 ^ _fold(value[:1].shift_left(127))


def _reverse_bytes(block: Value) -> Value:
    return Cat(block.word_select(i, 8) for i in reversed(range(BLOCK_BYTES)))
