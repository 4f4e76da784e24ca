"""One queue for the timers of any number of connections."""

import heapq
from collections.abc import Hashable, Iterator
from itertools import count
from typing import Generic, TypeVar

Owner = TypeVar("Owner", bound=Hashable)

#: How many entries may be out of date, beside as many as there are deadlines.
_SLACK = 64


class TimerQueue(Generic[Owner]):
    """At most one deadline for each owner; setting one costs the logarithm of their number."""

    def __init__(self) -> None:
        self._deadlines: dict[Owner, float] = {}
        #: An entry for each deadline that was set; out of date where `_deadlines` has another.
        self._heap: list[tuple[float, int, Owner]] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._deadlines)

    def set(self, owner: Owner, deadline: float | None) -> None:
        """The owner's deadline from now on; None: it has none."""
        if deadline is None:
            self._deadlines.pop(owner, None)
        elif self._deadlines.get(owner) != deadline:
            self._deadlines[owner] = deadline
            heapq.heappush(self._heap, (deadline, next(self._order), owner))
        if len(self._heap) > 2 * len(self._deadlines) + _SLACK:
            self._clear_away()

    def next(self) -> float | None:
        """The earliest deadline."""
        heap = self._heap
        while heap and self._deadlines.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def due(self, now: float) -> Iterator[Owner]:
        """Each owner whose deadline has come; it has none then, until it is set again."""
        while (first := self.next()) is not None and first <= now:
            _, _, owner = heapq.heappop(self._heap)
            del self._deadlines[owner]
            yield owner

    def _clear_away(self) -> None:
        self._heap = [(due, next(self._order), owner) for owner, due in self._deadlines.items()]
        heapq.heapify(self._heap)
