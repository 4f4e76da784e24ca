import gc
import weakref
from itertools import product

import pytest

from driver import Device
from hdl.model import AcceleratorModel
from hdl.profile import Profile
from protocol.alerts import AlertDescription, UsageError
from protocol.certificates import Credentials
from protocol.connection import Connection
from protocol.crypto.accelerator import AcceleratorProvider
from protocol.crypto.suites import DEFAULT_SUITES, CipherSuite
from protocol.events import ConnectionTerminated, HandshakeCompleted, PeerClosed
from protocol.key_exchange import AVAILABLE_GROUPS, NamedGroup
from sim.model_link import ModelLink
from tests.protocol.certificates import (
    KEY_KINDS,
    LONG_AGO,
    SERVER_NAME,
    authority,
    credentials,
    self_signed,
)
from tests.protocol.pair import Network, Pair, client_config, server_config
from tests.protocol.providers import PROVIDERS, PROVIDERS_AND_BOARD

SMALL = {"mtu": 300}


@pytest.mark.parametrize(
    ("suite", "group", "kind"), list(product(DEFAULT_SUITES, AVAILABLE_GROUPS, KEY_KINDS))
)
def test_a_handshake_negotiates_what_was_configured(suite, group, kind):
    pair = Pair.connected(
        client_config(suites=(suite,), groups=(group,)), server_config(credentials(kind))
    )
    for side in ("client", "server"):
        assert (pair.result(side).suite, pair.result(side).group) == (suite, group)
        assert pair.result(side).server_name == SERVER_NAME
    assert pair.result("client").peer_certificate == credentials(kind).chain[0]
    assert pair.result("server").peer_certificate is None


@pytest.mark.parametrize("suite", CipherSuite, ids=lambda suite: suite.name)
def test_the_largest_payload_fills_a_datagram_under_every_suite(suite):
    pair = Pair.connected(client_config(suites=(suite,)), server_config(suites=(suite,)))
    tag = 8 if suite is CipherSuite.TLS_AES_128_CCM_8_SHA256 else 16
    assert pair.client.max_payload == 1200 - 5 - 1 - tag
    data = b"x" * pair.client.max_payload
    pair.client.send(data)
    pair.run()
    assert len(pair.datagrams("client")[-1]) == 1200
    assert pair.data("server") == [data]
    with pytest.raises(UsageError, match=f"{len(data) + 1} bytes are over {len(data)}"):
        pair.client.send(data + b"x")


def test_a_handshake_takes_two_round_trips_and_one_datagram_a_flight():
    """RFC 9147, 5.7: the flights ClientHello; ServerHello .. Finished; Finished; ACK."""
    pair = Pair.connected()
    assert [sender for _, sender, _ in pair.sent] == ["client", "server", "client", "server"]
    assert pair.client.stats.records_sent == 2
    assert pair.server.stats.records_sent == 3  # ServerHello, the rest of the flight, ACK
    assert pair.client.timer() is None
    assert pair.server.timer() is None


def test_data_crosses_in_one_record_and_one_datagram_each():
    pair = Pair.connected()
    before = pair.client.stats.records_sent, pair.client.stats.datagrams_sent
    largest = b"x" * pair.client.max_payload
    for data in (b"hello", b"", largest):
        pair.client.send(data)
    pair.server.send(b"welcome")
    pair.run()
    assert pair.data("server") == [b"hello", b"", largest]
    assert pair.data("client") == [b"welcome"]
    after = pair.client.stats.records_sent, pair.client.stats.datagrams_sent
    assert (after[0] - before[0], after[1] - before[1]) == (3, 3)
    assert len(pair.datagrams("client")[-1]) == 1200


@pytest.mark.parametrize("name", PROVIDERS_AND_BOARD)
def test_every_protected_record_goes_through_the_provider(name):
    providers = {side: PROVIDERS_AND_BOARD[name]() for side in ("client", "server")}
    pair = Pair.connected(
        client_config(provider=providers["client"]), server_config(provider=providers["server"])
    )
    for number in range(10):
        pair.client.send(b"%d" % number)
    pair.run()
    pair.client.update_keys(pair.now, request_peer=True)
    pair.run()
    for side, provider in providers.items():
        hello = 1  # in plaintext, both ways
        assert provider.records_sealed == pair.sides[side].stats.records_sent - hello
        assert provider.records_opened == pair.sides[side].stats.records_received - hello
    # Finished, data, KeyUpdate, ACK; the server's flight, the ACK of Finished, KeyUpdate, ACK.
    assert providers["client"].records_sealed == 1 + 10 + 1 + 1
    assert providers["server"].records_sealed == 1 + 1 + 1 + 1
    assert providers["client"].records_sealed == providers["server"].records_opened
    assert providers["server"].records_sealed == providers["client"].records_opened


