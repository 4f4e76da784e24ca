"""The S-box of FIPS 197, 5.1.1, computed from its definition."""

__all__ = ["SBOX", "multiply"]

#: m(x) = x**8 + x**4 + x**3 + x + 1 (FIPS 197, 4.2).
_POLYNOMIAL = 0x11B


def multiply(a: int, b: int) -> int:
    """The product of two bytes in GF(2**8) (FIPS 197, 4.2)."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a & 0x100:
            a ^= _POLYNOMIAL
        b >>= 1
    return product


def _inverse(a: int) -> int:
    """The multiplicative inverse, and 0 for 0: a ** 254 by Fermat."""
    result = 1
    for _ in range(254):
        result = multiply(result, a)
    return result


def _affine(a: int) -> int:
    """The affine transformation of FIPS 197, 5.1.1: b_i = a_i + a_i+4 + ... + a_i+7 + c_i."""
    twice = a << 8 | a
    return (twice ^ twice >> 4 ^ twice >> 5 ^ twice >> 6 ^ twice >> 7) & 0xFF ^ 0x63


#: The whole S-box, one byte an entry.
SBOX = bytes(_affine(_inverse(a)) for a in range(256))
