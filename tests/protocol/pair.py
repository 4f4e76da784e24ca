"""Two connections, a network between them that may misbehave, and a clock that is only a number."""

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from protocol.certificates import Credentials
from protocol.config import ConnectionConfig
from protocol.connection import Connection
from protocol.crypto.openssl import SoftwareProvider
from protocol.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    HandshakeCompleted,
    TicketReceived,
)
from protocol.session import SessionTicket
from tests.protocol.certificates import NOW, SERVER_NAME, authority, credentials

#: Seconds that a datagram takes.
DELAY = 0.01


def client_config(**changes: object) -> ConnectionConfig:
    defaults: dict[str, object] = {
        "provider": SoftwareProvider(),
        "trust": (authority().certificate,),
        "server_name": SERVER_NAME,
        "verification_time": lambda: NOW,
    }
    return ConnectionConfig(**(defaults | changes))  # type: ignore[arg-type]


def server_config(own: Credentials | None = None, **changes: object) -> ConnectionConfig:
    defaults: dict[str, object] = {
        "provider": SoftwareProvider(),
        "credentials": own or credentials(),
        "verification_time": lambda: NOW,
    }
    return ConnectionConfig(**(defaults | changes))  # type: ignore[arg-type]


@dataclass
class Network:
    """Probabilities for each datagram, and the seed that decides."""

    seed: int = 0
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    #: Longer datagrams are lost.
    path_mtu: int = 65_507
    #: For tests that lose particular datagrams: (sender, index among the sender's) -> lose it.
    lose: Callable[[str, int], bool] = lambda sender, index: False
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def delays(self, sender: str, index: int, size: int) -> list[float]:
        """The delay of each copy that arrives."""
        if size > self.path_mtu or self.lose(sender, index) or self._random.random() < self.loss:
            return []
        copies = 2 if self._random.random() < self.duplication else 1
        return [self._delay() for _ in range(copies)]

    def _delay(self) -> float:
        late = self._random.random() < self.reordering
        return DELAY * self._random.uniform(1, 5) if late else DELAY


class Pair:
    """A client and a server; ``sent`` holds (time, sender, datagram) of all that was sent."""

    def __init__(
        self,
        client: ConnectionConfig | None = None,
        server: ConnectionConfig | None = None,
        network: Network | None = None,
        ticket: SessionTicket | None = None,
    ) -> None:
        self.now = 0.0
        self.client = Connection.client(client or client_config(), self.now, ticket)
        self.server = Connection.server(server or server_config(), self.now)
        self.sides = {"client": self.client, "server": self.server}
        self.events: dict[str, list[Event]] = {"client": [], "server": []}
        self.sent: list[tuple[float, str, bytes]] = []
        self.network = network or Network()
        self._order = count()
        self._in_flight: list[tuple[float, int, str, bytes]] = []

    @classmethod
    def connected(cls, *args: object, **kwargs: object) -> "Pair":
        """A pair after its handshake, with nothing outstanding."""
        pair = cls(*args, **kwargs)  # type: ignore[arg-type]
        pair.run()
        assert pair.client.connected
        assert pair.server.connected
        return pair

    def run(self, seconds: float = 300.0) -> None:
        """Let time pass until nothing is left to do, or for so long."""
        end = self.now + seconds
        self._collect()
        while (time := self._next_time()) is not None and time <= end:
            self.now = max(self.now, time)
            self._deliver()
            for side in self.sides.values():
                if (timer := side.timer()) is not None and timer <= self.now:
                    side.handle_timer(self.now)
            self._collect()
        if time is not None:
            self.now = end

    def data(self, side: str) -> list[bytes]:
        return [event.data for event in self.events[side] if isinstance(event, DataReceived)]

    def result(self, side: str) -> HandshakeCompleted:
        (event,) = [e for e in self.events[side] if isinstance(e, HandshakeCompleted)]
        return event

    def ticket(self) -> SessionTicket:
        """The last one that the client has received."""
        return [e.ticket for e in self.events["client"] if isinstance(e, TicketReceived)][-1]

    def end(self, side: str) -> ConnectionTerminated:
        event = self.events[side][-1]
        assert isinstance(event, ConnectionTerminated), event
        return event

    def datagrams(self, sender: str) -> list[bytes]:
        return [data for _, who, data in self.sent if who == sender]

    def inject(self, target: str, data: bytes) -> None:
        """A datagram from nowhere."""
        self.sides[target].receive_datagram(data, self.now)
        self._collect()

    def _next_time(self) -> float | None:
        times = [self._in_flight[0][0]] if self._in_flight else []
        timers = (side.timer() for side in self.sides.values())
        return min([*times, *(timer for timer in timers if timer is not None)], default=None)

    def _deliver(self) -> None:
        while self._in_flight and self._in_flight[0][0] <= self.now:
            _, _, target, data = heapq.heappop(self._in_flight)
            self.sides[target].receive_datagram(data, self.now)
            self._collect()

    def _collect(self) -> None:
        for name, side in self.sides.items():
            target = "server" if name == "client" else "client"
            for data in side.datagrams_to_send(self.now):
                index = len(self.datagrams(name))
                self.sent.append((self.now, name, data))
                for delay in self.network.delays(name, index, len(data)):
                    entry = (self.now + delay, next(self._order), target, data)
                    heapq.heappush(self._in_flight, entry)
            self.events[name].extend(_events(side))


def _events(side: Connection) -> Iterator[Event]:
    while (event := side.next_event()) is not None:
        yield event


def exchange(pair: Pair) -> None:
    """Both sides still understand each other."""
    before = {side: len(pair.data(side)) for side in pair.sides}
    pair.client.send(b"to the server")
    pair.server.send(b"to the client")
    pair.run()
    assert pair.data("server")[before["server"] :] == [b"to the server"]
    assert pair.data("client")[before["client"] :] == [b"to the client"]


def is_authenticated(target: str, side: Connection) -> bool:
    """Whether nothing without keys may end it: a client has them with the ServerHello, a server
    knows that its client has them when a genuine record came."""
    if target == "client":
        return side._epochs.read_epoch > 0
    return not side._records._plaintext_open


def counts(side: Connection) -> int:
    """What came to it, taken or dropped."""
    return side.stats.records_received + sum(side.stats.drops.values())
