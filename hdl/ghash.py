"""GHASH, the hash of GCM (SP 800-38D, 6.3 and 6.4): gateware and model.

Bit order. SP 800-38D numbers the bits of a block from the left, bit i being bit 7 - i % 8 of byte
i // 8 (`hdl.block`), and takes bit i as the coefficient of x**i. So with a block's bytes in reverse
order, which costs only wires, the coefficient of x**i stands in bit 127 - i. Inside this file
polynomials have that form: a product with x is a shift to the right, and what leaves on the right
comes back by x**128 = 1 + x + x**2 + x**7.
"""

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
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
    """Byte-serial GHASH: a byte in 8 / ``digit`` cycles, ``digit`` coefficients of it a cycle.

    Three registers: the digest of the blocks so far, whose bytes are used up one by one; the sum
    for the next one; and the subkey times x**i, for the next coefficient i.

    Attributes
    ----------
    h : In(128)
        The hash subkey, a block. Read with `start`, and in the last cycle of each block.
    start : In(1)
        Begins a message; only while `clear`. No byte is taken in that cycle.
    clear : In(1)
        Without `start`, everything becomes zero, and nothing is taken.
    bytes : In(stream of 8)
        The blocks X, byte 0 first: digest = (digest + X) * h for each. A byte is taken every
        8 / ``digit`` cycles.
    sum : Out(8)
        In the cycle after a byte was taken: that byte plus the one at its place in the digest of
        the blocks before. So the digest comes out where zeros go in.

    """

    h: In(128)
    start: In(1)
    clear: In(1)
    bytes: In(stream.Signature(8))
    sum: Out(8)

    def __init__(self, digit: int = 8):
        if digit not in (1, 2, 4, 8):
            raise ValueError(f"digit of {digit} bits is not 1, 2, 4 or 8")
        self._digit = digit
        super().__init__()

    @staticmethod
    def model(h: bytes, data: bytes) -> bytes:
        """The digest after the blocks of ``data``."""
        return ghash(h, data)

    @property
    def interval(self) -> int:
        """Cycles from one byte to the next."""
        return 8 // self._digit

    def elaborate(self, platform):
        m = Module()
        digest = Signal(128)  # a block; its next byte is the lowest
        total = Signal(128)  # a polynomial, as is the next
        multiple = Signal(128)
        byte = Signal(8)
        factor = Signal(8)  # what is left of the byte, the next coefficient on top
        busy = Signal()
        step = Signal(range(max(self.interval, 2)))
        position = Signal(4)  # of the byte in its block
        last_step = Signal()
        turn = Signal()  # the first step of a block: the sum becomes the digest
        m.d.comb += [
            last_step.eq(busy & (step == self.interval - 1)),
            turn.eq((position == 0) & (step == 0)),
            self.bytes.ready.eq((~busy | last_step) & ~self.clear),
            self.sum.eq(byte ^ Mux(turn, _reverse_bytes(total)[:8], digest[:8])),
            factor.eq(Mux(step == 0, self.sum, byte)),
        ]
        # The next coefficients of the byte, the lowest first.
        summands = [Mux(turn, 0, total)]
        next_multiple = multiple
        for i in range(self._digit):
            summands.append(Mux(factor[7 - i], next_multiple, 0))
            next_multiple = _times_x(m, next_multiple)

        with m.If(busy):
            m.d.sync += [
                total.eq(reduce(xor, summands)),
                byte.eq(factor << self._digit),
                step.eq(step + 1),
            ]
        with m.If(self.start | (last_step & (position == 15))):
            m.d.sync += multiple.eq(_reverse_bytes(self.h))
        with m.Elif(busy):
            m.d.sync += multiple.eq(next_multiple)
        with m.If(last_step):
            m.d.sync += [step.eq(0), position.eq(position + 1), busy.eq(0)]
        with m.If(busy & (step == 0)):
            m.d.sync += digest.eq(Mux(turn, _reverse_bytes(total), digest) >> 8)
        with m.If(self.bytes.valid & self.bytes.ready):
            m.d.sync += [byte.eq(self.bytes.payload), busy.eq(1)]
        with m.If(self.clear):
            m.d.sync += [
                digest.eq(0),
                total.eq(0),
                byte.eq(0),
                busy.eq(0),
                step.eq(0),
                position.eq(0),
            ]
        with m.If(self.clear & ~self.start):
            m.d.sync += multiple.eq(0)
        return m


def _times_x(m: Module, value: Value) -> Value:
    product = Signal(128)
    m.d.comb += product.eq(value >> 1 ^ Mux(value[0], Const(_R, 128), 0))
    return product


def _reverse_bytes(block: Value) -> Value:
    return Cat(block.word_select(i, 8) for i in reversed(range(BLOCK_BYTES)))
