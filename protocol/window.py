"""The anti-replay window (RFC 9147, 4.5.1; RFC 4303, 3.4.3), the reference for the hardware's."""

from collections.abc import Sequence

from protocol.crypto.provider import Refusal


class ReplayWindow:
    """Which of the last ``width`` record numbers of one epoch have been accepted.

    Two numbers are the whole state: ``next`` is one above the highest accepted number, 0 before
    any; bit i of ``seen`` is set if number ``next - 1 - i`` has been accepted, 0 <= i < width.

    Numbers below ``first`` count as accepted from the beginning.

    `check` changes nothing, so that it may be asked of a number that nobody has authenticated;
    `update` comes after authentication, and so does `accept`, which is both.
    """

    __slots__ = ("_mask", "next", "seen", "width")

    def __init__(self, width: int = 64, first: int = 0) -> None:
        if width < 1:
            raise ValueError(f"replay window of {width} records: the least is 1")
        self.width = width
        self._mask = (1 << width) - 1
        self.next = first
        self.seen = self._mask if first else 0

    def check(self, number: int) -> Refusal | None:
        """None if ``number`` is new, otherwise REPLAYED or TOO_OLD."""
        age = self.next - 1 - number
        if age < 0:
            return None
        if age >= self.width:
            return Refusal.TOO_OLD
        return Refusal.REPLAYED if self.seen >> age & 1 else None

    def update(self, number: int) -> None:
        """Accept ``number``; one that `check` refuses leaves the window as it is."""
        age = self.next - 1 - number
        if age >= self.width:
            return
        if age < 0:
            # Shifting by more than the width would build an integer as long as the jump.
            self.seen = (self.seen << min(-age, self.width) | 1) & self._mask
            self.next = number + 1
        else:
            self.seen |= 1 << age

    def accept_rising(self, numbers: Sequence[int]) -> None:
        """Accept numbers that rise, the first of them `next` or above it; there is at least one."""
        count = len(numbers)
        if numbers[-1] - self.next >= count:  # some between them are missing
            for number in numbers:
                self.update(number)
            return
        self.next += count
        if self.seen != self._mask:
            new = min(count, self.width)
            self.seen = (self.seen << new | (1 << new) - 1) & self._mask

    def accept(self, number: int) -> Refusal | None:
        """Accept ``number`` if it is new; otherwise why not."""
        if number == self.next:  # nearly always, and after all others before it
            self.next = number + 1
            if self.seen != self._mask:
                self.seen = (self.seen << 1 | 1) & self._mask
            return None
        refusal = self.check(number)
        if refusal is None:
            self.update(number)
        return refusal
