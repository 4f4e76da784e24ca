"""Early data, where the server wants a connection ID that the client cannot know yet.

RFC 9147, 4: it is in all datagrams once it is negotiated, which is when the ServerHello has come.
"""

import pytest

from protocol.events import DataReceived, EarlyDataRejected
from protocol.key_schedule import traffic_keys
from protocol.record import ContentType
from protocol.stats import Drop
from protocol.tickets import TicketIssuer
from tests.protocol.pair import DELAY, Network
from tests.protocol.providers import PROVIDERS
from tests.protocol.sessions import Resumable, resumed

ALLOWED = 5000
EARLY = [b"first", b"second"]


def world_with_ids(provider="software", **changes):
    world = Resumable(PROVIDERS[provider], early=ALLOWED, **changes)
    world.change_server(connection_id=lambda: b"server")
    return world


def begin(world, network=None):
    pair = world.pair(world.ticket(), network)
    for data in EARLY:
        pair.client.send_early(data)
    return pair


def receive_server_hello(pair):
    """The client gets the first record of the server's flight, and nothing else."""
    for datagram in pair.client.datagrams_to_send(0.0):
        pair.server.receive_datagram(datagram, 0.0)
    flight = pair.server.datagrams_to_send(0.0)[0]
    pair.client.receive_datagram(flight[: 13 + int.from_bytes(flight[11:13], "big")], 0.0)


def early_data(pair):
    return [e.data for e in pair.events["server"] if isinstance(e, DataReceived) and e.early]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_early_data_comes_without_a_connection_id_and_is_taken(provider):
    pair = begin(world_with_ids(provider))
    pair.run()
    assert early_data(pair) == EARLY
    assert pair.result("client").early_data
    assert pair.result("client").send_connection_id == b"server"
    assert resumed(pair)
    pair.client.send(b"late")
    pair.run()
    assert pair.datagrams("client")[-1][1:7] == b"server"
    assert pair.data("server")[-1] == b"late"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_client_may_go_on_with_the_connection_id(provider):
    """Ours does not; another that has more early data after the ServerHello has to."""
    pair = begin(world_with_ids(provider))
    early = _early_keys(pair)
    pair.run(1.5 * DELAY)
    sealer = pair.client._records._provider.sealer(early, 1, b"server", 2)
    record = sealer.seal(ContentType.APPLICATION_DATA, b"third")
    for _ in range(2):
        pair.inject("server", record)
    pair.run()
    assert early_data(pair) == [*EARLY, b"third"]
    assert pair.server.connected


def _early_keys(pair):
    """The keys of epoch 1: the schedule makes them again."""
    handshake = pair.client._handshake
    psk = handshake._psks[0]
    return traffic_keys(psk.suite, handshake._early_traffic(psk))


def test_each_early_record_is_taken_once():
    pair = begin(world_with_ids())
    pair.network = Network(duplication=1.0)
    pair.run()
    assert early_data(pair) == EARLY


def test_early_data_ends_when_the_connection_id_is_known():
    """RFC 9147, 4: no datagram goes without it from then on."""
    world = world_with_ids()
    pair = world.pair(world.ticket())
    receive_server_hello(pair)
    assert not pair.client.connected
    assert pair.client.early_data_left == 0


def test_without_that_early_data_goes_on_until_the_finished():
    world = Resumable(early=ALLOWED)
    pair = world.pair(world.ticket())
    receive_server_hello(pair)
    assert pair.client.early_data_left == ALLOWED


def test_rejected_early_data_without_a_connection_id_is_dropped():
    world = world_with_ids()
    ticket = world.ticket()
    world.change_server(tickets=TicketIssuer())
    pair = world.pair(ticket)
    pair.client.send_early(b"first")
    pair.run()
    assert early_data(pair) == []
    assert pair.server.stats.drops == {Drop.CONNECTION_ID: 1}
    assert EarlyDataRejected() in pair.events["client"]


def test_other_records_without_a_connection_id_are_dropped():
    """RFC 9147, 4: in epoch 3 it is known."""
    pair = begin(world_with_ids())
    pair.run()
    layer = pair.client._records
    bare = layer._provider.sealer(layer._write_keys[3], 3, b"", 50)
    pair.inject("server", bare.seal(ContentType.APPLICATION_DATA, bytes(20)))
    assert pair.server.stats.drops[Drop.CONNECTION_ID] == 1
    assert pair.server.connected


def test_the_keys_of_both_forms_are_forgotten():
    pair = begin(world_with_ids())
    pair.run()
    pair.client.send(b"epoch 3")
    pair.run()
    assert 1 not in pair.server._records._openers
    assert 1 not in pair.client._records.sealers
