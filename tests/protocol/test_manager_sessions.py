"""PSKs, resumption and early data with a server that asks for cookies, and with one that does not.

A HelloRetryRequest rejects early data (RFC 8446, 4.2.10): only clients that need no cookie can have
theirs accepted.
"""

import pytest

from protocol.asyncio import Session, connect
from protocol.crypto.suites import CipherSuite
from protocol.events import DataReceived, EarlyDataRejected, HandshakeCompleted
from protocol.key_exchange import NamedGroup
from protocol.manager import ManagerLimits
from protocol.psk import ExternalPsk
from protocol.psk_extensions import PskMode
from tests.protocol.crowd import Client, Crowd
from tests.protocol.endpoints import HOST, run, serving, until
from tests.protocol.pair import client_config, server_config
from tests.protocol.providers import PROVIDERS
from tests.protocol.sessions import Resumable

EAGER = ManagerLimits(handshakes_without_cookie=8)


def result(client: Client) -> HandshakeCompleted:
    (event,) = [event for event in client.events if isinstance(event, HandshakeCompleted)]
    return event


@pytest.mark.parametrize("provider", ["software", "accelerator_model"])
@pytest.mark.parametrize("groups", [None, (NamedGroup.SECP256R1,)], ids=["same group", "other"])
@pytest.mark.parametrize("mtu", [200, 1200])
def test_a_session_is_resumed_after_a_cookie(
    provider: str, groups: tuple[NamedGroup, ...] | None, mtu: int
) -> None:
    both = Resumable(PROVIDERS[provider])
    ticket = both.ticket()
    both.change_client(mtu=mtu)
    if groups is not None:
        both.change_server(groups=groups)
    crowd = Crowd(both.server)
    client = crowd.join("a", both.client, ticket)
    crowd.run()
    assert result(client).resumed
    assert crowd.manager.stats.retries_sent == 1
    assert len(crowd.completed()) == 1


@pytest.mark.parametrize("mode", PskMode)
@pytest.mark.parametrize("suite", [CipherSuite.TLS_AES_256_GCM_SHA384, CipherSuite(0x1301)])
def test_an_external_psk_after_a_cookie(mode: PskMode, suite: CipherSuite) -> None:
    """The suite of the HelloRetryRequest has to fit the PSK, not the server's preference."""
    psk = ExternalPsk(b"us", bytes(range(32)), suite)
    common = {"psks": (psk,), "psk_modes": (mode,)}
    crowd = Crowd(server_config(**common, credentials=None))
    client = crowd.join("a", client_config(**common, trust=(), server_name=None))
    crowd.run()
    assert result(client).psk_identity == b"us"
    assert (result(client).group is None) == (mode is PskMode.PSK_KE)
    assert crowd.manager.stats.retries_sent == 1


def test_a_cookie_rejects_early_data() -> None:
    both = Resumable(early=1000)
    ticket = both.ticket()
    crowd = Crowd(both.server)
    client = crowd.join("a", both.client, ticket, early_data=[b"early"])
    crowd.run()
    assert result(client).resumed
    assert EarlyDataRejected() in client.events
    (peer,) = crowd.completed()
    assert crowd.data(peer) == []


def test_early_data_is_taken_from_a_client_that_needs_no_cookie() -> None:
    both = Resumable(early=1000)
    ticket = both.ticket()
    crowd = Crowd(both.server, EAGER)
    client = crowd.join("a", both.client, ticket, early_data=[b"early", b"data"])
    crowd.run()
    assert result(client).early_data
    (peer,) = crowd.completed()
    received = [event for event in crowd.peer_events(peer) if isinstance(event, DataReceived)]
    assert received == [DataReceived(b"early", early=True), DataReceived(b"data", early=True)]


def test_early_data_does_not_prove_an_address() -> None:
    """It comes under keys that a client has without having heard of the server."""
    both = Resumable(early=1000)
    both.change_server(mtu=400)
    ticket = both.ticket()
    crowd = Crowd(both.server, EAGER, lose=lambda source, target, data: target == "a")
    crowd.join("a", both.client, ticket, early_data=[b"early"])
    crowd.run(50)
    assert crowd.bytes_sent("server", "a") <= 3 * crowd.bytes_sent("a", "server")
    (peer,) = crowd.manager
    assert peer.allowance is not None


def test_endpoints_resume_sessions_and_keep_early_data_apart() -> None:
    both = Resumable(early=1000)

    async def tell(session: Session) -> None:
        await session.send(b"|".join(session.early_data))
        await session.send(session.export_keying_material(b"EXPORTER-test", b"", 16))
        await session.receive()

    async def test() -> None:
        async with serving(tell, both.server, EAGER) as (_, port):
            first = await connect(HOST, port, both.client)
            assert await first.receive() == b""
            await until(lambda: first.ticket is not None)
            await first.close()
            again = await connect(
                HOST, port, both.client, ticket=first.ticket, early_data=[b"in", b"time"]
            )
            assert again.handshake.resumed
            assert again.handshake.early_data
            assert await again.receive() == b"in|time"
            assert await again.receive() == again.export_keying_material(b"EXPORTER-test", b"", 16)
            await again.close()

    run(test())


def test_an_endpoint_that_cannot_begin_leaves_no_socket_behind() -> None:
    async def test() -> None:
        async with serving() as (_, port):
            with pytest.raises(ValueError, match="early data cannot be sent"):
                await connect(HOST, port, client_config(), early_data=[b"x"])

    run(test())
