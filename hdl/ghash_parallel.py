"""GHASH at one block a cycle (SP 800-38D, 6.3 and 6.4).

Inside this file polynomials have the form of `hdl.ghash`: the coefficient of x**i of a block stands
in bit 127 - i, that of a product of two blocks in bit 254 - i. The product of the mirrored
polynomials is the mirrored product, so nothing else about the multiplier depends on it.
"""

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from hdl.block import BLOCK_BYTES
from hdl.hash_unit import HashSignature

__all__ = ["CUTS", "Multiplier", "ParallelGHASH"]

#: Where `Multiplier` can have registers, the most useful place first.
CUTS = (
    "products_of_8",
    "folded",
    "sums_of_8",
    "products_of_32",
    "factors",
    "products_of_64",
    "sums_of_16",
)


class ParallelGHASH(wiring.Component):
    """GHASH of messages whose blocks come back to back, or with any gaps: a block a cycle.

    The ports are those of `HashSignature`, for ``chains`` chains. ``blocks.ready`` is always 1, and
    no cycle is lost between messages, however short they are.

    A block and its power are taken into registers. In the next cycle the product of the block
    ``chains`` before is added, unless that was final, and the sum is multiplied by the power in
    ``stages`` cycles. The products wait in a memory of ``chains`` words for the next block of
    their chain. That may come ``chains`` cycles later, so there are at most as many ``stages``,
    and at most 8. The digest of a message is valid ``stages`` + 1 cycles after its last block was
    taken, for one cycle. No time depends on data.
    """

    interval = 1

    def __init__(self, chains: int = 8, stages: int = 8):
        if chains < 2:
            raise ValueError(f"{chains} chains are under 2")
        most = min(chains, len(CUTS) + 1)
        if not 1 <= stages <= most:
            raise ValueError(f"{stages} stages are not 1 to {most}, with {chains} chains")
        self.chains = self.powers = chains
        self.latency = stages + 1
        self._cuts = CUTS[: stages - 1]
        super().__init__(HashSignature())

    def elaborate(self, platform):
        m = Module()
        m.submodules.products = products = Memory(shape=128, depth=self.chains, init=[])

        block = Signal.like(self.blocks.payload, reset_less=True)
        valid, adds = Signal(), Signal()  # a block; one whose product is part of the digest
        m.d.comb += self.blocks.ready.eq(1)
        m.d.sync += [
            block.eq(self.blocks.payload),
            valid.eq(self.blocks.valid),
            adds.eq(self.blocks.valid & self.blocks.payload.final),
        ]

        multiplier = Multiplier(m, self._cuts)
        product = Signal(128)
        sum_ = _reverse_bytes(block.block) ^ self._read(m, products, valid, block.final)
        m.d.comb += product.eq(multiplier.multiply(sum_, _reverse_bytes(block.power)))
        flags = Cat(valid, adds, block.last)
        for _ in self._cuts:
            following = Signal(3)
            m.d.sync += following.eq(flags)
            flags = following
        valid, adds, last = flags
        self._write(m, products, valid, product)

        # The sum of the final products.
        digest = Signal(128, reset_less=True)
        begins = Signal(init=1)
        with m.If(adds):
            m.d.sync += [digest.eq(Mux(begins, 0, digest) ^ product), begins.eq(last)]
        m.d.sync += self.digests.valid.eq(valid & last)
        m.d.comb += self.digests.payload.eq(_reverse_bytes(digest))
        return m

    def _read(self, m: Module, products: Memory, valid: Value, final: Value) -> Value:
        """The product of the block ``chains`` before the one that is ``valid``.

        Zero if that one was final: then it was of another message, or there was none.
        """
        port = products.read_port(domain="comb")
        goes_on = Signal(self.chains)  # bit i: the block i + 1 before was not final
        with m.If(valid):
            m.d.sync += [
                goes_on.eq(Cat(~final, goes_on)),
                port.addr.eq(self._next_word(port.addr)),
            ]
        return Mux(goes_on[-1], port.data, 0)

    def _write(self, m: Module, products: Memory, valid: Value, product: Value) -> None:
        port = products.write_port()
        m.d.comb += [port.en.eq(valid), port.data.eq(product)]
        with m.If(valid):
            m.d.sync += port.addr.eq(self._next_word(port.addr))

    def _next_word(self, address: Value) -> Value:
        return Mux(address == self.chains - 1, 0, address + 1)


