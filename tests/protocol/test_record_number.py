import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.record_number import LIMIT, apply_mask, nonce, reconstruct


@pytest.mark.parametrize(
    ("low", "bits", "expected", "number"),
    [
        (0, 8, 0, 0),
        (255, 8, 0, 255),  # -1 is nearer, but not a number
        (255, 8, 256, 255),
        (0, 8, 256, 256),
        (0, 8, 255, 256),
        (0x80, 8, 0x100, 0x180),  # 0x80 is as near: the higher one
        (0x81, 8, 0x100, 0x81),
        (0x8000, 16, 0x10000, 0x18000),
        (0xFFFF, 16, 0x10000, 0xFFFF),
        (0, 16, LIMIT - 1, LIMIT - 0x10000),  # 2**48 is nearer, but not a number
        (0xFFFF, 16, LIMIT, LIMIT - 1),
    ],
)
def test_the_nearest_number_is_meant(low: int, bits: int, expected: int, number: int) -> None:
    assert reconstruct(low, bits, expected) == number


@given(
    bits=st.sampled_from((8, 16)),
    expected=st.integers(0, LIMIT) | st.integers(0, 1 << 17) | st.integers(LIMIT - 70000, LIMIT),
    data=st.data(),
)
def test_no_candidate_is_nearer(bits: int, expected: int, data: st.DataObject) -> None:
    size = 1 << bits
    low = data.draw(st.integers(0, size - 1))

    base = expected - expected % size + low
    candidates = [n for n in (base - size, base, base + size) if 0 <= n < LIMIT]
    nearest = min(candidates, key=lambda n: (abs(n - expected), -n))

    assert reconstruct(low, bits, expected) == nearest


def test_the_nonce_is_the_iv_with_the_number_in_its_last_bytes() -> None:
    iv = bytes.fromhex("fffefdfcfbfaf9f8f7f6f5f4")
    assert nonce(iv, 0) == iv
    assert nonce(iv, 0x0000010203040506) == bytes.fromhex("fffefdfcfbfaf8faf4f2f0f2")


def test_masking_twice_restores_the_number() -> None:
    mask = bytes(range(0xA0, 0xB0))
    assert apply_mask(b"\x01\x02", mask) == b"\xa1\xa3"
    assert apply_mask(b"\x01", mask) == b"\xa1"
    assert apply_mask(apply_mask(b"\x01\x02", mask), mask) == b"\x01\x02"
