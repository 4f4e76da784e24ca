"""Functions of bits as polynomials over GF(2), each of which has just one form.

A form is an integer: bit k stands for product k of variables, product 0 being 1, and the function
is the sum of those whose bits are set. So a sum is an XOR of two integers, and functions are equal
where their forms are. `ANYTHING` is what has no form, or none that is wanted.

A table of bytes, such as the S-box, is left uninterpreted: what it says of 8 forms are 8 variables
of their own, the same ones for the same forms. Then equal forms are equal functions still, and
whether other ones differ is found out with values (`Polynomials.differ`).
"""

import random
from collections.abc import Sequence
from functools import reduce
from operator import xor

__all__ = ["ANYTHING", "Form", "Polynomials", "Word", "added", "constant", "parts"]

#: None is what may be anything.
Form = int | None
#: A number of several bits, the lowest first.
Word = tuple[Form, ...]

ANYTHING: Form = None


def added(*words: Word) -> Word:
    """The sum of words of equal width, bit by bit."""
    columns = zip(*words, strict=True)
    return tuple(ANYTHING if ANYTHING in bits else reduce(xor, bits) for bits in columns)


def parts(word: Sequence, width: int) -> list[tuple]:
    """A word, or any sequence, in parts of ``width``."""
    return [tuple(word[i : i + width]) for i in range(0, len(word), width)]


def constant(value: int, width: int) -> Word:
    """A number as a word."""
    return tuple(value >> i & 1 for i in range(width))


#: Products of forms with more terms than this, together, are not worked out.
_MOST_TERMS = 1 << 16


class Polynomials:
    """The variables of forms, and the products of them that occur."""

    def __init__(self) -> None:
        self._products: list[frozenset[int]] = [frozenset()]
        self._numbers = {frozenset[int](): 0}
        self._variables = 0
        self._looked_up: dict[tuple[bytes, Word], Word] = {}
        #: Of variables that come out of a table: the table, what it is asked for, and which bit.
        self._origins: dict[int, tuple[bytes, Word, int]] = {}

    def variables(self, count: int) -> Word:
        """New variables."""
        first = self._variables
        self._variables += count
        return tuple(1 << self._number(frozenset((first + i,))) for i in range(count))

    def _number(self, product: frozenset[int]) -> int:
        number = self._numbers.setdefault(product, len(self._products))
        if number == len(self._products):
            self._products.append(product)
        return number

    def times(self, a: Form, b: Form) -> Form:
        """The product; a variable times itself is itself."""
        if a == 0 or b == 0:
            return 0
        if a == 1 or b == 1:
            return b if a == 1 else a
        if a is None or b is None or a.bit_count() * b.bit_count() > _MOST_TERMS:
            return ANYTHING
        total, right = 0, self._terms(b)
        for left in self._terms(a):
            for term in right:
                total ^= 1 << self._number(left | term)
        return total

    def _terms(self, form: int) -> list[frozenset[int]]:
        terms = []
        while form:
            lowest = form & -form
            terms.append(self._products[lowest.bit_length() - 1])
            form ^= lowest
        return terms

    def look_up(self, table: bytes, byte: Word) -> Word:
        """What a table of 256 bytes says of a byte."""
        if all(bit in (0, 1) for bit in byte):
            entry = table[sum(bit << i for i, bit in enumerate(byte) if bit)]
            return tuple(entry >> i & 1 for i in range(8))
        if ANYTHING in byte:
            return (ANYTHING,) * 8
        if (table, byte) not in self._looked_up:
            for bit in range(8):
                self._origins[self._variables + bit] = table, byte, bit
            self._looked_up[table, byte] = self.variables(8)
        return self._looked_up[table, byte]

    def differ(self, a: Sequence[Form], b: Sequence[Form], tries: int = 64) -> bool | None:
        """Whether two words differ for some values of the variables; None if that is not known.

        False only where all forms are the same; values are random, from a fixed seed.
        """
        pairs = [pair for pair in zip(a, b, strict=True) if None in pair or pair[0] != pair[1]]
        if not pairs:
            return False
        known = [pair for pair in pairs if ANYTHING not in pair]
        source = random.Random(1)
        for _ in range(tries):
            values: dict[int, int] = {}
            if any(
                self._value(x, values, source) != self._value(y, values, source) for x, y in known
            ):
                return True
        return None

    def _value(self, form: Form, values: dict[int, int], source: random.Random) -> int:
        assert form is not None
        return (
            sum(
                all(self._value_of(variable, values, source) for variable in term)
                for term in self._terms(form)
            )
            & 1
        )

    def _value_of(self, variable: int, values: dict[int, int], source: random.Random) -> int:
        if variable not in values:
            if variable in self._origins:
                table, byte, bit = self._origins[variable]
                place = sum(self._value(b, values, source) << i for i, b in enumerate(byte))
                values[variable] = table[place] >> bit & 1
            else:
                values[variable] = source.getrandbits(1)
        return values[variable]
