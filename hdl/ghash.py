"""GHASH, the hash of GCM (SP 800-38D, 6.3 and 6.4).

Bit order. SP 800-38D numbers the bits of a block from the left and takes bit i as the coefficient
of x**i. In a block of this gateware (`hdl.block`) its bit i is bit 7 - i % 8 of byte i // 8. So
with the bits of each byte reversed, which costs nothing but wires, the coefficient of x**i stands
in bit i: a polynomial in the usual order, modulo x**128 + x**7 + x**2 + x + 1.
"""

from hdl.block import BLOCK_BYTES, from_bytes, to_bytes

__all__ = ["ghash", "multiply"]

#: x**128 modulo the field's polynomial.
_REDUCTION = 0x87
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def multiply(x: bytes, y: bytes) -> bytes:
    """Model of the product of two blocks in GF(2**128) (SP 800-38D, 6.3)."""
    return _block(_multiply(_polynomial(x), _polynomial(y)))


def ghash(h: bytes, data: bytes) -> bytes:
    """Model of GHASH under the hash subkey ``h``; ``data`` is a whole number of blocks."""
    if len(data) % BLOCK_BYTES:
        raise ValueError(f"GHASH input of {len(data)} bytes is not a multiple of {BLOCK_BYTES}")
    subkey, digest = _polynomial(h), 0
    for i in range(0, len(data), BLOCK_BYTES):
        digest = _multiply(subkey, digest ^ _polynomial(data[i : i + BLOCK_BYTES]))
    return _block(digest)


def _polynomial(block: bytes) -> int:
    return from_bytes(block.translate(_REVERSED))


def _block(polynomial: int) -> bytes:
    return to_bytes(polynomial).translate(_REVERSED)


def _multiply(x: int, y: int) -> int:
    product = 0
    while y:
        if y & 1:
            product ^= x
        x <<= 1
        if x >> 128:
            x ^= 1 << 128 | _REDUCTION
        y >>= 1
    return product
