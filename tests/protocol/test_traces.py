"""Our record layer, key schedule and transcript against sessions between stacks of others."""

from collections import Counter

import pytest

from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import CryptoProvider, OpenedRecord, Refusal
from protocol.key_schedule import Transcript, finished_mac, next_generation, traffic_keys
from protocol.record import ContentType, RecordLayer
from protocol.stats import Drop
from tests.protocol import traces
from tests.protocol.providers import PROVIDERS
from tests.protocol.traces import GCM_TRACES, SENDERS, Trace

FINISHED = 20
#: The random of a ServerHello that is a HelloRetryRequest (RFC 8446, 4.1.3).
RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> CryptoProvider:
    return PROVIDERS[request.param]()


@pytest.fixture(params=GCM_TRACES)
def trace(request: pytest.FixtureRequest) -> Trace:
    return traces.load(request.param)


def connection_id(hello: bytes) -> bytes:
    """The connection ID that the sender of a hello asks for: extension 54 (RFC 9146, 3)."""
    # The one trace that has them has connection IDs of 4 bytes.
    extension = hello.find(bytes.fromhex("0036000504"))
    return b"" if extension < 0 else hello[extension + 5 : extension + 9]


def record_layer(trace: Trace, sender: str, provider: CryptoProvider) -> RecordLayer:
    """What ``sender``'s peer has, with the keys of epochs 2, 3 and 4 installed."""
    hellos = {who: b"".join(d for d in trace.sent_by(who) if d[0] == 22) for who in SENDERS}
    receiver = "server" if sender == "client" else "client"
    layer = RecordLayer(provider)
    layer.use_connection_ids(connection_id(hellos[receiver]), connection_id(hellos[sender]))
    first = trace.application_secret(sender)
    secrets = (trace.handshake_secret(sender), first, next_generation(trace.suite, first))
    for epoch, secret in enumerate(secrets, start=2):
        layer.install_opener(epoch, traffic_keys(trace.suite, secret))
    return layer


def opened(trace: Trace, sender: str, provider: CryptoProvider) -> list[OpenedRecord]:
    """All records of one direction; none may be dropped."""
    layer = record_layer(trace, sender, provider)
    records = [r for data in trace.sent_by(sender) for r in layer.open_datagram(data)]
    layer.close()
    assert layer.statistics.drops == Counter()
    return records


def messages(records: list[OpenedRecord]) -> list[tuple[int, bytes]]:
    """Type and body of the handshake messages in the order of message_seq."""
    bodies: dict[int, tuple[int, bytearray]] = {}
    for record in records:
        rest = record.content if record.content_type == ContentType.HANDSHAKE else b""
        while rest:
            length, sequence, offset, size = (
                int.from_bytes(rest[a:b], "big") for a, b in ((1, 4), (4, 6), (6, 9), (9, 12))
            )
            _, body = bodies.setdefault(sequence, (rest[0], bytearray(length)))
            body[offset : offset + size] = rest[12 : 12 + size]
            rest = rest[12 + size :]
    return [(kind, bytes(body)) for _, (kind, body) in sorted(bodies.items())]


@pytest.mark.parametrize("sender", SENDERS)
def test_every_record_is_opened(trace: Trace, sender: str, provider: CryptoProvider) -> None:
    records = opened(trace, sender, provider)

    texts = [r.content for r in records if r.content_type == ContentType.APPLICATION_DATA]
    updated = "keyupdate" in trace.name
    assert texts == ([b"hello", b"after-ku", b"bye"] if updated else [b"hello", b"bye"])
    assert records[-1].content_type == ContentType.ALERT
    assert records[-1].content == bytes((1, 0))  # close_notify
    epochs = {r.number.epoch for r in records}
    assert epochs == ({0, 2, 3, 4} if trace.name == "wolfssl-5.5.4-cid-keyupdate" else {0, 2, 3})
    for epoch in epochs:
        numbers = [r.number.sequence_number for r in records if r.number.epoch == epoch]
        assert numbers == list(range(len(numbers)))


def test_finished_messages_follow_from_the_transcript(trace: Trace) -> None:
    client, server = (messages(opened(trace, sender, SoftwareProvider())) for sender in SENDERS)
    transcript = Transcript()
    transcript.select(trace.suite)
    if server[0][1][2:34] == RETRY_RANDOM:
        transcript.add(*client.pop(0))
        transcript.restart(transcript.digest())
        transcript.add(*server.pop(0))
    transcript.add(*client.pop(0))
    for kind, body in server:
        if kind == FINISHED:
            secret = trace.handshake_secret("server")
            assert body == finished_mac(trace.suite, secret, transcript.digest())
            transcript.add(kind, body)
            break
        transcript.add(kind, body)

    kind, body = client[0]
    assert kind == FINISHED
    secret = trace.handshake_secret("client")
    assert body == finished_mac(trace.suite, secret, transcript.digest())


@pytest.mark.parametrize("sender", SENDERS)
def test_a_second_time_every_protected_record_is_replayed(
    trace: Trace, sender: str, provider: CryptoProvider
) -> None:
    layer = record_layer(trace, sender, provider)
    first = [r for data in trace.sent_by(sender) for r in layer.open_datagram(data)]
    layer.discard_opener(0)

    again = [r for data in trace.sent_by(sender) for r in layer.open_datagram(data)]

    layer.close()
    protected = sum(r.number.epoch > 0 for r in first)
    assert again == []
    assert layer.statistics.drops == {
        Refusal.REPLAYED: protected,
        Drop.NO_KEY: len(first) - protected,
    }


@pytest.mark.parametrize("sender", SENDERS)
def test_a_forgery_is_dropped_and_does_not_harm_the_genuine_record(
    trace: Trace, sender: str, provider: CryptoProvider
) -> None:
    layer = record_layer(trace, sender, provider)
    protected = [data for data in trace.sent_by(sender) if data[0] & 0xE0 == 0x20]
    for data in protected:
        forged = data[:-1] + bytes((data[-1] ^ 1,))
        assert list(layer.open_datagram(forged)) == []
        assert len(list(layer.open_datagram(data))) == 1
    layer.close()
    assert layer.statistics.drops == {Refusal.BAD_TAG: len(protected)}
