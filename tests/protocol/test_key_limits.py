"""What a key may see of forgeries (RFC 9147, 4.5.3), seen from a connection."""

from dataclasses import replace

import pytest

from driver import Device
from hdl.model import AcceleratorModel
from hdl.profile import COMPACT
from protocol.alerts import AlertDescription
from protocol.crypto.accelerator import AcceleratorProvider
from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import CryptoProvider, Refusal, TrafficKeys
from protocol.crypto.suites import CipherSuite
from protocol.events import PeerClosed, ReadKeysUpdated, WriteKeysUpdated
from protocol.record import RecordLayer
from protocol.stats import Drop
from sim.model_link import ModelLink
from tests.protocol.pair import Network, Pair, client_config, server_config

SUITE = CipherSuite.TLS_AES_128_GCM_SHA256
LIMIT = 8
LOSE_ALL = Network(lose=lambda sender, index: True)


def accelerator() -> CryptoProvider:
    profile = replace(COMPACT, forgery_limit=LIMIT)
    return AcceleratorProvider(Device(ModelLink(AcceleratorModel(profile))))


@pytest.fixture(params=[SoftwareProvider, accelerator], ids=["software", "accelerator"])
def pair(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """The server's keys stand so many forgeries as `LIMIT` says."""
    few = replace(SUITE.parameters, forgery_limit=LIMIT)
    monkeypatch.setattr(SUITE, "parameters", few)
    return Pair.connected(
        client_config(suites=(SUITE,)), server_config(suites=(SUITE,), provider=request.param())
    )


def forge(pair: Pair, count: int, epoch: int) -> None:
    """So many datagrams to the server that look like the client's."""
    for number in range(count):
        pair.inject("server", bytes((0x2C | epoch & 3, 0, number, 0, 40)) + bytes(40))


def test_half_of_the_forgeries_bring_new_keys_of_the_peer(pair: Pair) -> None:
    forge(pair, LIMIT // 2 - 1, 3)
    pair.run()
    assert len(pair.events["server"]) == 1
    forge(pair, 1, 3)
    pair.run()
    assert set(pair.events["server"][1:]) == {ReadKeysUpdated(4), WriteKeysUpdated(4)}
    pair.client.send(b"still there")
    pair.run()
    assert pair.data("server") == [b"still there"]


def test_a_peer_that_renews_its_keys_survives_any_number_of_forgeries(pair: Pair) -> None:
    for epoch in range(3, 13):
        forge(pair, LIMIT // 2, epoch)
        pair.run()
    assert pair.server.stats.drops == {Refusal.BAD_TAG: 10 * (LIMIT // 2)}
    assert pair.server.connected
    assert pair.client._epochs.write_epoch == 13


def test_a_request_follows_an_update_that_is_under_way(pair: Pair) -> None:
    """RFC 9147, 5.8.4: there is only one KeyUpdate at a time."""
    pair.server.update_keys(pair.now)
    pair.server.datagrams_to_send(pair.now)
    forge(pair, LIMIT // 2, 3)
    pair.run()
    assert pair.client._epochs.write_epoch == 4
    assert pair.server._epochs.write_epoch == 5


def test_at_the_limit_the_connection_ends_if_the_peer_has_not_answered(pair: Pair) -> None:
    pair.network = LOSE_ALL
    forge(pair, LIMIT, 3)
    assert pair.server.connected
    forge(pair, 1, 3)
    assert pair.end("server").alert is AlertDescription.BAD_RECORD_MAC
    assert "forged records" in pair.end("server").reason


def test_at_the_limit_an_old_key_is_dropped_and_the_connection_goes_on(pair: Pair) -> None:
    """RFC 9147, 4.5.3: after a key update the previous keys can go instead."""
    pair.client.send(b"slow")
    (slow,) = pair.client.datagrams_to_send(pair.now)
    pair.client.update_keys(pair.now)
    pair.run()
    pair.client.send(b"with new keys")
    pair.run()
    forge(pair, LIMIT, 3)
    assert pair.server.stats.drops == {Refusal.BAD_TAG: LIMIT}
    pair.inject("server", slow)
    pair.inject("server", slow)
    assert pair.server.stats.drops == {
        Refusal.BAD_TAG: LIMIT,
        Refusal.KEY_LIMIT: 1,
        Drop.NO_KEY: 1,
    }
    pair.client.send(b"after")
    pair.client.close(pair.now)
    pair.run()
    assert pair.data("server") == [b"with new keys", b"after"]
    assert pair.events["server"][-1] == PeerClosed()


def test_forgeries_under_several_connection_ids_count_for_their_one_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = replace(SUITE.parameters, forgery_limit=LIMIT)
    monkeypatch.setattr(SUITE, "parameters", few)
    keys = TrafficKeys(SUITE, bytes(16), bytes(12), bytes(16))
    layer = RecordLayer(SoftwareProvider())
    layer.use_connection_ids(receive=b"a", send=b"")
    layer.accept_id(b"b")
    layer.install_opener(3, keys)
    for count in range(LIMIT + 1):
        assert layer.fatal is None
        assert (layer.worn_opener == 3) == (count >= LIMIT // 2)
        forged = bytes((0x3F, *(b"a", b"b")[count % 2], 0, 0, 0, 40)) + bytes(40)
        assert list(layer.open_datagram(forged)) == []
    assert layer.statistics.drops == {Refusal.BAD_TAG: LIMIT + 1}
    assert layer.fatal is Refusal.KEY_LIMIT


def test_short_tags_stand_128_forgeries_and_ask_for_new_keys_after_64() -> None:
    """RFC 9147, B.3."""
    suite = CipherSuite.TLS_AES_128_CCM_8_SHA256
    pair = Pair.connected(client_config(suites=(suite,)), server_config(suites=(suite,)))
    forge(pair, 64, 3)
    pair.run()
    assert set(pair.events["server"][1:]) == {ReadKeysUpdated(4), WriteKeysUpdated(4)}
    pair.network = LOSE_ALL
    forge(pair, 128, 4)
    assert pair.server.connected
    forge(pair, 1, 4)
    assert pair.end("server").alert is AlertDescription.BAD_RECORD_MAC
