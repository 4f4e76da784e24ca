"""DTLS 1.3 over UDP with asyncio: the only sockets of this package.

::

    server = await serve("127.0.0.1", 4433, server_config, handler)

    session = await connect("127.0.0.1", 4433, client_config)
    await session.send(b"hello")
    print(await session.receive())
    await session.close()

Application data is sent once. What arrives is genuine and whole, and nothing arrives twice, but
records may be lost, or overtake each other.

Errors that a socket reports, such as a port that ICMP calls unreachable, are counted and otherwise
ignored: anyone can forge them, and the handshake is repeated in any case until it times out.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias, cast

from protocol.alerts import UsageError
from protocol.config import ConnectionConfig
from protocol.connection import Connection
from protocol.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    HandshakeCompleted,
    PeerClosed,
)
from protocol.handshake_framing import FRAGMENT_HEADER_BYTES, HandshakeType
from protocol.handshake_messages import RANDOM_BYTES
from protocol.record import PLAINTEXT_HEADER_BYTES, ContentType
from protocol.stats import Drop, Statistics

#: Host and port, and for IPv6 flow and scope, as the operating system gives them.
Address: TypeAlias = tuple[Any, ...]

#: Records that a session holds for `Session.receive`; what comes beyond that is dropped.
RECEIVE_QUEUE = 1024
#: Sessions of one server, those in the handshake included; further clients are not answered.
MAX_SESSIONS = 1024

_HANDSHAKE = bytes((ContentType.HANDSHAKE,))
_CLIENT_HELLO = bytes((HandshakeType.CLIENT_HELLO,))


class SessionClosedError(ConnectionError):
    """The session has ended; the text says why, and ``event`` in detail."""

    def __init__(self, event: PeerClosed | ConnectionTerminated) -> None:
        reason = event.reason if isinstance(event, ConnectionTerminated) else "closed by the peer"
        super().__init__(reason)
        self.event = event


class Session:
    """One connection and its place on a socket; `connect` makes it, or a `Server`."""

    def __init__(
        self,
        connection: Connection,
        transmit: Callable[[bytes], None],
        writable: asyncio.Event,
        on_end: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._transmit = transmit
        self._writable = writable
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._established = asyncio.Event()
        self._handshake: HandshakeCompleted | None = None
        self._end: ConnectionTerminated | None = None
        self._received: asyncio.Queue[bytes | PeerClosed | ConnectionTerminated] = asyncio.Queue()
        self._flush()

    @property
    def handshake(self) -> HandshakeCompleted:
        """What the handshake agreed on."""
        if self._handshake is None:
            raise ValueError("the handshake is not complete")
        return self._handshake

    @property
    def stats(self) -> Statistics:
        """The counters of the connection; they go on counting."""
        return self._connection.stats

    @property
    def max_payload(self) -> int:
        """How many bytes one `send` takes."""
        return self._connection.max_payload

    async def established(self) -> None:
        """Wait for the end of the handshake; raises `SessionClosedError` if it fails."""
        await self._established.wait()
        if self._handshake is None:
            self._require_open()

    async def send(self, data: bytes) -> None:
        """Send one record, which arrives whole or not at all.

        Waits while the socket is full, and lets other tasks run in any case. Raises
        `SessionClosedError`, and `UsageError` for more than `max_payload` bytes.
        """
        await asyncio.sleep(0)
        await self._writable.wait()
        self._require_open()
        self._attempt(lambda _: self._connection.send(data))
        self._require_open()

    async def update_keys(self, *, request_peer: bool = False) -> None:
        """Begin to change the keys that we send with, and ask the peer to do so too if wanted.

        Raises `SessionClosedError`.
        """
        self._require_open()
        self._attempt(lambda now: self._connection.update_keys(now, request_peer=request_peer))
        self._require_open()

    async def receive(self) -> bytes:
        """The data of the next record.

        Raises `SessionClosedError` once the peer has closed the session, or it has failed, and all
        data before that has been received.
        """
        item = await self._received.get()
        if isinstance(item, bytes):
            return item
        self._received.put_nowait(item)  # For the next call.
        raise SessionClosedError(item)

    async def close(self) -> None:
        """Tell the peer that no more data comes, forget the keys and give up the socket."""
        self._attempt(self._connection.close)

    def receive_datagram(self, data: bytes) -> None:
        """Hand in a datagram of the peer's."""
        self._attempt(lambda now: self._connection.receive_datagram(data, now))

    def fail(self, reason: str) -> None:
        """End the session without a word to the peer, and forget its keys."""
        with suppress(Exception):  # What has failed may fail again.
            self._connection.close(self._loop.time())
        self._finish(ConnectionTerminated(reason))

    def _require_open(self) -> None:
        if self._end is not None:
            raise SessionClosedError(self._end)

    def _attempt(self, action: Callable[[float], object]) -> None:
        """Do something with the connection, and all that follows; nothing after the end.

        A provider or a socket may fail in ways of its own: that ends this session, and not the
        endpoint.
        """
        if self._end is not None:
            return
        try:
            action(self._loop.time())
            self._flush()
        except UsageError:
            raise
        except Exception as error:
            with suppress(Exception):  # There may be an alert to send, and no way to.
                self._transmit_all()
            self.fail(f"{type(error).__name__}: {error}")

    def _transmit_all(self) -> None:
        for datagram in self._connection.datagrams_to_send(self._loop.time()):
            self._transmit(datagram)

    def _flush(self) -> None:
        """Send, report and schedule all that follows from what the connection was just told."""
        self._transmit_all()
        self._restart_timer()
        while (event := self._connection.next_event()) is not None:
            self._handle(event)

    def _restart_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._connection.timer()
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._handle_timer)

    def _handle_timer(self) -> None:
        self._attempt(self._connection.handle_timer)

    def _handle(self, event: Event) -> None:
        match event:
            case HandshakeCompleted():
                self._handshake = event
                self._established.set()
            case DataReceived() if self._received.qsize() < RECEIVE_QUEUE:
                self._received.put_nowait(event.data)
            case DataReceived():
                self.stats.drops[Drop.QUEUE_FULL] += 1
            case PeerClosed():
                self._received.put_nowait(event)
            case ConnectionTerminated():
                self._finish(event)

    def _finish(self, end: ConnectionTerminated) -> None:
        if self._end is not None:
            return
        self._end = end
        if self._timer is not None:
            self._timer.cancel()
        self._established.set()
        self._received.put_nowait(end)
        self._on_end()


