"""AES encryption and its key expansion, as FIPS 197 writes them, on forms."""

from collections.abc import Sequence

from proofs.machine import doubled
from proofs.polynomials import Polynomials, Word, added, parts
from proofs.sbox import TABLE

__all__ = ["Bytes", "cipher", "joined", "key_expansion", "split"]

#: Byte n of a block or key, lowest bit first.
Bytes = list[Word]


def split(word: Word) -> Bytes:
    """The bytes of a signal in the order of `hdl.block`."""
    return parts(word, 8)


def joined(data: Bytes) -> Word:
    """The reverse of `split`."""
    return tuple(bit for byte in data for bit in byte)


def cipher(forms: Polynomials, block: Bytes, round_keys: Sequence[Bytes]) -> Bytes:
    """Cipher of FIPS 197, 5.1: a block of 16 bytes under all its round keys; byte n is in_n."""
    state = add_round_key(block, round_keys[0])
    for round_key in round_keys[1:-1]:
        state = sub_bytes(forms, state)
        state = shift_rows(state)
        state = mix_columns(state)
        state = add_round_key(state, round_key)
    state = shift_rows(sub_bytes(forms, state))
    return add_round_key(state, round_keys[-1])


def sub_bytes(forms: Polynomials, state: Bytes) -> Bytes:
    """5.1.1."""
    return [forms.look_up(TABLE, byte) for byte in state]


def shift_rows(state: Bytes) -> Bytes:
    """5.1.2: row r of column c comes from column c + r; byte 4c + r is row r of column c."""
    return [state[4 * ((c + r) % 4) + r] for c in range(4) for r in range(4)]


def mix_columns(state: Bytes) -> Bytes:
    """5.1.3."""
    mixed = []
    for c in range(4):
        column = state[4 * c : 4 * c + 4]
        for r in range(4):
            a, b, *rest = column[r:] + column[:r]
            mixed.append(added(doubled(a), doubled(b), b, *rest))
    return mixed


def add_round_key(state: Bytes, round_key: Bytes) -> Bytes:
    """5.1.4."""
    return [added(*pair) for pair in zip(state, round_key, strict=True)]


def key_expansion(forms: Polynomials, key: Bytes) -> list[Bytes]:
    """KeyExpansion of 5.2: the round keys of a key of 16 or 32 bytes."""
    nk = len(key) // 4
    words = [key[4 * i : 4 * i + 4] for i in range(nk)]
    rcon: Word = (1, *(0,) * 7)
    for i in range(nk, 4 * (nk + 7)):
        temp = words[i - 1]
        if i % nk == 0:
            temp = [forms.look_up(TABLE, byte) for byte in temp[1:] + temp[:1]]
            temp = [added(temp[0], rcon), *temp[1:]]
            rcon = doubled(rcon)
        elif nk > 6 and i % nk == 4:
            temp = [forms.look_up(TABLE, byte) for byte in temp]
        words.append([added(*pair) for pair in zip(words[i - nk], temp, strict=True)])
    return [[byte for word in words[i : i + 4] for byte in word] for i in range(0, len(words), 4)]
