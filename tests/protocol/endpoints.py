"""Sessions over real sockets on 127.0.0.1: what their tests share."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from protocol.asyncio import Handler, Server, Session, serve
from protocol.config import ConnectionConfig
from protocol.manager import ManagerLimits
from tests.protocol.pair import server_config

HOST = "127.0.0.1"
#: Seconds after which a test that hangs fails.
PATIENCE = 60


def run(test: Coroutine[Any, Any, None]) -> None:
    async def patiently() -> None:
        async with asyncio.timeout(PATIENCE):
            await test

    asyncio.run(patiently())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


async def echo(session: Session) -> None:
    while True:
        await session.send(await session.receive())


@asynccontextmanager
async def serving(
    handler: Handler = echo,
    config: ConnectionConfig | None = None,
    limits: ManagerLimits | None = None,
) -> AsyncIterator[tuple[Server, int]]:
    server = await serve(HOST, 0, config or server_config(), handler, limits=limits)
    try:
        yield server, server.address[1]
    finally:
        await server.close()
