"""Sets of byte positions, kept as ranges: which bytes of a message have arrived, or been acked."""

from collections.abc import Iterator

Range = tuple[int, int]


class RangeSet:
    """Half-open ranges ``(start, stop)`` of positions; ascending, none touching the next."""

    __slots__ = ("_ranges",)

    def __init__(self) -> None:
        self._ranges: list[Range] = []

    def __len__(self) -> int:
        return len(self._ranges)

    def add(self, start: int, stop: int) -> None:
        """Add the positions of one range, whether some of them are in the set or not."""
        if not self._ranges:  # nearly always: most messages come in one piece
            self._ranges.append((start, stop))
            return
        apart = [(low, high) for low, high in self._ranges if high < start or low > stop]
        merged = [(low, high) for low, high in self._ranges if high >= start and low <= stop]
        whole = (min([start, *(low for low, _ in merged)]), max([stop, *(up for _, up in merged)]))
        self._ranges = sorted([*apart, whole])

    def overlaps(self, start: int, stop: int) -> Iterator[Range]:
        """The parts of one range that are in the set, in order."""
        for low, high in self._ranges:
            if low < stop and start < high:
                yield max(low, start), min(high, stop)

    def gaps(self, length: int) -> Iterator[Range]:
        """The parts of ``(0, length)`` that are not in the set, in order."""
        position = 0
        for low, high in self._ranges:
            if position < low:
                yield position, low
            position = high
        if position < length:
            yield position, length

    def prefix(self) -> int:
        """How many positions from 0 on are in the set without a gap."""
        return self._ranges[0][1] if self._ranges and self._ranges[0][0] == 0 else 0
