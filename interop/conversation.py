"""What sessions say to each other once they are there."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import wraps
from typing import Any, ParamSpec

from interop.endpoint import Endpoint
from interop.patience import PATIENCE
from interop.peer import Peer

P = ParamSpec("P")
#: Seconds after which a record of ours is lost.
_ANOTHER_TRY = 3.0


def run(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test that is a coroutine."""

    @wraps(test)
    def runner(*args: P.args, **kwargs: P.kwargs) -> None:
        async def patiently() -> None:
            async with asyncio.timeout(PATIENCE):
                await test(*args, **kwargs)

        asyncio.run(patiently())

    return runner


async def talk(session: Endpoint, peer: Peer, shortest: int = 1) -> None:
    """Records of several sizes, both ways; the peer's are of ``shortest`` bytes or more."""
    data = bytes(range(256)) * 6
    for size in (1, 15, 16, 17, 200):
        await say(session, peer, data[:size])
        await hear(session, peer, data[-max(size, shortest) :])
    await say(session, peer, data[: session.connection.max_payload])
    # wolfSSL wants more room for a record than it takes.
    await hear(session, peer, data[: session.connection.max_payload - 48])


async def say(session: Endpoint, peer: Peer, data: bytes) -> None:
    """Our record arrives."""
    session.send(data)
    assert await peer.expect("data") == data.hex()


async def say_again(session: Endpoint, peer: Peer, data: bytes) -> None:
    """One of our records arrives, perhaps not the first one."""
    while True:
        session.send(data)
        with suppress(TimeoutError):
            async with asyncio.timeout(_ANOTHER_TRY):
                assert await peer.expect("data") == data.hex()
                return


async def hear(session: Endpoint, peer: Peer, data: bytes) -> None:
    """A record of the peer's arrives."""
    peer.tell(f"send {data.hex()}")
    assert await session.receive() == data