def test_every_datagram_fits_the_mtu():
    pair = Pair.connected(client_config(**SMALL), server_config(credentials("rsa"), **SMALL))
    assert max(len(data) for _, _, data in pair.sent) == 300
    assert len(pair.datagrams("server")) > 4


@pytest.mark.parametrize("mtu", [128, 65_507])
def test_the_smallest_and_the_largest_mtu_work(mtu):
    own = credentials("rsa")
    chain = Credentials(own.chain * 30, own.private_key)  # over 16 KiB
    pair = Pair(client_config(mtu=mtu), server_config(chain, mtu=mtu))
    pair.run()
    assert max(len(data) for _, _, data in pair.sent) <= mtu
    assert pair.end("client").alert is AlertDescription.BAD_CERTIFICATE  # too many


def test_the_server_asks_again_when_it_cannot_use_the_key_share():
    """RFC 8446, 4.1.4; message_seq goes on across it (RFC 9147, 5.2)."""
    pair = Pair.connected(server=server_config(groups=(NamedGroup.SECP256R1,)))
    assert pair.result("client").group is NamedGroup.SECP256R1
    assert [sender for _, sender, _ in pair.sent] == ["client", "server"] * 3
    message_seqs = [data[17:19] for _, _, data in pair.sent[:4]]
    assert message_seqs == [b"\0\0", b"\0\0", b"\0\1", b"\0\1"]


def test_a_server_takes_its_second_group_rather_than_ask_again():
    pair = Pair.connected(server=server_config(groups=tuple(reversed(AVAILABLE_GROUPS))))
    assert pair.result("server").group is NamedGroup.X25519
    assert len(pair.sent) == 4


def test_a_server_prefers_its_own_order_of_suites():
    suites = (CipherSuite.TLS_AES_256_GCM_SHA384, CipherSuite.TLS_AES_128_GCM_SHA256)
    assert Pair.connected(server=server_config(suites=suites)).result("client").suite is suites[0]


def test_a_server_may_be_named_by_its_address():
    """RFC 6066, 3: the address is verified, and not sent."""
    pair = Pair.connected(
        client_config(server_name="127.0.0.1"), server_config(credentials(name="127.0.0.1"))
    )
    assert pair.result("client").server_name == "127.0.0.1"
    assert pair.result("server").server_name is None


def test_the_key_log_has_the_same_lines_on_both_sides():
    lines = {"client": [], "server": []}
    Pair.connected(
        client_config(key_log=lines["client"].append), server_config(key_log=lines["server"].append)
    )
    assert lines["client"] == lines["server"]
    assert [line.split()[0] for line in lines["client"]] == [
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
    ]


def test_nothing_secret_is_in_a_repr():
    pair = Pair.connected()
    assert "private_key" not in repr(server_config())
    pair.client.send(b"precious")
    pair.run()
    assert "precious" not in repr(pair.events["server"])


# Authentication of the client


def test_a_client_with_a_certificate_is_verified():
    pair = Pair.connected(
        client_config(credentials=credentials("ed25519", "client.example")),
        server_config(trust=(authority().certificate,)),
    )
    assert (
        pair.result("server").peer_certificate == credentials("ed25519", "client.example").chain[0]
    )


def test_a_client_without_the_certificate_asked_for_is_refused():
    pair = Pair(server=server_config(trust=(authority().certificate,)))
    pair.run()
    assert pair.end("server").alert is AlertDescription.CERTIFICATE_REQUIRED
    assert pair.end("client").alert is AlertDescription.CERTIFICATE_REQUIRED
    assert pair.end("client").by_peer


# What does not fit ends the handshake, with the alert on both sides


@pytest.mark.parametrize(
    ("own", "name", "alert", "words"),
    [
        (self_signed, SERVER_NAME, AlertDescription.UNKNOWN_CA, ""),
        (lambda: credentials(ca="Other CA"), SERVER_NAME, AlertDescription.UNKNOWN_CA, ""),
        (
            lambda: credentials(now=LONG_AGO),
            SERVER_NAME,
            AlertDescription.CERTIFICATE_EXPIRED,
            "",
        ),
        (credentials, "other.example", AlertDescription.BAD_CERTIFICATE, "other.example"),
    ],
    ids=["self-signed", "other CA", "expired", "other name"],
)
def test_a_wrong_certificate_is_refused_and_both_sides_know_why(own, name, alert, words):
    pair = Pair(client_config(server_name=name), server_config(own()))
    pair.run()
    assert pair.end("client").alert is alert
    assert not pair.end("client").by_peer
    assert words in pair.end("client").reason
    assert pair.end("server") == ConnectionTerminated(
        f"the peer sent {alert.name.lower()}", alert, by_peer=True
    )


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ({"suites": (CipherSuite.TLS_AES_256_GCM_SHA384,)}, "cipher suite"),
        ({"groups": (NamedGroup.SECP256R1,)}, "group"),
    ],
)
def test_a_server_that_shares_nothing_with_the_client_says_so(server, words):
    client = client_config(
        suites=(CipherSuite.TLS_AES_128_GCM_SHA256,), groups=(NamedGroup.X25519,)
    )
    pair = Pair(client, server_config(**server))
    pair.run()
    assert words in pair.end("server").reason
    for side in ("client", "server"):
        assert pair.end(side).alert is AlertDescription.HANDSHAKE_FAILURE


