"""The replay window's bits as a ring (RFC 9147, 4.5.1): nothing in it is ever shifted.

The bit of a record is that of its number modulo the size of the ring, a power of two. When the
window moves, the bits of the numbers that it moves over are cleared: those from the next number to
the one that came, all the way around perhaps. They stand in rows of 8, which are cleared whole, but
for the first and the last one.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value

__all__ = ["RingUpdate", "ring_bits"]

_COLUMNS = 8


def ring_bits(window: int) -> int:
    """The size of the ring for a window of so many records."""
    return max(2 * _COLUMNS, 1 << (window - 1).bit_length())


class RingUpdate:
    """What a number does to a ring of ``bits``, in registers that are added to ``m``.

    ``marks`` says whether its bit is set, ``moves`` whether those from ``next_number`` to it are
    cleared before, and ``around`` that these are all. It is there in the cycle behind.
    """

    def __init__(
        self,
        m: Module,
        bits: int,
        next_number: Value,
        number: Value,
        marks: Value,
        moves: Value,
        around: Value,
    ):
        rows, column_bits = range(bits // _COLUMNS), (_COLUMNS - 1).bit_length()
        # The number's own bit.
        self._row, self._column = Signal(len(rows)), Signal(_COLUMNS)
        # The bits to be cleared: of rows between both, all; of the first row ``head``, of the last
        # one ``tail``. Where that is the same row, all is in ``head``.
        self._from, self._to = Signal(len(rows)), Signal(len(rows))
        self._head, self._tail = Signal(_COLUMNS), Signal(_COLUMNS)

        place_bits = (bits - 1).bit_length()
        first, last = next_number[:place_bits], number[:place_bits]
        first_row, last_row = first[column_bits:], last[column_bits:]
        wraps, same = Signal(), Signal()
        m.d.comb += [wraps.eq(last < first), same.eq(first_row == last_row)]
        head = Cat(first[:column_bits] <= i for i in range(_COLUMNS))
        tail = Cat(last[:column_bits] >= i for i in range(_COLUMNS))
        m.d.sync += [
            self._head.eq(Mux(same, Mux(wraps, head | tail, head & tail), head)),
            self._tail.eq(tail),
            self._column.eq(Cat(last[:column_bits] == i for i in range(_COLUMNS))),
        ]
        for i in rows:
            behind_first, before_last = first_row < i, last_row > i
            whole = around | Mux(wraps, behind_first | before_last, behind_first & before_last)
            m.d.sync += [
                self._row[i].eq(marks & (last_row == i)),
                self._from[i].eq(moves & (whole | (first_row == i))),
                self._to[i].eq(moves & (whole | ((last_row == i) & ~same))),
            ]

    def hits(self, seen: Value) -> Value:
        """By column: whether the number's bit is set in ``seen``."""
        in_rows = (Cat(seen[i::_COLUMNS]) & self._row for i in range(_COLUMNS))
        return Cat(row.any() for row in in_rows) & self._column

    def apply(self, seen: Value) -> Value:
        """What becomes of ``seen``."""
        words = []
        for i, row in enumerate(self._row):
            head, tail = (rows[i].replicate(_COLUMNS) for rows in (self._from, self._to))
            cleared = (head & tail) | (head & self._head) | (tail & self._tail)
            marked = row.replicate(_COLUMNS) & self._column
            words.append((seen.word_select(i, _COLUMNS) & ~cleared) | marked)
        return Cat(words)
