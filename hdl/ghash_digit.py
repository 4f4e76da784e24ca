"""GHASH a few coefficients at a time (SP 800-38D, 6.3 and 6.4), for small devices.

Inside this file polynomials have the form of `hdl.ghash`: the coefficient of x**i stands in bit
127 - i, a product with x is a shift to the right, and what leaves on the right comes back by
x**128 = 1 + x + x**2 + x**7.
"""

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring

from hdl.block import BLOCK_BYTES
from hdl.hash_unit import HashSignature

__all__ = ["DigitGHASH"]


class DigitGHASH(wiring.Component):
    """Digit-serial GHASH: multiplies by ``digit`` coefficients a cycle.

    The ports are those of `HashSignature`, for one chain: a block's power is H itself, and its
    ``final``, which is ignored, is its ``last``.

    The sum of a block and the product so far is multiplied in 128 / ``digit`` cycles, its lowest
    coefficients first: while the power becomes its product with x**digit, the products with the
    digits pile up unreduced. So no sum has anything to wait for, and the longest path is that of
    one digit's product. The next block is taken after one cycle more, in which the product is
    reduced and the block added: `interval` = `latency` = 128 / ``digit`` + 1. In the cycle of a
    digest no block is taken, so the first block of a message comes a cycle later still. Time
    depends on handshakes only, never on data.
    """

    chains = 1

    def __init__(self, digit: int = 8):
        if digit not in (1, 2, 4, 8, 16, 32, 64):
            raise ValueError(f"digit of {digit} bits is not a power of two up to 64")
        self._digit = digit
        self.interval = self.latency = 128 // digit + 1
        super().__init__(HashSignature())

    def elaborate(self, platform):
        m = Module()
        digit = self._digit
        power = Signal(128, reset_less=True)
        factor = Signal(128)  # zero when there is nothing left to multiply by
        product = Signal(128 + digit - 1)  # the lowest bits: the coefficients of x**128 and on
        reduced = Signal(128)
        steps_left = Signal(range(128 // digit + 1))
        last = Signal()

        high = product[: digit - 1].shift_left(129 - digit)
        m.d.comb += [
            reduced.eq(product[digit - 1 :] ^ _fold(high)),
            self.blocks.ready.eq((steps_left == 0) & ~self.digests.valid),
            self.digests.payload.eq(_reverse_bytes(reduced)),
        ]

        multiples = [
            power.shift_left(i) & factor[128 - digit + i].replicate(128 + i) for i in range(digit)
        ]
        m.d.sync += [
            power.eq(power >> digit ^ _fold(power[:digit].shift_left(128 - digit))),
            factor.eq(factor << digit),
            product.eq(_sum([*multiples, product])),
            self.digests.valid.eq((steps_left == 1) & last),
        ]
        with m.If(steps_left != 0):
            m.d.sync += steps_left.eq(steps_left - 1)
        with m.If(self.digests.valid):
            m.d.sync += product.eq(0)
        with m.If(self.blocks.valid & self.blocks.ready):
            block = self.blocks.payload
            m.d.sync += [
                power.eq(_reverse_bytes(block.power)),
                factor.eq(_reverse_bytes(block.block) ^ reduced),
                product.eq(0),
                steps_left.eq(128 // digit),
                last.eq(block.last),
            ]
        return m


def _fold(high: Value) -> Value:
    """The product with x**128; ``high`` has no coefficients so high that they leave again."""
    return high ^ high >> 1 ^ high >> 2 ^ high >> 7


def _sum(values: list[Value]) -> Value:
    """The sum in steps that suit LUTs with four inputs: two bits of products, or four of sums."""
    values = [reduce(xor, values[i : i + 2]) for i in range(0, len(values), 2)]
    while len(values) > 1:
        values = [reduce(xor, values[i : i + 4]) for i in range(0, len(values), 4)]
    return values[0]


def _reverse_bytes(block: Value) -> Value:
    return Cat(block.word_select(i, 8) for i in reversed(range(BLOCK_BYTES)))
