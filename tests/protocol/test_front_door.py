"""Clients that have not proved where they are (RFC 9147, 5.1 and 5.11)."""

import pytest

from protocol.alerts import AlertDescription
from protocol.connection import Connection
from protocol.events import ConnectionTerminated, HandshakeCompleted
from protocol.extensions import (
    CLIENT_KEY_SHARES,
    CLIENT_VERSIONS,
    COOKIE,
    DTLS_1_2,
    DTLS_1_3,
    SUPPORTED_GROUPS,
    Extension,
    Extensions,
)
from protocol.handshake_framing import Fragment, HandshakeType
from protocol.handshake_messages import ClientHello, ServerHello
from protocol.key_exchange import AVAILABLE_GROUPS, NamedGroup
from protocol.manager import Manager, ManagerLimits
from protocol.record import ContentType, build_plaintext, parse_plaintext
from protocol.retry import COOKIE_LIFETIME
from protocol.stats import Unrouted
from tests.protocol.crowd import Crowd
from tests.protocol.pair import client_config, server_config
from tests.protocol.providers import PROVIDERS

EAGER = ManagerLimits(handshakes_without_cookie=100)


def hello_datagram(hello: ClientHello, seq: int = 0, number: int = 0) -> bytes:
    body = hello.encode()
    fragment = Fragment(HandshakeType.CLIENT_HELLO, len(body), seq, 0, body)
    return build_plaintext(ContentType.HANDSHAKE, number, fragment.encode())


def smallest_hello(*more: Extension) -> ClientHello:
    """What a server has to answer with a HelloRetryRequest for a key share."""
    extensions = Extensions(
        [
            CLIENT_VERSIONS.make((DTLS_1_3,)),
            SUPPORTED_GROUPS.make((NamedGroup.X25519,)),
            CLIENT_KEY_SHARES.make(()),
            *more,
        ]
    )
    suite = server_config().suites[0]
    return ClientHello(bytes(32), (suite,), extensions)


def alert_of(data: bytes) -> AlertDescription:
    record = parse_plaintext(data)
    assert record is not None
    assert record.content_type == ContentType.ALERT
    return AlertDescription(record.content[1])


@pytest.mark.parametrize("mtu", [128, 200, 1200])
def test_nothing_is_kept_until_the_cookie_is_back(mtu: int) -> None:
    crowd = Crowd(lose=lambda source, target, data: target == "a")
    crowd.join("a", client_config(mtu=mtu))
    crowd.run(0.5)
    manager = crowd.manager
    assert manager.stats.retries_sent == 1
    assert len(manager) == manager.stats.connections_begun == manager._hellos.used == 0
    assert manager.timer() is None
    assert crowd.bytes_sent("server", "a") <= 3 * crowd.bytes_sent("a", "server")


@pytest.mark.parametrize("provider", ["software", "accelerator_model"])
@pytest.mark.parametrize("limits", [None, EAGER], ids=["cookie", "no cookie"])
@pytest.mark.parametrize("retry_for_group", [False, True])
def test_hellos_that_span_datagrams(
    provider: str, limits: ManagerLimits | None, retry_for_group: bool
) -> None:
    """X25519MLKEM768 has a key share of 1,216 bytes."""
    hybrid = NamedGroup.X25519MLKEM768
    if hybrid not in AVAILABLE_GROUPS:
        pytest.skip("pyca/cryptography has no ML-KEM")
    own = {"provider": PROVIDERS[provider]()}
    crowd = Crowd(server_config(groups=(hybrid,), **own), limits)
    groups = (NamedGroup.X25519, hybrid) if retry_for_group else (hybrid,)
    client = crowd.join("a", client_config(groups=groups, **own))
    crowd.run()
    (result,) = [e for e in client.events if isinstance(e, HandshakeCompleted)]
    assert result.group == hybrid
    retried = limits is None or retry_for_group
    assert client.connection.stats.flights_sent == (3 if retried else 2)
    assert crowd.manager.stats.retries_sent == (limits is None)
    assert crowd.manager._hellos.used == crowd.manager._hellos.dropped == 0


def test_the_answer_is_no_more_than_three_times_the_smallest_hello() -> None:
    crowd = Crowd()
    data = hello_datagram(smallest_hello())
    crowd.inject("a", data)
    assert crowd.manager.stats.retries_sent == 1
    assert crowd.bytes_sent("server", "a") <= 3 * len(data)


def test_a_repeated_hello_is_answered_again_in_a_record_with_its_own_number() -> None:
    crowd = Crowd()
    for number in (0, 5):
        crowd.inject("a", hello_datagram(smallest_hello(), number=number))
    records = [parse_plaintext(data) for data in crowd.datagrams("server", "a")]
    assert [record.number.sequence_number for record in records if record] == [0, 5]


