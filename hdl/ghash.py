"""GHASH, the hash of GCM (SP 800-38D, 6.3 and 6.4): gateware and model.

Bit order. SP 800-38D numbers the bits of a block from the left, bit i being bit 7 - i % 8 of byte
i // 8 (`hdl.block`), and takes bit i as the coefficient of x**i. So with a block's bytes in reverse
order, which costs only wires, the coefficient of x**i stands in bit 127 - i. Inside this file
polynomials have that form: a product with x is a shift to the right, and what leaves on the right
comes back by x**128 = 1 + x + x**2 + x**7.
"""

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.block import BLOCK_BYTES

__all__ = ["GHASH", "ghash", "multiply"]

#: R (SP 800-38D, 6.3): 1 + x + x**2 + x**7.
_R = 0xE1 << 120


def multiply(x: bytes, y: bytes) -> bytes:
    """Model of the product of two blocks in GF(2**128) (SP 800-38D, 6.3)."""
    product = _multiply(int.from_bytes(x, "big"), int.from_bytes(y, "big"))
    return product.to_bytes(BLOCK_BYTES, "big")


def ghash(h: bytes, data: bytes) -> bytes:
    """Model of GHASH under the hash subkey ``h``; ``data`` is a whole number of blocks."""
    if len(data) % BLOCK_BYTES:
        raise ValueError(f"GHASH input of {len(data)} bytes is not a multiple of {BLOCK_BYTES}")
    subkey, digest = int.from_bytes(h, "big"), 0
    for i in range(0, len(data), BLOCK_BYTES):
        digest = _multiply(subkey, digest ^ int.from_bytes(data[i : i + BLOCK_BYTES], "big"))
    return digest.to_bytes(BLOCK_BYTES, "big")


def _multiply(x: int, y: int) -> int:
    product = 0
    while y:
        if y >> 127:
            product ^= x
        x = x >> 1 ^ _R if x & 1 else x >> 1
        y = y << 1 & (1 << 128) - 1
    return product


class GHASH(wiring.Component):
    """Digit-serial GHASH: ``digit`` coefficients of a product a cycle.

    Attributes
    ----------
    h : In(128)
        The hash subkey, a block. Stable from a message's first block until `idle` after its last.
    clear : In(1)
        Begins a message: `digest` is zero from the next cycle on. Only while `idle`; no block is
        taken in that cycle.
    blocks : In(stream of 128)
        A block X is taken every 128 / ``digit`` cycles: digest = (digest + X) * h.
    digest : Out(128)
        The hash of the blocks so far. Valid while `idle`.
    idle : Out(1)
        No block is being worked on: 128 / ``digit`` + 1 cycles after the last one was taken.

    """

    h: In(128)
    clear: In(1)
    blocks: In(stream.Signature(128))
    digest: Out(128)
    idle: Out(1)

    def __init__(self, digit: int = 8):
        if digit not in (1, 2, 4, 8, 16, 32, 64):
            raise ValueError(f"digit of {digit} bits is not a power of two up to 64")
        self._digit = digit
        super().__init__()

    @staticmethod
    def model(h: bytes, data: bytes) -> bytes:
        """The digest after the blocks of ``data``."""
        return ghash(h, data)

    @property
    def interval(self) -> int:
        """Cycles from one block to the next."""
        return 128 // self._digit

    def elaborate(self, platform):
        m = Module()
        # The factor that h is multiplied with, its highest coefficients first, from the right.
        factor = Signal(128)
        product = Signal(128)
        next_product = Signal(128)
        steps_left = Signal(range(self.interval + 1))
        last_step = Signal()
        m.d.comb += [
            next_product.eq(self._step(m, product, factor)),
            last_step.eq(steps_left == 1),
            self.idle.eq(steps_left == 0),
            self.blocks.ready.eq((self.idle | last_step) & ~self.clear),
            self.digest.eq(_reverse_bytes(product)),
        ]

        with m.If(~self.idle):
            m.d.sync += [
                product.eq(next_product),
                factor.eq(factor >> self._digit),
                steps_left.eq(steps_left - 1),
            ]
        with m.If(self.blocks.valid & self.blocks.ready):
            digest = Mux(last_step, next_product, product)
            m.d.sync += [
                product.eq(0),
                factor.eq(digest ^ _reverse_bytes(self.blocks.payload)),
                steps_left.eq(self.interval),
            ]
        with m.If(self.clear):
            m.d.sync += product.eq(0)
        return m

    def _step(self, m: Module, product: Value, factor: Value) -> Value:
        """``product`` * x**digit + h * (the next digit of ``factor``): Horner's scheme.

        The unreduced sum has ``digit`` more bits on the right, for x**128 and higher.
        """
        digit = self._digit
        h = Signal(128)
        unreduced = Signal(128 + digit)
        multiples = (Mux(factor[i], h << i + 1, 0) for i in range(digit))
        m.d.comb += [h.eq(_reverse_bytes(self.h)), unreduced.eq(reduce(xor, multiples, product))]
        high = unreduced[:digit] << 128 - digit
        return unreduced[digit:] ^ high ^ high >> 1 ^ high >> 2 ^ high >> 7


def _reverse_bytes(block: Value) -> Value:
    return Cat(block.word_select(i, 8) for i in reversed(range(BLOCK_BYTES)))
