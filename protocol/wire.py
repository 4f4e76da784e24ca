"""Reading and writing the presentation language of RFC 8446, 3: big-endian, bounded, exact."""

from collections.abc import Iterable

from protocol.alerts import DecodeError, UsageError


class Reader:
    """Reads one structure from its first byte to its last, and never beyond.

    ``what`` names the structure in error messages. Every method raises `DecodeError` when the
    bytes do not suffice or a length is out of the range that the standard gives.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._data = bytes(data)
        self._position = 0
        self._what = what

    @property
    def remaining(self) -> int:
        """How many bytes are still unread."""
        return len(self._data) - self._position

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        if count > self.remaining:
            raise DecodeError(
                f"{self._what}: {count} bytes announced or needed, {self.remaining} there"
            )
        start = self._position
        self._position += count
        return self._data[start : self._position]

    def uint(self, size: int) -> int:
        """An unsigned number of ``size`` bytes."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, length_size: int, minimum: int = 0, maximum: int | None = None) -> bytes:
        """A variable-length vector: its length in ``length_size`` bytes, then its bytes."""
        length = self.uint(length_size)
        if length < minimum or (maximum is not None and length > maximum):
            raise DecodeError(f"{self._what}: vector of {length} bytes is out of range")
        return self.take(length)

    def nested(self, length_size: int, minimum: int = 0, maximum: int | None = None) -> "Reader":
        """A variable-length vector, as a reader of its own."""
        return Reader(self.vector(length_size, minimum, maximum), self._what)

    def uints(self, size: int, length_size: int, minimum: int = 0) -> tuple[int, ...]:
        """A variable-length vector of unsigned numbers of ``size`` bytes each."""
        data = self.vector(length_size, minimum)
        if len(data) % size:
            raise DecodeError(f"{self._what}: {len(data)} bytes do not hold {size}-byte numbers")
        return tuple(
            int.from_bytes(data[at : at + size], "big") for at in range(0, len(data), size)
        )

    def finish(self) -> None:
        """Nothing may be left over."""
        if self.remaining:
            raise DecodeError(f"{self._what}: {self.remaining} bytes too many")


def uint(value: int, size: int) -> bytes:
    """``value`` as an unsigned number of ``size`` bytes; raises `UsageError` if it does not fit."""
    try:
        return value.to_bytes(size, "big")
    except OverflowError:
        raise UsageError(f"{value} does not fit {size} bytes") from None


def vector(data: bytes, length_size: int) -> bytes:
    """``data`` behind its length, which takes ``length_size`` bytes."""
    return uint(len(data), length_size) + data


def uints(values: Iterable[int], size: int, length_size: int) -> bytes:
    """A variable-length vector of unsigned numbers of ``size`` bytes each."""
    return vector(b"".join(uint(value, size) for value in values), length_size)
