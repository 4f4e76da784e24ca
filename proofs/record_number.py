"""The record number's reconstruction (RFC 9147, 4.2.2)."""

from amaranth.asserts import AnyConst
from amaranth.hdl import Assert, Assume, Cat, Const, Elaboratable, Module, Mux, Signal, signed

from hdl.record_number import NUMBER_BITS, Reconstruction
from proofs.property import Mutant, Property
from proofs.smt import AllInputs

__all__ = ["NEARER", "PROPERTIES", "is_nearest", "nonce"]


class _Nearest(Elaboratable):
    """No other number with the same low bits is nearer to the next one, whichever it is."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.block = block = Reconstruction()
        next_number, other = Signal(NUMBER_BITS + 1), Signal(NUMBER_BITS)
        m.d.comb += [
            block.wire.eq(AnyConst(16)),
            block.sixteen.eq(AnyConst(1)),
            next_number.eq(AnyConst(NUMBER_BITS + 1)),
            block.next.eq(next_number),
            other.eq(AnyConst(NUMBER_BITS)),
            Assume(next_number <= 1 << NUMBER_BITS),
        ]
        same, nearest = is_nearest(m, block.number, next_number, block.wire, block.sixteen, other)
        m.d.comb += [Assert(same, "other low bits"), Assert(nearest, NEARER)]
        return m


#: What is wrong if a number is not nearest.
NEARER = "another one is nearer, or as near and higher"


def is_nearest(m, number, following, wire, sixteen, other):
    """Whether a number has the low bits on the wire, and is the nearest one, by RFC 9147, 4.2.2.

    Nearest to ``following`` among all 48-bit numbers that have them, of which ``other`` may be any.
    """
    mask = Cat(Const(0xFF, 8), sixteen.replicate(8))
    distance, other_distance = (Signal(signed(NUMBER_BITS + 2)) for _ in range(2))
    m.d.comb += [distance.eq(number - following), other_distance.eq(other - following)]
    own, its = _magnitude(distance), _magnitude(other_distance)
    counts = (other[:16] & mask) == (wire & mask)
    nearest = (own < its) | ((own == its) & (number >= other))
    return (number[:16] & mask) == (wire & mask), ~counts | nearest


def nonce(iv, number):
    """RFC 8446, 5.3: the number in 12 bytes, big-endian, plus the IV; bytes as in `hdl.block`."""
    padded = Cat(number, Const(0, 96 - len(number)))
    return iv ^ Cat(padded.word_select(11 - i, 8) for i in range(12))


def _magnitude(value):
    return Mux(value < 0, -value, value)


PROPERTIES = [
    Property(
        name="record_number.serial",
        promise="The number of a record is the one nearest to the next, of two the higher, among "
        "all 48-bit numbers with the 8 or 16 bits on the wire.",
        design=_Nearest,
        method=AllInputs(),
        mutant=Mutant(
            what="half way up counts as nearer below",
            module="hdl.record_number",
            old="ahead > Mux(self.sixteen, 1 << 15, 1 << 7)",
            new="ahead >= Mux(self.sixteen, 1 << 15, 1 << 7)",
        ),
    ),
]