class Multiplier:
    """Products in GF(2**128), with registers at the places that ``cuts`` names.

    Karatsuba's scheme, with y = x**n, a = a0 + a1 * y, b likewise, outer = a0 * b0 + a1 * b1 * y
    and inner = (a0 + a1) * (b0 + b1), is

        a * b = outer + (outer + inner) * y.

    Four times halved, the factors leave 81 products of 8 by 8 bits. The places are the "factors";
    the "sums_of_8" bits, and of 16, 32, 64, that they are split into; outer and inner of the
    "products_of_8" bits, and of 16, 32, 64; and the product "folded" for its reduction. With
    registers of outer and inner, not of the four parts that outer is made of, each step from there
    to the next is a sum of four bits at most, one LUT4. No operation here has an operand twice:
    CXXRTL would compute it twice, and again the operands of that.
    """

    def __init__(self, m: Module, cuts: tuple[str, ...]):
        self._m = m
        self._cuts = cuts

    def multiply(self, a: Value, b: Value) -> Value:
        product = self._multiply(self._cut("factors", a), self._cut("factors", b))
        # By x**128 = 1 + x + x**2 + x**7. First by 1: the rest is a sum of four bits then.
        high = product[:127].shift_left(1)
        folded = self._cut("folded", product[127:] ^ high)
        high = self._cut("folded", high)
        # What high * (x**2 + x**7) has beyond x**127, by 1 again.
        carried = Cat(high[1:6], high[1] ^ high[6]).shift_left(122)
        high ^= carried
        return folded ^ carried ^ high >> 1 ^ high >> 2 ^ high >> 7

    def _multiply(self, a: Value, b: Value) -> Value:
        bits = len(a) // 2
        (a0, a1, a01), (b0, b1, b01) = self._split(a), self._split(b)
        if bits == 8:
            outer, inner = _sum_of_products((a0, b0), (a1, b1)), _sum_of_products((a01, b01))
        else:
            outer = self._multiply(a0, b0) ^ self._multiply(a1, b1).shift_left(bits)
            inner = self._multiply(a01, b01)
        outer = self._cut(f"products_of_{bits}", outer)
        inner = self._cut(f"products_of_{bits}", inner)
        return outer ^ (outer ^ inner).shift_left(bits)

    def _split(self, factor: Value) -> list[Value]:
        half = len(factor) // 2
        low, high = factor[:half], factor[half:]
        return [self._cut(f"sums_of_{half}", part) for part in (low, high, low ^ high)]

    def _cut(self, place: str, value: Value) -> Value:
        domain = "sync" if place in self._cuts else "comb"
        signal = Signal(len(value), name=place, reset_less=True)
        self._m.d[domain] += signal.eq(value)
        return signal


def _sum_of_products(*factors: tuple[Value, Value]) -> Value:
    """a0 * b0 + a1 * b1 * x**8 + ..., of factors with 8 bits.

    Two rows of partial products make one LUT4 a column, and four such pairs another one.
    """
    a = Cat(a for a, _ in factors)
    rows = [(a & Cat(b[i].replicate(8) for _, b in factors)).shift_left(i) for i in range(8)]
    return reduce(xor, (rows[i] ^ rows[i + 1] for i in range(0, 8, 2)))


def _reverse_bytes(block: Value) -> Value:
    return Cat(block.word_select(i, 8) for i in reversed(range(BLOCK_BYTES)))
