"""Endpoints whose provider, socket or client fails them."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from protocol.alerts import UsageError
from protocol.asyncio import Session, SessionClosedError, connect, serve
from protocol.connection import Connection
from protocol.crypto.openssl import SoftwareProvider
from protocol.events import ConnectionTerminated, DataReceived
from tests.protocol.endpoints import HOST, echo, run, serving, until
from tests.protocol.pair import client_config, server_config
from tests.protocol.providers import Worker


class FailingProvider(SoftwareProvider):
    """Fails to do one thing with records of epoch 3."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method = method

    def sealer(self, keys, epoch, connection_id=b"", first=0):  # type: ignore[no-untyped-def]
        return self.spoil(super().sealer(keys, epoch, connection_id, first), epoch)

    def opener(self, keys, epoch, connection_id=b"", first=0):  # type: ignore[no-untyped-def]
        return self.spoil(super().opener(keys, epoch, connection_id, first), epoch)

    def spoil(self, worker, epoch):  # type: ignore[no-untyped-def]
        if epoch != 3 or not hasattr(worker, self.method):
            return worker
        spoilt = Worker(worker)
        setattr(spoilt, self.method, self.fail)
        setattr(spoilt, f"{self.method}_many", self.fail)
        return spoilt

    def fail(self, *arguments: object) -> None:
        raise OSError("the device is unplugged")


@pytest.mark.parametrize("method", ["seal", "open"])
def test_a_failing_provider_ends_its_session_only(method: str) -> None:
    async def unlucky(port: int) -> None:
        session = await connect(HOST, port, client_config(provider=FailingProvider(method)))
        await session.send(b"hello")
        await session.receive()

    async def test() -> None:
        async with serving() as (_, port):
            with pytest.raises(SessionClosedError, match="OSError: the device is unplugged"):
                await unlucky(port)
            session = await connect(HOST, port, client_config())
            await session.send(b"hello")
            assert await session.receive() == b"hello"
            await session.close()

    run(test())


def test_the_peer_of_a_failing_provider_hears_of_it() -> None:
    ends = []

    async def wait(session: Session) -> None:
        try:
            await session.receive()
        except SessionClosedError as error:
            ends.append(error.event)
            raise

    async def test() -> None:
        async with serving(wait, server_config(provider=FailingProvider("open"))) as (_, port):
            session = await connect(HOST, port, client_config())
            await session.send(b"hello")
            with pytest.raises(SessionClosedError, match="internal_error"):
                await session.receive()
            await session.close()

    run(test())
    (end,) = ends
    assert isinstance(end, ConnectionTerminated)
    assert end.reason == "OSError: the device is unplugged"


class ForeignClient:
    """A bound socket through which connections speak to a server, one after the other."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.socket.connect((HOST, port))
        self.socket.setblocking(False)

    def begin(self) -> Connection:
        """A connection whose ClientHello is sent."""
        connection = Connection.client(client_config(), 0.0)
        self.send(connection)
        return connection

    def send(self, connection: Connection) -> None:
        for datagram in connection.datagrams_to_send(0.0):
            self.socket.send(datagram)

    async def receive(self, connection: Connection) -> None:
        data = await asyncio.get_running_loop().sock_recv(self.socket, 2048)
        connection.receive_datagram(data, 0.0)

    async def finish(self, connection: Connection) -> None:
        while not connection.connected:
            await self.receive(connection)
            self.send(connection)


def test_a_client_may_begin_anew_in_the_middle_of_its_handshake() -> None:
    async def test() -> None:
        async with serving() as (server, port):
            client = ForeignClient(port)
            with client.socket:
                first = client.begin()
                await client.receive(first)
                client.send(first)  # with the cookie
                await client.receive(first)
                assert server.sessions == 1
                again = client.begin()
                await client.finish(again)
                again.send(b"hello")
                client.send(again)
                while not isinstance(again.next_event(), DataReceived):
                    await client.receive(again)
                assert server.sessions == 1

    run(test())


def test_a_new_client_hello_does_not_end_a_session() -> None:
    """RFC 9147, 5.11: anyone can send one."""

    async def test() -> None:
        async with serving() as (server, port):
            client = ForeignClient(port)
            with client.socket:
                first = client.begin()
                await client.finish(first)
                await until(lambda: server.stats.handshakes_completed == 1)
                client.begin()
                await until(lambda: server.stats.retries_sent == 2)
                await client.receive(first)
                first.send(b"hello")
                client.send(first)
                while not isinstance(first.next_event(), DataReceived):
                    await client.receive(first)
                assert server.sessions == 1

    run(test())


@pytest.mark.parametrize("repeated", [0, 1, 2], ids=["whole", "first piece", "later piece"])
def test_a_repeated_client_hello_does_not_begin_anew(repeated: int) -> None:
    async def test() -> None:
        async with serving() as (server, port):
            client = ForeignClient(port)
            with client.socket:
                connection = Connection.client(client_config(mtu=128 if repeated else 1200), 0.0)
                client.send(connection)
                await client.receive(connection)
                datagrams = connection.datagrams_to_send(0.0)
                for datagram in datagrams:
                    client.socket.send(datagram)
                await until(lambda: server.sessions == 1)
                client.socket.send(datagrams[max(repeated - 1, 0)])
                await client.finish(connection)
                await until(lambda: server.stats.handshakes_completed == 1)
                assert server.stats.connections_begun == 1

    run(test())


@pytest.mark.parametrize(
    "start",
    [
        lambda: connect(HOST, 1, server_config()),
        lambda: serve(HOST, 0, client_config(), echo),
    ],
)
def test_a_configuration_for_the_other_side_is_refused(
    start: Callable[[], Awaitable[object]],
) -> None:
    async def test() -> None:
        with pytest.raises(UsageError):
            await start()

    run(test())
