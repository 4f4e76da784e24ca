"""Reading and writing the presentation language of RFC 8446, 3: big-endian, bounded, exact."""

import struct
from collections.abc import Iterable, Iterator, Sequence

from protocol.alerts import DecodeError, UsageError

#: How `struct` names unsigned numbers of so many bytes.
_FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}
_NUMBER_AND_LENGTH = struct.Struct(">HH")


class Reader:
    """Reads one structure from its first byte to its last, and never beyond.

    ``what`` names the structure in error messages. Every method raises `DecodeError` when the
    bytes do not suffice or a length is out of the range that the standard gives.
    """

    __slots__ = ("_data", "_end", "_position", "_what")

    def __init__(self, data: bytes, what: str) -> None:
        self._data = bytes(data)
        self._end = len(self._data)
        self._position = 0
        self._what = what

    @property
    def remaining(self) -> int:
        """How many bytes are still unread."""
        return self._end - self._position

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        start = self._position
        end = start + count
        if end > self._end:
            raise self._too_short(count)
        self._position = end
        return self._data[start:end]

    def uint(self, size: int) -> int:
        """An unsigned number of ``size`` bytes."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, length_size: int, minimum: int = 0, maximum: int | None = None) -> bytes:
        """A variable-length vector: its length in ``length_size`` bytes, then its bytes."""
        start = self._position + length_size
        length = int.from_bytes(self._data[self._position : start], "big")
        if length < minimum or (maximum is not None and length > maximum):
            raise DecodeError(f"{self._what}: vector of {length} bytes is out of range")
        end = start + length
        if end > self._end:
            raise self._too_short(length_size + length)
        self._position = end
        return self._data[start:end]

    def nested(self, length_size: int, minimum: int = 0, maximum: int | None = None) -> "Reader":
        """A variable-length vector, as a reader of its own."""
        return Reader(self.vector(length_size, minimum, maximum), self._what)

    def uints(self, size: int, length_size: int, minimum: int = 0) -> tuple[int, ...]:
        """A variable-length vector of unsigned numbers of ``size`` bytes each: 1, 2, 4 or 8."""
        data = self.vector(length_size, minimum)
        if len(data) % size:
            raise DecodeError(f"{self._what}: {len(data)} bytes do not hold {size}-byte numbers")
        return struct.unpack(f">{len(data) // size}{_FORMATS[size]}", data)

    def numbered_vectors(self) -> Iterator[tuple[int, bytes]]:
        """To the end: vectors with lengths of two bytes, each behind a number of two bytes."""
        while self._position < self._end:
            start = self._position + _NUMBER_AND_LENGTH.size
            if start > self._end:
                raise self._too_short(_NUMBER_AND_LENGTH.size)
            number, length = _NUMBER_AND_LENGTH.unpack_from(self._data, self._position)
            end = start + length
            if end > self._end:
                raise self._too_short(end - self._position)
            self._position = end
            yield number, self._data[start:end]

    def _too_short(self, count: int) -> DecodeError:
        return DecodeError(
            f"{self._what}: {count} bytes announced or needed, {self.remaining} there"
        )

    def finish(self) -> None:
        """Nothing may be left over."""
        if self._position < self._end:
            raise DecodeError(f"{self._what}: {self.remaining} bytes too many")


def uint(value: int, size: int) -> bytes:
    """``value`` as an unsigned number of ``size`` bytes; raises `UsageError` if it does not fit."""
    try:
        return value.to_bytes(size, "big")
    except OverflowError:
        raise UsageError(f"{value} does not fit {size} bytes") from None


def vector(data: bytes, length_size: int) -> bytes:
    """``data`` behind its length, which takes ``length_size`` bytes."""
    try:
        return len(data).to_bytes(length_size, "big") + data
    except OverflowError:
        raise UsageError(f"{len(data)} does not fit {length_size} bytes") from None


def uints(values: Sequence[int], size: int, length_size: int) -> bytes:
    """A variable-length vector of unsigned numbers of ``size`` bytes each: 1, 2, 4 or 8."""
    try:
        data = struct.pack(f">{len(values)}{_FORMATS[size]}", *values)
    except struct.error:
        raise UsageError(f"one of {values} does not fit {size} bytes") from None
    return vector(data, length_size)


def numbered_vectors(entries: Iterable[tuple[int, bytes]]) -> bytes:
    """Vectors with lengths of two bytes, each behind a number of two bytes."""
    try:
        return b"".join(
            [_NUMBER_AND_LENGTH.pack(number, len(data)) + data for number, data in entries]
        )
    except struct.error:
        raise UsageError("a number or a length does not fit two bytes") from None
