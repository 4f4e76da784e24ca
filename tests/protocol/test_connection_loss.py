"""Connections over a network that loses, repeats and reorders."""

import pytest

from protocol.ack import encode_ack, parse_ack
from protocol.alerts import AlertDescription
from protocol.crypto.provider import RecordNumber
from protocol.record import ContentType
from tests.protocol.certificates import credentials
from tests.protocol.pair import DELAY, Network, Pair, client_config, server_config


def lossy_pair(network, **changes):
    """Small datagrams and a large certificate: flights of many datagrams."""
    server = server_config(credentials("rsa"), mtu=300, **changes)
    return Pair(client_config(mtu=300, **changes), server, network)


def losing(*lost):
    """A network that loses these datagrams: (sender, index among the sender's)."""
    return Network(lose=lambda sender, index: (sender, index) in lost)


def times(pair, sender):
    return [round(time, 3) for time, who, _ in pair.sent if who == sender]


@pytest.mark.parametrize("seed", range(60))
def test_a_handshake_succeeds_whatever_the_network_does(seed):
    network = Network(seed, loss=0.2, duplication=0.2, reordering=0.3)
    pair = lossy_pair(network, handshake_timeout=300.0)
    pair.run(300)
    assert pair.client.connected
    assert pair.server.connected
    assert pair.client.timer() is None
    assert pair.server.timer() is None


@pytest.mark.parametrize("seed", range(10))
def test_repeated_and_reordered_datagrams_deliver_data_once(seed):
    pair = Pair.connected()
    pair.network = Network(seed, duplication=0.3, reordering=0.5)
    sent = [b"%d" % number for number in range(50)]
    for data in sent:
        pair.client.send(data)
    pair.run()
    assert sorted(pair.data("server")) == sorted(sent)


def test_a_lost_client_hello_is_sent_again_after_the_interval_which_doubles():
    """RFC 9147, 5.8.2."""
    pair = Pair(network=losing(*(("client", index) for index in range(4))))
    pair.run()
    assert times(pair, "client")[:5] == [0.0, 1.0, 3.0, 7.0, 15.0]
    assert pair.client.connected
    assert pair.server.connected


def test_a_retransmission_is_a_new_record_with_the_same_message():
    pair = Pair(network=losing(("client", 0)))
    pair.run()
    first, second = pair.datagrams("client")[:2]
    assert int.from_bytes(first[5:11], "big") == 0
    assert int.from_bytes(second[5:11], "big") == 1
    assert first[11:] == second[11:]


def test_a_lost_server_flight_is_sent_again_when_the_hello_comes_again():
    """RFC 9147, 5.8.1, way 3; the server's own timer would fire 10 ms later."""
    pair = Pair(network=losing(("server", 0)))
    pair.run()
    assert times(pair, "client")[:2] == [0.0, 1.0]
    assert times(pair, "server")[:2] == [DELAY, 1 + DELAY]
    assert pair.client.connected


def test_a_lost_middle_of_a_flight_is_acknowledged_around_and_sent_again_alone():
    """RFC 9147, 7.1 and 7.2: a gap is a disruption, and only the gap is filled."""
    pair = lossy_pair(losing(("server", 2)))
    pair.run()
    assert pair.now < 0.2
    flight = [data for time, who, data in pair.sent if (who, round(time, 3)) == ("server", DELAY)]
    again = [
        data for time, who, data in pair.sent if (who, round(time, 3)) == ("server", 3 * DELAY)
    ]
    assert len(flight) > 4
    # The ACK went out with the first piece after the gap; those after it were still under way.
    assert sum(map(len, again)) < sum(map(len, flight))
    assert pair.server.connected


def test_a_lost_end_of_a_flight_is_acknowledged_after_a_quarter_of_the_interval():
    """RFC 9147, 7.1; what is sent again is what was lost. The interval is the measured one."""
    pair = lossy_pair(losing(("server", 3), ("server", 4)))
    pair.run()
    assert times(pair, "server") == pytest.approx([DELAY] * 5 + [0.25 + 3 * DELAY] * 2 + [0.3])
    assert times(pair, "client")[:2] == pytest.approx([0, 0.25 + 2 * DELAY])
    lost, again = pair.datagrams("server")[3:5], pair.datagrams("server")[5:7]
    assert sum(map(len, again)) == sum(map(len, lost))
    assert pair.client.connected


def test_a_lost_finished_is_sent_again_until_it_is_acknowledged():
    pair = Pair(network=losing(("client", 1), ("client", 2)))
    pair.run()
    assert pair.server.connected
    assert pair.client.timer() is None


