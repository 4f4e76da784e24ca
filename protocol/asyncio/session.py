"""One association, as a program with asyncio uses it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING

from protocol.alerts import UsageError
from protocol.events import (
    BatchReceived,
    ConnectionTerminated,
    DataReceived,
    Event,
    HandshakeCompleted,
    PeerClosed,
    TicketReceived,
)
from protocol.manager import Manager
from protocol.peer import Peer
from protocol.session import SessionTicket
from protocol.stats import Drop, Statistics

if TYPE_CHECKING:
    from protocol.asyncio.endpoint import Endpoint

#: Records that a session holds for `Session.receive`; what comes beyond that is dropped.
RECEIVE_QUEUE = 1024
#: Bytes of application data that are gathered before they are sealed and go to the system. It takes
#: half of it in one call, and the buffer of a receiver should have room for all.
_GATHERED = 120_000


class SessionClosedError(ConnectionError):
    """The session has ended; the text says why, and ``event`` in detail."""

    def __init__(self, event: PeerClosed | ConnectionTerminated) -> None:
        reason = event.reason if isinstance(event, ConnectionTerminated) else "closed by the peer"
        super().__init__(reason)
        self.event = event


class Session:
    """One connection and its place on a socket; `connect` makes it, or a `Server`.

    ``async for data in session`` yields the records until the peer closes the session.
    """

    __slots__ = (
        "_early",
        "_end",
        "_endpoint",
        "_gathered",
        "_handshake",
        "_longest",
        "_outgoing",
        "_peer",
        "_peer_closed",
        "_received",
        "_ticket",
        "_too_large",
        "_waiting",
    )

    def __init__(self, endpoint: "Endpoint", peer: Peer) -> None:
        self._endpoint = endpoint
        self._peer = peer
        self._handshake: HandshakeCompleted | None = None
        self._peer_closed: PeerClosed | None = None
        self._end: ConnectionTerminated | None = None
        self._ticket: SessionTicket | None = None
        self._too_large: OSError | None = None
        self._early: list[bytes] = []
        self._received: deque[bytes] = deque()
        #: Records that are not sealed yet, and their bytes; how many each may have.
        self._outgoing: list[bytes] = []
        self._gathered = 0
        self._longest = 0
        #: Who waits for anything to happen.
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def is_established(self) -> bool:
        """Whether the handshake was completed."""
        return self._handshake is not None

    @property
    def handshake(self) -> HandshakeCompleted:
        """What the handshake agreed on."""
        if self._handshake is None:
            raise ValueError("the handshake is not complete")
        return self._handshake

    @property
    def end(self) -> ConnectionTerminated | None:
        """Why nothing more comes or goes; None while that is not so."""
        return self._end

    @property
    def early_data(self) -> Sequence[bytes]:
        """On a server: the records of early data, which an attacker may have repeated.

        They came before the handshake was complete, and `receive` does not return them.
        """
        return tuple(self._early)

    @property
    def ticket(self) -> SessionTicket | None:
        """On a client: the newest ticket of the server's, to resume this session with."""
        return self._ticket

    def export_keying_material(self, label: bytes, context: bytes, length: int) -> bytes:
        """See `Connection.export_keying_material`."""
        return self._peer.connection.export_keying_material(label, context, length)

    @property
    def stats(self) -> Statistics:
        """The counters of the connection; they go on counting."""
        return self._peer.connection.stats

    @property
    def max_payload(self) -> int:
        """How many bytes one `send` takes."""
        return self._peer.connection.max_payload

    @property
    def path_mtu(self) -> int | None:
        """How large a datagram the system thinks that the path takes; None if it does not say.

        That is what RFC 9147, 4.4 calls the estimate of the IP layer. `max_payload` follows it down
        when a datagram was refused, and is limited by the `mtu` of the configuration.
        """
        return self._endpoint.path_mtu(self._peer.address)

    @property
    def peer_address(self) -> object:
        """Where the peer is now, as the operating system has it."""
        return self._peer.address

    async def established(self) -> None:
        """Wait for the end of the handshake; raises `SessionClosedError` if it fails."""
        while self._handshake is None:
            self._require_open()
            await self._wait()

    async def send(self, data: bytes) -> None:
        """Send one record, which arrives whole or not at all.

        Records go to the system several at a time, as soon as other tasks run. Waits while the
        socket is full. Raises `SessionClosedError`, `UsageError` for more than `max_payload` bytes,
        and OSError (EMSGSIZE) when the system has refused an earlier record as too large for the
        path (RFC 9147, 4.4): that one is lost, and this one not sent.
        """
        if not self._outgoing:
            await self._begin_to_send()
        size = len(data)
        if size > self._longest:
            raise UsageError(f"{size} bytes are over {self._longest}, the largest payload")
        self._outgoing.append(data if type(data) is bytes else bytes(data))
        self._gathered += size
        if self._gathered >= _GATHERED:
            await self._endpoint.turn()
            self._require_open()

    async def send_many(self, contents: Sequence[bytes]) -> None:
        """Send each content as `send` does, only faster; nothing if one of them is too long."""
        longest, start = max(map(len, contents), default=0), 0
        while start < len(contents):
            if not self._outgoing:
                await self._begin_to_send()
            if longest > self._longest:
                raise UsageError(f"{longest} bytes are over {self._longest}, the largest payload")
            room = (_GATHERED - self._gathered) // max(1, longest)
            piece = contents[start : start + max(1, room)]
            if set(map(type, piece)) != {bytes}:
                piece = list(map(bytes, piece))
            start += len(piece)
            self._outgoing += piece
            self._gathered += sum(map(len, piece))
            if self._gathered >= _GATHERED:
                await self._endpoint.turn()
                self._require_open()

    async def _begin_to_send(self) -> None:
        """Wait while the socket is full, and see whether records may be sent, and how long."""
        if not self._endpoint.writable:
            await self._endpoint.turn()
        self._require_open()
        if self._too_large is not None:
            error, self._too_large = self._too_large, None
            raise error
        connection = self._peer.connection
        if not connection.connected:
            raise UsageError("data cannot be sent: the connection is not established")
        self._longest = connection.max_payload
        self._endpoint.will_send(self)

    def send_gathered(self, manager: Manager) -> None:
        """Called by the endpoint when it is time to seal the records."""
        contents, self._outgoing, self._gathered = self._outgoing, [], 0
        if contents and self._peer.connection.connected:
            manager.send_many(self._peer, contents)

    async def update_keys(self, *, request_peer: bool = False) -> None:
        """Begin to change the keys that we send with, and ask the peer to do so too if wanted.

        Raises `SessionClosedError`.
        """
        self._require_open()
        self._endpoint.update_keys(self._peer, request_peer=request_peer)
        self._require_open()

    async def receive(self) -> bytes:
        """The data of the next record.

        Raises `SessionClosedError` once the peer has closed the session, or it has failed, and all
        data before that has been received.
        """
        while not self._received:
            over = self._peer_closed or self._end
            if over is not None:
                raise SessionClosedError(over)
            await self._wait()
        return self._received.popleft()

    async def receive_many(self) -> list[bytes]:
        """The data of the next record, and of those behind it that have arrived; see `receive`."""
        received = [await self.receive(), *self._received]
        self._received.clear()
        return received

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The data of each record until the peer closes; else raises `SessionClosedError`."""
        while True:
            try:
                yield await self.receive()
            except SessionClosedError as error:
                if isinstance(error.event, PeerClosed):
                    return
                raise

    async def close(self) -> None:
        """Tell the peer that no more data comes, forget the keys and give up the socket."""
        await self._endpoint.close_session(self._peer)

    def handle(self, events: Iterable[Event]) -> None:
        """Called by the endpoint with what has happened, in order."""
        for event in events:
            if type(event) is BatchReceived:
                self._keep_many(event.contents)
            elif type(event) is DataReceived:
                self._keep(event)
            else:
                self._handle(event)
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    def _keep(self, event: DataReceived) -> None:
        if len(self._received) + len(self._early) >= RECEIVE_QUEUE:
            self.stats.drops[Drop.QUEUE_FULL] += 1
        elif event.early:
            self._early.append(event.data)
        else:
            self._received.append(event.data)

    def _keep_many(self, contents: Sequence[bytes]) -> None:
        room = max(0, RECEIVE_QUEUE - len(self._received) - len(self._early))
        if len(contents) > room:
            self.stats.drops[Drop.QUEUE_FULL] += len(contents) - room
            contents = contents[:room]
        self._received += contents

    def _handle(self, event: Event) -> None:
        match event:
            case HandshakeCompleted():
                self._handshake = event
            case TicketReceived():
                self._ticket = event.ticket
            case PeerClosed():
                self._peer_closed = event
            case ConnectionTerminated():
                self._end = event

    def refused_as_too_large(self, error: OSError) -> None:
        """Called by the endpoint when the path does not take a datagram of this session."""
        self._too_large = error

    async def _wait(self) -> None:
        """Until anything happens."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        finally:
            if not future.done() or future.cancelled():
                self._waiting.remove(future)

    def _require_open(self) -> None:
        if self._end is not None:
            raise SessionClosedError(self._end)
