"""Many records in one go, through a connection and a manager: all is as if they came one by one."""

import random
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.alerts import AlertDescription, UsageError
from protocol.connection import Connection
from protocol.crypto.provider import Refusal
from protocol.crypto.suites import CipherSuite
from protocol.events import BatchReceived, DataReceived, PeerClosed, ReadKeysUpdated
from tests.protocol.crowd import Crowd
from tests.protocol.pair import Pair, client_config, server_config
from tests.protocol.providers import PROVIDERS

CONTENTS = [b"%03d" % number for number in range(60)]
each_provider = pytest.mark.parametrize("provider", ["software", "accelerator_model"])


def connected(provider: str = "software", **changes: object) -> Pair:
    """A pair that has seen a record of epoch 3: there is nothing to do any more but data."""
    own = {"provider": PROVIDERS[provider](), **changes}
    pair = Pair.connected(client_config(**own), server_config(**own))
    pair.client.send(b"hello")
    pair.run()
    return pair


def taken(pair: Pair, side: str = "client") -> list[bytes]:
    """What one side has to send, lost to the network."""
    return pair.sides[side].datagrams_to_send(pair.now)


def received(pair: Pair, datagrams: Sequence[bytes], side: str = "server") -> bool:
    """Whether all were taken in one go; else they come one after the other."""
    connection = pair.sides[side]
    together = connection.receive_segments(b"".join(datagrams), len(datagrams[0]), pair.now)
    if not together:
        for datagram in datagrams:
            connection.receive_datagram(datagram, pair.now)
    return together


def data(connection: Connection) -> list[bytes]:
    events = iter(connection.next_event, None)
    return [event.data for event in events if isinstance(event, DataReceived)]


@each_provider
def test_records_go_and_come_together(provider: str) -> None:
    pair = connected(provider)
    before = pair.server.stats.records_received
    pair.client.send_many(CONTENTS)
    sent = taken(pair)
    assert received(pair, sent)
    assert pair.server.take_events() == [BatchReceived(CONTENTS)]
    stats = pair.client.stats, pair.server.stats
    assert stats[1].records_received == before + len(CONTENTS) == stats[0].records_sent
    assert stats[1].bytes_received == stats[0].bytes_sent
    assert stats[1].datagrams_received == stats[0].datagrams_sent


def test_single_events_are_still_to_be_had() -> None:
    pair = connected()
    pair.client.send_many(CONTENTS[:3])
    received(pair, taken(pair))
    pair.client.send(b"last")
    received(pair, taken(pair))
    events = list(iter(pair.server.next_event, None))
    assert events == [DataReceived(content) for content in [*CONTENTS[:3], b"last"]]


@pytest.fixture(scope="module", params=["software", "accelerator_model"])
def pairs(request: pytest.FixtureRequest) -> Callable[[], tuple[Pair, Pair]]:
    """Makes two pairs that are alike."""
    return lambda: (connected(request.param), connected(request.param))


@settings(max_examples=15)
@given(
    order=st.lists(st.integers(0, 59), min_size=1, max_size=70) | st.just(list(range(60))),
    damage=st.sets(st.integers(0, 69), max_size=3),
    batch=st.integers(2, 60),
)
def test_in_any_order_repeated_and_forged(
    pairs: Callable[[], tuple[Pair, Pair]], order: list[int], damage: set[int], batch: int
) -> None:
    """The same data, the same counters."""
    together, singly = pairs()
    before = [counted(pair.server) for pair in (together, singly)]
    for pair in (together, singly):
        pair.client.send_many(CONTENTS)
        sent = taken(pair)
        arriving = [sent[number] for number in order]
        for index in damage & set(range(len(arriving))):
            arriving[index] = arriving[index][:-1] + bytes([arriving[index][-1] ^ 1])
        for start in range(0, len(arriving), batch):
            part = arriving[start : start + batch]
            if pair is together:
                received(pair, part)
            else:
                for datagram in part:
                    pair.server.receive_datagram(datagram, pair.now)
    assert data(together.server) == data(singly.server)
    after = [counted(pair.server) for pair in (together, singly)]
    assert (after[0] - before[0]) == (after[1] - before[1])


def counted(connection: Connection) -> Counter[object]:
    stats = connection.stats
    return stats.drops + Counter(
        datagrams=stats.datagrams_received,
        records=stats.records_received,
        bytes=stats.bytes_received,
    )


@each_provider
def test_other_records_in_a_batch_are_handled_in_their_place(provider: str) -> None:
    """A close_notify, which is as long as they are; what was sent before it still counts."""
    pair = connected(provider)
    pair.client.send_many([b"a1", b"a2"])
    pair.client.close(pair.now)
    first, second, last = taken(pair)
    assert len({len(first), len(second), len(last)}) == 1
    received(pair, [first, last, second])
    assert pair.server.take_events() == [DataReceived(b"a1"), PeerClosed(), DataReceived(b"a2")]


@each_provider
def test_a_close_notify_may_be_the_last_of_a_batch(provider: str) -> None:
    pair = connected(provider)
    pair.client.send_many([b"a1", b"a2"])
    pair.client.close(pair.now)
    assert received(pair, taken(pair))
    assert pair.server.take_events() == [DataReceived(b"a1"), DataReceived(b"a2"), PeerClosed()]