def test_a_lost_last_ack_is_sent_again_for_the_finished_that_comes_again():
    """RFC 9147, 5.8.1: in the state FINISHED the server answers with its ACK."""
    pair = Pair(network=losing(("server", 1), ("server", 2)))
    pair.run()
    assert times(pair, "client") == pytest.approx([0, 2 * DELAY, 0.2 + 2 * DELAY, 0.6 + 2 * DELAY])
    assert [round(time, 3) for time in times(pair, "server")[1:]] == pytest.approx(
        [3 * DELAY, 0.2 + 3 * DELAY, 0.6 + 3 * DELAY]
    )
    assert pair.client.timer() is None


def test_the_last_ack_names_the_record_of_the_finished_and_comes_in_epoch_3():
    pair = Pair.connected(server=server_config())
    seen = []
    pair.client._delivery.receive_ack = lambda record, now: seen.append(record)
    finished = pair.client._outbox  # a retransmission, as if the ACK had been lost
    number = finished.send(3, ContentType.HANDSHAKE, _old_finished(pair))
    pair.run()
    (record,) = seen
    assert record.number.epoch == 3
    assert parse_ack(record.content) == [number] == [RecordNumber(3, 0)]


def _old_finished(pair):
    """A fragment of the client's Finished, message_seq 1, which the server has had."""
    assert pair.server._delivery._reassembler.next_message_seq == 2
    return bytes.fromhex("14 000020 0001 000000 000001 00")


@pytest.mark.parametrize("numbers", [[RecordNumber(2, 0)], [RecordNumber(3, 99)]])
def test_an_ack_without_news_does_not_trigger_a_retransmission(numbers):
    pair = Pair.connected()
    pair.network = Network(lose=lambda sender, index: sender == "client")
    pair.client.update_keys(pair.now)
    pair.run(0.05)
    before = len(pair.datagrams("client"))
    for _ in range(3):
        pair.server._outbox.send(3, ContentType.ACK, encode_ack(numbers))
    pair.run(0.1)
    assert len(pair.datagrams("client")) == before


def test_a_repeated_ack_does_not_trigger_a_second_retransmission():
    pair = lossy_pair(losing(*(("server", index) for index in range(3, 99))))
    pair.run(0.3)
    before = len(pair.datagrams("server"))
    pair.client._outbox.send(2, ContentType.ACK, encode_ack([RecordNumber(2, 0)]))
    pair.run(0.1)
    assert len(pair.datagrams("server")) == before


def test_an_empty_ack_asks_for_the_flight_again_but_not_without_end():
    """RFC 9147, 7.1: the peer has records of it that it cannot open."""
    pair = Pair.connected()
    pair.network = Network(lose=lambda sender, index: sender == "client")
    pair.client.update_keys(pair.now)
    pair.run(0.5)
    before = len(pair.datagrams("client"))
    for _ in range(5):
        pair.server._outbox.send(3, ContentType.ACK, encode_ack([]))
    pair.run(0.1)
    assert len(pair.datagrams("client")) == before + 1


def test_datagrams_that_are_too_large_for_the_path_become_smaller():
    """RFC 9147, 4.4."""
    pair = Pair(network=Network(path_mtu=600))
    pair.run()
    assert pair.server.connected
    assert max(len(data) for data in pair.datagrams("server")) > 600


def test_a_peer_that_never_answers_ends_the_handshake():
    pair = Pair(client_config(handshake_timeout=20.0), network=Network(loss=1.0))
    pair.run()
    assert times(pair, "client") == [0.0, 1.0, 3.0, 7.0, 15.0]
    assert "did not answer in time" in pair.end("client").reason
    assert pair.end("client").alert is None
    assert not pair.end("client").by_peer


def test_data_before_the_clients_finished_is_dropped_until_the_handshake_is_complete():
    """RFC 9147, 5.8.1: discard or buffer."""
    pair = Pair(network=losing(("client", 1)))
    pair.run(0.025)
    assert pair.client.connected
    assert not pair.server.connected
    pair.client.send(b"early")
    pair.run()
    pair.client.send(b"on time")
    pair.run()
    assert pair.data("server") == [b"on time"]


def test_an_alert_that_is_lost_leaves_the_peer_to_its_own_timer():
    pair = Pair(
        client_config(server_name="other.example"),
        server_config(handshake_timeout=10.0),
        Network(lose=lambda sender, index: sender == "client" and index > 0),
    )
    pair.run()
    assert pair.end("client").alert is AlertDescription.BAD_CERTIFICATE
    assert "did not answer in time" in pair.end("server").reason
