"""Our asyncio endpoint and a peer of another stack, over UDP on the loopback interface."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from interop.credentials import SERVER_NAME, authority, credentials, write_credentials, write_trust
from interop.peer import Agreement, Peer, start
from interop.stacks import Stack
from protocol.asyncio import Session, connect, serve
from protocol.config import ConnectionConfig
from tests.protocol.providers import PROVIDERS

HOST = "127.0.0.1"
#: Seconds for a handshake of ours; a simulated accelerator is slow.
_HANDSHAKE_TIMEOUT = 30.0


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
    """Our endpoint and a running peer."""

    peer: Peer

    async def meet(self, how: str = "connect") -> tuple[Session, Agreement]:
        """A session of the two, one at a time, and what the peer says about it.

        ``how`` a peer that is a client begins: ``connect``, ``resume`` or ``early HEX``.
        """


class _AsClient:
    def __init__(self, peer: Peer, config: ConnectionConfig, port: int) -> None:
        self.peer = peer
        self._config = config
        self._port = port
        self._sessions: list[Session] = []

    async def meet(self, how: str = "connect") -> tuple[Session, Agreement]:
        session = await connect(HOST, self._port, self._config)
        self._sessions.append(session)
        return session, await self.peer.expect_connected()

    async def close(self) -> None:
        for session in self._sessions:
            await session.close()


class _AsServer:
    def __init__(self, peer: Peer, sessions: "asyncio.Queue[Session]") -> None:
        self.peer = peer
        self._sessions = sessions

    async def meet(self, how: str = "connect") -> tuple[Session, Agreement]:
        self.peer.tell(how)
        agreement = await self.peer.expect_connected()
        return await self._sessions.get(), agreement


@asynccontextmanager
async def meeting(
    case: Case, ours: Mapping[str, object] | None = None, **options: object
) -> AsyncIterator[Meeting]:
    """Both sides, with fields of our `ConnectionConfig` and the peer's options."""
    make = _as_client if case.role == "client" else _as_server
    async with make(case, ours or {}, options) as result:
        yield result


@asynccontextmanager
async def _as_client(
    case: Case, ours: Mapping[str, object], options: Mapping[str, object]
) -> AsyncIterator[Meeting]:
    own = credentials("secp256r1", SERVER_NAME)
    config = _config(
        case, {"trust": (authority().certificate,), "server_name": SERVER_NAME, **ours}
    )
    options = {**write_credentials(case.folder, own), **options}
    async with start(case.stack.program, "server", **options) as peer:
        port = int(await peer.expect("listening"))
        result = _AsClient(peer, config, port)
        try:
            yield result
        finally:
            await result.close()


@asynccontextmanager
async def _as_server(
    case: Case, ours: Mapping[str, object], options: Mapping[str, object]
) -> AsyncIterator[Meeting]:
    config = _config(case, {"credentials": credentials("secp256r1", SERVER_NAME), **ours})
    sessions: asyncio.Queue[Session] = asyncio.Queue()

    async def keep(session: Session) -> None:
        """Whoever takes it from the queue closes it; the server's end ends it in any case."""
        sessions.put_nowait(session)
        await asyncio.Event().wait()

    server = await serve(HOST, 0, config, keep)
    options = {"ca": write_trust(case.folder), "name": SERVER_NAME, **options}
    try:
        port = server.address[1]
        async with start(case.stack.program, "client", port=port, **options) as peer:
            yield _AsServer(peer, sessions)
    finally:
        await server.close()


def _config(case: Case, fields: Mapping[str, object]) -> ConnectionConfig:
    provider = PROVIDERS[case.provider]()
    settings = {"provider": provider, "handshake_timeout": _HANDSHAKE_TIMEOUT, **fields}
    return ConnectionConfig(**settings)  # type: ignore[arg-type]
