"""What every AES core has in common: its ports, and the model of what it computes (FIPS 197).

A core encrypts blocks under many keys at once. It holds none of them: the round keys stand in a
memory outside, which a `hdl.aes.KeySchedule` fills and the core reads round by round.
"""

from functools import lru_cache

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.aes.sbox import SBOX, multiply

__all__ = [
    "AESCoreSignature",
    "encrypt_block",
    "expand_key",
    "request_layout",
    "round_key_address_layout",
    "rounds",
]


def request_layout(keys: int) -> data.StructLayout:
    """A block to encrypt (128 bits), the index of its key, and whether that is an AES-256 key."""
    return data.StructLayout({"block": 128, "key": range(keys), "aes256": 1})


def round_key_address_layout(keys: int) -> data.StructLayout:
    """Where a round key stands: row 16 * key + round, and ``round`` goes from 0 to 10 or 14."""
    return data.StructLayout({"round": 4, "key": range(keys)})


class AESCoreSignature(wiring.Signature):
    """The ports of an AES core for ``keys`` keys, seen from the core.

    ``requests`` takes blocks of `request_layout`; ``results`` gives each one encrypted, 128 bits,
    in the order of the requests. ``round_key`` is the round key that stands at the
    ``round_key_address`` of the cycle before: a synchronous read port that is always enabled.
    """

    def __init__(self, keys: int):
        super().__init__(
            {
                "requests": In(stream.Signature(request_layout(keys))),
                "results": Out(stream.Signature(128)),
                "round_key_address": Out(round_key_address_layout(keys)),
                "round_key": In(128),
            }
        )


def rounds(aes256: bool) -> int:
    """Nr: the number of rounds, 10 for AES-128 and 14 for AES-256."""
    return 14 if aes256 else 10


def expand_key(key: bytes) -> list[bytes]:
    """Model of the key expansion (FIPS 197, 5.2): 11 round keys for AES-128, 15 for AES-256."""
    if len(key) not in (16, 32):
        raise ValueError(f"AES key has {len(key)} bytes, not 16 or 32")
    key_words = len(key) // 4
    words = [key[i : i + 4] for i in range(0, len(key), 4)]
    round_constant = 1
    for i in range(key_words, 4 * (rounds(len(key) == 32) + 1)):
        word = words[-1]
        if i % key_words == 0:
            word = (word[1:] + word[:1]).translate(SBOX)
            word = bytes([word[0] ^ round_constant]) + word[1:]
            round_constant = multiply(round_constant, 2)
        elif i % key_words == 4:
            word = word.translate(SBOX)
        words.append(bytes(a ^ b for a, b in zip(words[i - key_words], word, strict=True)))
    return [b"".join(words[i : i + 4]) for i in range(0, len(words), 4)]


def encrypt_block(key: bytes, block: bytes) -> bytes:
    """Model of the cipher (FIPS 197, 5.1): ``block`` of 16 bytes under a key of 16 or 32."""
    if len(block) != 16:
        raise ValueError(f"AES block has {len(block)} bytes, not 16")
    whitening, *middle, final = _round_key_words(key)
    state = [a ^ b for a, b in zip(_words(block), whitening, strict=True)]
    t0, t1, t2, t3 = _ROUND_TABLES
    for round_key in middle:
        state = [
            t0[state[c] >> 24]
            ^ t1[state[c - 3] >> 16 & 0xFF]
            ^ t2[state[c - 2] >> 8 & 0xFF]
            ^ t3[state[c - 1] & 0xFF]
            ^ round_key[c]
            for c in range(4)
        ]
    substituted = b"".join(word.to_bytes(4, "big") for word in state).translate(SBOX)
    shifted = bytes(substituted[5 * i % 16] for i in range(16))
    return b"".join((a ^ b).to_bytes(4, "big") for a, b in zip(_words(shifted), final, strict=True))


def _words(block: bytes) -> tuple[int, ...]:
    """The columns of a state, row 0 in the most significant byte."""
    return tuple(int.from_bytes(block[i : i + 4], "big") for i in range(0, 16, 4))


@lru_cache(maxsize=64)
def _round_key_words(key: bytes) -> list[tuple[int, ...]]:
    return [_words(round_key) for round_key in expand_key(key)]


def _round_table(row: int) -> list[int]:
    """SubBytes and MixColumns of a byte in ``row``: the column that it adds to its new column."""
    column = [2, 1, 1, 3]
    factors = column[-row:] + column[:-row] if row else column
    return [int.from_bytes(bytes(multiply(s, factor) for factor in factors), "big") for s in SBOX]


_ROUND_TABLES = [_round_table(row) for row in range(4)]
