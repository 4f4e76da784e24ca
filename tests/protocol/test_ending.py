"""A peer that goes on although it was sent a fatal alert (RFC 9147, 5.10)."""

from itertools import pairwise

import pytest

from protocol.alerts import AlertDescription
from protocol.ending import LastAlert
from protocol.peer import LastAlerts
from protocol.record import ContentType
from tests.protocol.crowd import Crowd
from tests.protocol.pair import Network, Pair, client_config, server_config
from tests.protocol.providers import PROVIDERS_AND_BOARD


def failed(provider="software", **changes):
    """A server that has ended the connection, whose alert was lost."""
    config = {"provider": PROVIDERS_AND_BOARD[provider]()}
    pair = Pair.connected(client_config(**config), server_config(**config, **changes))
    pair.network = Network(lose=lambda sender, index: sender == "server")
    pair.client._outbox.send(3, ContentType.ALERT, b"\2")
    pair.run(0.1)
    assert pair.end("server").alert is AlertDescription.DECODE_ERROR
    pair.network = Network()
    return pair


@pytest.mark.parametrize("provider", PROVIDERS_AND_BOARD)
def test_the_alert_is_sent_anew_when_the_peer_goes_on(provider):
    pair = failed(provider)
    pair.now += 1.0
    pair.client.send(bytes(100))
    pair.run()
    assert pair.end("client").alert is AlertDescription.DECODE_ERROR
    assert pair.end("client").by_peer


def test_an_alert_of_the_first_flights_is_sent_anew_too():
    """The client repeats its hello, since it has not heard why that is refused."""
    losing = Network(lose=lambda sender, index: (sender, index) == ("server", 0))
    pair = Pair(client_config(alpn_protocols=("a",)), server_config(alpn_protocols=("b",)), losing)
    pair.run()
    assert pair.end("client").alert is AlertDescription.NO_APPLICATION_PROTOCOL
    assert pair.end("client").by_peer


def test_answers_are_rare_and_come_to_an_end():
    pair = failed(retransmission_timeout=1.0, max_retransmission_timeout=4.0)
    end, times = pair.now, []
    for tenth in range(1, 300):
        pair.server.receive_datagram(bytes(100), end + tenth / 10)
        if pair.server.datagrams_to_send(end + tenth / 10):
            times.append(tenth / 10)
    assert len(times) == 3
    assert [round(later - time, 1) for time, later in pairwise(times)] == [2, 4]


def test_an_answer_is_no_larger_than_what_it_answers():
    pair = failed()
    pair.server.receive_datagram(b"short", pair.now + 10)
    assert pair.server.datagrams_to_send(pair.now + 10) == []


def test_who_was_sent_the_alert_does_not_answer():
    pair = failed()
    pair.now += 1.0
    pair.client.send(bytes(100))
    pair.run()
    pair.client.receive_datagram(bytes(100), pair.now + 100)
    assert pair.client.datagrams_to_send(pair.now + 100) == []


class TestManager:
    """The alerts outlive their associations."""

    def failed(self):
        """A manager that has ended an association, whose alert was lost, and the client of it."""
        crowd = Crowd()
        client = crowd.join("a")
        crowd.run()
        crowd.lose = lambda source, target, data: source == "server"
        client.connection._outbox.send(3, ContentType.ALERT, b"\2")
        crowd.run()
        assert len(crowd.manager) == 0
        crowd.lose = lambda source, target, data: False
        crowd.now += 1.0
        return crowd, client

    def test_a_client_that_goes_on_gets_the_alert(self):
        crowd, client = self.failed()
        client.connection.send(bytes(100))
        crowd.run()
        assert client.events[-1].alert is AlertDescription.DECODE_ERROR
        assert client.events[-1].by_peer

    def test_nobody_else_gets_it(self):
        crowd, _ = self.failed()
        crowd.inject("b", bytes(100))
        assert crowd.datagrams("server", "b") == []

    def test_it_is_forgotten_when_the_client_begins_anew(self):
        crowd, client = self.failed()
        client.address = "elsewhere"
        again = crowd.join("a")
        crowd.run()
        crowd.manager.close(crowd.peer(again), crowd.now)
        crowd.run()
        before = crowd.datagrams("server", "a")
        crowd.now += 100.0
        crowd.inject("a", bytes(100))
        assert crowd.datagrams("server", "a") == before

    def test_there_are_no_more_than_so_many(self):
        alerts, config = LastAlerts(), server_config()
        for number in range(1000):
            alerts.keep(number, LastAlert(b"alert", config, 0.0))
        kept = [n for n in range(1000) if alerts.answers(bytes(100), n, 10.0)]
        assert kept == list(range(1000 - 256, 1000))