def test_a_configuration_names_the_value_that_cannot_work():
    with pytest.raises(UsageError, match=r"mtu must be 128 \.\. 65507 bytes, not 99"):
        client_config(mtu=99)
    with pytest.raises(UsageError, match="server_name"):
        Connection.client(client_config(server_name=None), 0.0)
    with pytest.raises(UsageError, match="trust"):
        Connection.client(client_config(trust=()), 0.0)
    with pytest.raises(UsageError, match="credentials"):
        Connection.server(client_config(), 0.0)


def test_a_datagram_is_no_larger_than_the_records_that_a_small_device_takes():
    profile = Profile("small", largest_record=512)
    provider = AcceleratorProvider(Device(ModelLink(AcceleratorModel(profile))))
    with pytest.raises(UsageError, match=r"mtu must be 128 \.\. 512 bytes, not 1200"):
        client_config(provider=provider)
    pair = Pair.connected(client_config(provider=provider, mtu=512), server_config())
    data = bytes(pair.client.max_payload)
    pair.client.send(data)
    pair.run()
    assert pair.data("server") == [data]


def test_an_error_on_our_side_ends_the_handshake_with_internal_error():
    pair = Pair(client_config(verification_time=lambda: LONG_AGO.replace(tzinfo=None)))
    pair.run()
    assert pair.end("client").alert is AlertDescription.INTERNAL_ERROR
    assert pair.end("server").alert is AlertDescription.INTERNAL_ERROR


# Closing


def test_close_notify_reaches_the_peer_which_may_still_send():
    pair = Pair.connected()
    pair.client.close(pair.now)
    pair.run()
    assert pair.events["server"][-1] == PeerClosed()
    assert pair.end("client") == ConnectionTerminated("closed", AlertDescription.CLOSE_NOTIFY)
    pair.server.send(b"late")
    pair.run()
    assert pair.data("client") == []


def test_data_after_the_close_notify_is_ignored_and_data_before_it_is_not():
    """RFC 9147, 5.10: it is the record numbers that count, not the order of arrival."""
    pair = Pair.connected(network=Network(lose=lambda sender, index: index >= 2))
    pair.client.send(b"before")
    pair.client._send_alert(AlertDescription.CLOSE_NOTIFY)
    pair.client.send(b"after")
    before, alert, after = pair.client.datagrams_to_send(pair.now)
    for datagram in (alert, after, before):
        pair.inject("server", datagram)
    assert pair.events["server"][1:2] == [PeerClosed()]
    assert pair.data("server") == [b"before"]


def test_nothing_works_after_the_end_and_nothing_breaks():
    pair = Pair.connected()
    pair.client.close(pair.now)
    for misuse in (lambda: pair.client.send(b""), lambda: pair.client.update_keys(pair.now)):
        with pytest.raises(UsageError, match="not established"):
            misuse()
    pair.client.close(pair.now)
    pair.client.handle_timer(pair.now)
    pair.client.receive_datagram(b"anything", pair.now)
    assert pair.client.timer() is None


@pytest.mark.parametrize("provider", ["software", "accelerator_model"])
def test_connections_that_nobody_has_go_without_the_garbage_collector(provider: str) -> None:
    pair = Pair.connected(
        client_config(provider=PROVIDERS[provider]()), server_config(provider=PROVIDERS[provider]())
    )
    connections = [weakref.ref(pair.client), weakref.ref(pair.server)]
    gc.disable()
    try:
        del pair
        assert [connection() for connection in connections] == [None, None]
    finally:
        gc.enable()


def test_misuse_is_refused_with_the_value():
    pair = Pair()
    with pytest.raises(UsageError, match="not established"):
        pair.client.send(b"early")
    pair.run()
    with pytest.raises(UsageError, match="1179 bytes are over 1178"):
        pair.client.send(bytes(pair.client.max_payload + 1))
    assert pair.client.connected


def test_events_come_once():
    pair = Pair.connected()
    assert [type(event) for event in pair.events["client"]] == [HandshakeCompleted]
    assert pair.client.next_event() is None
