"""The S-box of FIPS 197, 5.1.1, computed from its definition, in two forms.

`SBox` stands for one byte's substitution, `PipelinedSBox` for one in two cycles. Both forms come
from `SBOX`'s definition: the inverse in GF(2**8), 0 for 0, and an affine transformation.

The composite form inverts in a field of the same size where inversion is cheap, the tower
GF((2**4)**2): its elements are u*y + v with u and v in GF(2**4), y**2 = y + L. There

    1 / (u*y + v) = (u*y + (u + v)) / d    with    d = L*u**2 + u*v + v**2

needs three products and one inverse in GF(2**4), where the inverse is a 4-input function. The way
into the tower and back are linear maps, the way back merged with the affine transformation. They
are found here by sending a root of the AES polynomial in GF(2**8) to one in the tower.
"""

from collections.abc import Callable
from enum import Enum
from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SBOX", "PipelinedSBox", "SBox", "SBoxForm", "multiply", "xtime"]


def multiply(a: int, b: int) -> int:
    """The product of two bytes in GF(2**8), modulo x**8 + x**4 + x**3 + x + 1 (FIPS 197, 4.2)."""
    return _multiply(a, b, 0x11B, 8)


def xtime(byte: Value) -> Value:
    """The product of a byte and x in hardware (FIPS 197, 4.2.1)."""
    return Cat(0, byte[:7]) ^ Mux(byte[7], 0x1B, 0)


def _multiply(a: int, b: int, polynomial: int, degree: int) -> int:
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a >> degree:
            a ^= polynomial
        b >>= 1
    return product


def _power(multiply: Callable[[int, int], int], base: int, exponent: int) -> int:
    result = 1
    for bit in f"{exponent:b}":
        result = multiply(result, result)
        if bit == "1":
            result = multiply(result, base)
    return result


def _affine(a: int) -> int:
    """The affine transformation of FIPS 197, 5.1.1: b_i = a_i + a_i+4 + ... + a_i+7 + c_i."""
    return _affine_linear(a) ^ _AFFINE_CONSTANT


def _affine_linear(a: int) -> int:
    twice = a << 8 | a
    return (twice ^ twice >> 4 ^ twice >> 5 ^ twice >> 6 ^ twice >> 7) & 0xFF


_AFFINE_CONSTANT = 0x63

#: The whole S-box, one byte an entry. By Fermat, a ** 254 is the inverse of a, and 0 for 0.
SBOX = bytes(_affine(_power(multiply, a, 254)) for a in range(256))


def _multiply16(a: int, b: int) -> int:
    """The product in GF(2**4), modulo x**4 + x + 1."""
    return _multiply(a, b, 0b10011, 4)


#: L, the least that makes y**2 + y + L irreducible: it has no root in GF(2**4).
_NORM = next(c for c in range(16) if all(_multiply16(a, a) ^ a ^ c for a in range(16)))


def _multiply_tower(a: int, b: int) -> int:
    """The product in the tower; u of an element is its upper half, v its lower one."""
    au, av, bu, bv = a >> 4, a & 15, b >> 4, b & 15
    uu = _multiply16(au, bu)
    u = uu ^ _multiply16(au, bv) ^ _multiply16(av, bu)
    v = _multiply16(uu, _NORM) ^ _multiply16(av, bv)
    return u << 4 | v


def _isomorphisms() -> list[list[int]]:
    """The eight maps from GF(2**8) to the tower, each as the images of x**0 to x**7."""
    images = ([_power(_multiply_tower, root, i) for i in range(8)] for root in range(256))
    # x is a root of the AES polynomial, so its image is one too: x**8 = x**4 + x**3 + x + 1.
    return [
        image
        for image in images
        if _multiply_tower(image[7], image[1]) == image[4] ^ image[3] ^ image[1] ^ image[0]
    ]


def _apply(columns: list[int], value: int) -> int:
    """A linear map, given as the images of the single bits, applied to a number."""
    return reduce(xor, (column for i, column in enumerate(columns) if value >> i & 1), 0)


def _maps() -> tuple[list[int], list[int]]:
    """The way into the tower, and the way back merged with the affine map; with the fewest ones."""

    def both_ways(into: list[int]) -> tuple[list[int], list[int]]:
        back = {_apply(into, value): value for value in range(256)}
        return into, [_affine_linear(back[1 << i]) for i in range(8)]

    candidates = [both_ways(into) for into in _isomorphisms()]
    return min(candidates, key=lambda maps: sum(c.bit_count() for c in maps[0] + maps[1]))


_INTO_TOWER, _OUT_OF_TOWER = _maps()


