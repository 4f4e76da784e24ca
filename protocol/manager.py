"""Any number of associations on one socket, without the socket and without a clock.

::

    manager = Manager(now, server_config)
    manager.receive_datagrams(datagrams, address, now)         when some come
    manager.handle_timer(now)                                  at manager.timer()
    manager.send(peer, data)
    for peer, events in manager.events(): ...                  after all of this
    for address, datagrams in manager.datagrams_to_send(now): ...

An address is whatever tells sources of datagrams apart, hashable and with a repr that is always the
same. Datagrams are routed by connection ID where they have one that is known, and else by address.

A server keeps nothing for a client, and sends it no more than it was sent, until the client has
brought a cookie back (`protocol.front_door`). What it does keep for all of them together are pieces
of ClientHellos (`protocol.hellos`), of `ManagerLimits.hello_bytes` at most.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from protocol import unified_header
from protocol.alerts import UsageError
from protocol.config import ConnectionConfig
from protocol.connection import Connection
from protocol.events import (
    AddressChanged,
    BatchReceived,
    ConnectionTerminated,
    DataReceived,
    Event,
    HandshakeCompleted,
    WriteKeysUpdated,
)
from protocol.front_door import Admitted, Answered, FrontDoor
from protocol.handshake_messages import RANDOM_BYTES
from protocol.hellos import Hello, HelloPool, begins_with_hello
from protocol.peer import Allowance, Candidate, LastAlerts, Peer
from protocol.record import ContentType
from protocol.session import SessionTicket
from protocol.stats import ManagerStatistics, Statistics, Unrouted
from protocol.timers import TimerQueue

#: First byte of a DTLSCiphertext with a connection ID (RFC 9147, figure 3).
_WITH_ID = unified_header.FIXED_BITS | unified_header.CONNECTION_ID
_WITH_ID_MASK = unified_header.FIXED_MASK | unified_header.CONNECTION_ID
_HANDSHAKE = bytes((ContentType.HANDSHAKE,))
#: ClientHello.random stands behind legacy_version.
_RANDOM = slice(2, 2 + RANDOM_BYTES)
#: After so many transmissions of a KeyUpdate that tests an address, it goes where we sent before.
_ATTEMPTS = 3
#: Refused hellos that are told of; of more between two calls of `Manager.refusals`, the latest.
_MOST_REFUSALS = 64
_BEGAN_ANEW = "the client began anew"


@dataclass(frozen=True, kw_only=True)
class ManagerLimits:
    """What a server takes on. Raises `UsageError`, naming the value, for what cannot work."""

    #: Associations at a time, and how many of them may be in their handshake.
    connections: int = 10_000
    handshakes: int = 1_000
    #: Clients need no cookie while fewer handshakes than this are under way; 0: they always do.
    handshakes_without_cookie: int = 0
    #: Memory for the pieces of ClientHellos that have not arrived whole, in bytes, for all clients.
    hello_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        for name, least in {
            "connections": 1,
            "handshakes": 1,
            "handshakes_without_cookie": 0,
            "hello_bytes": 1 << 14,
        }.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name} must be {least} or more, not {getattr(self, name)}")


class Manager:
    """The associations of one socket. With ``server`` it answers clients; else it has only its own.

    Whatever happens to an association is told by its events, and the last one of each is
    `ConnectionTerminated`. A provider that fails ends its connection, and nothing is raised.
    """

    def __init__(
        self,
        now: float,
        server: ConnectionConfig | None = None,
        limits: ManagerLimits | None = None,
    ) -> None:
        self.stats = ManagerStatistics()
        self.limits = limits or ManagerLimits()
        self._now = now
        self._door = FrontDoor(server, now) if server is not None else None
        self._hellos = HelloPool(self.limits.hello_bytes)
        self._peers: dict[Peer, None] = {}
        self._handshakes = 0
        self._by_address: dict[Hashable, Peer] = {}
        self._by_id: dict[bytes, Peer] = {}
        self._id_bytes = 0
        self._timers: TimerQueue[Peer] = TimerQueue()
        self._events: list[tuple[Peer, list[Event]]] = []
        #: Peers that may have something to send, in the order in which that came about.
        self._ready: dict[Peer, None] = {}
        #: Those of them that have not been asked for events since they were told something.
        self._touched: dict[Peer, None] = {}
        self._batches: list[tuple[Hashable, list[bytes]]] = []
        self._refusals: deque[tuple[Hashable, ConnectionTerminated]] = deque(maxlen=_MOST_REFUSALS)
        self._alerts = LastAlerts()
        self._ended_stats = Statistics()

    def __len__(self) -> int:
        self._collect_all()
        return len(self._peers)

    def __iter__(self) -> Iterator[Peer]:
        self._collect_all()
        return iter(list(self._peers))

    @property
    def handshakes(self) -> int:
        """How many associations are in their handshake."""
        return self._handshakes

    @property
    def totals(self) -> Statistics:
        """The counters of all connections, those that have ended included."""
        total = Statistics()
        for stats in (self._ended_stats, *(peer.connection.stats for peer in self._peers)):
            total.add(stats)
        return total

    def connect(
        self,
        config: ConnectionConfig,
        address: Hashable,
        now: float,
        ticket: SessionTicket | None = None,
        early_data: Sequence[bytes] = (),
    ) -> Peer:
        """Begin an association with the server at ``address``; raises `UsageError`.

        See `Connection.client` for ``ticket``, and `Connection.send_early` for ``early_data``, each
        of which is a record.
        """
        self._now = now
        if address in self._by_address:
            raise UsageError(f"there is an association with {address!r} already")
        peer = Peer(Connection.client(config, now, ticket), address, None, proven=True)
        for data in early_data:
            peer.connection.send_early(data)
        self._by_address[address] = peer
        self._begin(peer)
        self._after(peer)
        return peer

    def refuse_clients(self) -> None:
        """Answer no new clients from now on; those that are in their handshake may complete it."""
        self._door = None

    def receive_datagrams(self, datagrams: Iterable[bytes], address: Hashable, now: float) -> None:
        """Process datagrams that came from ``address``, in their order."""
        self._now = now
        for data in datagrams:
            self.stats.datagrams_received += 1
            if data[:1] == _HANDSHAKE and self._door is not None and begins_with_hello(data):
                hello = self._hellos.add(data, address, now)
                if hello is not None:
                    self._receive_hello(self._door, hello, address)
                continue
            peer = self._route(data, address)
            if peer is None:
                self.stats.drops[Unrouted.NO_CONNECTION] += 1
                self._batches.extend(self._alerts.answers(data, address, now))
            elif peer.successor is None or not self._deliver(peer.successor, data, address):
                self._deliver(peer, data, address)

    def receive_segments(self, data: bytes, size: int, address: Hashable, now: float) -> None:
        """Process datagrams of ``size`` bytes, the last may be shorter, that follow each other.

        That is how UDP_GRO of Linux gives them. What comes of it is what `receive_datagrams` makes
        of them, only faster where they are records of one association.
        """
        if len(data) <= size:
            self.receive_datagrams((data,), address, now)
            return
        whole = len(data) - len(data) % size
        if not self._deliver_run(data[:whole], size, address, now):
            whole = 0
        rest = range(whole, len(data), size)
        self.receive_datagrams((data[start : start + size] for start in rest), address, now)

    def _deliver_run(self, data: bytes, size: int, address: Hashable, now: float) -> bool:
        """Give a connection datagrams, if all are its records and tell nothing but that."""
        peer = self._route(data, address)
        if peer is None or not peer.established or peer.address != address:
            return False
        if peer.candidate is not None or peer.successor is not None:
            return False
        self._now = now
        try:
            if not peer.connection.receive_segments(data, size, now):
                return False
        except Exception:  # As in `_attempt`.
            pass
        self.stats.datagrams_received += len(data) // size
        self._told(peer)
        return True

    def datagrams_to_send(self, now: float) -> list[tuple[Hashable, list[bytes]]]:
        """What has to be sent now: addresses, each with what goes there, in this order."""
        self._now = now
        ready, self._ready = self._ready, {}
        self._touched.clear()
        for peer in ready:
            if not peer.ended:
                settled = peer.connection.settled
                self._flush(peer)
                if not settled:
                    self._collect(peer)
        batches, self._batches = self._batches, []
        self.stats.datagrams_sent += sum(len(datagrams) for _, datagrams in batches)
        return batches

    def timer(self) -> float | None:
        """When `handle_timer` has to be called, if nothing else happens before; None: never."""
        self._collect_all()
        return self._timers.next()

    def handle_timer(self, now: float) -> None:
        """Do what the time asks for; harmless when called too early."""
        self._now = now
        for peer in list(self._timers.due(now)):
            if not peer.ended:
                self._handle_timer(peer)

    def events(self) -> list[tuple[Peer, list[Event]]]:
        """What has happened since the last call: peers, each with its events in their order."""
        self._collect_all()
        events, self._events = self._events, []
        return events

    def refusals(self) -> list[tuple[Hashable, ConnectionTerminated]]:
        """Clients that got an alert and no connection since the last call, and why.

        They have not proved where they are. At most 64; `stats` counts all of them.
        """
        refusals = list(self._refusals)
        self._refusals.clear()
        return refusals

    def send(self, peer: Peer, data: bytes) -> None:
        """Send application data; see `Connection.send`."""
        try:
            peer.connection.send(data)
        except UsageError:
            raise
        except Exception:  # As in `_attempt`.
            self._after(peer)
        else:
            self._ready[peer] = None
            if not peer.connection.settled:
                self._touched[peer] = None

    def send_many(self, peer: Peer, contents: Sequence[bytes]) -> None:
        """Send application data; see `Connection.send_many`."""
        self._attempt(peer, lambda: peer.connection.send_many(contents))

    def update_keys(self, peer: Peer, now: float, *, request_peer: bool = False) -> None:
        """Change keys; see `Connection.update_keys`."""
        self._now = now
        self._attempt(peer, lambda: peer.connection.update_keys(now, request_peer=request_peer))

    def path_mtu_exceeded(self, address: Hashable, mtu: int, now: float) -> None:
        """Send smaller datagrams to ``address``; see `Connection.path_mtu_exceeded`."""
        self._now = now
        current = self._by_address.get(address)
        for peer in (current, current and current.successor):
            if peer is not None:
                self._attempt(peer, partial(peer.connection.path_mtu_exceeded, mtu, now))

    def close(self, peer: Peer, now: float) -> None:
        """Send close_notify and end the association; nothing happens if that has ended."""
        self._now = now
        self._attempt(peer, lambda: peer.connection.close(now))

    def abandon(self, peer: Peer, reason: str) -> None:
        """End the association without a word to the other side, and forget its keys."""
        self._collect(peer)
        if not peer.ended:
            with suppress(Exception):  # What has failed may fail again.
                peer.connection.close(self._now)
            self._end(peer)
            self._events.append((peer, [ConnectionTerminated(reason)]))

    def _attempt(self, peer: Peer, action: Callable[[], object]) -> None:
        try:
            action()
        except UsageError:
            raise
        except Exception:  # The connection has ended, and has an event that says why.
            pass
        self._after(peer)

    def _after(self, peer: Peer, source: Hashable = None) -> None:
        """All that follows when a connection was told something, by a datagram of ``source``."""
        if not peer.ended:
            self._ready[peer] = None
            self._collect(peer, source)

    def _told(self, peer: Peer) -> None:
        """The same where nothing that can follow makes a difference to the next datagram."""
        if peer.connection.settled:
            if events := peer.connection.take_events():
                self._events.append((peer, events))
        else:
            self._ready[peer] = self._touched[peer] = None

    def _collect_all(self) -> None:
        touched, self._touched = self._touched, {}
        for peer in touched:
            self._collect(peer)

    def _collect(self, peer: Peer, source: Hashable = None) -> None:
        """Ask a connection for all that is new but its datagrams."""
        if peer.ended:
            return
        connection = peer.connection
        events = connection.take_events()
        if events:
            self._events.append((peer, events))
            for event in events:
                if type(event) is not DataReceived and type(event) is not BatchReceived:
                    self._react(peer, event, source)
        if not peer.ended:
            if connection.connection_ids != peer.connection_ids:
                self._register(peer, connection.connection_ids)
            self._timers.set(peer, connection.timer())

    def _react(self, peer: Peer, event: Event, source: Hashable) -> None:
        match event:
            case HandshakeCompleted():
                self._establish(peer)
            case ConnectionTerminated():
                self._flush(peer)
                self._end(peer)
            case WriteKeysUpdated() if peer.candidate is not None:
                self._conclude(peer, peer.candidate, source)

    def _route(self, data: bytes, address: Hashable) -> Peer | None:
        if self._id_bytes and data and data[0] & _WITH_ID_MASK == _WITH_ID:
            peer = self._by_id.get(data[1 : 1 + self._id_bytes])
            if peer is not None:
                return peer
        return self._by_address.get(address)

    def _deliver(
        self, peer: Peer, data: bytes, address: Hashable, received: int | None = None
    ) -> bool:
        """Give a datagram to a connection; returns whether it was newer than all before."""
        if peer.allowance is not None:
            peer.allowance.received(received or len(data))
        try:
            newer = peer.connection.receive_datagram(data, self._now)
        except Exception:  # As in `_attempt`.
            newer = False
        if peer.established and peer.candidate is None:
            self._told(peer)
        else:
            self._after(peer, address)
        if newer and (address != peer.address or peer.candidate is not None):
            self._locate(peer, address, len(data))
        return newer

    def _receive_hello(self, door: FrontDoor, hello: Hello, address: Hashable) -> None:
        """A client begins, goes on after a HelloRetryRequest, or repeats itself."""
        current = self._by_address.get(address)
        for peer in (current.successor, current) if current is not None else ():
            if peer is not None and peer.random == hello.body[_RANDOM]:
                self._deliver(peer, hello.datagram(), address, hello.received)
                return
        if not self._has_room:
            self.stats.drops[Unrouted.FULL] += 1
            return
        cookie_required = (
            current is not None or self._handshakes >= self.limits.handshakes_without_cookie
        )
        match door.knock(hello, address, self._now, cookie_required=cookie_required):
            case Answered() as answer:
                self._answer(answer, address)
            case Admitted(connection, proven):
                peer = Peer(connection, address, hello.body[_RANDOM], proven=proven)
                self._admit(peer, current)
                self._deliver(peer, hello.datagram(), address, hello.received)
            case None:
                self.stats.drops[Unrouted.BAD_HELLO] += 1

    @property
    def _has_room(self) -> bool:
        limits = self.limits
        return len(self._peers) < limits.connections and self._handshakes < limits.handshakes

    def _answer(self, answer: Answered, address: Hashable) -> None:
        refusal = answer.refusal
        if refusal is None:
            self.stats.retries_sent += 1
        else:
            self.stats.refused[refusal.alert] += 1
            end = ConnectionTerminated(str(refusal), refusal.alert)
            self._refusals.append((address, end))
        self._batches.append((address, [answer.datagram]))

    def _admit(self, peer: Peer, current: Peer | None) -> None:
        """Take in a client, at whose address there may be an association already (5.11)."""
        if current is not None and current.established:
            if current.successor is not None:
                self.abandon(current.successor, _BEGAN_ANEW)
            current.successor = peer
        else:
            if current is not None:
                self.abandon(current, _BEGAN_ANEW)
            self._by_address[peer.address] = peer
        self._begin(peer)

    def _begin(self, peer: Peer) -> None:
        self._peers[peer] = None
        self._alerts.forget(peer.address)
        self._handshakes += 1
        self.stats.connections_begun += 1

    def _establish(self, peer: Peer) -> None:
        """The handshake is complete; what was at this address before is over (5.11)."""
        peer.established = True
        peer.allowance = None
        self._handshakes -= 1
        self.stats.handshakes_completed += 1
        before = self._by_address.get(peer.address)
        if before is not None and before.successor is peer:
            before.successor = None
            self._by_address[peer.address] = peer
            self.abandon(before, _BEGAN_ANEW)

    def _end(self, peer: Peer) -> None:
        peer.ended = True
        del self._peers[peer]
        self._handshakes -= not peer.established
        self.stats.connections_ended += 1
        self._ended_stats.add(peer.connection.stats)
        self._register(peer, frozenset())
        self._leave(peer)
        if peer.connection.last_alert is not None:
            self._alerts.keep(peer.address, peer.connection.last_alert)
        self._timers.set(peer, None)
        self._ready.pop(peer, None)
        self._touched.pop(peer, None)

    def _leave(self, peer: Peer) -> None:
        """Its address is not its own any more."""
        there = self._by_address.get(peer.address)
        if there is peer:
            del self._by_address[peer.address]
            if peer.successor is not None:
                self._by_address[peer.address] = peer.successor
                peer.successor = None
        elif there is not None and there.successor is peer:
            there.successor = None

    def _register(self, peer: Peer, connection_ids: frozenset[bytes]) -> None:
        for gone in peer.connection_ids - connection_ids:
            if self._by_id.get(gone) is peer:
                del self._by_id[gone]
        for connection_id in connection_ids:
            self._by_id[connection_id] = peer
            self._id_bytes = len(connection_id)
        peer.connection_ids = connection_ids

    def _handle_timer(self, peer: Peer) -> None:
        candidate = peer.candidate
        if candidate is not None:
            self._flush(peer)
        self._attempt(peer, lambda: peer.connection.handle_timer(self._now))
        if candidate is not None and not peer.ended:
            # What is sent again is the KeyUpdate, and after some attempts not there any more.
            self._post(candidate.address, self._take(peer), candidate.allowance)
            candidate.attempts += 1
            if candidate.attempts == _ATTEMPTS:
                peer.candidate = None

    def _locate(self, peer: Peer, address: Hashable, size: int) -> None:
        """A newer record came from ``address``: it may be where the peer is (RFC 9146, 6)."""
        candidate = peer.candidate
        if peer.ended or address == peer.address:
            peer.candidate = None
        elif candidate is not None and candidate.address == address:
            candidate.allowance.received(size)
        else:
            self._test(peer, address, size)

    def _test(self, peer: Peer, address: Hashable, size: int) -> None:
        """Send a KeyUpdate to the new address, and nowhere else (RFC 9147, 11).

        Only someone who gets it there can have it acknowledged. While something else waits for its
        ACK, a later record has to do.
        """
        self._flush(peer)
        if not peer.connection.connected or peer.connection.timer() is not None:
            return
        peer.candidate = Candidate(address, size)
        self._attempt(peer, lambda: peer.connection.update_keys(self._now))
        self._post(address, self._take(peer), peer.candidate.allowance)

    def _conclude(self, peer: Peer, candidate: Candidate, source: Hashable) -> None:
        """The KeyUpdate is acknowledged, by a datagram of ``source``."""
        peer.candidate = None
        if source == candidate.address:
            self._leave(peer)
            peer.address = source
            self._by_address.setdefault(source, peer)
            peer.connection.path_changed(self._now)
            self.stats.addresses_changed += 1
            self._events.append((peer, [AddressChanged(source)]))

    def _flush(self, peer: Peer) -> None:
        self._post(peer.address, self._take(peer), peer.allowance)

    def _take(self, peer: Peer) -> list[bytes]:
        """What a connection has to send, even if it fails while it is asked."""
        try:
            return peer.connection.datagrams_to_send(self._now)
        except Exception:  # It has ended; there may be an alert.
            with suppress(Exception):
                return peer.connection.datagrams_to_send(self._now)
        return []

    def _post(self, address: Hashable, datagrams: list[bytes], allowance: Allowance | None) -> None:
        if allowance is not None:
            datagrams = allowance.take(datagrams)
        if datagrams:
            self._batches.append((address, datagrams))
