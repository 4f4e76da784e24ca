"""The unified header (RFC 9147, 4, figure 3) in two blocks of 16 bytes, all of it at once.

The first byte and the connection ID are fixed for a slot. What follows them is the tail: the number
in one byte or two, the length in none or two. The tail begins at byte ``tail_at``, so byte d of it
stands in lane (tail_at + d) mod 16 of its block, and whichever lane that is, it is one of the four
lanes (tail_at + d) mod 4, + 4, + 8, + 12. So a tail that is first turned by tail_at mod 4 bytes has
its bytes under the lanes where they belong.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from driver.messages import CONNECTION_ID_BYTES
from hdl.block import BLOCK_BYTES
from hdl.choose import choose_word

__all__ = ["TAIL_BYTES", "HeaderReader", "tail_lanes", "template", "turn_tail"]

TAIL_BYTES = 4


def template(flags: Value, connection_id: Value) -> Value:
    """A header of 32 bytes with its tail zero; zeros behind the connection ID."""
    return Cat(flags, connection_id, Const(0, 8 * (2 * BLOCK_BYTES - 1 - CONNECTION_ID_BYTES)))


def tail_lanes(tail_at: Value, count: Value) -> list[Value]:
    """For each lane of a header's two blocks, whether the tail is there, of ``count`` bytes."""
    first = [tail_at[2:] == word for word in range(2 * BLOCK_BYTES // TAIL_BYTES)]
    lanes = []
    for lane in range(2 * BLOCK_BYTES):
        word, place = divmod(lane, TAIL_BYTES)
        # Byte d of the tail would have this place: in the word where the tail begins, or behind it.
        d = (place - tail_at[:2])[:2]
        behind = first[word - 1] if word else Const(0, 1)
        lanes.append((count > d) & Mux(tail_at[:2] <= place, first[word], behind))
    return lanes


def turn_tail(tail: Value, tail_at: Value) -> Value:
    """Byte d of the tail moves to place (tail_at + d) mod 4, which is that of its lane."""
    return _rotate(tail, -tail_at[:2])


def _rotate(tail: Value, places: Value) -> Value:
    """The byte at place i + ``places`` (modulo 4) moves to place i."""
    return (Cat(tail, tail) >> (places[:2] << 3))[: 8 * TAIL_BYTES]


class HeaderReader(wiring.Component):
    """Compares received headers with what the slot says, and finds their numbers.

    ``read`` takes one part of a header, of ``width`` bytes, and the same one of its template; parts
    come in order, from ``part`` 0 on: all of one block, or of two for headers over 16 bytes only.
    ``wire`` and ``malformed`` are valid from the third cycle after the last part of a header on,
    until the third one after the first part of the next. ``connection_id_bytes`` and ``sixteen``
    must be there a cycle before the first part, and the inputs below a cycle behind the last one.
    Cycles depend on nothing.
    """

    def __init__(self, width: int = BLOCK_BYTES):
        self._width = width
        super().__init__(
            {
                "read": In(1),
                "part": In(range(2 * BLOCK_BYTES // width)),
                "received": In(8 * width),
                "template": In(8 * width),
                "connection_id_bytes": In(range(CONNECTION_ID_BYTES + 1)),
                "sixteen": In(1),
                "has_length": In(1),
                #: Bytes behind the header, which the length field must say.
                "encrypted_bytes": In(16),
                #: The number, still encrypted; the 8-bit form in the low byte, zeros above.
                "wire": Out(16),
                #: Another first byte, connection ID or length.
                "malformed": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width, size = self._width, self.connection_id_bytes

        # Ahead: for each four bytes of a header, whether the connection ID goes on behind them,
        # ends there or ended in those before; and where the tail begins, or before it, with a
        # number of 8 bits, the byte that this lacks.
        words = range(2 * BLOCK_BYTES // TAIL_BYTES)
        beyond, here, before = (Signal(len(words)) for _ in range(3))
        turn = Signal(2)
        m.d.sync += [
            beyond.eq(Cat(_at_least(size[2:], word + 1) for word in words)),
            here.eq(Cat(size[2:] == word for word in words)),
            before.eq(Cat(size[2:] == word - 1 for word in words)),
            turn.eq(size + self.sixteen),
        ]

        # First: each byte of the part.
        in_part = width // TAIL_BYTES
        beyond, here, before = (
            choose_word(flags, self.part, in_part) for flags in (beyond, here, before)
        )
        reached, in_tail = [], []
        for lane in range(width):
            word, place = divmod(lane, TAIL_BYTES)
            far = _at_least(size[:2], place)
            reached.append(beyond[word] | (here[word] & far))
            in_tail.append(Mux(far, before[word], here[word]))
        received = [self.received.word_select(lane, 8) for lane in range(width)]
        different, turned = Signal(width), Signal(8 * TAIL_BYTES, reset_less=True)
        m.d.sync += different.eq(
            Cat(
                reached[lane] & (byte != self.template.word_select(lane, 8))
                for lane, byte in enumerate(received)
            )
        )
        for place in range(TAIL_BYTES):
            first_lane, *lanes = range(place, width, TAIL_BYTES)
            found, any_found = received[first_lane], in_tail[first_lane]
            for lane in lanes:
                found = Mux(in_tail[lane], received[lane], found)
                any_found |= in_tail[lane]
            with m.If(self.read & any_found):
                m.d.sync += turned.word_select(place, 8).eq(found)

        # Second: the fields of the tail.
        read, first = Signal(2), Signal()
        mismatches, has_length, length = Signal(), Signal(), Signal(16)
        tail = _rotate(turned, turn)
        m.d.sync += [read.eq(Cat(self.read, read)), first.eq(self.part == 0)]
        with m.If(read[0]):
            m.d.sync += [
                mismatches.eq(different.any() | (mismatches & ~first)),
                has_length.eq(self.has_length),
                length.eq(Cat(tail[24:32], tail[16:24])),
                self.wire.eq(Cat(tail[8:16], Mux(self.sixteen, tail[:8], 0))),
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
