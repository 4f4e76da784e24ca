"""A socket, the manager of its associations, and a session for each of them."""

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from protocol.asyncio import path_mtu
from protocol.asyncio.session import Session, SessionClosedError
from protocol.asyncio.udp import Address, DatagramSocket
from protocol.config import ConnectionConfig
from protocol.events import ConnectionTerminated, Event
from protocol.manager import Manager, ManagerLimits
from protocol.peer import Peer
from protocol.session import SessionTicket
from protocol.stats import ManagerStatistics, Statistics, Unrouted

Handler = Callable[[Session], Awaitable[None]]
#: Is told where a client is whose handshake failed, and why it did.
FailureHandler = Callable[[Address, ConnectionTerminated], None]


class Endpoint:
    """What clients and servers have in common."""

    def __init__(
        self,
        sock: socket.socket,
        server: ConnectionConfig | None = None,
        limits: ManagerLimits | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._manager = Manager(self._loop.time(), server, limits)
        self._socket = DatagramSocket(sock, self._received, self._flush, self._too_large)
        self._sessions: dict[Peer, Session] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._flush_handle: asyncio.Handle | None = None
        #: Sessions that gather records.
        self._senders: list[Session] = []

    @property
    def address(self) -> Address:
        """Where the socket is bound."""
        return self._socket.address

    @property
    def network_errors(self) -> int:
        """Errors that the system has reported for datagrams; anyone can forge some of them."""
        return self._socket.network_errors

    def connect(
        self,
        config: ConnectionConfig,
        address: Address,
        ticket: SessionTicket | None,
        early_data: Sequence[bytes],
    ) -> Session:
        """Begin a session; raises `UsageError`."""
        peer = self._manager.connect(config, address, self._loop.time(), ticket, early_data)
        session = self._sessions[peer] = Session(self, peer)
        self._flush()
        return session

    @property
    def writable(self) -> bool:
        """Whether the socket takes more."""
        return self._socket.writable.is_set()

    def will_send(self, session: Session) -> None:
        """A session begins to gather records: they are sealed and sent when other tasks run."""
        self._senders.append(session)
        if self._flush_handle is None:
            self._flush_handle = self._loop.call_soon(self._flush)

    async def turn(self) -> None:
        """Send what was gathered, let other tasks run, and wait until the socket takes more."""
        self._flush()
        await asyncio.sleep(0)
        await self._socket.writable.wait()

    def update_keys(self, peer: Peer, *, request_peer: bool) -> None:
        """Begin to change keys."""
        self._send_gathered()
        self._manager.update_keys(peer, self._loop.time(), request_peer=request_peer)
        self._flush()

    async def close_session(self, peer: Peer) -> None:
        """Send close_notify, and wait until that is with the system."""
        self._send_gathered()
        self._manager.close(peer, self._loop.time())
        self._flush()
        await self._socket.writable.wait()

    def _received(self, data: bytes, size: int, address: Address) -> None:
        if self._senders:
            self._send_gathered()
        self._manager.receive_segments(data, size, address, self._loop.time())

    def _send_gathered(self) -> None:
        """Seal what sessions have gathered: all else that happens to them comes after it."""
        senders, self._senders = self._senders, []
        for session in senders:
            session.send_gathered(self._manager)

    def _flush(self) -> None:
        """Report, send and schedule all that follows from what the manager was told."""
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        self._send_gathered()
        batches = self._manager.datagrams_to_send(self._loop.time())
        for address, datagrams in batches:
            self._socket.send(datagrams, cast(Address, address))
        self._restart_timer()
        for peer, events in self._manager.events():
            self._report(peer, events)

    def _report(self, peer: Peer, events: Sequence[Event]) -> None:
        session = self._sessions.get(peer)
        if session is None:
            session = self._sessions[peer] = Session(self, peer)
        was_established = session.is_established
        session.handle(events)
        if session.is_established and not was_established:
            self._established(session)
        if peer.ended:
            del self._sessions[peer]
            self._ended(session)

    def _restart_timer(self) -> None:
        """Too early a timer does no harm, so that it is not changed for a later deadline."""
        deadline = self._manager.timer()
        if self._timer is not None and (deadline is None or deadline < self._timer.when()):
            self._timer.cancel()
            self._timer = None
        if self._timer is None and deadline is not None and not self._socket.closed:
            self._timer = self._loop.call_at(deadline, self._handle_timer)

    def _handle_timer(self) -> None:
        self._timer = None
        self._send_gathered()
        self._manager.handle_timer(self._loop.time())
        self._flush()

    def path_mtu(self, address: object) -> int | None:
        """See `Session.path_mtu`."""
        return path_mtu.estimate(cast(Address, address))

    def _too_large(self, address: Address, mtu: int) -> None:
        """A datagram was too large for the path to an address, which takes ``mtu`` bytes."""
        error = OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        for session in self._sessions.values():
            if session.peer_address == address:
                session.refused_as_too_large(error)
        self._send_gathered()
        self._manager.path_mtu_exceeded(address, mtu, self._loop.time())
        if self._flush_handle is None:
            self._flush_handle = self._loop.call_soon(self._flush)

    def _established(self, session: Session) -> None:
        """The handshake of a session is complete."""

    def _ended(self, session: Session) -> None:
        """An association is over."""

    def abort(self) -> None:
        """Give up the socket, and say nothing to anyone."""
        self._socket.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._flush_handle is not None:
            self._flush_handle.cancel()


class ClientEndpoint(Endpoint):
    """A socket that one session has for itself: it is given up when that ends."""

    async def close_session(self, peer: Peer) -> None:
        """See `Endpoint.close_session`."""
        await super().close_session(peer)
        self.abort()

    def _ended(self, session: Session) -> None:
        # Not at once: an alert may wait for the socket.
        if self._socket.writable.is_set():
            self.abort()


class Server(Endpoint):
    """A socket for any number of clients; `serve` makes it."""

    def __init__(
        self,
        sock: socket.socket,
        config: ConnectionConfig,
        handler: Handler,
        limits: ManagerLimits | None,
        on_failure: FailureHandler,
    ) -> None:
        super().__init__(sock, config, limits)
        self._handler = handler
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def sessions(self) -> int:
        """How many there are, those in the handshake included."""
        return len(self._manager)

    @property
    def stats(self) -> ManagerStatistics:
        """The counters of the endpoint."""
        return self._manager.stats

    @property
    def totals(self) -> Statistics:
        """The counters of all sessions together, those that have ended included."""
        return self._manager.totals

    @property
    def datagrams_dropped(self) -> int:
        """Datagrams of no session that did not begin one."""
        return sum(self.stats.drops[reason] for reason in Unrouted)

    async def close(self, *, grace: float = 0.0) -> None:
        """Take no new clients, and give up the socket when all sessions are closed.

        Handlers have ``grace`` seconds to come to their end; then they are cancelled.
        """
        self._manager.refuse_clients()
        try:
            if self._tasks and grace > 0:
                await asyncio.wait(self._tasks, timeout=grace)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            now = self._loop.time()
            self._send_gathered()
            for peer in self._manager:
                self._manager.close(peer, now)
            self._flush()
            self.abort()

    def _flush(self) -> None:
        super()._flush()
        for address, end in self._manager.refusals():
            self._on_failure(cast(Address, address), end)

    def _ended(self, session: Session) -> None:
        if not session.is_established and session.end is not None:
            self._on_failure(cast(Address, session.peer_address), session.end)

    def _established(self, session: Session) -> None:
        task = self._loop.create_task(self._run(session))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, session: Session) -> None:
        """Handle one client to its end; whatever happens to it stays here."""
        try:
            await self._handler(session)
        except SessionClosedError:
            pass
        except Exception as error:
            self._loop.call_exception_handler(
                {"message": "the handler of a DTLS session failed", "exception": error}
            )
        finally:
            await session.close()
