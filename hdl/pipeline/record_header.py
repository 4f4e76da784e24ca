"""The unified header (RFC 9147, 4, figure 3) in two blocks of 16 bytes, all of it at once.

The first byte and the connection ID are fixed for a slot. What follows them is the tail: the number
in one byte or two, the length in none or two. The tail begins at byte ``tail_at``, so byte d of it
stands in lane (tail_at + d) mod 16 of its block, and whichever lane that is, it is one of the four
lanes (tail_at + d) mod 4, + 4, + 8, + 12. So a tail that is first turned by tail_at mod 4 bytes has
its bytes under the lanes where they belong.
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from driver.messages import CONNECTION_ID_BYTES
from hdl.block import BLOCK_BYTES

__all__ = ["TAIL_BYTES", "HeaderReader", "tail_lanes", "template", "turn_tail"]

TAIL_BYTES = 4


def template(flags: Value, connection_id: Value) -> Value:
    """A header of 32 bytes with its tail zero; zeros behind the connection ID."""
    return Cat(flags, connection_id, Const(0, 8 * (2 * BLOCK_BYTES - 1 - CONNECTION_ID_BYTES)))


def tail_lanes(tail_at: Value, count: Value) -> list[Value]:
    """For each lane of a header's two blocks, whether the tail is there, of ``count`` bytes."""
    begins = [tail_at == lane for lane in range(2 * BLOCK_BYTES)]
    return [
        reduce(or_, (begins[lane - d] & (count > d) for d in range(min(lane + 1, TAIL_BYTES))))
        for lane in range(2 * BLOCK_BYTES)
    ]


def turn_tail(tail: Value, tail_at: Value) -> Value:
    """Byte d of the tail moves to place (tail_at + d) mod 4, which is that of its lane."""
    return _rotate(tail, -tail_at[:2])


def _rotate(tail: Value, places: Value) -> Value:
    """The byte at place i + ``places`` (modulo 4) moves to place i."""
    return (Cat(tail, tail) >> (places[:2] << 3))[: 8 * TAIL_BYTES]


class HeaderReader(wiring.Component):
    """Compares received headers with what the slot says, and finds their numbers.

    ``read`` takes a block of a header, or its ``second``, which comes later; ``second`` is for
    headers over 16 bytes only. ``wire`` and ``malformed`` are valid from the third cycle after the
    last block of a header on, until the third one after the first block of the next. The connection
    ID must be there a cycle before the first block, and all other inputs a cycle behind the last
    one. Cycles depend on nothing.
    """

    read: In(1)
    second: In(1)
    block: In(128)
    connection_id: In(8 * CONNECTION_ID_BYTES)
    connection_id_bytes: In(range(CONNECTION_ID_BYTES + 1))
    sixteen: In(1)
    has_length: In(1)
    #: Bytes behind the header, which the length field must say.
    encrypted_bytes: In(16)
    #: The number, still encrypted; the 8-bit form in the low byte, zeros above.
    wire: Out(16)
    #: Another connection ID or length.
    malformed: Out(1)

    def elaborate(self, platform):
        m = Module()
        tail_at, size = Signal(5), self.connection_id_bytes

        # Ahead: for each byte of a header, whether the connection ID reaches so far.
        reaches = Signal(2 * BLOCK_BYTES)
        m.d.sync += [
            tail_at.eq(1 + size),
            reaches.eq(Cat(_at_least(size, i) for i in range(2 * BLOCK_BYTES))),
        ]

        # First: each byte of the block.
        received = [self.block.word_select(lane, 8) for lane in range(BLOCK_BYTES)]
        identifier = [self.connection_id.word_select(i, 8) for i in range(CONNECTION_ID_BYTES)]
        different = Signal(CONNECTION_ID_BYTES)
        turned, tail = Signal(8 * TAIL_BYTES), Signal(8 * TAIL_BYTES)
        for i, byte in enumerate(identifier, 1):
            m.d.sync += different[i - 1].eq(reaches[i] & (received[i % BLOCK_BYTES] != byte))
        in_tail = [
            reaches[max(i - TAIL_BYTES, 0)] & ~reaches[i] & (i != 0) for i in range(2 * BLOCK_BYTES)
        ]
        in_tail = Mux(self.second, Cat(in_tail[BLOCK_BYTES:]), Cat(in_tail[:BLOCK_BYTES]))
        found = [
            reduce(or_, (Mux(in_tail[lane], received[lane], 0) for lane in range(place, 16, 4)))
            for place in range(TAIL_BYTES)
        ]
        with m.If(self.read):
            m.d.sync += turned.eq(Cat(found) | Mux(self.second, turned, 0))

        # Second: the fields of the tail.
        read, second = Signal(2), Signal()
        mismatches, has_length, length = Signal(), Signal(), Signal(16)
        m.d.sync += [read.eq(Cat(self.read, read)), second.eq(self.second)]
        m.d.comb += tail.eq(_rotate(turned, tail_at))
        with m.If(read[0]):
            m.d.sync += [
                mismatches.eq(
                    Mux(
                        second,
                        different[BLOCK_BYTES - 1 :].any() | mismatches,
                        different[: BLOCK_BYTES - 1].any(),
                    )
                ),
                has_length.eq(self.has_length),
                length.eq(
                    Cat(
                        Mux(self.sixteen, tail[24:32], tail[16:24]),
                        Mux(self.sixteen, tail[16:24], tail[8:16]),
                    )
                ),
                self.wire.eq(Mux(self.sixteen, Cat(tail[8:16], tail[:8]), tail[:8])),
            ]

        # Third: is the length that of the record?
        with m.If(read[1]):
            m.d.sync += self.malformed.eq(
                mismatches | (has_length & (length != self.encrypted_bytes))
            )
        return m


def _at_least(value: Value, least: int) -> Value:
    """Bit by bit: of so few bits, synthesis would make a chain of carries."""
    if least >> len(value):
        return Const(0, 1)
    result = Const(1, 1)
    for i, bit in enumerate(value):
        result = bit & result if least >> i & 1 else bit | result
    return result
