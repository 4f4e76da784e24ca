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
import socket
from collections.abc import Callable, Sequence

from protocol.asyncio import path_mtu
from protocol.asyncio.endpoint import ClientEndpoint, FailureHandler, Handler, Server
from protocol.asyncio.session import RECEIVE_QUEUE, Session, SessionClosedError
from protocol.asyncio.udp import Address
from protocol.config import ConnectionConfig
from protocol.manager import ManagerLimits
from protocol.session import SessionTicket

__all__ = [
    "RECEIVE_QUEUE",
    "Address",
    "FailureHandler",
    "Handler",
    "Server",
    "Session",
    "SessionClosedError",
    "connect",
    "serve",
]


async def connect(
    host: str,
    port: int,
    config: ConnectionConfig,
    *,
    ticket: SessionTicket | None = None,
    early_data: Sequence[bytes] = (),
    fragments: bool = False,
) -> Session:
    """A session with a server that has proved who it is.

    ``ticket`` is that of an earlier session (`Session.ticket`), which is resumed if the server lets
    us. ``early_data`` are records that go out with the first flight: the server may reject them
    (`HandshakeCompleted.early_data`), and an attacker repeat them; see `Connection.send_early`.
    ``fragments``: whether datagrams that are too large for the path may be cut on it. If not, Linux
    refuses them, and they become smaller (RFC 9147, 4.4).

    Raises `SessionClosedError` if the handshake fails, `UsageError` for a configuration that is
    not a client's, and OSError for a host that has no address.
    """
    config.check_client()
    sock = await _open(host, port, socket.socket.connect, fragments=fragments)
    endpoint = ClientEndpoint(sock)
    try:
        session = endpoint.connect(config, sock.getpeername(), ticket, early_data)
    except BaseException:
        endpoint.abort()
        raise
    try:
        await session.established()
    except BaseException:
        await session.close()
        raise
    return session


async def serve(
    host: str,
    port: int,
    config: ConnectionConfig,
    handler: Handler,
    *,
    limits: ManagerLimits | None = None,
    on_failure: FailureHandler = lambda address, end: None,
    fragments: bool = False,
) -> Server:
    """A server on a local address; port 0 takes a free one, see `Server.address`.

    ``handler`` is called with each session whose handshake is complete; the session is closed when
    it returns. It may let `SessionClosedError` pass; any other exception goes to the event loop's
    exception handler. ``on_failure`` is told of each client whose handshake fails, also of those
    that got an alert at once, who may not be where they say. ``fragments``: see `connect`. Raises
    `UsageError` for a configuration that is not a server's, and OSError if the address cannot be
    used.
    """
    config.check_server()
    sock = await _open(host, port, socket.socket.bind, fragments=fragments)
    return Server(sock, config, handler, limits, on_failure)


async def _open(
    host: str, port: int, place: Callable[[socket.socket, Address], None], *, fragments: bool
) -> socket.socket:
    """A UDP socket at the first address of a host that can be bound or connected to."""
    loop = asyncio.get_running_loop()
    problem = OSError(f"{host} has no address")
    for family, _, _, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM):
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            path_mtu.allow_fragments(sock, allow=fragments)
            place(sock, address)
        except OSError as error:
            sock.close()
            problem = error
        else:
            return sock
    raise problem
