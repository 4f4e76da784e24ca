"""Our endpoint and a peer of another stack, over UDP on the loopback interface."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from interop.credentials import (
    SERVER_NAME,
    authority,
    credentials,
    write_credentials,
    write_trust,
)
from interop.endpoint import Endpoint
from interop.patience import PATIENCE
from interop.peer import Agreement, Peer, start
from interop.stacks import Stack
from protocol.config import ConnectionConfig
from protocol.connection import Connection
from protocol.crypto.fallback import FallbackProvider
from protocol.crypto.openssl import SoftwareProvider
from protocol.record import ContentType
from protocol.session import SessionTicket
from tests.protocol.providers import PROVIDERS_AND_BOARD

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Case:
    """Who meets whom: our role is ``client`` or ``server``, and the stack's peer has the other."""

    stack: Stack
    role: str
    #: Who protects our records.
    provider: str
    #: A directory for files of the peer's.
    folder: Path


class Meeting(Protocol):
    """Our side and a running peer."""

    peer: Peer

    async def meet(self) -> tuple[Endpoint, Agreement]:
        """A session of the two, one at a time, and what the peer says about it."""

    async def resume(
        self, ticket: SessionTicket | None, early: bytes | None = None
    ) -> tuple[Endpoint, Agreement]:
        """The same with a ticket, a client of the peer's has its own, and with early data."""


class _Socket(asyncio.DatagramProtocol):
    """A socket of one endpoint at a time."""

    def __init__(self, answer: Callable[["_Socket", tuple[str, int]], None] | None = None) -> None:
        self.endpoint: Endpoint | None = None
        self.transport: asyncio.DatagramTransport
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        is_free = self.endpoint is None or self.endpoint.end is not None
        if self._answer and is_free and data[0] == ContentType.HANDSHAKE:
            self._answer(self, addr)
        if self.endpoint is not None:
            self.endpoint.receive_datagram(data)

    def close(self) -> None:
        if self.endpoint is not None:
            self.endpoint.close()
        self.transport.close()


class _AsClient:
    def __init__(self, peer: Peer, config: ConnectionConfig, port: int) -> None:
        self.peer = peer
        self._config = config
        self._port = port
        self._sockets: list[_Socket] = []

    async def meet(self) -> tuple[Endpoint, Agreement]:
        return await self.resume(None)

    async def resume(
        self, ticket: SessionTicket | None, early: bytes | None = None
    ) -> tuple[Endpoint, Agreement]:
        loop = asyncio.get_running_loop()
        _, socket = await loop.create_datagram_endpoint(_Socket, remote_addr=(HOST, self._port))
        self._sockets.append(socket)
        connection = Connection.client(self._config, loop.time(), ticket)
        if early is not None:
            connection.send_early(early)
        endpoint = socket.endpoint = Endpoint(connection, socket.transport.sendto)
        endpoint.flush()
        await endpoint.established()
        return endpoint, await self.peer.expect_connected()

    def close(self) -> None:
        for socket in self._sockets:
            socket.close()


class _AsServer:
    def __init__(self, peer: Peer, socket: _Socket) -> None:
        self.peer = peer
        self._socket = socket

    async def meet(self) -> tuple[Endpoint, Agreement]:
        return await self._accept("connect")

    async def resume(
        self, ticket: SessionTicket | None, early: bytes | None = None
    ) -> tuple[Endpoint, Agreement]:
        return await self._accept("resume" if early is None else f"early {early.hex()}")

    async def _accept(self, command: str) -> tuple[Endpoint, Agreement]:
        self.peer.tell(command)
        agreement = await self.peer.expect_connected()
        endpoint = self._socket.endpoint
        assert endpoint is not None
        await endpoint.established()
        return endpoint, agreement


@asynccontextmanager
async def meeting(
    case: Case, ours: Mapping[str, object] | None = None, **options: object
) -> AsyncIterator[Meeting]:
    """Both sides, with fields of our `ConnectionConfig` and the peer's options."""
    make = _as_client if case.role == "client" else _as_server
    async with make(case, ours or {}, options) as result:
        yield result


def client_config(case: Case, fields: Mapping[str, object]) -> ConnectionConfig:
    """What our clients have, but for these fields."""
    return _config(
        case, {"trust": (authority().certificate,), "server_name": SERVER_NAME, **fields}
    )


def server_config(case: Case, fields: Mapping[str, object]) -> ConnectionConfig:
    """What our servers have, but for these fields."""
    return _config(case, {"credentials": credentials("secp256r1", SERVER_NAME), **fields})


@asynccontextmanager
async def peer_server(case: Case, options: Mapping[str, object]) -> AsyncIterator[tuple[Peer, int]]:
    """A server of the peer's and its port."""
    if "cert" not in options:
        own = write_credentials(case.folder, credentials("secp256r1", SERVER_NAME))
        options = {**own, **options}
    async with start(case.stack.program, "server", **options) as peer:
        yield peer, int(await peer.expect("listening"))


@asynccontextmanager
async def peer_client(case: Case, port: int, options: Mapping[str, object]) -> AsyncIterator[Peer]:
    """A client of the peer's, for our server on a port."""
    options = {"ca": write_trust(case.folder), "name": SERVER_NAME, **options}
    async with start(case.stack.program, "client", port=port, **options) as peer:
        yield peer


@asynccontextmanager
async def _as_client(
    case: Case, ours: Mapping[str, object], options: Mapping[str, object]
) -> AsyncIterator[Meeting]:
    config = client_config(case, ours)
    async with peer_server(case, options) as (peer, port):
        result = _AsClient(peer, config, port)
        try:
            yield result
        finally:
            result.close()


@asynccontextmanager
async def _as_server(
    case: Case, ours: Mapping[str, object], options: Mapping[str, object]
) -> AsyncIterator[Meeting]:
    config = server_config(case, ours)
    loop = asyncio.get_running_loop()

    def answer(socket: _Socket, address: tuple[str, int]) -> None:
        connection = Connection.server(config, loop.time())
        socket.endpoint = Endpoint(connection, lambda data: socket.transport.sendto(data, address))

    transport, socket = await loop.create_datagram_endpoint(
        lambda: _Socket(answer), local_addr=(HOST, 0)
    )
    try:
        port = transport.get_extra_info("sockname")[1]
        async with peer_client(case, port, options) as peer:
            yield _AsServer(peer, socket)
    finally:
        socket.close()


def _config(case: Case, fields: Mapping[str, object]) -> ConnectionConfig:
    provider = FallbackProvider(PROVIDERS_AND_BOARD[case.provider](), SoftwareProvider())
    settings = {"provider": provider, "handshake_timeout": PATIENCE, **fields}
    return ConnectionConfig(**settings)  # type: ignore[arg-type]
