"""Peers that are known by their connection IDs, wherever they are (RFC 9146, 6; RFC 9147, 11)."""

from itertools import count

import pytest

from protocol.events import AddressChanged, ConnectionTerminated
from protocol.peer import Peer
from tests.protocol.crowd import Client, Crowd
from tests.protocol.pair import client_config, server_config
from tests.protocol.providers import PROVIDERS


def connected(*addresses: str, provider: str = "software") -> tuple[Crowd, list[Client]]:
    """A crowd whose server asks every client for a connection ID, and that number of clients."""
    numbers = count()
    crowd = Crowd(
        server_config(
            provider=PROVIDERS[provider](), connection_id=lambda: b"id-%05d" % next(numbers)
        )
    )
    clients = [crowd.join(address) for address in addresses]
    crowd.run()
    return crowd, clients


def talk(crowd: Crowd, client: Client, peer: Peer, text: bytes) -> None:
    """One record each way, which must arrive."""
    client.connection.send(text)
    crowd.run()
    assert crowd.data(peer)[-1] == text
    crowd.manager.send(peer, text)
    crowd.run()
    assert client.data[-1] == text


@pytest.mark.parametrize("provider", ["software", "accelerator_model"])
def test_a_peer_is_followed_to_its_new_address(provider: str) -> None:
    crowd, (client, other) = connected("a", "b", provider=provider)
    peer, other_peer = crowd.peer(client), crowd.peer(other)
    talk(crowd, client, peer, b"here")
    client.address = "moved"
    client.connection.send(b"there")
    crowd.run()
    assert crowd.data(peer) == [b"here", b"there"]
    assert peer.address == "moved"
    assert AddressChanged("moved") in crowd.peer_events(peer)
    assert crowd.manager.stats.addresses_changed == 1
    talk(crowd, client, peer, b"and back")
    talk(crowd, other, other_peer, b"still here")


def test_a_new_connection_id_is_used_on_a_new_path_if_there_is_one() -> None:
    """RFC 9147, 9: so that nobody can tell that it is the same peer."""
    own = count()
    crowd = Crowd(server_config(connection_id=lambda: b"server"))
    client = crowd.join("a", client_config(connection_id=lambda: b"client %d" % next(own)))
    crowd.run()
    client.connection.issue_connection_ids(1, crowd.now)
    crowd.run()
    peer = crowd.peer(client)
    client.address = "b"
    talk(crowd, client, peer, b"moved")
    assert b"client 0" in crowd.datagrams("server", "a")[-1]
    assert b"client 1" in crowd.datagrams("server", "b")[-1]


def test_nothing_but_the_test_goes_to_an_address_that_is_not_proven() -> None:
    crowd, (client,) = connected("a")
    peer = crowd.peer(client)
    client.connection.send(b"there")
    (stolen,) = client.connection.datagrams_to_send(crowd.now)
    crowd.inject("victim", stolen)
    for _ in range(20):
        crowd.manager.send(peer, bytes(1000))
        crowd.run(10)
    assert peer.address == "a"
    assert crowd.data(peer) == [b"there"]
    assert 0 < crowd.bytes_sent("server", "victim") <= 3 * len(stolen)
    assert len(client.data) == 20
    assert crowd.manager.stats.addresses_changed == 0


def test_a_test_without_an_answer_harms_nobody() -> None:
    crowd, (client,) = connected("a")
    peer = crowd.peer(client)
    client.connection.send(b"there")
    (stolen,) = client.connection.datagrams_to_send(crowd.now)
    crowd.inject("victim", stolen)
    crowd.run()
    assert client.connection.connected
    assert crowd.manager.timer() is None
    talk(crowd, client, peer, b"here")
    assert peer.address == "a"


def test_a_newer_record_from_the_old_address_ends_the_test() -> None:
    crowd, (client,) = connected("a")
    peer = crowd.peer(client)
    client.connection.send(b"there")
    (stolen,) = client.connection.datagrams_to_send(crowd.now)
    crowd.inject("victim", stolen)
    assert peer.candidate is not None
    client.connection.send(b"here")
    crowd.run()
    assert peer.candidate is None
    assert peer.address == "a"
    assert client.connection.connected


@pytest.mark.parametrize("kind", ["replayed", "older", "forged"])
def test_only_a_genuine_record_newer_than_all_before_counts(kind: str) -> None:
    crowd, (client,) = connected("a")
    peer = crowd.peer(client)
    client.connection.send(b"first")
    client.connection.send(b"second")
    first, second = client.connection.datagrams_to_send(crowd.now)
    crowd.inject("a", second)
    forged = bytearray(first)
    forged[-1] ^= 1
    crowd.inject("b", {"replayed": second, "older": first, "forged": bytes(forged)}[kind])
    assert peer.candidate is None
    assert crowd.bytes_sent("server", "b") == 0
    assert peer.address == "a"


def test_a_peer_may_move_again_and_again() -> None:
    crowd, (client,) = connected("a")
    peer = crowd.peer(client)
    for number in range(4):
        client.address = f"place {number}"
        client.connection.send(b"x")
        crowd.run()
        assert peer.address == client.address
    talk(crowd, client, peer, b"done")
    assert len(crowd.manager) == 1


def test_a_peer_without_a_connection_id_is_its_address() -> None:
    crowd = Crowd()
    client = crowd.join("a")
    crowd.run()
    peer = crowd.peer(client)
    client.address = "b"
    client.connection.send(b"lost")
    crowd.run()
    assert crowd.data(peer) == []
    assert peer.address == "a"


def test_an_address_that_was_left_can_be_had_by_another_client() -> None:
    crowd, (client,) = connected("a")
    peer = crowd.peer(client)
    client.address = "b"
    talk(crowd, client, peer, b"moved")
    newcomer = crowd.join("a")
    crowd.run()
    assert newcomer.connection.connected
    assert len(crowd.manager) == 2
    talk(crowd, client, peer, b"both")
    talk(crowd, newcomer, crowd.peer(newcomer), b"of us")


def test_two_peers_that_moved_to_one_address_are_told_apart() -> None:
    crowd, (first, second) = connected("a", "b")
    peers = [crowd.peer(first), crowd.peer(second)]
    first.address = second.address = "nat"
    for client, peer in zip((first, second), peers, strict=True):
        client.connection.send(b"x")
        crowd.run()
        assert peer.address == "nat"
    first.connection.send(b"first")
    second.connection.send(b"second")
    crowd.run()
    assert [crowd.data(peer)[-1] for peer in peers] == [b"first", b"second"]


def test_the_connection_ids_of_what_has_ended_are_forgotten() -> None:
    crowd, (client,) = connected("a")
    peer = crowd.peer(client)
    crowd.manager.close(peer, crowd.now)
    assert crowd.manager._by_id == crowd.manager._by_address == {}
    client.connection.send(b"x")
    crowd.run()
    assert isinstance(crowd.peer_events(peer)[-1], ConnectionTerminated)
