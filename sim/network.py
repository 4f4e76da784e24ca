"""A datagram network of two endpoints: it misbehaves by seed, and its clock is only a number.

Endpoints are sans-IO, like `protocol.connection.Connection`, but any object with these methods will
do. The same endpoints, conditions and seed give the same run.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import Protocol

__all__ = ["Conditions", "Endpoint", "Fate", "Network"]

#: What a datagram of UDP over IPv4 holds at most.
_LARGEST_DATAGRAM = 65_507
#: A datagram that is reordered takes up to so many times as long as others.
_DETOUR = 8
#: The most bits that are flipped in a datagram, or bytes that are added to it.
_DAMAGE = 8


class Endpoint(Protocol):
    """One side; times are in seconds."""

    def receive_datagram(self, data: bytes, now: float) -> object:
        """A datagram arrives."""

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """What it sends now; asked for after every other call."""

    def timer(self) -> float | None:
        """When it wants `handle_timer` to be called, if at all."""

    def handle_timer(self, now: float) -> object:
        """The time has come."""


class Fate(Enum):
    """What happens to a datagram; several things may."""

    LOST = "lost"
    TOO_LONG = "longer than the path's MTU"
    DUPLICATED = "duplicated"
    REORDERED = "reordered"
    CORRUPTED = "corrupted"


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """How the network treats datagrams: probabilities are for each by itself, in 0 .. 1."""

    loss: float = 0.0
    duplication: float = 0.0
    #: That it is late by more than others, so that they may overtake it.
    reordering: float = 0.0
    #: That bits of it are flipped, or that it is cut off or extended.
    corruption: float = 0.0
    #: That the path changes with it, to an MTU of ``mtus``; the first of them is where it begins.
    mtu_change: float = 0.0
    #: In bytes of a datagram's payload; a longer one vanishes.
    mtus: tuple[int, ...] = (_LARGEST_DATAGRAM,)
    #: Seconds that a datagram takes.
    delay: float = 0.01


class Network:
    """Carries datagrams between two endpoints, which are told apart by their places, 0 and 1."""

    def __init__(
        self, first: Endpoint, second: Endpoint, conditions: Conditions, seed: int
    ) -> None:
        #: The time, in seconds.
        self.now = 0.0
        #: May be changed between two runs.
        self.conditions = conditions
        #: How many datagrams were sent, and what happened to them.
        self.sent = 0
        self.fates: Counter[Fate] = Counter()
        self._endpoints = (first, second)
        self._random = random.Random(seed)
        self._mtu = conditions.mtus[0]
        self._order = count()
        #: When it arrives, a number that keeps equal times in order, where, and what.
        self._under_way: list[tuple[float, int, int, bytes]] = []

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass until nothing is left to do, or ``until`` holds, or for so long.

        Returns whether it ended before the time was over.
        """
        end = self.now + seconds
        self._collect()
        while not until():
            time = self._next_time()
            if time is None:
                return True
            if time > end:
                self.now = end
                return False
            self.now = max(self.now, time)
            self._deliver()
            self._call_timers()
        return True

    def _next_time(self) -> float | None:
        arrivals = [self._under_way[0][0]] if self._under_way else []
        timers = (endpoint.timer() for endpoint in self._endpoints)
        return min([*arrivals, *(time for time in timers if time is not None)], default=None)

    def _deliver(self) -> None:
        while self._under_way and self._under_way[0][0] <= self.now:
            _, _, place, data = heapq.heappop(self._under_way)
            self._endpoints[place].receive_datagram(data, self.now)
            self._collect()

    def _call_timers(self) -> None:
        for endpoint in self._endpoints:
            time = endpoint.timer()
            if time is not None and time <= self.now:
                endpoint.handle_timer(self.now)
        self._collect()

    def _collect(self) -> None:
        for place, endpoint in enumerate(self._endpoints):
            for data in endpoint.datagrams_to_send(self.now):
                self.sent += 1
                self._carry(data, 1 - place)

    def _carry(self, data: bytes, target: int) -> None:
        conditions = self.conditions
        if self._chance(conditions.mtu_change):
            self._mtu = self._random.choice(conditions.mtus)
        if len(data) > self._mtu:
            self.fates[Fate.TOO_LONG] += 1
        elif self._happens(Fate.LOST, conditions.loss):
            pass
        else:
            copies = 2 if self._happens(Fate.DUPLICATED, conditions.duplication) else 1
            for _ in range(copies):
                self._send_copy(data, target)

    def _send_copy(self, data: bytes, target: int) -> None:
        delay = self.conditions.delay
        if self._happens(Fate.REORDERED, self.conditions.reordering):
            delay *= self._random.uniform(1, _DETOUR)
        if self._happens(Fate.CORRUPTED, self.conditions.corruption):
            data = _damage(data, self._random)
        entry = (self.now + delay, next(self._order), target, data)
        heapq.heappush(self._under_way, entry)

    def _happens(self, fate: Fate, probability: float) -> bool:
        happens = self._chance(probability)
        self.fates[fate] += happens
        return happens

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability


def _damage(data: bytes, source: random.Random) -> bytes:
    """Something else than ``data``: bits flipped, the end missing, or bytes too many."""
    amount = source.randint(1, _DAMAGE)
    match source.randrange(3):
        case 0 if data:
            return data[: source.randrange(len(data))]
        case 1 if data:
            flips = source.sample(range(8 * len(data)), min(amount, 8 * len(data)))
            mask = sum(1 << bit for bit in flips)
            return (int.from_bytes(data, "big") ^ mask).to_bytes(len(data), "big")
        case _:
            return data + source.randbytes(amount)
