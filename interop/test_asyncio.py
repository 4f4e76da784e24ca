"""The endpoints of `protocol.asyncio` and the peers, stateless cookies included."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from interop.conversation import run
from interop.peer import Peer
from interop.session import HOST, Case, client_config, peer_client, peer_server, server_config
from interop.stacks import named
from interop.test_psk import PEER_PSK, PSK
from protocol.asyncio import Session, SessionClosedError, connect, serve
from protocol.key_exchange import NamedGroup

as_server = pytest.mark.parametrize("role", ["server"], indirect=True)


async def echo(session: Session) -> None:
    try:
        while True:
            await session.send(await session.receive())
    except SessionClosedError:
        pass


@asynccontextmanager
async def serving(case: Case, fields: dict[str, object], **options: object) -> AsyncIterator[Peer]:
    """A client of the peer's, and our server, which asks for a cookie in each handshake."""
    server = await serve(HOST, 0, server_config(case, fields), echo)
    try:
        async with peer_client(case, server.address[1], options) as peer:
            yield peer
    finally:
        await server.close()


async def visit(peer: Peer) -> None:
    """One session of a client, and its echo."""
    peer.tell("connect")
    await peer.expect_connected()
    peer.tell("send 6869")
    assert await peer.expect("data") == "6869"
    peer.tell("close")
    await peer.expect("closed")


@run
@pytest.mark.parametrize("role", ["client"], indirect=True)
async def test_asyncio_client(case: Case):
    async with peer_server(case, {}) as (peer, port):
        session = await connect(HOST, port, client_config(case, {}))
        await peer.expect_connected()
        await session.send(b"hello")
        assert await peer.expect("data") == b"hello".hex()
        peer.tell("send 6869")
        assert await session.receive() == b"hi"
        await session.close()
        await peer.expect("closed")


@run
@as_server
async def test_asyncio_server(case: Case):
    """Two clients, one after the other."""
    async with serving(case, {}) as peer:
        for _ in range(2):
            await visit(peer)


@run
@as_server
async def test_asyncio_server_of_another_group(case: Case):
    """One HelloRetryRequest for the group and the cookie."""
    groups = (NamedGroup.SECP256R1,)
    offered = named(NamedGroup.X25519, NamedGroup.SECP256R1)
    async with serving(case, {"groups": groups}, groups=offered) as peer:
        await visit(peer)


@run
@as_server
async def test_asyncio_server_and_a_hello_in_fragments(case: Case):
    """The hello does not fit a datagram, nor does the one that brings back the cookie."""
    group = NamedGroup.X25519MLKEM768
    async with serving(case, {"groups": (group,)}, groups=named(group), mtu=600) as peer:
        await visit(peer)


@run
@as_server
async def test_asyncio_server_with_an_external_psk(case: Case):
    """Its binder covers both hellos, of which the server has kept neither."""
    async with serving(case, {"psks": (PSK,)}, **PEER_PSK) as peer:
        await visit(peer)
