"""Record numbers on the wire: shortened, masked, and the nonce made of them.

A header carries the low 8 or 16 bits of the sequence number, encrypted. To open a record: unmask
those bits, reconstruct the whole number, make the nonce.
"""

from collections.abc import Iterable

#: One above the largest sequence number; DTLSPlaintext and the device have 48 bits for it.
LIMIT = 1 << 48


def reconstruct(low: int, bits: int, expected: int) -> int:
    """The number in 0 .. 2**48-1 with these low ``bits`` (8 or 16) that is nearest to ``expected``.

    ``expected`` is one above the highest number accepted in the epoch. Of two that are equally
    near it is the higher. RFC 9147, 4.2.2.
    """
    size = 1 << bits
    lowest = expected - (size >> 1) + 1
    number = lowest + (low - lowest) % size
    if number < 0:
        return number + size
    if number >= LIMIT:
        return number - size
    return number


def reconstruct_rising(lows: Iterable[int], bits: int, expected: int) -> list[int] | None:
    """The numbers of records that are opened one after the other.

    ``expected`` is that of `reconstruct` for the first one, and for each other the one above that
    before it: None unless each is at least what is expected.
    """
    numbers = []
    mask = (1 << bits) - 1
    for low in lows:
        if low != expected & mask:
            number = reconstruct(low, bits, expected)
            if number < expected:
                return None
            expected = number
        numbers.append(expected)
        expected += 1
    return numbers


def nonce(iv: bytes, number: int) -> bytes:
    """The 12-byte AEAD nonce: IV xor the sequence number in its last 8 bytes (RFC 8446, 5.3)."""
    return (int.from_bytes(iv, "big") ^ number).to_bytes(len(iv), "big")


def apply_mask(number_bytes: bytes, mask: bytes) -> bytes:
    """Encrypt or decrypt the 1 or 2 bytes of a number: xor with the mask's first bytes.

    The mask is AES-ECB(sn_key, first 16 bytes of the ciphertext); RFC 9147, 4.2.3.
    """
    return bytes(a ^ b for a, b in zip(number_bytes, mask, strict=False))
