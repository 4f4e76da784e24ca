"""The endpoints of `protocol.asyncio` and the peers."""

import asyncio

import pytest

from interop.conversation import run
from interop.session import HOST, Case, client_config, peer_client, peer_server, server_config
from protocol.asyncio import Session, SessionClosedError, connect, serve


@run
@pytest.mark.parametrize("role", ["client"], indirect=True)
async def test_asyncio_client(case: Case):
    async with peer_server(case, {}) as (peer, port):
        session = await connect(HOST, port, client_config(case, {}))
        await peer.expect_connected()
        await session.send(b"hello")
        assert bytes.fromhex(await peer.expect("data")) == b"hello"
        peer.tell("send 6869")
        assert await session.receive() == b"hi"
        await session.close()
        await peer.expect("closed")


@run
@pytest.mark.parametrize("role", ["server"], indirect=True)
async def test_asyncio_server(case: Case):
    """Two clients, one after the other."""
    ended = asyncio.Queue()

    async def echo(session: Session) -> None:
        try:
            while True:
                await session.send(await session.receive())
        except SessionClosedError:
            ended.put_nowait(session)

    server = await serve(HOST, 0, server_config(case, {}), echo)
    try:
        async with peer_client(case, server.address[1], {}) as peer:
            for _ in range(2):
                peer.tell("connect")
                await peer.expect_connected()
                peer.tell("send 6869")
                assert bytes.fromhex(await peer.expect("data")) == b"hi"
                peer.tell("close")
                await peer.expect("closed")
                await ended.get()
    finally:
        await server.close()