class SBoxForm(Enum):
    """How the S-box is built; every form computes the same."""

    #: A table of 256 bytes, one look-up: memories with an asynchronous read port, and simulation.
    TABLE = "table"
    #: Logic in the tower field: 68 four-input look-up tables, where the table takes 297. On an ECP5
    #: Yosys needs -nowidelut for it; otherwise it flattens the logic into wide multiplexers again.
    COMPOSITE = "composite"
    #: Block memories with an output register, two S-boxes each. Only for cores that give an S-box
    #: two cycles: it has no combinational form.
    BLOCK_RAM = "block-ram"


class SBox(wiring.Component):
    """SubBytes of one byte: ``output`` is `SBOX`[``input``] in the same cycle.

    Raises ValueError for a form that is not combinational.
    """

    input: In(8)
    output: Out(8)

    def __init__(self, form: SBoxForm):
        _check_combinational(form)
        self._form = form
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        if self._form is SBoxForm.TABLE:
            m.d.comb += self.output.eq(_look_up(m, self.input))
        else:
            halfway = Signal(12)
            m.d.comb += halfway.eq(_compute_half(m, self.input))
            m.d.comb += self.output.eq(_compute_rest(m, halfway))
        return m


class PipelinedSBox(wiring.Component):
    """SubBytes of one byte a cycle: ``output`` is `SBOX`[``input``] of two cycles before.

    In the composite form, the first register stands in the middle of the logic; otherwise both
    stand behind the table. Raises ValueError for a form that is not combinational.
    """

    input: In(8)
    output: Out(8)

    def __init__(self, form: SBoxForm):
        _check_combinational(form)
        self._form = form
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        register = Signal(8, reset_less=True)
        if self._form is SBoxForm.TABLE:
            looked_up = Signal(8, reset_less=True)
            m.d.sync += [looked_up.eq(_look_up(m, self.input)), register.eq(looked_up)]
        else:
            halfway = Signal(12, reset_less=True)
            m.d.sync += [
                halfway.eq(_compute_half(m, self.input)),
                register.eq(_compute_rest(m, halfway)),
            ]
        m.d.comb += self.output.eq(register)
        return m


def _check_combinational(form: SBoxForm) -> None:
    if form is SBoxForm.BLOCK_RAM:
        raise ValueError(f"S-box form {form.value!r} is not combinational")


def _look_up(m: Module, byte: Value) -> Value:
    m.submodules.table = table = memory.Memory(shape=8, depth=256, init=SBOX)
    port = table.read_port(domain="comb")
    m.d.comb += port.addr.eq(byte)
    return port.data


def _compute_half(m: Module, byte: Value) -> Value:
    """The composite form up to 1 / d: u, u + v and 1 / d, 12 bits."""
    # Signals, not expressions, where a value is used bit by bit: each use would repeat it.
    u, v, d = Signal(4), Signal(4), Signal(4)
    m.d.comb += [
        Cat(v, u).eq(_linear(_INTO_TOWER, byte)),
        d.eq(_linear(_SQUARE, v) ^ _linear(_SQUARE_TIMES_NORM, u) ^ _product(u, v)),
    ]
    return Cat(u, u ^ v, Const(_INVERSE16_ROM, 64).word_select(d, 4))


def _compute_rest(m: Module, halfway: Value) -> Value:
    """The substituted byte, from what `_compute_half` gives."""
    u, u_plus_v, d_inverse = (halfway[i : i + 4] for i in (0, 4, 8))
    inverse = Signal(8)
    m.d.comb += inverse.eq(Cat(_product(u_plus_v, d_inverse), _product(u, d_inverse)))
    return _linear(_OUT_OF_TOWER, inverse) ^ _AFFINE_CONSTANT


_SQUARE = [_multiply16(1 << i, 1 << i) for i in range(4)]
_SQUARE_TIMES_NORM = [_multiply16(_NORM, column) for column in _SQUARE]
_INVERSE16_ROM = sum(_power(_multiply16, a, 14) << 4 * a for a in range(16))


def _linear(columns: list[int], value: Value) -> Value:
    """Gates of the linear map that `_apply` applies: one XOR of input bits an output bit."""
    return Cat(
        reduce(xor, (value[i] for i, column in enumerate(columns) if column >> row & 1))
        for row in range(len(columns))
    )


def _product(a: Value, b: Value) -> Value:
    """Gates of the product in GF(2**4): a times x**i, wherever b has bit i."""
    partial = (
        _linear([_multiply16(1 << j, 1 << i) for j in range(4)], a) & b[i].replicate(4)
        for i in range(4)
    )
    return reduce(xor, partial)
