"""Our record layer, key schedule and transcript against sessions between stacks of others."""

import pytest

from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import CryptoProvider, Refusal
from protocol.key_schedule import Transcript, finished_mac
from protocol.record import ContentType
from protocol.stats import Drop
from tests.protocol import traces
from tests.protocol.providers import PROVIDERS, PROVIDERS_AND_SUITES
from tests.protocol.traces import SENDERS, TRACES, Trace, messages, opened, record_layer

FINISHED = 20
#: The random of a ServerHello that is a HelloRetryRequest (RFC 8446, 4.1.3).
RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


each_trace = pytest.mark.parametrize("trace", TRACES, indirect=True)
#: Each provider with the traces of its suites.
each_trace_and_provider = pytest.mark.parametrize(
    ("trace", "provider"),
    [(name, who) for who, has in PROVIDERS_AND_SUITES for name in TRACES if TRACES[name] is has],
    indirect=True,
)


@pytest.fixture
def provider(request: pytest.FixtureRequest) -> CryptoProvider:
    return PROVIDERS[request.param]()


@pytest.fixture
def trace(request: pytest.FixtureRequest) -> Trace:
    return traces.load(request.param)


@each_trace_and_provider
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


@each_trace
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


@each_trace_and_provider
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


@each_trace_and_provider
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
