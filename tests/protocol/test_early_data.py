"""0-RTT (RFC 8446, 2.3, 4.2.10 and 8; RFC 9147, 5.6 and 5.7, figure 9)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from protocol.alerts import AlertDescription, UsageError
from protocol.connection import Connection
from protocol.crypto.openssl import SoftwareProvider
from protocol.early_data import ReplayDefence
from protocol.events import DataReceived, EarlyDataRejected, HandshakeCompleted, TicketReceived
from protocol.extensions import ExtensionType
from protocol.handshake_framing import parse_fragments
from protocol.handshake_messages import ClientHello
from protocol.key_exchange import NamedGroup
from protocol.psk import ExternalPsk
from protocol.record import ContentType, RecordLayer, parse_plaintext
from protocol.stats import Drop
from protocol.tickets import TicketIssuer
from tests.protocol.pair import Network, Pair
from tests.protocol.providers import PROVIDERS, PROVIDERS_AND_SUITES
from tests.protocol.sessions import Resumable, resumed

ALLOWED = 5000
EARLY = [b"first", b"", b"second"]


@pytest.fixture
def world():
    """The client has two application protocols, and the server one."""
    world = Resumable(early=ALLOWED, alpn_protocols=("coap",))
    world.change_client(alpn_protocols=("h3", "coap"))
    return world


def begin(world, ticket=None, early=EARLY, network=None):
    """Both sides, and the client has sent its hello and early data."""
    pair = world.pair(ticket or world.ticket(), network)
    for data in early:
        pair.client.send_early(data)
    return pair


def run(world, *args, **kwargs):
    pair = begin(world, *args, **kwargs)
    pair.run()
    assert pair.client.connected, pair.events
    assert pair.server.connected, pair.events
    return pair


def early_data(pair):
    return [e.data for e in pair.events["server"] if isinstance(e, DataReceived) and e.early]


def accepted(pair):
    """Whether the server took the early data, as both sides see it."""
    seen = {pair.result(side).early_data for side in pair.sides}
    rejections = [e for e in pair.events["client"] if isinstance(e, EarlyDataRejected)]
    assert seen == {not rejections}
    return seen.pop()


def alive(pair):
    pair.client.send(b"to the server")
    pair.server.send(b"to the client")
    pair.run()
    return (pair.data("server")[-1], pair.data("client")[-1]) == (
        b"to the server",
        b"to the client",
    )


@pytest.mark.parametrize(("provider", "suite"), PROVIDERS_AND_SUITES)
def test_early_data_comes_before_the_handshake_is_complete(provider, suite):
    world = Resumable(PROVIDERS[provider], early=ALLOWED, suites=(suite,))
    pair = run(world)
    assert [type(event) for event in pair.events["server"]] == [DataReceived] * 3 + [
        HandshakeCompleted
    ]
    assert early_data(pair) == EARLY
    assert accepted(pair)
    assert resumed(pair)
    assert alive(pair)
    assert not pair.server.stats.drops
    assert world.client.provider.records_sealed == world.server.provider.records_opened


def test_early_data_goes_out_with_the_first_flight_one_record_a_datagram(world):
    pair = begin(world)
    datagrams = pair.client.datagrams_to_send(0.0)
    assert [data[0] & 0xE3 for data in datagrams] == [22 & 0xE3, 0x21, 0x21, 0x21]  # epoch 1


@pytest.mark.parametrize("seed", range(40))
def test_early_data_comes_once_or_never_whatever_the_network_does(seed):
    world = Resumable(early=ALLOWED, mtu=300)
    network = Network(seed, loss=0.2, duplication=0.2, reordering=0.3)
    early = [b"%d" % number for number in range(20)]
    pair = run(world, early=early, network=network)
    assert accepted(pair)
    received = early_data(pair)
    assert len(set(received)) == len(received)
    assert set(received) <= set(early)
    pair.network = Network()
    assert alive(pair)


def test_a_client_may_go_on_until_the_servers_finished_comes(world):
    pair = begin(world, network=Network(lose=lambda who, index: (who, index) == ("server", 0)))
    pair.run(0.5)
    assert pair.client.early_data_left == ALLOWED - sum(map(len, EARLY))
    pair.client.send_early(b"more")
    pair.run()
    assert early_data(pair) == [*EARLY, b"more"]
    assert pair.client.early_data_left == 0
    with pytest.raises(UsageError, match="no session allows it"):
        pair.client.send_early(b"late")


def test_the_client_sends_no_more_than_was_allowed(world):
    pair = begin(world, early=[bytes(1000)] * 4)
    with pytest.raises(UsageError, match="1001 bytes are over 1000"):
        pair.client.send_early(bytes(1001))
    pair.client.send_early(bytes(1000))
    assert pair.client.early_data_left == 0
    with pytest.raises(UsageError):
        pair.client.send_early(b"")
    pair.run()
    assert len(early_data(pair)) == 5
    assert accepted(pair)


def test_a_record_of_early_data_is_no_larger_than_others(world):
    pair = begin(world, early=[])
    largest = pair.client.max_payload
    with pytest.raises(UsageError, match=f"are over {largest}"):
        pair.client.send_early(bytes(largest + 1))


def test_a_client_may_allow_less_than_the_server(world):
    ticket = world.ticket()
    world.change_client(max_early_data=10)
    pair = begin(world, ticket, early=[])
    assert pair.client.early_data_left == 10
    world.change_client(max_early_data=0)
    pair = begin(world, ticket, early=[])
    assert pair.client.early_data_left == 0
    pair.run()
    assert resumed(pair)
    assert not pair.result("client").early_data


def test_a_client_that_sends_more_than_was_allowed_is_told(world):
    """RFC 8446, 4.6.1."""
    pair = begin(world, early=[bytes(1000)] * 5)
    pair.client._handshake.early_data_left = 1
    pair.client.send_early(b"x")
    pair.run()
    assert pair.end("server").alert is AlertDescription.UNEXPECTED_MESSAGE
    assert len(early_data(pair)) == 5


def test_only_clients_with_a_session_send_early_data(world):
    for pair in (world.pair(), Pair()):
        for side in pair.sides.values():
            assert side.early_data_left == 0
            with pytest.raises(UsageError, match="no session allows it"):
                side.send_early(b"early")


def test_there_is_no_early_data_with_an_external_psk():
    """It has no age, so the time for which a server would have to remember has no end."""
    world = Resumable(early=ALLOWED, psks=(ExternalPsk(b"sensor", bytes(32)),))
    assert world.pair().client.early_data_left == 0


# Replays


def replayed(world, ticket=None, server=None):
    """A server that gets a second time what another has had."""
    pair = begin(world, ticket)
    recorded = pair.client.datagrams_to_send(0.0)
    servers = [Connection.server(config, 0.0) for config in (world.server, server or world.server)]
    received = []
    for connection in servers:
        for datagram in recorded:
            connection.receive_datagram(datagram, 0.0)
        connection.datagrams_to_send(0.0)
        events = iter(connection.next_event, None)
        received.append([e.data for e in events if isinstance(e, DataReceived)])
    return received, servers[1]


def test_early_data_that_is_replayed_is_dropped(world):
    (first, second), server = replayed(world)
    assert (first, second) == (EARLY, [])
    assert server.stats.drops == {Drop.NO_KEY: 3}


def test_a_server_that_does_not_share_the_memory_takes_it_again(world):
    """Its own memory, but the same keys: that cannot be configured, and this is why."""
    other, ticket = TicketIssuer(), world.ticket()
    other._keys = world.issuer._keys
    received, _ = replayed(world, ticket, replace(world.server, tickets=other))
    assert received == [EARLY, EARLY]


def test_the_same_ticket_has_early_data_again_in_a_new_hello(world):
    """It is the hello that must not come twice; a client should not use tickets twice either."""
    ticket = world.ticket()
    assert accepted(run(world, ticket))
    assert accepted(run(world, ticket))


# Rejection: a handshake without early data


def late(world):
    """The clock of the server when it is some seconds off."""
    return lambda: world.clock() + timedelta(seconds=11)


@pytest.mark.parametrize(
    "change",
    [
        lambda world: world.change_server(max_early_data=0),
        lambda world: world.change_server(groups=(NamedGroup.SECP256R1,)),
        lambda world: world.change_server(tickets=TicketIssuer()),
        lambda world: world.change_server(tickets=None),
        lambda world: world.change_server(alpn_protocols=("h3", "coap")),
        lambda world: world.change_server(verification_time=late(world)),
    ],
    ids=[
        "not wanted",
        "retry",
        "another server's key",
        "no tickets",
        "ALPN",
        "stale",
    ],
)
def test_rejected_early_data_is_dropped_and_the_client_knows(world, change):
    ticket = world.ticket()
    change(world)
    pair = run(world, ticket)
    assert not accepted(pair)
    assert early_data(pair) == []
    assert pair.server.stats.drops == {Drop.NO_KEY: 3}
    assert pair.client.early_data_left == 0
    assert alive(pair)


@pytest.mark.parametrize("seed", range(20))
def test_a_handshake_without_its_early_data_succeeds_whatever_the_network_does(seed):
    world = Resumable(early=ALLOWED, mtu=300)
    ticket = world.ticket()
    world.change_server(tickets=TicketIssuer())
    network = Network(seed, loss=0.2, duplication=0.2, reordering=0.3)
    pair = run(world, ticket, network=network)
    assert not accepted(pair)
    assert early_data(pair) == []


def test_a_ticket_that_was_used_in_time_is_taken(world):
    ticket = world.ticket()
    world.clock.advance(3600)
    assert accepted(run(world, ticket))


def test_a_full_memory_rejects_early_data(world):
    world.issuer.early_data = ReplayDefence(capacity=1)
    assert accepted(run(world))
    pair = run(world)
    assert not accepted(pair)
    assert resumed(pair)


def test_a_client_is_told_of_the_rejection_before_the_handshake_is_complete(world):
    ticket = world.ticket()
    world.change_server(groups=(NamedGroup.SECP256R1,))
    pair = run(world, ticket)
    assert [type(e) for e in pair.events["client"]] == [
        EarlyDataRejected,
        HandshakeCompleted,
        TicketReceived,
    ]


def hellos(pair):
    contents = [parse_plaintext(d).content for d in pair.datagrams("client") if d[0] == 22]
    return [ClientHello.parse(parse_fragments(content)[0].data) for content in contents]


def test_the_second_hello_does_not_offer_early_data(world):
    """RFC 8446, 4.1.2."""
    ticket = world.ticket()
    world.change_server(groups=(NamedGroup.SECP256R1,))
    first, second = hellos(run(world, ticket))
    assert ExtensionType.EARLY_DATA in first.extensions
    assert ExtensionType.EARLY_DATA not in second.extensions


def test_a_second_hello_with_early_data_is_illegal(world, monkeypatch):
    ticket = world.ticket()
    world.change_server(groups=(NamedGroup.SECP256R1,))
    monkeypatch.setattr("protocol.client.ClientHandshake._reject_early_data", lambda _: None)
    pair = begin(world, ticket)
    pair.run()
    assert pair.end("server").alert is AlertDescription.ILLEGAL_PARAMETER
    assert "early data" in pair.end("server").reason


def test_a_server_that_takes_early_data_of_another_protocol_is_refused(world, monkeypatch):
    """RFC 8446, 4.2.10."""
    ticket = world.ticket()
    world.change_server(alpn_protocols=("h3", "coap"))
    monkeypatch.setattr("protocol.server.ServerHandshake._accept_early_data", pretend)
    pair = begin(world, ticket)
    pair.run()
    assert pair.end("client").alert is AlertDescription.ILLEGAL_PARAMETER
    assert "another protocol than h3" in pair.end("client").reason


def test_early_data_is_of_the_application_protocol_that_was_agreed_on(world):
    pair = run(world)
    assert {pair.result(side).alpn_protocol for side in pair.sides} == {"coap"}
    assert pair.ticket().session.alpn == "coap"
    assert accepted(pair)


@pytest.mark.parametrize("side", ["first", "second"])
def test_early_data_needs_the_first_psk(world, monkeypatch, side):
    """RFC 8446, 4.2.10: a server that took the second one would not have the keys."""
    ticket = world.ticket()
    psk = ExternalPsk(b"sensor", bytes(32))
    world.change_client(psks=(psk,))
    world.change_server(psks=(psk,))
    if side == "second":
        world.change_server(tickets=TicketIssuer())
        monkeypatch.setattr("protocol.server.ServerHandshake._accept_early_data", pretend)
    pair = begin(world, ticket)
    pair.run()
    if side == "first":
        assert accepted(pair)
    else:
        assert pair.end("client").alert is AlertDescription.ILLEGAL_PARAMETER
        assert "not the first PSK" in pair.end("client").reason


def pretend(self, *_):
    """To have accepted early data."""
    self._early_data_accepted = True


def test_a_server_that_takes_early_data_that_nobody_offered_is_refused(world, monkeypatch):
    monkeypatch.setattr("protocol.server.ServerHandshake._accept_early_data", pretend)
    ticket = world.ticket()
    world.change_client(max_early_data=0)
    pair = begin(world, ticket, early=[])
    pair.run()
    assert pair.end("client").alert is AlertDescription.UNSUPPORTED_EXTENSION


# Epoch 1: its keys, and what may be in it


def test_early_data_that_overtakes_its_hello_is_dropped(world):
    pair = begin(world)
    hello, early, *_ = pair.client.datagrams_to_send(0.0)
    pair.inject("server", early)
    pair.inject("server", hello)
    assert pair.server.stats.drops == {Drop.NO_KEY: 1}


def test_late_early_data_is_taken_until_data_of_epoch_3_has_come(world):
    """RFC 9147, 5.6."""
    pair = begin(world, early=[b"one", b"two", b"three"])
    hello, *early = pair.client.datagrams_to_send(0.0)
    (flight,) = _answers(pair.server, hello)
    pair.client.receive_datagram(flight, 0.0)
    finished = pair.client.datagrams_to_send(0.0)
    pair.inject("server", early[0])
    for datagram in finished:
        pair.inject("server", datagram)
    assert pair.server.connected
    pair.inject("server", early[1])
    assert early_data(pair) == [b"one", b"two"]
    pair.client.send(b"epoch 3")
    for datagram in pair.client.datagrams_to_send(0.0):
        pair.inject("server", datagram)
    pair.inject("server", early[2])
    assert early_data(pair) == [b"one", b"two"]
    assert pair.data("server")[-1] == b"epoch 3"
    assert pair.server.stats.drops == {Drop.NO_KEY: 1}


def _answers(server, *datagrams):
    for datagram in datagrams:
        server.receive_datagram(datagram, 0.0)
    return server.datagrams_to_send(0.0)


def test_both_sides_forget_the_keys_of_early_data(world):
    pair = run(world)
    assert 1 not in pair.client._records.sealers
    assert 1 not in pair.server._records._openers


def test_a_replayed_record_of_early_data_is_dropped(world):
    pair = begin(world)
    hello, early, *_ = pair.client.datagrams_to_send(0.0)
    for datagram in (hello, early, early):
        pair.inject("server", datagram)
    assert early_data(pair) == [EARLY[0]]


@pytest.mark.parametrize("content_type", [ContentType.HANDSHAKE, ContentType.ACK, 99])
def test_epoch_1_has_nothing_but_data_and_alerts(world, content_type):
    """RFC 9147bis, 7 for the ACK; there are no handshake messages in early data."""
    pair = begin(world)
    pair.client._outbox.send(1, content_type, b"\0\0")
    pair.run()
    assert pair.end("server").alert is AlertDescription.UNEXPECTED_MESSAGE
    assert f"content type {int(content_type)} in epoch 1" in pair.end("server").reason


def test_a_client_that_gives_up_says_so_in_plaintext(world):
    """In epoch 1 a server that rejects early data could not read it."""
    pair = begin(world)
    pair.client.close(0.0)
    *_, datagram = pair.client.datagrams_to_send(0.0)
    (alert,) = RecordLayer(SoftwareProvider()).open_datagram(datagram)
    assert (alert.number.epoch, alert.content_type) == (0, ContentType.ALERT)


def test_the_keys_and_the_exporter_of_early_data_are_in_the_key_log():
    lines = {"client": [], "server": []}
    world = Resumable(early=ALLOWED)
    ticket = world.ticket()
    world.change_client(key_log=lines["client"].append)
    world.change_server(key_log=lines["server"].append)
    run(world, ticket)
    assert lines["client"] == lines["server"]
    assert [line.split()[0] for line in lines["client"]][:2] == [
        "CLIENT_EARLY_TRAFFIC_SECRET",
        "EARLY_EXPORTER_SECRET",
    ]