def test_the_server_goes_on_with_record_and_message_numbers_that_were_not_used() -> None:
    crowd = Crowd()
    crowd.join("a")
    crowd.run()
    sent = crowd.datagrams("server", "a")
    numbers, sequence = [], []
    for data in sent[:2]:
        end = 13 + int.from_bytes(data[11:13], "big")
        record = parse_plaintext(data[:end])
        assert record is not None
        numbers.append(record.number.sequence_number)
        sequence.append(int.from_bytes(record.content[4:6], "big"))
    assert sequence == [0, 1]
    assert numbers == sorted(set(numbers))


def cookie_of(data: bytes) -> bytes:
    record = parse_plaintext(data)
    assert record is not None
    cookie = COOKIE.read(ServerHello.parse(record.content[12:]).extensions)
    assert cookie is not None
    return cookie


def test_a_cookie_is_good_for_one_address_only() -> None:
    crowd = Crowd()
    crowd.inject("a", hello_datagram(smallest_hello()))
    cookie = cookie_of(crowd.datagrams("server", "a")[0])
    crowd.inject("b", hello_datagram(smallest_hello(COOKIE.make(cookie)), seq=1))
    assert alert_of(crowd.datagrams("server", "b")[0]) == AlertDescription.ILLEGAL_PARAMETER
    assert crowd.manager.stats.refused == {AlertDescription.ILLEGAL_PARAMETER: 1}
    assert len(crowd.manager) == 0


@pytest.mark.parametrize(
    ("hello", "seq"),
    [
        (smallest_hello(COOKIE.make(b"stale")), 0),
        (smallest_hello(COOKIE.make(b"stale")), 1),
        (smallest_hello(), 1),
    ],
    ids=["first hello", "second hello", "none"],
)
def test_an_invalid_cookie_ends_the_handshake(hello: ClientHello, seq: int) -> None:
    crowd = Crowd()
    crowd.inject("a", hello_datagram(hello, seq))
    assert alert_of(crowd.datagrams("server", "a")[0]) == AlertDescription.ILLEGAL_PARAMETER
    assert len(crowd.manager) == 0


def test_a_client_whose_cookie_is_too_old_may_begin_from_scratch() -> None:
    late = []

    def lose(source: object, target: object, data: bytes) -> bool:
        return source == "a" and bool(late) and crowd.now < late[0]

    crowd = Crowd(lose=lose)
    client = crowd.join("a", client_config(handshake_timeout=500))
    crowd.run(0.005)
    late.append(crowd.now + COOKIE_LIFETIME + 1)
    crowd.run()
    end = client.events[-1]
    assert isinstance(end, ConnectionTerminated)
    assert end.alert == AlertDescription.ILLEGAL_PARAMETER
    again = crowd.join("a")
    crowd.clients.remove(client)
    crowd.run()
    assert again.connection.connected


def test_a_client_of_dtls_1_2_is_told_so() -> None:
    extensions = Extensions([CLIENT_VERSIONS.make((DTLS_1_2,))])
    crowd = Crowd()
    crowd.inject("a", hello_datagram(ClientHello(bytes(32), (0xC02B,), extensions)))
    assert alert_of(crowd.datagrams("server", "a")[0]) == AlertDescription.PROTOCOL_VERSION


def test_a_client_with_nothing_in_common_is_refused_before_anything_is_kept() -> None:
    crowd = Crowd()
    hello = ClientHello(bytes(32), (0x1399,), smallest_hello().extensions)
    crowd.inject("a", hello_datagram(hello))
    assert alert_of(crowd.datagrams("server", "a")[0]) == AlertDescription.HANDSHAKE_FAILURE
    assert len(crowd.manager) == 0


def test_what_is_no_hello_is_dropped_without_a_word() -> None:
    crowd = Crowd()
    fragment = Fragment(HandshakeType.CLIENT_HELLO, 40, 0, 0, bytes(40)).encode()
    crowd.inject("a", build_plaintext(ContentType.HANDSHAKE, 0, fragment))
    assert crowd.datagrams("server", "a") == []
    assert crowd.manager.stats.drops == {Unrouted.BAD_HELLO: 1}


def test_without_a_cookie_no_more_than_three_times_what_came_goes_out() -> None:
    """A server that does not insist on cookies waits with the rest of its flight."""
    silent = []
    crowd = Crowd(limits=EAGER, lose=lambda source, target, data: source == "a" and bool(silent))
    client = crowd.join("a")
    crowd.run(0.005)
    silent.append(True)
    crowd.run(10)
    assert len(crowd.manager) == 1
    assert crowd.bytes_sent("server", "a") <= 3 * len(crowd.datagrams("a", "server")[0])
    silent.clear()
    crowd.run()
    assert client.connection.connected


