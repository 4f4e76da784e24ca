"""Our two sides of a handshake take the place of one side in sessions between stacks of others.

Keys that nobody has any more come from the key log, and our own messages are those recorded. What
the other stack then proves to us is real: its signature over the transcript, its Finished, its
record and message numbers, and that our Finished is the one that it accepted.
"""

from dataclasses import dataclass

import pytest
from cryptography import x509

from protocol.client import ClientHandshake
from protocol.connection import Connection
from protocol.crypto.fallback import FallbackProvider
from protocol.crypto.openssl import SoftwareProvider
from protocol.events import DataReceived, HandshakeCompleted, PeerClosed, ReadKeysUpdated
from protocol.extensions import CLIENT_KEY_SHARES
from protocol.handshake_framing import HandshakeType
from protocol.handshake_messages import RETRY_RANDOM, ClientHello
from protocol.key_schedule import KeySchedule, TrafficSecrets
from protocol.server import ServerHandshake
from protocol.state import Step
from tests.protocol import traces
from tests.protocol.pair import client_config, server_config
from tests.protocol.providers import PROVIDERS
from tests.protocol.traces import Trace, messages, opened

PLAIN = ["boringssl-x25519", "boringssl-x25519-keyupdate"]
#: These have a HelloRetryRequest with a cookie, which our server does not send.
COOKIE = ["wolfssl-5.5.4-aes128-gcm-sha256", "wolfssl-5.5.4-aes256-gcm-sha384"]
#: As COOKIE, with suites that the accelerator lacks.
SOFTWARE = ["wolfssl-5.5.4-chacha20-poly1305-sha256", "wolfssl-5.5.4-aes128-ccm-sha256"]
#: As COOKIE, with connection IDs in both directions.
CONNECTION_ID = ["wolfssl-5.5.4-cid-keyupdate"]
#: A ClientHello of two datagrams.
FRAGMENTED = ["boringssl-x25519mlkem768"]


@dataclass
class Recorded:
    """A message as it was sent."""

    msg_type: HandshakeType
    body: bytes

    def encode(self) -> bytes:
        return self.body


@dataclass
class LostShare:
    """A key share whose private key is gone."""

    group: int

    def exchange(self, peer_public: bytes) -> bytes:
        return b""


class LostSecrets:
    """Secrets of the key log instead of those of a key exchange."""

    trace: Trace

    def _start_handshake_epoch(self, shared_secret, psk=None):
        self._schedule = KeySchedule(self._suite)
        self._secrets = TrafficSecrets(*map(self.trace.handshake_secret, ("client", "server")))

    def _application_secrets(self):
        return TrafficSecrets(*map(self.trace.application_secret, ("client", "server")))


class RecordedClient(LostSecrets, ClientHandshake):
    def _send_hello(self, cookie=None):
        body = self.hellos.pop(0)
        self._hello = ClientHello.parse(body)
        (share,) = CLIENT_KEY_SHARES.require(self._hello.extensions) or [None]
        self._share = LostShare(share.group)
        self._channel.send_flight([(0, self._record(Recorded(HandshakeType.CLIENT_HELLO, body)))])


class RecordedServer(LostSecrets, ServerHandshake):
    def _choose_group(self, offered, shares):
        return shares[0].group

    def _accept(self, hello, client_public):
        self.machine.advance(Step.CLIENT_HELLO)
        self._start_handshake_epoch(b"")
        for kind, body in self.flight[:-1]:
            self._record(Recorded(HandshakeType(kind), body))
        _, ours = self._finished(self._secrets.server)
        assert (ours.msg_type, ours.encode()) == self.flight[-1]
        self._application = self._application_secrets()
        self._channel.write_with(2, self._suite, self._secrets.server)
        self._channel.write_with(3, self._suite, self._application.server)
        self._channel.read_with(2, self._suite, self._secrets.client)
        recorded = [Recorded(HandshakeType(kind), body) for kind, body in self.flight]
        self._channel.send_flight([(0, recorded[0]), *((2, message) for message in recorded[1:])])


def handshake_messages(trace, sender):
    """Those of the handshake: the messages up to the Finished."""
    provider = PROVIDERS["software"]()
    found = messages(opened(trace, sender, provider))
    end = [kind for kind, _ in found].index(HandshakeType.FINISHED)
    return found[: end + 1]


def events(connection):
    found = []
    while (event := connection.next_event()) is not None:
        found.append(event)
    return found


@pytest.mark.parametrize("provider", ["software", "accelerator_model"])
@pytest.mark.parametrize("name", PLAIN + COOKIE + SOFTWARE + CONNECTION_ID + FRAGMENTED)
def test_our_client_accepts_the_flights_of_other_servers(name, provider, monkeypatch):
    trace = traces.load(name)
    sent = handshake_messages(trace, "client")
    hellos = [body for kind, body in sent if kind == HandshakeType.CLIENT_HELLO]
    monkeypatch.setattr(RecordedClient, "trace", trace, raising=False)
    monkeypatch.setattr(RecordedClient, "hellos", hellos, raising=False)
    monkeypatch.setattr(
        "protocol.chains.ChainVerifier.verify_server",
        lambda _self, chain, *_: x509.load_der_x509_certificate(chain[0]),
    )
    config = client_config(
        provider=FallbackProvider(PROVIDERS[provider](), SoftwareProvider()),
        connection_id=lambda: trace.connection_id("client"),
    )
    client = Connection(config, 0.0, RecordedClient)
    client._handshake.start()
    finished = None
    for datagram in trace.sent_by("server"):
        client.receive_datagram(datagram, 0.0)
        if client.connected and finished is None:
            finished = client._delivery._flight.messages[-1]
        client.datagrams_to_send(0.0)

    completed, *rest = events(client)
    assert isinstance(completed, HandshakeCompleted), completed
    assert completed.suite == trace.suite
    assert completed.receive_connection_id == trace.connection_id("client")
    assert completed.send_connection_id == trace.connection_id("server")
    assert (finished.msg_type, finished.body) == sent[-1]
    assert [event.data for event in rest if isinstance(event, DataReceived)][:1] == [b"hello"]
    assert rest[-1] == PeerClosed()
    assert not client.stats.drops


@pytest.mark.parametrize("name", PLAIN + FRAGMENTED)
def test_our_server_accepts_the_flights_of_other_clients(name, monkeypatch):
    trace = traces.load(name)
    flight = handshake_messages(trace, "server")
    assert flight[0][1][2:34] != RETRY_RANDOM
    monkeypatch.setattr(RecordedServer, "trace", trace, raising=False)
    monkeypatch.setattr(RecordedServer, "flight", flight, raising=False)
    server = Connection(server_config(), 0.0, RecordedServer)
    for datagram in trace.sent_by("client"):
        server.receive_datagram(datagram, 0.0)
        server.datagrams_to_send(0.0)

    completed, *rest = events(server)
    assert isinstance(completed, HandshakeCompleted), completed
    assert [event.data for event in rest if isinstance(event, DataReceived)][:1] == [b"hello"]
    assert any(isinstance(event, ReadKeysUpdated) for event in rest) == ("keyupdate" in name)
    assert rest[-1] == PeerClosed()
    assert not server.stats.drops
