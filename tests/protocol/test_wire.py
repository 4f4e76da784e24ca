import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.alerts import AlertDescription, DecodeError, UsageError
from protocol.wire import Reader, numbered_vectors, uint, uints, vector


def test_reads_what_was_written() -> None:
    reader = Reader(uint(0x0102, 2) + vector(b"abc", 1) + uints([1, 0xFFFF], 2, 2) + b"zz", "test")

    assert reader.uint(2) == 0x0102
    assert reader.vector(1) == b"abc"
    assert reader.uints(2, length_size=2) == (1, 0xFFFF)
    assert reader.remaining == 2
    assert reader.take(2) == b"zz"
    reader.finish()


def test_numbers_are_big_endian() -> None:
    assert uint(1, 3) == b"\0\0\1"


@pytest.mark.parametrize(
    ("value", "size"), [(256, 1), (-1, 1), (1 << 24, 3)], ids=["256", "-1", "2**24"]
)
def test_a_number_that_does_not_fit_is_our_own_mistake(value: int, size: int) -> None:
    with pytest.raises(UsageError, match=str(value)):
        uint(value, size)


def test_a_vector_longer_than_its_length_field_is_our_own_mistake() -> None:
    with pytest.raises(UsageError):
        vector(bytes(256), 1)


@pytest.mark.parametrize(
    "data", [b"", b"\1", b"\0\3ab", b"\xff\xff"], ids=["nothing", "half a length", "short", "far"]
)
def test_a_vector_that_ends_too_early_is_a_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError, match="a message") as caught:
        Reader(data, "a message").vector(2)
    assert caught.value.alert is AlertDescription.DECODE_ERROR


def test_a_vector_keeps_its_range() -> None:
    with pytest.raises(DecodeError):
        Reader(vector(b"", 1), "test").vector(1, minimum=1)
    with pytest.raises(DecodeError):
        Reader(vector(bytes(33), 1), "test").vector(1, maximum=32)


def test_a_nested_reader_does_not_see_what_follows() -> None:
    reader = Reader(vector(b"ab", 1) + b"c", "test")
    nested = reader.nested(1)

    with pytest.raises(DecodeError):
        nested.take(3)
    assert reader.take(1) == b"c"


def test_half_a_number_in_a_list_is_a_decode_error() -> None:
    with pytest.raises(DecodeError):
        Reader(vector(b"abc", 1), "test").uints(2, length_size=1)


def test_trailing_bytes_are_a_decode_error() -> None:
    with pytest.raises(DecodeError, match="1 bytes too many"):
        Reader(b"x", "test").finish()


@given(st.binary(max_size=300), st.sampled_from([1, 2, 3]))
def test_a_vector_comes_back(data: bytes, size: int) -> None:
    if len(data) < 1 << 8 * size:
        assert Reader(vector(data, size), "test").vector(size) == data


@given(st.sampled_from([1, 2, 4, 8]), st.data())
def test_a_list_of_numbers_comes_back(size: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, 256**size - 1), max_size=20))
    encoded = uints(values, size, 2)
    assert encoded == vector(b"".join(uint(value, size) for value in values), 2)
    assert Reader(encoded, "test").uints(size, length_size=2) == tuple(values)


def test_a_number_in_a_list_that_does_not_fit_is_our_own_mistake() -> None:
    with pytest.raises(UsageError, match="65536"):
        uints([1, 65536], 2, 2)


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=20))))
def test_numbered_vectors_come_back(entries: list[tuple[int, bytes]]) -> None:
    encoded = numbered_vectors(entries)
    assert encoded == b"".join(uint(number, 2) + vector(data, 2) for number, data in entries)
    reader = Reader(encoded, "test")
    assert list(reader.numbered_vectors()) == entries
    reader.finish()


@pytest.mark.parametrize("missing", range(1, 7))
def test_a_numbered_vector_that_ends_too_early_is_a_decode_error(missing: int) -> None:
    encoded = numbered_vectors([(1, b""), (2, b"abc")])
    with pytest.raises(DecodeError, match="a message"):
        list(Reader(encoded[:-missing], "a message").numbered_vectors())


@pytest.mark.parametrize("entry", [(1 << 16, b""), (-1, b""), (0, bytes(1 << 16))])
def test_a_numbered_vector_that_does_not_fit_is_our_own_mistake(entry: tuple[int, bytes]) -> None:
    with pytest.raises(UsageError, match="two bytes"):
        numbered_vectors([entry])
