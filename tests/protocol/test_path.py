"""What the network tells about the path, and what changes with it (RFC 9147, 4.4 and 9)."""

import pytest

from protocol.events import PathMtuChanged
from protocol.outbox import SAFE_MTU
from tests.protocol.certificates import credentials
from tests.protocol.pair import DELAY, Network, Pair, client_config, server_config
from tests.protocol.providers import PROVIDERS_AND_BOARD
from tests.protocol.test_connection_ids import numbered


def reported(pair, side):
    return [event for event in pair.events[side] if isinstance(event, PathMtuChanged)]


@pytest.mark.parametrize("provider", PROVIDERS_AND_BOARD)
def test_data_and_messages_fit_the_path_from_the_report_on(provider):
    config = {"provider": PROVIDERS_AND_BOARD[provider]()}
    pair = Pair.connected(client_config(**config), server_config(**config))
    pair.client.path_mtu_exceeded(700, pair.now)
    pair.run()
    assert pair.client.max_payload == 700 - 22
    assert reported(pair, "client") == [PathMtuChanged(700, 678)]
    pair.network = Network(path_mtu=700)
    pair.client.send(bytes(678))
    pair.client.update_keys(pair.now)
    pair.run()
    assert pair.data("server") == [bytes(678)]


def test_a_flight_that_was_too_large_is_sent_again_at_once():
    pair = Pair(server=server_config(credentials("rsa")), network=Network(path_mtu=600))
    pair.run(2 * DELAY)
    assert max(len(datagram) for datagram in pair.datagrams("server")) > 600
    pair.server.path_mtu_exceeded(600, pair.now)
    pair.run()
    assert pair.client.connected
    assert pair.server.connected
    assert pair.now < 0.2
    assert len(reported(pair, "server")) == 1


@pytest.mark.parametrize("mtu", [0, SAFE_MTU - 1, 1200, 9000])
def test_reports_that_cannot_be_true_or_tell_nothing_new_are_ignored(mtu):
    """RFC 9147, 4.4: anyone can forge them."""
    pair = Pair.connected()
    pair.client.path_mtu_exceeded(mtu, pair.now)
    pair.run()
    assert pair.client.max_payload == 1178
    assert reported(pair, "client") == []


def test_a_report_after_time_outs_still_counts_for_data():
    pair = Pair(network=Network(lose=lambda sender, index: sender == "server" and index < 6))
    pair.run()
    assert pair.server._outbox.mtu == SAFE_MTU
    pair.server.path_mtu_exceeded(700, pair.now)
    assert pair.server._outbox.mtu == SAFE_MTU
    assert pair.server.max_payload == 678


def test_another_path_has_another_connection_id_and_an_mtu_of_its_own():
    """RFC 9147, 9: nobody on the way can link the two paths."""
    pair = Pair.connected(client_config(), server_config(connection_id=numbered(b"s", 4)))
    pair.server.issue_connection_ids(2, pair.now)
    pair.run()
    pair.client.path_mtu_exceeded(700, pair.now)
    before = pair.client._records.send_id
    pair.client.path_changed(pair.now)
    pair.client.send(b"hello")
    pair.run()
    assert pair.client._records.send_id != before
    assert pair.datagrams("client")[-1][1:5] == pair.client._records.send_id
    assert pair.data("server") == [b"hello"]
    assert [event.mtu for event in reported(pair, "client")] == [700, 1200]


def test_without_a_spare_connection_id_the_old_one_goes_on():
    pair = Pair.connected(client_config(), server_config(connection_id=numbered(b"s", 4)))
    before = pair.client._records.send_id
    pair.client.path_changed(pair.now)
    assert pair.client._records.send_id == before
    assert pair.client.connected


def test_the_round_trip_of_another_path_is_not_known():
    pair = Pair.connected()
    pair.client.path_changed(pair.now)
    pair.network = Network(loss=1.0)
    pair.client.update_keys(pair.now)
    begin = pair.now
    pair.run(3.5)
    times = [round(time - begin, 3) for time, who, _ in pair.sent if who == "client"]
    assert [time for time in times if time >= 0] == [0.0, 1.0, 3.0]


def test_nothing_of_that_harms_a_connection_that_has_ended():
    pair = Pair.connected()
    pair.client.close(pair.now)
    pair.client.path_mtu_exceeded(700, pair.now)
    pair.client.path_changed(pair.now)
    pair.run()
    assert reported(pair, "client") == []