@each_provider
def test_what_follows_a_fatal_alert_is_not_delivered(provider: str) -> None:
    pair = connected(provider)
    pair.client.send(b"a1")
    pair.client._fail(AlertDescription.HANDSHAKE_FAILURE, "a reason")
    received(pair, taken(pair)[::-1])
    assert [type(event).__name__ for event in pair.server.take_events()] == ["ConnectionTerminated"]


def test_batches_wait_until_keys_have_changed() -> None:
    """While a KeyUpdate is under way all comes one by one; afterwards together again."""
    pair = connected()
    pair.client.update_keys(pair.now)
    pair.client.send_many([b"x" * 7] * 2)
    update, *records = taken(pair)
    pair.server.receive_datagram(update, pair.now)
    assert not received(pair, records)
    assert data(pair.server) == [b"x" * 7] * 2
    pair.client.receive_datagram(*taken(pair, "server"), pair.now)
    pair.client.send_many([b"new", b"key"])
    assert received(pair, taken(pair))
    assert data(pair.server) == [b"new", b"key"]


@each_provider
def test_keys_are_updated_in_time(provider: str) -> None:
    pair = connected(provider, update_keys_after=50)
    for _ in range(3):
        pair.client.send_many(CONTENTS[:30])
        pair.run()
    assert pair.data("server") == [b"hello", *CONTENTS[:30] * 3]
    assert any(isinstance(event, ReadKeysUpdated) for event in pair.events["server"])


def test_a_datagram_of_two_records_is_not_a_record() -> None:
    pair = connected()
    pair.client.send_many(CONTENTS[:4])
    sent = taken(pair)
    assert not received(pair, [sent[0] + sent[1], sent[2] + sent[3]])
    assert data(pair.server) == CONTENTS[:4]


def test_forgeries_in_batches_count_towards_the_limit() -> None:
    """RFC 9147, 4.5.3; the suite allows 128."""
    pair = connected(suites=(CipherSuite.TLS_AES_128_CCM_8_SHA256,))
    pair.client.send_many([bytes(100)] * 50)
    sent = taken(pair)
    forged = [record[:-1] + bytes([record[-1] ^ 1]) for record in sent]
    for _ in range(2):
        received(pair, forged)
    assert pair.server.connected
    received(pair, forged)
    assert not pair.server.connected
    assert pair.server.stats.drops[Refusal.BAD_TAG] == 128
    assert pair.server.stats.drops[Refusal.KEY_LIMIT] == 1


def test_nothing_is_sent_of_what_is_too_long_in_part() -> None:
    pair = connected()
    before = pair.client.stats.records_sent
    longest = pair.client.max_payload
    with pytest.raises(UsageError, match=f"{longest + 1} bytes are over {longest}"):
        pair.client.send_many([b"short", bytes(longest + 1)])
    assert pair.client.stats.records_sent == before
    pair.client.send_many([bytes(longest)])
    pair.client.send_many([])
    assert [len(datagram) for datagram in taken(pair)] == [1200]


def test_nothing_is_sent_when_it_is_over() -> None:
    pair = connected()
    pair.client.close(pair.now)
    with pytest.raises(UsageError, match="not established"):
        pair.client.send_many([b"hello"] * 2)


def test_a_manager_gives_each_peer_its_own() -> None:
    """Two of them behind one address, which only connection IDs tell apart."""
    ids = random.Random(1)
    crowd = Crowd(server_config(connection_id=lambda: ids.randbytes(4)))
    clients = [crowd.join("a"), crowd.join("b")]
    crowd.run()
    peers = [crowd.peer(client) for client in clients]
    datagrams = []
    for number, client in enumerate(clients):
        client.connection.send_many([b"from %d" % number] * 3)
        datagrams += client.connection.datagrams_to_send(crowd.now)
    mixed = [datagrams[index] for index in (0, 3, 1, 2, 4, 5)]
    crowd.manager.receive_segments(b"".join(mixed), len(mixed[0]), "a", crowd.now)
    crowd._collect()
    assert [crowd.data(peer) for peer in peers] == [[b"from 0"] * 3, [b"from 1"] * 3]


@pytest.mark.parametrize("last", [b"", b"shorter"])
def test_a_manager_takes_what_is_left_behind_the_last_whole_datagram(last: bytes) -> None:
    crowd = Crowd()
    client = crowd.join("a")
    crowd.run()
    client.connection.send(b"hello")
    crowd.run()
    contents = [*[b"a longer one"] * 5, *([last] if last else [])]
    client.connection.send_many(contents)
    datagrams = client.connection.datagrams_to_send(crowd.now)
    before = crowd.manager.stats.datagrams_received
    crowd.manager.receive_segments(b"".join(datagrams), len(datagrams[0]), "a", crowd.now)
    assert crowd.manager.stats.datagrams_received == before + len(contents)
    (_, events), *more = crowd.manager.events()
    assert events == [BatchReceived(contents[:5])]
    assert [each for _, each in more] == ([[DataReceived(last)]] if last else [])


def test_a_manager_sends_many() -> None:
    crowd = Crowd()
    client = crowd.join("a")
    crowd.run()
    crowd.manager.send_many(crowd.peer(client), CONTENTS)
    crowd.run()
    assert client.data == CONTENTS
