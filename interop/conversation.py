"""What sessions say to each other once they are there."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

from interop.peer import Peer
from protocol.asyncio import Session

P = ParamSpec("P")
#: Seconds after which a test that hangs fails.
_PATIENCE = 60.0


def run(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test that is a coroutine."""

    @wraps(test)
    def runner(*args: P.args, **kwargs: P.kwargs) -> None:
        async def patiently() -> None:
            async with asyncio.timeout(_PATIENCE):
                await test(*args, **kwargs)

        asyncio.run(patiently())

    return runner


async def talk(session: Session, peer: Peer) -> None:
    """Records of several sizes, both ways."""
    for size in (1, 15, 16, 17, 333, session.max_payload):
        data = bytes(range(256)) * 5
        await say(session, peer, data[:size])
        await hear(session, peer, data[-size:])


async def say(session: Session, peer: Peer, data: bytes) -> None:
    """Our record arrives."""
    await session.send(data)
    assert await peer.expect("data") == data.hex()


async def hear(session: Session, peer: Peer, data: bytes) -> None:
    """A record of the peer's arrives."""
    peer.tell(f"send {data.hex()}")
    assert await session.receive() == data
