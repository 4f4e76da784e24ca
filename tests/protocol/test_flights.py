"""Large flights go out in portions (RFC 9147, 5.8.3), and the timer follows the round trip."""

import pytest

from protocol.certificates import Credentials
from protocol.crypto.suites import CipherSuite
from protocol.key_exchange import NamedGroup
from protocol.unified_header import FIXED_BITS, FIXED_MASK
from tests.protocol.certificates import authority, credentials
from tests.protocol.pair import DELAY, Network, Pair, client_config, server_config
from tests.protocol.providers import PROVIDERS

#: What a flight may have at once.
PORTION = 10


def records(datagram):
    """How many records are in a datagram of ours, which all have a length."""
    count = 0
    while datagram:
        protected = datagram[0] & FIXED_MASK == FIXED_BITS
        size = 5 if protected else 13
        datagram = datagram[size + int.from_bytes(datagram[size - 2 : size], "big") :]
        count += 1
    return count


def bursts(pair, sender):
    """How many records the sender sent at each time."""
    found = {}
    for time, who, datagram in pair.sent:
        if who == sender:
            key = round(time, 6)
            found[key] = found.get(key, 0) + records(datagram)
    return found


def large_flights(provider="software", network=None, **changes):
    """Long chains on both sides, in datagrams so small that a flight takes more than a portion."""
    common = {"provider": PROVIDERS[provider](), "mtu": 256} | changes
    suites = (CipherSuite.TLS_AES_128_GCM_SHA256,)
    groups = (NamedGroup.X25519,)
    trust = (authority().certificate,)
    root, leaf = authority().certificate, credentials("rsa")
    own = Credentials((*leaf.chain, *[root] * 8), leaf.private_key)
    return Pair(
        client_config(credentials=own, suites=suites, groups=groups, **common),
        server_config(own, trust=trust, suites=suites, groups=groups, **common),
        network,
    )


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_more_than_ten_records_are_sent_at_once(provider):
    """RFC 9147, 5.8.3."""
    pair = large_flights(provider)
    pair.run()
    assert pair.client.connected
    assert pair.server.connected
    for sender in pair.sides:
        sizes = list(bursts(pair, sender).values())
        assert max(sizes) == PORTION
        assert sum(sizes) > 2 * PORTION


@pytest.mark.parametrize("provider", PROVIDERS)
def test_portions_follow_each_other_without_a_wait(provider):
    """RFC 9147, 7.1: an ACK as soon as a portion is there; no timer runs out."""
    pair = large_flights(provider)
    pair.run()
    assert pair.server.connected
    portions = sum(len(bursts(pair, sender)) for sender in pair.sides)
    assert pair.now <= (portions + 1) * DELAY
    assert not any(side._delivery._timer.failures for side in pair.sides.values())


def test_what_was_acknowledged_is_not_sent_again_with_the_next_portion():
    portions, whole = large_flights(), large_flights(mtu=4096)
    for pair in (portions, whole):
        pair.run()
        assert pair.now < 1.0
    # Each small record costs a header of its own; nothing is sent twice.
    assert portions.server.stats.bytes_sent < 1.3 * whole.server.stats.bytes_sent


@pytest.mark.parametrize("seed", range(20))
def test_portions_arrive_whatever_the_network_does(seed):
    network = Network(seed, loss=0.2, duplication=0.2, reordering=0.3)
    pair = large_flights(network=network, handshake_timeout=600.0)
    pair.run(600)
    assert pair.client.connected
    assert pair.server.connected
    assert pair.client.timer() is None
    assert pair.server.timer() is None


def test_a_hello_goes_out_whole_since_no_ack_could_ask_for_the_rest():
    if NamedGroup.X25519MLKEM768 not in client_config().groups:
        pytest.skip("this pyca/cryptography has no ML-KEM")
    large = (NamedGroup.X25519MLKEM768,)
    pair = Pair(client_config(groups=large, mtu=128), server_config(groups=large, mtu=128))
    pair.run()
    assert bursts(pair, "client")[0.0] > PORTION
    assert pair.server.connected


def test_the_interval_is_one_and_a_half_of_the_measured_round_trip():
    """RFC 9147, 5.8.2: here 1 s, so that the KeyUpdate is sent again after 1.5 s, not after 2."""
    pair = Pair(client_config(retransmission_timeout=2.0), server_config())
    slow = 50 * DELAY
    pair.network.delays = lambda sender, index, size: [slow]
    pair.run()
    assert pair.client.connected
    begin = pair.now
    pair.network.delays = lambda sender, index, size: []
    pair.client.update_keys(pair.now)
    pair.run(5.0)
    times = [round(time - begin, 3) for time, who, _ in pair.sent if who == "client"]
    assert [time for time in times if time >= 0] == [0.0, 1.5, 4.5]
