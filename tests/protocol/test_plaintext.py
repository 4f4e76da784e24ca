"""Hellos that are not genuine: they give way to those that are."""

from dataclasses import replace

import pytest

from protocol.crypto.suites import CipherSuite
from protocol.extensions import COOKIE, DTLS_1_3, RETRY_GROUP, SERVER_VERSION, Extensions
from protocol.handshake_framing import Fragment, HandshakeType, parse_fragments
from protocol.handshake_messages import RETRY_RANDOM, ClientHello, ServerHello
from protocol.key_exchange import NamedGroup
from protocol.plaintext import _MOST_CHANGES
from protocol.record import ContentType, build_plaintext, parse_plaintext, plaintext_end
from protocol.stats import Drop
from tests.protocol.pair import DELAY, Network, Pair, client_config, server_config
from tests.protocol.providers import PROVIDERS

HELLO = {"client": HandshakeType.SERVER_HELLO, "server": HandshakeType.CLIENT_HELLO}
SIDES = pytest.mark.parametrize("side", HELLO)
EACH_PROVIDER = pytest.mark.parametrize("provider", PROVIDERS)
SUITE = CipherSuite.TLS_AES_128_GCM_SHA256
#: Where ClientHello.random and ServerHello.random stand.
RANDOM_AT = 2


def pair_without(*lost, provider="software", **changes):
    """These datagrams are lost, each a sender and its index."""
    common = {"provider": PROVIDERS[provider](), "suites": (SUITE,)} | changes
    network = Network(lose=lambda sender, index: (sender, index) in lost)
    return Pair(client_config(**common), server_config(**common), network)


def record(fragment, number=7):
    return build_plaintext(ContentType.HANDSHAKE, number, fragment.encode())


def first_hello(datagram):
    (fragment,) = parse_fragments(parse_plaintext(datagram[: plaintext_end(datagram)]).content)
    return fragment


def damaged(fragment, place, mask=1):
    data = bytearray(fragment.data)
    data[place] ^= mask
    return replace(fragment, data=bytes(data))


def whole(message, message_seq=0):
    body = message.encode()
    return Fragment(message.msg_type, len(body), message_seq, 0, body)


def refused(pair, side, text=b"x"):
    """A hello that has its syntax, but cannot be accepted."""
    if side == "client":
        return record(whole(ServerHello(bytes(31) + text, SUITE, Extensions())))
    hello = ClientHello.parse(first_hello(pair.datagrams("client")[0]).data)
    extensions = Extensions([*hello.extensions, COOKIE.make(text)])
    return record(whole(replace(hello, extensions=extensions)))


def succeeds(pair):
    pair.run()
    return pair.client.connected and pair.server.connected


# Refused


@SIDES
@EACH_PROVIDER
def test_a_hello_that_is_refused_once_changes_nothing(side, provider):
    pair = pair_without(("client", 0), provider=provider)
    pair.run(0.5)
    pair.inject(side, refused(pair, side))
    assert pair.sides[side].stats.drops == {Drop.BAD_PLAINTEXT: 1}
    assert succeeds(pair)
    assert pair.now < 2.0


@SIDES
def test_a_hello_that_is_refused_twice_is_the_peers(side):
    pair = pair_without(("client", 0))
    pair.run(0.5)
    for _ in range(2):
        pair.inject(side, refused(pair, side))
    assert not pair.end(side).by_peer
    assert pair.end(side).alert is not None


@SIDES
def test_so_is_the_third_one_in_a_row_whatever_it_says(side):
    """A HelloRetryRequest with a cookie is never the same twice."""
    pair = pair_without(("client", 0))
    pair.run(0.5)
    for text in (b"a", b"b"):
        pair.inject(side, refused(pair, side, text))
        assert not pair.events[side]
    pair.inject(side, refused(pair, side, b"c"))
    assert pair.end(side).alert is not None


def test_a_retry_request_that_is_refused_does_not_count_as_one():
    pair = pair_without(("client", 0))
    pair.run(0.5)
    request = retry_request(RETRY_GROUP.make(NamedGroup.X25519))  # It is there already.
    pair.inject("client", record(whole(request)))
    assert succeeds(pair)


def retry_request(*extensions):
    return ServerHello(
        RETRY_RANDOM, SUITE, Extensions([SERVER_VERSION.make(DTLS_1_3), *extensions])
    )


# Accepted


@EACH_PROVIDER
def test_a_client_that_took_a_damaged_server_hello_takes_the_genuine_one(provider):
    pair = pair_without(("server", 0), provider=provider)
    pair.run(2 * DELAY)
    hello = first_hello(pair.datagrams("server")[0])
    pair.inject("client", record(damaged(hello, RANDOM_AT)))
    assert pair.client._epochs.read_epoch == 2
    assert succeeds(pair)
    assert pair.now < 2.0


