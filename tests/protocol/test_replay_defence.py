"""Early data is taken once (RFC 8446, 8)."""

import random

import pytest

from protocol.alerts import UsageError
from protocol.early_data import ReplayDefence

NOW = 1_750_000_000.0


def test_a_hello_is_taken_once():
    defence = ReplayDefence()
    assert defence.take(b"one", NOW, NOW)
    assert not defence.take(b"one", NOW, NOW)
    assert defence.take(b"other", NOW, NOW)


@pytest.mark.parametrize(
    ("skew", "taken"), [(-10, True), (10, True), (-10.1, False), (10.1, False)]
)
def test_a_hello_of_another_time_is_not_taken(skew, taken):
    """RFC 8446, 8.3."""
    assert ReplayDefence(window=10).take(b"hello", NOW + skew, NOW) is taken


@pytest.mark.parametrize("seed", range(20))
def test_no_hello_is_taken_twice_at_any_time(seed):
    chance = random.Random(seed)
    defence, taken, now = ReplayDefence(window=1, capacity=50), set(), NOW
    hellos = [(b"%d" % number, NOW + chance.uniform(0, 20)) for number in range(300)]
    for _ in range(20_000):
        now += -0.05 if chance.random() < 0.01 else chance.choice((0.0, 0.001, 0.003))
        hello, sent_at = chance.choice(hellos)
        if defence.take(hello, sent_at, now):
            assert hello not in taken
            taken.add(hello)
    assert len(taken) > 50


def test_a_clock_that_goes_back_brings_no_hello_back():
    defence = ReplayDefence(window=10)
    assert defence.take(b"hello", NOW, NOW)
    for number in range(10):
        defence.take(b"%d" % number, NOW + 100 * number, NOW + 100 * number)
    assert not defence.take(b"hello", NOW, NOW)


def test_the_memory_is_bounded_and_a_full_one_takes_nothing_until_there_is_room():
    defence = ReplayDefence(window=10, capacity=3)
    taken = [defence.take(b"%d" % number, NOW, NOW) for number in range(6)]
    assert taken == [True] * 3 + [False] * 3
    assert not defence.take(b"more", NOW + 19, NOW + 19)
    assert defence.take(b"more", NOW + 20, NOW + 20)
    for number in range(100):
        defence.take(b"later %d" % number, NOW + number, NOW + number)
        assert len(defence._current) + len(defence._previous) <= 6


@pytest.mark.parametrize("changes", [{"window": 0}, {"capacity": 0}])
def test_what_cannot_work_is_refused(changes):
    with pytest.raises(UsageError, match="not 0"):
        ReplayDefence(**changes)
