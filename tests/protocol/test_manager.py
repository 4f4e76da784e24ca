"""Many associations on one socket: how they begin, go on and end."""

import sys
from collections.abc import Callable

import pytest

from protocol.alerts import AlertDescription, UsageError
from protocol.crypto.suites import CipherSuite
from protocol.events import ConnectionTerminated, DataReceived, HandshakeCompleted, PeerClosed
from protocol.key_exchange import NamedGroup
from protocol.manager import Manager, ManagerLimits
from protocol.stats import Unrouted
from tests.protocol.certificates import authority, credentials
from tests.protocol.crowd import Crowd
from tests.protocol.pair import Network, client_config, server_config
from tests.protocol.providers import PROVIDERS
from tests.protocol.test_asyncio_failures import FailingProvider

DEVICES = ["software", "accelerator_model"]


@pytest.mark.parametrize("provider", DEVICES)
def test_many_clients_shake_hands_and_talk(provider: str) -> None:
    crowd = Crowd(server_config(provider=PROVIDERS[provider]()))
    clients = [crowd.join(("192.0.2.1", port)) for port in range(3)]
    crowd.run()
    for number, client in enumerate(clients):
        peer = crowd.peer(client)
        client.connection.send(b"to %d" % number)
        crowd.manager.send(peer, b"from %d" % number)
    crowd.run()
    for number, client in enumerate(clients):
        assert client.data == [b"from %d" % number]
        assert crowd.data(crowd.peer(client)) == [b"to %d" % number]
    assert crowd.manager.stats.handshakes_completed == 3
    assert crowd.manager.handshakes == 0
    assert crowd.manager.stats.retries_sent == 3


@pytest.mark.parametrize("seed", range(6))
def test_all_get_through_a_bad_network(seed: int) -> None:
    network = Network(seed, loss=0.2, duplication=0.2, reordering=0.2)
    patient = {"max_retransmission_timeout": 4.0, "handshake_timeout": 250.0}
    crowd = Crowd(server_config(**patient), network=network)
    clients = [
        crowd.join(number, client_config(mtu=200 if number % 2 else 1200, **patient))
        for number in range(6)
    ]
    crowd.run()
    assert all(client.connection.connected for client in clients)
    peers = [crowd.peer(client) for client in clients]
    assert all(peer.established for peer in peers)
    assert len(crowd.manager) == len(clients)


@pytest.mark.parametrize("suite", CipherSuite)
@pytest.mark.parametrize("mtu", [200, 1200])
def test_a_retry_for_the_group_and_for_the_cookie_is_one(suite: CipherSuite, mtu: int) -> None:
    groups = (NamedGroup.SECP256R1,)
    crowd = Crowd(server_config(groups=groups, suites=(suite,)))
    client = crowd.join("a", client_config(mtu=mtu, suites=tuple(CipherSuite)))
    crowd.run()
    (result,) = [e for e in client.events if isinstance(e, HandshakeCompleted)]
    assert (result.suite, result.group) == (suite, NamedGroup.SECP256R1)
    assert client.connection.stats.flights_sent == 3
    assert crowd.manager.stats.retries_sent == 1


def test_client_certificates_after_a_cookie() -> None:
    crowd = Crowd(server_config(trust=(authority().certificate,)))
    client = crowd.join("a", client_config(credentials=credentials()))
    crowd.run()
    (result,) = [
        event
        for event in crowd.peer_events(crowd.peer(client))
        if isinstance(event, HandshakeCompleted)
    ]
    assert result.peer_certificate is not None


def test_keys_change_in_both_directions() -> None:
    crowd = Crowd()
    client = crowd.join("a")
    crowd.run()
    peer = crowd.peer(client)
    crowd.manager.update_keys(peer, crowd.now, request_peer=True)
    crowd.run()
    crowd.manager.send(peer, b"hello")
    client.connection.send(b"hello")
    crowd.run()
    assert client.data == crowd.data(peer) == [b"hello"]


def test_an_idle_manager_has_no_timer_and_nothing_to_send() -> None:
    crowd = Crowd()
    for address in range(3):
        crowd.join(address)
    crowd.run()
    assert crowd.manager.timer() is None
    assert crowd.manager.datagrams_to_send(crowd.now) == []
    assert crowd.manager.events() == []


def test_a_client_that_falls_silent_is_given_up() -> None:
    heard = []
    crowd = Crowd(lose=lambda source, target, data: target == "a" and len(heard) > 0)
    client = crowd.join("a")
    crowd.run(0.015)  # its hello, and the answer
    heard.append(True)
    crowd.run()
    assert not client.connection.connected
    (end,) = crowd.ended().values()
    assert end.reason == "the peer did not answer in time"
    assert len(crowd.manager) == crowd.manager.handshakes == 0


@pytest.mark.parametrize("closer", ["client", "server"])
def test_either_side_may_close(closer: str) -> None:
    crowd = Crowd()
    client = crowd.join("a")
    crowd.run()
    peer = crowd.peer(client)
    if closer == "server":
        crowd.manager.close(peer, crowd.now)
        crowd.manager.close(peer, crowd.now)
    else:
        client.connection.close(crowd.now)
    crowd.run()
    heard = client.events if closer == "server" else crowd.peer_events(peer)
    assert PeerClosed() in heard
    assert (len(crowd.manager) == 0) == (closer == "server")
    client.connection.close(crowd.now)
    crowd.manager.close(peer, crowd.now)
    assert len(crowd.manager) == 0