@pytest.mark.parametrize("mtu", [128, 200, 1200])
def test_without_cookies_a_handshake_takes_two_flights_of_the_client(mtu: int) -> None:
    crowd = Crowd(limits=EAGER)
    client = crowd.join("a", client_config(mtu=mtu))
    crowd.run()
    assert client.connection.connected
    assert client.connection.stats.flights_sent == 2
    assert crowd.manager.stats.retries_sent == 0


def test_cookies_are_asked_for_once_there_are_many_handshakes() -> None:
    limits = ManagerLimits(handshakes_without_cookie=2)
    crowd = Crowd(limits=limits, lose=lambda source, target, data: source == "server")
    for address in range(5):
        crowd.join(address)
    crowd.run(0.1)
    assert crowd.manager.handshakes == 2
    assert crowd.manager.stats.retries_sent == 3


def test_pieces_of_all_strangers_share_a_small_pool() -> None:
    crowd = Crowd(limits=ManagerLimits(hello_bytes=1 << 14))
    client = Connection.client(client_config(mtu=128), 0.0)
    first, *_ = client.datagrams_to_send(0.0)
    for number in range(500):
        crowd.inject(number, first)
        assert crowd.manager._hellos.used <= 1 << 14
    assert len(crowd.manager) == 0
    client_in_time = crowd.join("a", client_config(mtu=128))
    crowd.run()
    assert client_in_time.connection.connected


class TestBeginningAnew:
    """RFC 9147, 5.11."""

    @pytest.mark.parametrize("mtu", [200, 1200])
    def test_a_client_hello_destroys_nothing(self, mtu: int) -> None:
        crowd = Crowd()
        old = crowd.join("a")
        crowd.run()
        for data in Connection.client(client_config(mtu=mtu), 0.0).datagrams_to_send(0.0):
            crowd.inject("a", data)
        old.connection.send(b"still here")
        crowd.run()
        assert crowd.data(crowd.peer(old)) == [b"still here"]

    def test_the_old_association_works_until_the_new_finished_has_come(self) -> None:
        crowd = Crowd()
        old = crowd.join("a")
        crowd.run()
        old_peer = crowd.peer(old)
        new = crowd.join("a")
        crowd.run(0.035)  # The new server flight is on its way or there, the Finished is not.
        assert crowd.manager.handshakes == 1
        old.connection.send(b"still here")
        crowd._collect()
        crowd.run(0.0105)
        assert crowd.data(old_peer) == [b"still here"]
        crowd.run()
        assert new.connection.connected
        assert crowd.ended() == {old_peer: ConnectionTerminated("the client began anew")}
        (new_peer,) = crowd.manager
        new.connection.send(b"hello")
        crowd.run()
        assert crowd.data(new_peer) == [b"hello"]

    def test_a_new_association_that_fails_leaves_the_old_one(self) -> None:
        finished = []
        crowd = Crowd(lose=lambda source, target, data: bool(finished) and data[0] & 0xE3 == 0x22)
        old = crowd.join("a")
        crowd.run()
        finished.append(True)  # Epoch 2 is lost from now on.
        new = crowd.join("a", client_config(handshake_timeout=5))
        crowd.run(400)
        assert not new.connection.connected
        crowd.clients.remove(new)
        old.connection.send(b"still here")
        crowd.run()
        assert crowd.data(crowd.peer(old)) == [b"still here"]
        assert crowd.manager.handshakes == 0

    def test_only_the_last_of_several_beginnings_counts(self) -> None:
        crowd = Crowd()
        crowd.join("a")
        crowd.run(0.035)
        assert crowd.manager.handshakes == 1
        crowd.join("a")
        crowd.run(0.035)
        third = crowd.join("a")
        crowd.run()
        assert third.connection.connected
        assert len(crowd.manager) == 1
        assert crowd.manager.handshakes == 0

    def test_without_cookies_a_known_address_has_to_bring_one(self) -> None:
        crowd = Crowd(limits=EAGER)
        crowd.join("a")
        crowd.run()
        assert crowd.manager.stats.retries_sent == 0
        again = crowd.join("a")
        crowd.run()
        assert again.connection.connected
        assert crowd.manager.stats.retries_sent == 1
        assert len(crowd.manager) == 1


def test_a_flood_of_refused_hellos_does_not_fill_the_memory() -> None:
    manager = Manager(0.0, server_config())
    strange = hello_datagram(ClientHello(bytes(32), (0x1399,), smallest_hello().extensions))
    for number in range(1000):
        manager.receive_datagrams([strange], number, 0.0)
        manager.datagrams_to_send(0.0)
    refusals = manager.refusals()
    assert [address for address, _ in refusals] == list(range(936, 1000))
    assert {end.alert for _, end in refusals} == {AlertDescription.HANDSHAKE_FAILURE}
    assert manager.stats.refused[AlertDescription.HANDSHAKE_FAILURE] == 1000
    assert manager.refusals() == []
