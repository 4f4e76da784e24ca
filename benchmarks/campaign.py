"""One session over a bad network: a handshake, data both ways, new keys in between, all checked.

A `Scenario` follows from its seed; keys and signatures do not, so a session repeats itself only
roughly. Nothing protects the first flights of a handshake (epoch 0), so damage to a hello can still
end an attempt, if rarely; the client then tries again, as its user would. What must
never happen is an endpoint that neither comes to an end nor gives up, data that arrives twice, or
data that was not sent.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from intaglio.certificates import Authority
from protocol.certificates import Credentials
from protocol.config import ConnectionConfig
from protocol.connection import Connection
from protocol.crypto.provider import CryptoProvider
from protocol.crypto.suites import CipherSuite
from protocol.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    HandshakeCompleted,
    WriteKeysUpdated,
)
from protocol.key_exchange import AVAILABLE_GROUPS
from protocol.signatures import PrivateKey
from sim.network import Conditions, Fate, Network

_SERVER = "server.example"
#: What all links of the campaign carry (RFC 9147, 4.4), and what most do.
_PATH_MTUS = (1472, 1200, 548)
#: Seconds that a handshake may take, and a KeyUpdate; and the longest retransmission time-out. Of a
#: message and its ACK, six in ten do not come through: there have to be some dozen tries.
_PATIENCE = 240.0
_LONGEST_TIMEOUT = 10.0
#: Seconds in which an endpoint has to come to an end, one way or another.
_LIMIT = 1_000.0
#: Tries of a client to connect, before the session counts as stuck.
_ATTEMPTS = 50
#: Records of each side, and seconds between two.
_RECORDS = 40
_INTERVAL = 0.02

_KEYS: dict[str, Callable[[], PrivateKey]] = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
}


@cache
def _authority() -> Authority:
    return Authority.create("Campaign CA", _KEYS["P-256"](), datetime.now(UTC))


@cache
def _credentials(kind: str) -> Credentials:
    key = _KEYS[kind]()
    return Credentials((_authority().issue(_SERVER, key, datetime.now(UTC)),), key)


def bad_network(rate: float, *, corrupts: bool = True) -> Conditions:
    """Everything that can happen to a datagram, each at this rate; corruption can be left out."""
    return Conditions(
        loss=rate,
        duplication=rate,
        reordering=rate,
        corruption=rate if corrupts else 0.0,
        mtu_change=rate,
        mtus=_PATH_MTUS,
    )


@dataclass(frozen=True)
class Scenario:
    """What two sides agree on, and the network between them."""

    seed: int
    conditions: Conditions
    provider: Callable[[], CryptoProvider]

    def configs(self) -> tuple[ConnectionConfig, ConnectionConfig]:
        """Client and server: suite, groups, certificates and MTU by the seed."""
        source = random.Random(self.seed)
        provider = self.provider()
        suite = source.choice(sorted(provider.suites.intersection(CipherSuite)))
        groups = source.sample(AVAILABLE_GROUPS, len(AVAILABLE_GROUPS))
        authenticate = source.random() < 0.3
        mtu = source.choice((300, 548, 1200))
        common = {
            "handshake_timeout": _PATIENCE,
            "max_retransmission_timeout": _LONGEST_TIMEOUT,
            "mtu": mtu,
            "suites": (suite,),
        }
        client = ConnectionConfig(
            provider=provider,
            trust=(_authority().certificate,),
            server_name=_SERVER,
            credentials=_credentials(source.choice(list(_KEYS))) if authenticate else None,
            groups=tuple(groups),
            **common,  # type: ignore[arg-type]
        )
        server = ConnectionConfig(
            provider=self.provider(),
            credentials=_credentials(source.choice(list(_KEYS))),
            trust=(_authority().certificate,) if authenticate else (),
            # With one group only, half of the handshakes need a HelloRetryRequest.
            groups=(source.choice(groups),),
            **common,  # type: ignore[arg-type]
        )
        return client, server


@dataclass
class Outcome:
    """What became of a session; ``problems`` says what must not happen."""

    seed: int
    problems: list[str] = field(default_factory=list)
    attempts: int = 0
    #: From the first attempt until both sides were connected.
    handshake_seconds: float = 0.0
    #: Of both sides, in the attempt that succeeded.
    flights: int = 0
    datagrams: int = 0
    records_sent: int = 0
    records_received: int = 0
    key_updates: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    drops: Counter[str] = field(default_factory=Counter)


class Side:
    """A connection with a user: the `sim.network.Endpoint` of each side."""

    def __init__(self, connection: Connection, name: str, seed: int) -> None:
        self.connection = connection
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self.completed: HandshakeCompleted | None = None
        self.end: ConnectionTerminated | None = None
        self.updates = 0
        self._name = name
        self._random = random.Random(f"{name} {seed}")
        self._next_record: float | None = None

    def start_talking(self, now: float) -> None:
        """Send `_RECORDS` records from now on, and change keys now and then."""
        self._next_record = now

    def receive_datagram(self, data: bytes, now: float) -> None:
        """See `sim.network.Endpoint`."""
        self.connection.receive_datagram(data, now)
        self._take_events()

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """See `sim.network.Endpoint`."""
        datagrams = self.connection.datagrams_to_send(now)
        self._take_events()
        return datagrams

    def timer(self) -> float | None:
        """The connection's, or when the next record is to be sent."""
        times = (self.connection.timer(), self._next_record)
        return min((time for time in times if time is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """See `sim.network.Endpoint`."""
        if self._next_record is not None and self._next_record <= now:
            self._talk(now)
        self.connection.handle_timer(now)
        self._take_events()

    def _talk(self, now: float) -> None:
        if not self.connection.connected:
            self._next_record = None
            return
        if self._random.random() < 0.1:
            self.connection.update_keys(now, request_peer=self._random.random() < 0.5)
        data = f"{self._name} {len(self.sent)} ".encode()
        data += self._random.randbytes(self._random.randrange(self.connection.max_payload))
        self.sent.append(data[: self.connection.max_payload])
        self.connection.send(self.sent[-1])
        self._next_record = now + _INTERVAL if len(self.sent) < _RECORDS else None

    def _take_events(self) -> None:
        for event in _events(self.connection):
            match event:
                case HandshakeCompleted():
                    self.completed = event
                case DataReceived():
                    self.received.append(event.data)
                case WriteKeysUpdated():
                    self.updates += 1
                case ConnectionTerminated():
                    self.end = event


def _events(connection: Connection) -> Iterator[Event]:
    while (event := connection.next_event()) is not None:
        yield event


class Session:
    """Client and server of a scenario, and what happens to them."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._configs = scenario.configs()
        self.outcome = Outcome(scenario.seed)

    def run(self) -> Outcome:
        """Connect, talk, and check."""
        while not self._connect():
            if self.outcome.attempts == _ATTEMPTS:
                self._problem(f"not connected after {_ATTEMPTS} attempts")
            if self.outcome.problems:
                return self.outcome
        self._talk()
        return self.outcome

    def _connect(self) -> bool:
        """One attempt; whether it succeeded."""
        self.outcome.attempts += 1
        seed = self._scenario.seed * _ATTEMPTS + self.outcome.attempts
        client, server = self._configs
        self._client = Side(Connection.client(client, 0.0), "client", seed)
        self._server = Side(Connection.server(server, 0.0), "server", seed)
        self._sides = (self._client, self._server)
        self._network = Network(*self._sides, self._scenario.conditions, seed)
        self._network.run(_LIMIT, until=self._is_decided)
        self.outcome.handshake_seconds += self._network.now
        if self._is_connected():
            return True
        self._come_to_rest("the handshake")
        if not self._network.fates[Fate.CORRUPTED]:
            self._problem("a handshake failed although nothing was corrupted")
        self._count()
        return False

    def _is_connected(self) -> bool:
        return all(side.connection.connected for side in self._sides)

    def _is_decided(self) -> bool:
        return self._is_connected() or self._client.end is not None

    def _talk(self) -> None:
        stats = [side.connection.stats for side in self._sides]
        self.outcome.flights = sum(each.flights_sent for each in stats)
        self.outcome.datagrams = sum(each.datagrams_sent for each in stats)
        for side in self._sides:
            side.start_talking(self._network.now)
        self._come_to_rest("the session")
        for side in self._sides:
            if side.end is not None:
                self._problem(f"a connection ended: {side.end.reason}")
        self._check(self._client, self._server)
        self._check(self._server, self._client)
        self._count()

    def _come_to_rest(self, what: str) -> None:
        """Let all be done that is left to do; what is neither connected nor at its end is stuck."""
        if not self._network.run(_LIMIT):
            self._problem(f"{what} does not come to rest")
        for side in self._sides:
            if not (side.connection.connected or side.end):
                self._problem(f"{what} has stopped without an end")

    def _check(self, sender: Side, receiver: Side) -> None:
        self.outcome.records_sent += len(sender.sent)
        self.outcome.records_received += len(receiver.received)
        if len(set(receiver.received)) < len(receiver.received):
            self._problem("data was accepted twice")
        if not set(receiver.received) <= set(sender.sent):
            self._problem("data was accepted that nobody sent")

    def _count(self) -> None:
        self.outcome.key_updates += sum(side.updates for side in self._sides)
        self.outcome.fates.update(
            {fate.value: count for fate, count in self._network.fates.items()}
        )
        for side in self._sides:
            self.outcome.drops.update(
                {reason.value: count for reason, count in side.connection.stats.drops.items()}
            )

    def _problem(self, text: str) -> None:
        self.outcome.problems.append(text)
