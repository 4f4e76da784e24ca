"""Record numbers: from the low bits on the wire to the whole number, and on to the nonce."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Reconstruction", "nonce", "nonce_model", "reconstruct"]

NUMBER_BITS = 48


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
        modulus = Signal(17)
        ahead = Signal(16)  # how far the candidate at or above next is from it
        above = Signal(NUMBER_BITS + 2)
        nearer_below = Signal()
        m.d.comb += [
            modulus.eq(Mux(self.sixteen, 1 << 16, 1 << 8)),
            ahead.eq((self.wire - self.next) & (modulus - 1)),
            above.eq(self.next + ahead),
            nearer_below.eq((ahead > modulus >> 1) | above[NUMBER_BITS:].any()),
            self.number.eq(Mux(nearer_below & (above >= modulus), above - modulus, above)),
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
