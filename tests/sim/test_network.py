"""The network itself, with endpoints that only talk."""

from collections import Counter
from itertools import pairwise

import pytest

from sim.network import Conditions, Fate, Network


class Talker:
    """Sends what it is given, at once or one a second, and keeps what comes with its time."""

    def __init__(self, *messages, interval=None):
        self.messages = list(messages)
        self.interval = interval
        self.next = None if interval is None else 0.0
        self.received = []
        self.due = [] if interval is not None else self.messages

    def receive_datagram(self, data, now):
        self.received.append((round(now, 6), data))

    def datagrams_to_send(self, now):
        sent, self.due = self.due, []
        return sent

    def timer(self):
        return self.next

    def handle_timer(self, now):
        self.due = [self.messages.pop(0)]
        self.next = now + self.interval if self.messages else None

    @property
    def data(self):
        return [data for _, data in self.received]


MESSAGES = [b"%04d" % number * 50 for number in range(2000)]


def carried(seed=1, **conditions):
    """What a network makes of MESSAGES, and the network."""
    sender, receiver = Talker(*MESSAGES), Talker()
    network = Network(sender, receiver, Conditions(**conditions), seed)
    assert network.run(100)
    return receiver.data, network


def test_a_good_network_keeps_all_in_order_and_takes_its_time():
    first, second = Talker(b"a", b"b"), Talker(b"c")
    network = Network(first, second, Conditions(delay=0.5), 1)
    assert network.run(10)
    assert second.received == [(0.5, b"a"), (0.5, b"b")]
    assert first.received == [(0.5, b"c")]
    assert network.now == 0.5
    assert network.sent == 3
    assert not any(network.fates.values())


def test_timers_are_called_when_they_are_due():
    first, second = Talker(b"a", b"b", b"c", interval=1.0), Talker()
    network = Network(first, second, Conditions(delay=0.25), 1)
    assert not network.run(1.5)
    assert network.now == 1.5
    assert network.run(10)
    assert second.received == [(0.25, b"a"), (1.25, b"b"), (2.25, b"c")]


def test_a_run_ends_when_its_condition_holds():
    first, second = Talker(b"a", b"b", b"c", interval=1.0), Talker()
    network = Network(first, second, Conditions(), 1)
    assert network.run(10, until=lambda: len(second.received) == 2)
    assert network.now == pytest.approx(1.01)


@pytest.mark.parametrize("seed", range(3))
def test_a_share_is_lost(seed):
    received, network = carried(seed, loss=0.2)
    assert 300 < network.fates[Fate.LOST] < 500
    assert len(received) == 2000 - network.fates[Fate.LOST]
    assert received == sorted(received)


@pytest.mark.parametrize("seed", range(3))
def test_a_share_comes_twice(seed):
    received, network = carried(seed, duplication=0.2)
    assert 300 < network.fates[Fate.DUPLICATED] < 500
    assert len(received) == 2000 + network.fates[Fate.DUPLICATED]
    assert set(Counter(received).values()) == {1, 2}


@pytest.mark.parametrize("seed", range(3))
def test_a_share_comes_late(seed):
    received, network = carried(seed, reordering=0.2)
    assert 300 < network.fates[Fate.REORDERED] < 500
    assert sorted(received) == MESSAGES
    late = sum(later < earlier for earlier, later in pairwise(received))
    assert late > 100


@pytest.mark.parametrize("seed", range(3))
def test_a_share_is_damaged(seed):
    received, network = carried(seed, corruption=0.2)
    assert 300 < network.fates[Fate.CORRUPTED] < 500
    damaged = [data for data in received if data not in set(MESSAGES)]
    assert len(damaged) == network.fates[Fate.CORRUPTED]
    assert {len(data) < 200 for data in damaged} == {True, False}
    assert any(len(data) > 200 for data in damaged)


def test_an_empty_datagram_can_be_damaged():
    sender, receiver = Talker(b""), Talker()
    assert Network(sender, receiver, Conditions(corruption=1.0), 1).run(1)
    (data,) = receiver.data
    assert data


def test_what_is_longer_than_the_mtu_vanishes():
    sender, receiver = Talker(b"1" * 100, b"2" * 101), Talker()
    network = Network(sender, receiver, Conditions(mtus=(100,)), 1)
    assert network.run(1)
    assert receiver.data == [b"1" * 100]
    assert network.fates == {
        Fate.LOST: 0,
        Fate.DUPLICATED: 0,
        Fate.REORDERED: 0,
        Fate.CORRUPTED: 0,
        Fate.TOO_LONG: 1,
    }


def test_the_path_changes_its_mtu_and_changes_it_back():
    received, network = carried(mtu_change=0.2, mtus=(1000, 100))
    vanished = [message not in set(received) for message in MESSAGES]
    assert 700 < network.fates[Fate.TOO_LONG] == sum(vanished) < 1300
    changes = sum(before != after for before, after in pairwise(vanished))
    assert 100 < changes < 300


def test_the_same_seed_does_the_same():
    bad = {"loss": 0.2, "duplication": 0.2, "reordering": 0.2, "corruption": 0.2}
    assert carried(7, **bad)[0] == carried(7, **bad)[0]
    assert carried(7, **bad)[0] != carried(8, **bad)[0]
