"""Record numbers: from the low bits on the wire to the whole number, and on to the nonce."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["REACH_BITS", "Reconstruction", "nonce", "nonce_model", "reconstruct"]

NUMBER_BITS = 48
#: A reconstructed number is at most 2**16 below the next one, and less above.
REACH_BITS = 16


class Reconstruction(wiring.Component):
    """The whole number of a record: the one nearest to ``next`` (RFC 9147, 4.2.2).

    Of two numbers as near as each other it is the higher one; it is never outside 0 .. 2**48-1.
    Combinational.
    """

    #: The number on the wire, decrypted; the 8-bit form in the low byte, the high byte ignored.
    wire: In(16)
    #: The number on the wire has 16 bits, not 8.
    sixteen: In(1)
    #: The highest number accepted so far, plus one; 0 .. 2**48.
    next: In(NUMBER_BITS + 1)
    number: Out(NUMBER_BITS)

    def elaborate(self, platform):
        m = Module()
        high = Mux(self.sixteen, self.next[16:], self.next[8:])  # what is not on the wire
        mask = Cat(Const(0xFF, 8), self.sixteen.replicate(8))
        difference = Signal(17)
        ahead = Signal(16)  # how far the candidate at or above next is from it
        far = Signal()  # more than half way to the one above
        carries = Signal()  # the candidate at or above next has other high bits than next
        below = Signal()
        m.d.comb += [
            difference.eq((self.wire & mask) - (self.next[:16] & mask)),
            ahead.eq(difference & mask),
            far.eq(ahead > Mux(self.sixteen, 1 << 15, 1 << 7)),
            carries.eq(difference[-1]),
            # The candidate below, unless it is negative, or if the one above takes 49 bits.
            below.eq(
                (far & ((high != 0) | carries))
                | (carries & Mux(self.sixteen, self.next[16:48].all(), self.next[8:48].all()))
                | self.next[48]
            ),
            self.number.eq(
                self.next + Cat(ahead | Mux(below, ~mask, 0), below.replicate(NUMBER_BITS - 16))
            ),
        ]
        return m


def reconstruct(wire: int, bits: int, next_number: int) -> int:
    """Software model: the number nearest to ``next_number`` whose low ``bits`` are ``wire``."""
    modulus = 1 << bits
    base = next_number - next_number % modulus + wire % modulus
    candidates = [base + offset for offset in (-modulus, 0, modulus)]
    in_range = [number for number in candidates if 0 <= number < 1 << NUMBER_BITS]
    return min(in_range, key=lambda number: (abs(number - next_number), -number))


def nonce(iv: Value, sequence_number: Value) -> Value:
    """The 96-bit nonce of a record (RFC 8446, 5.3); byte n is bits 8n to 8n+7, 0 first on the wire.

    The sequence number, 64 bits and big-endian, is XORed into the last 8 bytes of ``iv``.
    """
    padded = Cat(sequence_number, Const(0, 64 - len(sequence_number)))
    big_endian = [padded.word_select(index, 8) for index in reversed(range(8))]
    return iv ^ Cat(Const(0, 32), *big_endian)


def nonce_model(iv: bytes, sequence_number: int) -> bytes:
    """Software model of `nonce`."""
    padded = sequence_number.to_bytes(12, "big")
    return bytes(a ^ b for a, b in zip(iv, padded, strict=True))
