"""A manager and any number of clients at addresses of their own, a network, and a clock."""

import heapq
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import count

from protocol.config import ConnectionConfig
from protocol.connection import Connection
from protocol.events import ConnectionTerminated, DataReceived, Event, HandshakeCompleted
from protocol.manager import Manager, ManagerLimits
from protocol.peer import Peer
from protocol.session import SessionTicket
from tests.protocol.pair import Network, client_config, server_config


@dataclass
class Client:
    connection: Connection
    address: Hashable
    events: list[Event]

    @property
    def data(self) -> list[bytes]:
        return [event.data for event in self.events if isinstance(event, DataReceived)]


class Crowd:
    """``sent`` holds (time, source, target, datagram) of all; the manager is at "server"."""

    def __init__(
        self,
        server: ConnectionConfig | None = None,
        limits: ManagerLimits | None = None,
        network: Network | None = None,
        lose: Callable[[Hashable, Hashable, bytes], bool] = lambda source, target, data: False,
    ) -> None:
        self.now = 0.0
        self.manager = Manager(self.now, server or server_config(), limits)
        self.clients: list[Client] = []
        self.events: list[tuple[Peer, Event]] = []
        self.sent: list[tuple[float, Hashable, Hashable, bytes]] = []
        self.lose = lose
        self._network = network or Network()
        self._order = count()
        self._in_flight: list[tuple[float, int, Hashable, Hashable, bytes]] = []

    def join(
        self,
        address: Hashable,
        config: ConnectionConfig | None = None,
        ticket: SessionTicket | None = None,
        early_data: Sequence[bytes] = (),
    ) -> Client:
        """A client whose ClientHello is on its way."""
        connection = Connection.client(config or client_config(), self.now, ticket)
        for data in early_data:
            connection.send_early(data)
        client = Client(connection, address, [])
        self.clients.append(client)
        self._collect()
        return client

    def run(self, seconds: float = 300.0) -> None:
        """Let time pass until nothing is left to do, or for so long."""
        end = self.now + seconds
        self._collect()
        while (time := self._next_time()) is not None and time <= end:
            self.now = max(self.now, time)
            self._deliver()
            for client in self.clients:
                client.connection.handle_timer(self.now)
            self.manager.handle_timer(self.now)
            self._collect()
        if time is not None:
            self.now = end

    def peer(self, client: Client) -> Peer:
        (peer,) = [peer for peer in self.manager if peer.address == client.address]
        return peer

    def peer_events(self, peer: Peer) -> list[Event]:
        return [event for owner, event in self.events if owner is peer]

    def data(self, peer: Peer) -> list[bytes]:
        return [e.data for e in self.peer_events(peer) if isinstance(e, DataReceived)]

    def completed(self) -> list[Peer]:
        return [peer for peer, event in self.events if isinstance(event, HandshakeCompleted)]

    def ended(self) -> dict[Peer, ConnectionTerminated]:
        return {p: event for p, event in self.events if isinstance(event, ConnectionTerminated)}

    def bytes_sent(self, source: Hashable, target: Hashable) -> int:
        return sum(len(data) for _, a, b, data in self.sent if (a, b) == (source, target))

    def datagrams(self, source: Hashable, target: Hashable) -> list[bytes]:
        return [data for _, a, b, data in self.sent if (a, b) == (source, target)]

    def inject(self, source: Hashable, data: bytes) -> None:
        """A datagram to the manager, from nowhere."""
        self.manager.receive_datagrams([data], source, self.now)
        self._collect()

    def _next_time(self) -> float | None:
        times = [self._in_flight[0][0]] if self._in_flight else []
        timers = [client.connection.timer() for client in self.clients]
        return min(
            [*times, *(t for t in (*timers, self.manager.timer()) if t is not None)], default=None
        )

    def _deliver(self) -> None:
        while self._in_flight and self._in_flight[0][0] <= self.now:
            _, _, source, target, data = heapq.heappop(self._in_flight)
            if target == "server":
                self.manager.receive_datagrams([data], source, self.now)
            for client in self.clients:
                if client.address == target:
                    client.connection.receive_datagram(data, self.now)
            self._collect()

    def _collect(self) -> None:
        for client in self.clients:
            for data in client.connection.datagrams_to_send(self.now):
                self._send(client.address, "server", data)
            while (event := client.connection.next_event()) is not None:
                client.events.append(event)
        for target, datagrams in self.manager.datagrams_to_send(self.now):
            for data in datagrams:
                self._send("server", target, data)
        for peer, events in self.manager.events():
            self.events += [(peer, event) for event in events]

    def _send(self, source: Hashable, target: Hashable, data: bytes) -> None:
        self.sent.append((self.now, source, target, data))
        if not self.lose(source, target, data):
            for delay in self._network.delays(str(source), len(self.sent), len(data)):
                entry = (self.now + delay, next(self._order), source, target, data)
                heapq.heappush(self._in_flight, entry)
