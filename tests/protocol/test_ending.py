"""A peer that goes on although it was sent a fatal alert (RFC 9147, 5.10)."""

from itertools import pairwise

import pytest

from protocol.alerts import AlertDescription
from protocol.record import ContentType
from tests.protocol.pair import Network, Pair, client_config, server_config
from tests.protocol.providers import PROVIDERS


def failed(provider="software", **changes):
    """A server that has ended the connection, whose alert was lost."""
    config = {"provider": PROVIDERS[provider]()}
    pair = Pair.connected(client_config(**config), server_config(**config, **changes))
    pair.network = Network(lose=lambda sender, index: sender == "server")
    pair.client._outbox.send(3, ContentType.ALERT, b"\2")
    pair.run(0.1)
    assert pair.end("server").alert is AlertDescription.DECODE_ERROR
    pair.network = Network()
    return pair


@pytest.mark.parametrize("provider", PROVIDERS)
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
