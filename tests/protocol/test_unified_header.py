from itertools import product

import pytest

from protocol import unified_header
from protocol.unified_header import UnifiedHeader, build, layouts, parse

FORMS = list(product((b"", b"\xaa", bytes(range(20))), (1, 2), (None, 0x1234), range(4)))


def test_the_minimal_header_has_two_bytes() -> None:
    """RFC 9147, figure 4."""
    assert build(epoch=2, number=0x1FF, length=None, number_bytes=1) == bytes((0x22, 0xFF))


def test_the_full_header() -> None:
    """RFC 9147, figure 4."""
    header = build(epoch=7, number=0x12345, length=0x0678, connection_id=b"\xaa\xbb")
    assert header == bytes.fromhex("3f aabb 2345 0678")


@pytest.mark.parametrize(("connection_id", "number_bytes", "length", "epoch"), FORMS)
def test_parse_reverses_build(
    connection_id: bytes, number_bytes: int, length: int | None, epoch: int
) -> None:
    header = build(epoch + 4, 0xABCDEF, length, connection_id, number_bytes)
    number = b"\xcd\xef"[-number_bytes:]
    expected = UnifiedHeader(epoch, connection_id, number, length)
    assert parse(header + b"body", len(connection_id)) == expected
    for end in range(len(header)):
        assert parse(header[:end], len(connection_id)) is None
    layout = layouts(len(connection_id))[header[0]]
    assert layout is not None
    assert layout.header_bytes == expected.header_bytes == len(header)


@pytest.mark.parametrize("first", [0x00, 0x16, 0x1F, 0x40, 0x80, 0xA0, 0xE0, 0xFF])
def test_other_fixed_bits_are_no_header(first: int) -> None:
    assert parse(bytes((first,)) + bytes(40)) is None


def test_the_connection_id_is_there_exactly_if_it_was_negotiated() -> None:
    assert parse(build(2, 0, 20, b"\xaa"), 0) is None
    assert parse(build(2, 0, 20), 1) is None


@pytest.mark.parametrize(("connection_id", "number_bytes", "length", "epoch"), FORMS)
def test_a_form_unpacks_what_it_packs(
    connection_id: bytes, number_bytes: int, length: int | None, epoch: int
) -> None:
    header = build(epoch, 0x1234, length, connection_id, number_bytes)
    forms = unified_header.forms(epoch, connection_id)
    form = forms[header[0]]
    sample = bytes(range(16))
    *fields, sampled = form.unpack(header + sample + b"more")
    assert sampled == sample
    low = 0x1234 if number_bytes == 2 else 0x34
    assert fields == [form.prefix, low, unified_header.NO_LENGTH if length is None else length]
    assert form.pack(*fields) == header
    assert (form.number_bits, form.header_bytes) == (8 * number_bytes, len(header))
    assert len(forms) == 4
    assert all(first & 3 == epoch for first in forms)
