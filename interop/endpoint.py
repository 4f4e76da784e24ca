"""One connection of ours on a socket, with all its events at hand.

It is smaller and shows more than the endpoints of `protocol.asyncio`, which `test_asyncio.py` meets
the peers with.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from protocol.connection import Connection
from protocol.events import (
    ConnectionTerminated,
    DataReceived,
    EarlyDataRejected,
    Event,
    HandshakeCompleted,
    PeerClosed,
    TicketReceived,
)
from protocol.session import SessionTicket


class EndedError(Exception):
    """The connection has ended; the text says why, and ``end`` in detail."""

    def __init__(self, end: ConnectionTerminated) -> None:
        super().__init__(end.reason)
        self.end = end


class Endpoint:
    """A connection, and where its datagrams go."""

    def __init__(self, connection: Connection, transmit: Callable[[bytes], None]) -> None:
        self.connection = connection
        self.tickets: list[SessionTicket] = []
        self.early_data: list[bytes] = []
        self.early_data_rejected = False
        self.closed_by_peer = False
        self.end: ConnectionTerminated | None = None
        self._transmit = transmit
        self._handshake: HandshakeCompleted | None = None
        self._received: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def handshake(self) -> HandshakeCompleted:
        """What the handshake agreed on."""
        assert self._handshake is not None
        return self._handshake

    async def established(self) -> None:
        """Wait for the end of the handshake; raises `EndedError` if it fails."""
        await self.until(lambda: self._handshake is not None)

    async def receive(self) -> bytes:
        """The data of the next record; raises `EndedError`."""
        await self.until(lambda: bool(self._received))
        return self._received.popleft()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds; raises `EndedError` if it never will."""
        while not condition():
            if self.end is not None:
                raise EndedError(self.end)
            self._changed.clear()
            await self._changed.wait()

    def send(self, data: bytes) -> None:
        """Send one record."""
        self.connection.send(data)
        self.flush()

    def update_keys(self, *, request_peer: bool) -> None:
        """Begin to change the keys that we send with."""
        self.connection.update_keys(self._loop.time(), request_peer=request_peer)
        self.flush()

    def close(self) -> None:
        """Say that no more data comes, and forget the keys."""
        self.connection.close(self._loop.time())
        self.flush()

    def receive_datagram(self, data: bytes) -> None:
        """A datagram of the peer's."""
        self.connection.receive_datagram(data, self._loop.time())
        self.flush()

    def flush(self) -> None:
        """Do what follows from what the connection was just told."""
        for datagram in self.connection.datagrams_to_send(self._loop.time()):
            self._transmit(datagram)
        while (event := self.connection.next_event()) is not None:
            self._keep(event)
        self._changed.set()
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.connection.timer()
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._handle_timer)

    def _handle_timer(self) -> None:
        self.connection.handle_timer(self._loop.time())
        self.flush()

    def _keep(self, event: Event) -> None:
        match event:
            case HandshakeCompleted():
                self._handshake = event
            case DataReceived(early=True):
                self.early_data.append(event.data)
            case DataReceived():
                self._received.append(event.data)
            case EarlyDataRejected():
                self.early_data_rejected = True
            case TicketReceived():
                self.tickets.append(event.ticket)
            case PeerClosed():
                self.closed_by_peer = True
            case ConnectionTerminated():
                self.end = event
