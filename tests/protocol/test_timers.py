"""One queue for many timers."""

import random

from protocol.timers import _SLACK, TimerQueue


def test_owners_come_when_their_deadlines_do_and_only_once() -> None:
    timers: TimerQueue[str] = TimerQueue()
    for owner, deadline in (("a", 3.0), ("b", 1.0), ("c", 2.0)):
        timers.set(owner, deadline)
    assert timers.next() == 1.0
    assert list(timers.due(2.0)) == ["b", "c"]
    assert timers.next() == 3.0
    assert len(timers) == 1


def test_only_the_last_deadline_of_an_owner_counts() -> None:
    timers: TimerQueue[str] = TimerQueue()
    for deadline in (5.0, 1.0, None, 4.0):
        timers.set("a", deadline)
    assert list(timers.due(3.0)) == []
    assert list(timers.due(9.0)) == ["a"]
    timers.set("a", 1.0)
    timers.set("a", None)
    assert timers.next() is None


def test_an_owner_may_set_its_deadline_anew_while_it_is_due() -> None:
    timers: TimerQueue[str] = TimerQueue()
    timers.set("a", 1.0)
    due = timers.due(1.0)
    assert next(due) == "a"
    timers.set("a", 2.0)
    assert list(due) == []
    assert timers.next() == 2.0


def test_it_agrees_with_a_table_and_does_not_grow() -> None:
    source = random.Random(1)
    timers: TimerQueue[int] = TimerQueue()
    table: dict[int, float] = {}
    now = 0.0
    for _ in range(5_000):
        owner = source.randrange(20)
        deadline = None if source.random() < 0.2 else now + source.randrange(1, 100)
        timers.set(owner, deadline)
        table.pop(owner, None)
        if deadline is not None:
            table[owner] = deadline
        assert timers.next() == min(table.values(), default=None)
        assert len(timers._heap) <= 2 * len(table) + _SLACK
        now += source.random()
        expected = {owner for owner, deadline in table.items() if deadline <= now}
        assert set(timers.due(now)) == expected
        table = {owner: d for owner, d in table.items() if owner not in expected}