@EACH_PROVIDER
def test_a_server_that_took_a_damaged_client_hello_takes_the_genuine_one(provider):
    pair = pair_without(("client", 0), provider=provider)
    pair.run(0.5)
    hello = first_hello(pair.datagrams("client")[0])
    pair.inject("server", record(damaged(hello, len(hello.data) // 2)))
    assert pair.server._epochs.read_epoch == 2
    assert succeeds(pair)


@EACH_PROVIDER
def test_no_number_of_a_record_is_used_twice_when_a_server_hello_comes_back(provider):
    """Its keys come back as well."""
    pair = pair_without(*(("server", index) for index in range(9)), provider=provider)
    pair.run(2 * DELAY)
    hello = first_hello(pair.datagrams("server")[0])
    pair.inject("client", record(hello))
    pair.run(0.5)
    sent = pair.client._records.sealers[2].next_number
    assert sent == 1  # An ACK.
    pair.inject("client", record(damaged(hello, RANDOM_AT)))
    pair.inject("client", record(hello))
    assert pair.client._records.sealers[2].next_number >= sent
    pair.network = Network()
    assert succeeds(pair)


def test_a_server_hello_is_certain_once_its_keys_have_opened_a_record():
    pair = pair_without(*(("server", index) for index in range(1, 9)), mtu=300)
    pair.run(2 * DELAY)
    hello = first_hello(pair.datagrams("server")[0])
    assert pair.client._epochs.read_epoch == 2
    pair.inject("client", record(damaged(hello, RANDOM_AT)))
    assert sum(pair.client.stats.drops.values()) == 1
    assert succeeds(pair)


@pytest.mark.parametrize("place", [RANDOM_AT, 200], ids=["another random", "the same random"])
def test_a_client_hello_that_comes_once_or_with_another_random_replaces_none(place):
    pair = pair_without(("server", 0))
    pair.run(2 * DELAY)
    before = pair.server._handshake
    hello = first_hello(pair.datagrams("client")[0])
    for _ in range(2 if place == RANDOM_AT else 1):
        pair.inject("server", record(damaged(hello, place)))
    assert pair.server._handshake is before
    assert succeeds(pair)


def test_other_hellos_are_tried_so_often_only():
    pair = pair_without(*(("server", index) for index in range(99)))
    pair.run(2 * DELAY)
    hello = first_hello(pair.datagrams("server")[0])
    for count in range(_MOST_CHANGES + 2):
        before = pair.client._handshake
        pair.inject("client", record(damaged(hello, RANDOM_AT + 1, count + 1)))
        assert (pair.client._handshake is before) is (count in (0, _MOST_CHANGES + 1))


@pytest.mark.parametrize("later", [b"garbage", b""])
def test_what_cannot_be_a_hello_replaces_none(later):
    pair = pair_without(*(("server", index) for index in range(9)))
    pair.run(2 * DELAY)
    hello = first_hello(pair.datagrams("server")[0])
    pair.inject("client", record(damaged(hello, RANDOM_AT)))
    before = pair.client._handshake
    pair.inject("client", record(replace(hello, length=len(later), data=later)))
    pair.inject("client", record(replace(hello, msg_type=HandshakeType.CLIENT_HELLO)))
    assert pair.client._handshake is before
    pair.network = Network()
    assert succeeds(pair)


# In pieces


def test_a_piece_of_a_hello_is_not_acknowledged():
    """It may be forged; the genuine one would not come again."""
    groups = {"groups": (NamedGroup.SECP256R1,)}
    pair = Pair(
        client_config(mtu=128),
        server_config(**groups),
        Network(lose=lambda sender, index: sender == "client" and 4 <= index < 12),
    )
    pair.run(0.1)
    before = len(pair.datagrams("server"))
    forged = Fragment(HandshakeType.CLIENT_HELLO, 300, 1, 100, b"piece")
    pair.inject("server", record(forged))
    pair.run(0.5)
    later = pair.datagrams("server")[before:]
    assert all(datagram[0] != ContentType.ACK for datagram in later)
    assert succeeds(pair)


def test_a_damaged_piece_is_forgotten_with_the_pieces_that_it_contradicts():
    pair = pair_without(("server", 0))
    pair.run(2 * DELAY)
    hello = first_hello(pair.datagrams("server")[0])
    pair.inject("client", record(damaged(hello, RANDOM_AT)))
    for length in (50, 60):
        piece = replace(hello, length=length, offset=0, data=b"piece")
        pair.inject("client", record(piece))
    assert succeeds(pair)
