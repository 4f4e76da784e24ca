"""Early data is taken once: the server's defence against replays (RFC 8446, 8).

A ClientHello says, by the age of its ticket, when it was sent. If that is not about now, there is
no early data. If it is, the hello is remembered until nobody would believe it any more.
"""

from protocol.alerts import UsageError


class ReplayDefence:
    """Remembers the ClientHellos whose early data was taken (RFC 8446, 8.2 and 8.3).

    ``window``: by how many seconds the age of a ticket may differ from what the server expects.
    ``capacity``: how many hellos are remembered for each of two times twice that; when they are
    used up, there is no early data until the older half is forgotten. So the memory is bounded,
    and what is forgotten is never taken again. Nor is it when the clock goes back: time goes on
    here from the latest that was seen.
    """

    def __init__(self, window: float = 10.0, capacity: int = 32_768) -> None:
        if window <= 0:
            raise UsageError(f"window must be more than 0 seconds, not {window}")
        if capacity <= 0:
            raise UsageError(f"capacity must be more than 0 hellos, not {capacity}")
        self._window = window
        self._capacity = capacity
        self._now = float("-inf")
        self._begun = float("-inf")
        self._current: set[bytes] = set()
        self._previous: set[bytes] = set()

    def take(self, hello: bytes, sent_at: float, now: float) -> bool:
        """Whether the early data of this hello may be taken; if so, it is the last time.

        ``hello`` names it: its validated binder. ``sent_at`` is when the client sent it.
        """
        self._now = max(self._now, now)
        self._forget()
        if abs(self._now - sent_at) > self._window:
            return False
        is_known = hello in self._current or hello in self._previous
        if is_known or len(self._current) >= self._capacity:
            return False
        self._current.add(hello)
        return True

    def _forget(self) -> None:
        """Forget what is older than twice the window.

        A hello is taken at most one window before the time that it gives, and believed for at most
        one after it.
        """
        if self._now < self._begun + 2 * self._window:
            return
        stale = self._now >= self._begun + 4 * self._window
        self._previous = set() if stale else self._current
        self._current = set()
        self._begun = self._now