def test_a_failing_provider_ends_its_association_only() -> None:
    class Fragile(FailingProvider):
        """Fails once."""

        def fail(self, *arguments: object) -> None:
            self.method = "nothing"
            super().fail()

    crowd = Crowd(server_config(provider=Fragile("open")))
    first = crowd.join("a")
    crowd.run()
    first_peer = crowd.peer(first)
    first.connection.send(b"hello")
    crowd.run()
    second = crowd.join("b")
    crowd.run()
    second.connection.send(b"hello")
    crowd.run()
    assert crowd.ended() == {
        first_peer: ConnectionTerminated(
            "OSError: the device is unplugged", AlertDescription.INTERNAL_ERROR
        )
    }
    end = first.events[-1]
    assert isinstance(end, ConnectionTerminated)
    assert end.alert == AlertDescription.INTERNAL_ERROR
    assert crowd.data(crowd.peer(second)) == [b"hello"]


def test_noise_is_dropped_and_counted() -> None:
    crowd = Crowd()
    client = crowd.join("a")
    crowd.run()
    for data in (b"", b"\x16", b"\x2f" + bytes(60), bytes(1400)):
        crowd.inject("b", data)
        crowd.inject("a", data)
    assert crowd.manager.stats.drops == {Unrouted.NO_CONNECTION: 4}
    client.connection.send(b"hello")
    crowd.run()
    assert crowd.data(crowd.peer(client)) == [b"hello"]


@pytest.mark.parametrize(
    "limits",
    [ManagerLimits(connections=2), ManagerLimits(handshakes=2, handshakes_without_cookie=9)],
)
def test_there_are_limits(limits: ManagerLimits) -> None:
    crowd = Crowd(limits=limits, lose=lambda source, target, data: target in ("a", "b", "c"))
    if limits.connections == 2:
        crowd.lose = lambda source, target, data: False
    for address in ("a", "b", "c"):
        crowd.join(address)
        crowd.run(0.1)
    assert len(crowd.manager) == 2
    assert crowd.manager.stats.drops[Unrouted.FULL] >= 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("connections", 0), ("handshakes", 0), ("handshakes_without_cookie", -1), ("hello_bytes", 9)],
)
def test_limits_that_cannot_work_are_refused(name: str, value: int) -> None:
    with pytest.raises(UsageError, match=f"{name} must be .* not {value}"):
        ManagerLimits(**{name: value})


def test_a_server_that_refuses_clients_lets_the_others_go_on() -> None:
    crowd = Crowd()
    client = crowd.join("a")
    crowd.run(0.035)  # Its second hello has arrived.
    assert crowd.manager.handshakes == 1
    crowd.manager.refuse_clients()
    crowd.join("b")
    crowd.run()
    assert client.connection.connected
    assert [peer.address for peer in crowd.manager] == ["a"]


def calls_of(action: Callable[[], object]) -> int:
    """How many functions are called, Python's and C's."""
    calls = 0

    def count(_frame: object, kind: str, _argument: object) -> None:
        nonlocal calls
        calls += kind in ("call", "c_call")

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls


def test_what_a_record_takes_does_not_depend_on_the_number_of_connections() -> None:
    def measure(connections: int) -> tuple[int, int]:
        crowd = Crowd()
        clients = [crowd.join(number) for number in range(connections)]
        crowd.run()
        client, peer = clients[connections // 2], crowd.peer(clients[connections // 2])
        client.connection.send(b"hello")
        datagrams = client.connection.datagrams_to_send(crowd.now)

        def receive() -> None:
            crowd.manager.receive_datagrams(datagrams, client.address, crowd.now)
            crowd.manager.events()
            crowd.manager.datagrams_to_send(crowd.now)
            crowd.manager.timer()

        def send() -> None:
            crowd.manager.send(peer, b"hello")
            crowd.manager.datagrams_to_send(crowd.now)
            crowd.manager.timer()

        return calls_of(receive), calls_of(send)

    assert measure(1) == measure(40)


def test_totals_include_what_has_ended() -> None:
    crowd = Crowd()
    clients = [crowd.join(address) for address in ("a", "b")]
    crowd.run()
    before = crowd.manager.totals
    crowd.manager.close(crowd.peer(clients[0]), crowd.now)
    crowd.run()
    after = crowd.manager.totals
    assert after.records_received == before.records_received
    assert after.records_sent == before.records_sent + 1
    assert after.datagrams_sent == before.datagrams_sent + 1


def test_a_manager_without_a_server_is_for_clients() -> None:
    manager, crowd = Manager(0.0), Crowd()
    peer = manager.connect(client_config(), "server", 0.0)
    with pytest.raises(UsageError, match="already"):
        manager.connect(client_config(), "server", 0.0)
    for _ in range(6):
        for _, datagrams in manager.datagrams_to_send(0.0):
            crowd.manager.receive_datagrams(datagrams, "us", 0.0)
        for _, datagrams in crowd.manager.datagrams_to_send(0.0):
            manager.receive_datagrams(datagrams, "server", 0.0)
    assert peer.established
    (server_peer,) = crowd.manager
    crowd.manager.send(server_peer, b"hello")
    for _, datagrams in crowd.manager.datagrams_to_send(0.0):
        manager.receive_datagrams(datagrams, "server", 0.0)
    events = [event for _, events in manager.events() for event in events]
    assert DataReceived(b"hello") in events
    crowd.manager.receive_datagrams([b"\x16" + bytes(30)], "elsewhere", 0.0)
    assert len(manager) == 1
