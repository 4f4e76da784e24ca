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

    A block plus the product so far is multiplied by H in 128 / ``digit`` cycles, its lowest
    coefficients first: each cycle multiplies H by x**digit, and adds the old H times a digit to
    the new product, unreduced. So a cycle has no more to do than one digit's product. In one cycle
    more the product is reduced, and with the next block becomes the next factor: `interval` =
    `latency` = 128 / ``digit`` + 1. In the cycle of a digest no block is taken, so that the first
    block of the next message comes a cycle later still. Time depends on handshakes only, never on
    data.
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
        factor = Signal(128)  # its lowest coefficients, which are next, uppermost
        product = Signal(128 + digit - 1)  # unreduced: x**128 and higher stand lowest
        reduced = Signal(128)
        step = Signal(range(128 // digit))  # goes back to 0 by itself
        last = Signal()
        clear = Signal()  # of the product; a signal of its own, so that it becomes a reset

        block = self.blocks.payload
        high = product[: digit - 1].shift_left(129 - digit)
        m.d.comb += [
            reduced.eq(product[digit - 1 :] ^ _fold(high)),
            self.digests.payload.eq(_reverse_bytes(reduced)),
        ]
        # When nothing is left of the factor, this changes the product no more.
        m.d.sync += [
            power.eq(power >> digit ^ _fold(power[:digit].shift_left(128 - digit))),
            factor.eq(factor << digit),
            product.eq(product ^ _multiply(power, factor[-digit:])),
        ]
        with m.FSM():
            with m.State("Take"):
                m.d.comb += self.blocks.ready.eq(1)
                with m.If(self.blocks.valid):
                    m.d.sync += [
                        power.eq(_reverse_bytes(block.power)),
                        factor.eq(_reverse_bytes(block.block) ^ reduced),
                        last.eq(block.last),
                    ]
                    m.d.comb += clear.eq(1)
                    m.next = "Multiply"
            with m.State("Multiply"):
                m.d.sync += step.eq(step + 1)
                with m.If(step == 128 // digit - 1):
                    m.next = "Take"
                    with m.If(last):
                        m.next = "Give digest"
            with m.State("Give digest"):
                m.d.comb += [self.digests.valid.eq(1), clear.eq(1)]
                m.next = "Take"
        with m.If(clear):
            m.d.sync += product.eq(0)
        return m


def _fold(high: Value) -> Value:
    """The product with x**128; ``high`` has no coefficients so high that they leave again."""
    return high ^ high >> 1 ^ high >> 2 ^ high >> 7


def _multiply(power: Value, digit: Value) -> Value:
    """The product, unreduced. Two rows make one LUT4 a column, and four such sums another one."""
    rows = [(power & digit[i].replicate(128)).shift_left(i) for i in range(len(digit))]
    sums = [reduce(xor, rows[i : i + 2]) for i in range(0, len(rows), 2)]
    return reduce(xor, (reduce(xor, sums[i : i + 4]) for i in range(0, len(sums), 4)))


def _reverse_bytes(block: Value) -> Value:
    return Cat(block.word_select(i, 8) for i in reversed(range(BLOCK_BYTES)))
