from copy import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.crypto.provider import Refusal
from protocol.window import ReplayWindow


def accept(window: ReplayWindow, number: int) -> Refusal | None:
    """`accept`, which does what `check` and `update` do."""
    other = copy(window)
    refusal = other.check(number)
    if refusal is None:
        other.update(number)
    assert window.accept(number) is refusal
    assert (window.next, window.seen) == (other.next, other.seen)
    return refusal


def test_a_new_window_takes_any_number() -> None:
    assert accept(ReplayWindow(), 0) is None
    assert accept(ReplayWindow(), (1 << 48) - 1) is None


def test_the_left_edge_is_width_behind_the_highest() -> None:
    window = ReplayWindow(64)
    assert accept(window, 100) is None
    assert accept(window, 37) is None
    assert accept(window, 36) is Refusal.TOO_OLD
    assert accept(window, 37) is Refusal.REPLAYED
    assert accept(window, 100) is Refusal.REPLAYED
    assert (window.next, window.seen) == (101, 1 | 1 << 63)


def test_what_is_below_the_first_counts_as_accepted() -> None:
    window = ReplayWindow(8, first=100)
    assert accept(window, 99) is Refusal.REPLAYED
    assert accept(window, 91) is Refusal.TOO_OLD
    assert accept(window, 100) is None
    assert accept(window, 99) is Refusal.REPLAYED
    assert accept(window, 100) is Refusal.REPLAYED
    few = ReplayWindow(8, first=2)
    assert [accept(few, number) for number in range(3)] == [Refusal.REPLAYED] * 2 + [None]


def test_numbers_in_order_fill_the_window() -> None:
    window = ReplayWindow(8)
    for number in range(20):
        assert accept(window, number) is None
        assert accept(window, number) is Refusal.REPLAYED
    assert (window.next, window.seen) == (20, 0xFF)


def test_check_changes_nothing() -> None:
    window = ReplayWindow()
    window.update(5)
    assert window.check(1 << 40) is None
    assert (window.next, window.seen) == (6, 1)


def test_update_ignores_what_is_left_of_the_window() -> None:
    window = ReplayWindow(8)
    window.update(100)
    window.update(1)
    assert (window.next, window.seen) == (101, 1)


def test_a_window_needs_a_width() -> None:
    with pytest.raises(ValueError, match="0 records"):
        ReplayWindow(0)


@given(
    width=st.sampled_from((1, 2, 8, 64)),
    numbers=st.lists(st.integers(0, 200) | st.integers(0, (1 << 48) - 1), max_size=200),
)
def test_it_agrees_with_a_set_of_all_accepted_numbers(width: int, numbers: list[int]) -> None:
    window = ReplayWindow(width)
    accepted: set[int] = set()
    for number in numbers:
        if accepted and number <= max(accepted) - width:
            expected = Refusal.TOO_OLD
        else:
            expected = Refusal.REPLAYED if number in accepted else None
        assert accept(window, number) is expected
        if expected is None:
            accepted.add(number)
        assert window.seen < 1 << width


@given(
    width=st.sampled_from((1, 8, 64)),
    first=st.integers(0, 100),
    runs=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=80), max_size=4),
)
def test_numbers_that_rise_are_accepted_together(
    width: int, first: int, runs: list[list[int]]
) -> None:
    """Each number of a run is so much above the least that it may be."""
    together, singly = ReplayWindow(width, first), ReplayWindow(width, first)
    for run in runs:
        numbers, expected = [], singly.next
        for step in run:
            numbers.append(expected + step)
            expected = numbers[-1] + 1
        together.accept_rising(numbers)
        assert [singly.accept(number) for number in numbers] == [None] * len(numbers)
        assert (together.next, together.seen) == (singly.next, singly.seen)
