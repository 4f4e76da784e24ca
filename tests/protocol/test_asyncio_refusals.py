"""What a server tells of handshakes that fail."""

import asyncio
import socket

import pytest

from protocol.alerts import AlertDescription
from protocol.asyncio import SessionClosedError, connect, serve
from protocol.config import ConnectionConfig
from protocol.crypto.suites import CipherSuite
from protocol.events import ConnectionTerminated
from protocol.manager import ManagerLimits
from tests.protocol.certificates import authority
from tests.protocol.endpoints import HOST, echo, run, until
from tests.protocol.pair import client_config, server_config

EAGER = ManagerLimits(handshakes_without_cookie=10)
OTHER_SUITE = {"suites": (CipherSuite.TLS_AES_256_GCM_SHA384,)}


def failures_of(
    client: ConnectionConfig, server: ConnectionConfig, limits: ManagerLimits | None = None
) -> list[ConnectionTerminated]:
    """What the server is told when this client cannot get through, from where the client is."""
    failures: list[tuple[object, ConnectionTerminated]] = []

    async def visit(port: int) -> None:
        session = await connect(HOST, port, client)
        await session.receive()

    async def test() -> None:
        endpoint = await serve(
            HOST, 0, server, echo, limits=limits, on_failure=lambda *told: failures.append(told)
        )
        try:
            with pytest.raises(SessionClosedError):
                await visit(endpoint.address[1])
            await until(lambda: bool(failures))
        finally:
            await endpoint.close()

    run(test())
    assert {address[0] for address, _ in failures} == {HOST}  # type: ignore[index]
    return [end for _, end in failures]


@pytest.mark.parametrize("limits", [None, EAGER])
def test_a_refused_hello_is_told_with_and_without_a_cookie(limits: ManagerLimits | None) -> None:
    suites = (CipherSuite.TLS_AES_128_GCM_SHA256,)
    (end,) = failures_of(client_config(**OTHER_SUITE), server_config(suites=suites), limits)
    assert end.alert == AlertDescription.HANDSHAKE_FAILURE
    assert not end.by_peer
    assert "suite" in end.reason


def test_a_client_that_does_not_believe_the_server_is_told() -> None:
    (end,) = failures_of(client_config(server_name="other.example"), server_config())
    assert end.alert == AlertDescription.BAD_CERTIFICATE
    assert end.by_peer


def test_a_client_without_a_certificate_is_told() -> None:
    (end,) = failures_of(client_config(), server_config(trust=(authority().certificate,)))
    assert end.alert == AlertDescription.CERTIFICATE_REQUIRED


def test_a_client_that_falls_silent_is_told() -> None:
    """Its first datagram is all that there is of it."""
    failures: list[ConnectionTerminated] = []

    async def test() -> None:
        endpoint = await serve(
            HOST,
            0,
            server_config(handshake_timeout=0.05),
            echo,
            limits=EAGER,
            on_failure=lambda address, end: failures.append(end),
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as relay:
            relay.bind((HOST, 0))
            relay.setblocking(False)
            visit = asyncio.create_task(connect(HOST, relay.getsockname()[1], client_config()))
            loop = asyncio.get_running_loop()
            await loop.sock_sendto(relay, await loop.sock_recv(relay, 2048), endpoint.address)
            await until(lambda: bool(failures))
            visit.cancel()
        await endpoint.close()

    run(test())
    (end,) = failures
    assert end.alert is None
    assert "in time" in end.reason