class _Socket(asyncio.DatagramProtocol):
    """What both sides' sockets do: signal when they are full, and count errors."""

    def __init__(self) -> None:
        self.writable = asyncio.Event()
        self.writable.set()
        self.lost = asyncio.Event()
        self.network_errors = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.writable.set()
        self.lost.set()

    def error_received(self, exc: Exception) -> None:
        self.network_errors += 1

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()


class _ClientSocket(_Socket):
    """A socket that one session has for itself, connected to its peer."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.session = _ClientSession(self._connection, self)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.session.receive_datagram(data)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.session.fail(f"the socket is lost: {exc}")


class _ClientSession(Session):
    """A session whose end is that of its socket."""

    def __init__(self, connection: Connection, socket: _ClientSocket) -> None:
        transport = socket.transport
        super().__init__(connection, transport.sendto, socket.writable, transport.close)
        self._socket = socket

    async def close(self) -> None:
        await super().close()
        await self._socket.lost.wait()


class _ServerSession(Session):
    """A session, and the random of the ClientHello that it began with, as soon as it is known."""

    client_random: bytes | None = None

    def is_abandoned(self, random: bytes | None) -> bool:
        """Whether the client began anew, with this random, before the handshake was complete."""
        is_other = None not in (random, self.client_random) and random != self.client_random
        return is_other and self._handshake is None


Handler: TypeAlias = Callable[[Session], Awaitable[None]]


class Server(_Socket):
    """A socket whose clients are told apart by their addresses; `serve` makes it.

    A client that begins anew from the same address replaces its handshake. A session whose
    handshake is complete stays until it ends, because anyone can send a ClientHello in its client's
    name (RFC 9147, 5.11); until then the client is not answered.
    """

    def __init__(self, config: ConnectionConfig, handler: Handler) -> None:
        super().__init__()
        self._config = config
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        self._sessions: dict[Address, _ServerSession] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        #: Datagrams of no session that did not begin one.
        self.datagrams_dropped = 0

    @property
    def address(self) -> Address:
        """Where it listens."""
        return cast(Address, self.transport.get_extra_info("sockname"))

    @property
    def sessions(self) -> int:
        """How many there are, those in the handshake included."""
        return len(self._sessions)

    async def close(self) -> None:
        """Close all sessions, cancel their handlers, and give up the socket."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        try:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            # A task that was cancelled before its first step has not closed its session.
            for session in list(self._sessions.values()):
                await session.close()
            self.transport.close()
        await self.lost.wait()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Called by asyncio."""
        session, random = self._sessions.get(addr), _client_random(data)
        if session is not None and session.is_abandoned(random):
            session.fail("the client began anew")
            session = None
        if session is None:
            is_full = self._closing or len(self._sessions) >= MAX_SESSIONS
            if is_full or not _is_client_hello(data):
                self.datagrams_dropped += 1
                return
            session = self._accept(addr)
        session.client_random = session.client_random or random
        session.receive_datagram(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        super().connection_lost(exc)
        for session in list(self._sessions.values()):
            session.fail(f"the socket is lost: {exc}")

    def _accept(self, address: Address) -> _ServerSession:
        session = _ServerSession(
            Connection.server(self._config, self._loop.time()),
            lambda datagram: self.transport.sendto(datagram, address),
            self.writable,
            lambda: self._forget(address),
        )
        self._sessions[address] = session
        task = self._loop.create_task(self._run(session))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return session

    def _forget(self, address: Address) -> None:
        self._sessions.pop(address, None)

    async def _run(self, session: Session) -> None:
        """Handle one client to its end; whatever happens to it stays here."""
        try:
            await session.established()
            await self._handler(session)
        except SessionClosedError:
            pass
        except Exception as error:
            self._loop.call_exception_handler(
                {"message": "the handler of a DTLS session failed", "exception": error}
            )
        finally:
            await session.close()


def _is_client_hello(data: bytes) -> bool:
    """Whether a datagram begins with a DTLSPlaintext that holds one, or a piece of one."""
    content_type, message_type = data[:1], data[PLAINTEXT_HEADER_BYTES:][:1]
    return (content_type, message_type) == (_HANDSHAKE, _CLIENT_HELLO)


def _client_random(data: bytes) -> bytes | None:
    """The random, if a datagram begins with the first ClientHello of an association."""
    epoch, fragment = data[3:5], data[PLAINTEXT_HEADER_BYTES:]
    seq_and_offset = fragment[4:9]
    random = fragment[FRAGMENT_HEADER_BYTES:][2 : 2 + RANDOM_BYTES]
    is_first = _is_client_hello(data) and not any(epoch) and not any(seq_and_offset)
    return random if is_first and len(random) == RANDOM_BYTES else None


async def connect(host: str, port: int, config: ConnectionConfig) -> Session:
    """A session with a server whose certificate is verified.

    Raises `SessionClosedError` if the handshake fails, `UsageError` for a configuration that is
    not a client's, and OSError for a host that has no address.
    """
    loop = asyncio.get_running_loop()
    connection = Connection.client(config, loop.time())
    _, socket = await loop.create_datagram_endpoint(
        lambda: _ClientSocket(connection), remote_addr=(host, port)
    )
    try:
        await socket.session.established()
    except BaseException:
        await socket.session.close()
        raise
    return socket.session


async def serve(host: str, port: int, config: ConnectionConfig, handler: Handler) -> Server:
    """A server on a local address; port 0 takes a free one, see `Server.address`.

    ``handler`` is called with each session whose handshake is complete; the session is closed when
    it returns. It may let `SessionClosedError` pass; any other exception goes to the event loop's
    exception handler. Raises `UsageError` for a configuration that is not a server's, and OSError
    if the address cannot be used.
    """
    config.check_server()
    loop = asyncio.get_running_loop()
    _, server = await loop.create_datagram_endpoint(
        lambda: Server(config, handler), local_addr=(host, port)
    )
    return server
