"""Whole connections under hostile input, in every state that a handshake goes through.

An attacker on the network has no keys: once the genuine peer has shown its own, nothing of his may
matter. A peer that has the keys and sends nonsense is told so with an alert.
"""

import itertools
import os
from dataclasses import replace
from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ack import encode_ack
from protocol.alerts import AlertDescription
from protocol.crypto.provider import RecordNumber
from protocol.handshake_framing import Fragment, parse_fragments
from protocol.key_exchange import NamedGroup
from protocol.psk import ExternalPsk
from protocol.record import PLAINTEXT_HEADER_BYTES, ContentType, build_plaintext
from protocol.tickets import TicketIssuer
from tests.fuzz.campaign import examples
from tests.fuzz.shapes import damaged, scratched
from tests.fuzz.targets import MESSAGES, SEEDS, SHAPES
from tests.protocol.certificates import authority, credentials
from tests.protocol.pair import Pair, client_config, counts, is_authenticated, server_config
from tests.protocol.providers import PROVIDERS

PROVIDER = pytest.mark.parametrize("provider", ["software", "accelerator_model"])
#: Of the messages, by their types.
NAMES = {message.msg_type: name for name, message in MESSAGES.items()}


@cache
def provider_named(name):
    return PROVIDERS[name]()


def ends(provider, *, retry=False, authenticate=False, extend=False, psk=None):
    """The configurations of a client and a server whose handshake has all messages, or few; and
    the ticket with which it resumes a session."""
    both = {"provider": provider_named(provider)}
    server = {}
    if extend:
        both |= {"connection_id": lambda: os.urandom(4), "alpn_protocols": ("h3",)}
    if psk == "external":
        both |= {"psks": (ExternalPsk(b"me", bytes(32)),)}
    if psk == "ticket":
        both |= {"max_early_data": 100}
        server |= {"tickets": TicketIssuer()}
    if authenticate:
        server |= {"trust": (authority().certificate,)}
    own = credentials("ed25519", "client.example")
    configs = client_config(credentials=own, **both), server_config(**both | server)
    ticket = None
    if psk == "ticket":
        pair = Pair.connected(*configs)
        ticket = pair.ticket()
        finish(pair)
    if retry:
        configs = configs[0], replace(configs[1], groups=(NamedGroup.SECP256R1,))
    return *configs, None, ticket


KINDS = st.fixed_dictionaries(
    {name: st.booleans() for name in ("retry", "authenticate", "extend")}
    | {"psk": st.sampled_from([None, "external", "ticket"])}
)
#: No two sessions are alike, so what is drawn cannot depend on what they send.
SEED = st.integers(0, 1 << 32)


class Noisy(Pair):
    """After some of the datagrams that are sent, others come from nowhere."""

    def __init__(self, chance, *ends):
        self.chance = chance
        self.plan = {chance.randrange(9) for _ in range(chance.randint(1, 4))}
        #: Whether something was injected that a side without keys may believe.
        self.tainted = False
        super().__init__(*ends)

    def _collect(self):
        before = len(self.sent)
        super()._collect()
        for index in range(before, len(self.sent)):
            if index in self.plan:
                sent = [data for _, _, data in self.sent]
                self.attack(self.chance.choice(["client", "server"]), forged(self.chance, sent))

    def attack(self, target, datagram):
        side, known = self.sides[target], {data for _, _, data in self.sent}
        authenticated = is_authenticated(target, side)
        over, handled = side._terminated, counts(side)
        if not authenticated and datagram not in known and is_believable(datagram):
            self.tainted = True
        side.receive_datagram(datagram, self.now)
        assert over or not datagram or counts(side) > handled
        assert over or not (authenticated and side._terminated)


def forged(chance, sent):
    """A datagram that nobody sent, made of those that somebody did."""
    return chance.choice(
        [
            lambda: scratched(chance, chance.choice(sent)),
            lambda: chance.randbytes(chance.randrange(60)),
            lambda: build_plaintext(chance.choice(list(ContentType)), 7, some_content(chance)),
            lambda: forged_hello(chance, *chance.choice(hellos(sent))),
        ]
    )()


def some_content(chance):
    """An ACK, a message that is no hello, or noise."""
    body = chance.randbytes(chance.randrange(30))
    numbers = [RecordNumber(chance.randrange(5), chance.randrange(5)) for _ in body[:4]]
    msg_type, message_seq = chance.choice([0, 3, 8, 11, 20, 24, 255]), chance.randrange(4)
    message = Fragment(msg_type, len(body), message_seq, 0, body)
    return chance.choice([body, encode_ack(numbers), message.encode()])


def forged_hello(chance, msg_type, message_seq, body):
    """The hello with a damaged structure, in a record of its own."""
    changed = damaged(chance, SHAPES[NAMES[msg_type]], body)
    fragment = Fragment(msg_type, len(changed), message_seq, 0, changed)
    return build_plaintext(ContentType.HANDSHAKE, 9, fragment.encode())


def plaintext_records(datagram):
    """Type and content of what looks like one, as far as the datagram does."""
    while len(datagram) >= PLAINTEXT_HEADER_BYTES and datagram[0] in (21, 22, 26):
        end = PLAINTEXT_HEADER_BYTES + int.from_bytes(datagram[11:13], "big")
        yield datagram[0], datagram[PLAINTEXT_HEADER_BYTES:end]
        datagram = datagram[end:]


def is_believable(datagram):
    """It has an alert, or something of a hello."""
    return any(
        content_type == ContentType.ALERT
        or (content_type == ContentType.HANDSHAKE and content[:1] in (b"\1", b"\2"))
        for content_type, content in plaintext_records(datagram)
    )


def hellos(sent):
    """Type, message_seq and body of those that were sent whole."""
    return [
        (fragment.msg_type, fragment.message_seq, fragment.data)
        for datagram in sent
        for content_type, content in plaintext_records(datagram)
        if content_type == ContentType.HANDSHAKE
        for fragment in parse_fragments(content)
        if len(fragment.data) == fragment.length
    ]


def send_early(pair):
    """Some early data, if there may be any."""
    if pair.client.early_data_left:
        pair.client.send_early(b"early")


def exchange(pair):
    """Data in both directions, which is all that ever comes, beside early data."""
    pair.client.send(b"from the client")
    pair.server.send(b"from the server")
    pair.run()
    assert pair.data("client") == [b"from the server"]
    assert pair.data("server") in ([b"from the client"], [b"early", b"from the client"])


def finish(pair):
    for side in pair.sides.values():
        side.close(pair.now)


@PROVIDER
@examples(2)
@given(SEED, KINDS)
def test_noise_of_the_network_neither_ends_nor_stops_a_handshake(provider, seed, kinds):
    pair = Noisy(Random(seed), *ends(provider, **kinds))
    try:
        send_early(pair)
        pair.run()
        if pair.tainted:
            for side in pair.sides.values():
                assert side.connected or side._terminated
        else:
            exchange(pair)
    finally:
        finish(pair)


@PROVIDER
@examples(4)
@given(SEED)
def test_noise_after_a_handshake_changes_nothing(provider, seed):
    chance, pair = Random(seed), Pair.connected(*ends(provider, extend=seed % 2 == 0))
    try:
        sent = [data for _, _, data in pair.sent]
        for _ in range(5):
            pair.inject(chance.choice(["client", "server"]), forged(chance, sent))
        exchange(pair)
    finally:
        finish(pair)


class Forged:
    """A message that no `protocol.handshake_messages` would make."""

    def __init__(self, msg_type, body):
        self.msg_type = msg_type
        self._body = body

    def encode(self):
        return self._body


def lie(chance, side, index):
    """The ``index``-th handshake message that the side sends from now on is damaged."""
    original, count = side._delivery.send_flight, itertools.count()

    def send_flight(messages, now):
        original([(epoch, damage(message)) for epoch, message in messages], now)

    def damage(message):
        if next(count) != index:
            return message
        body = damaged(chance, SHAPES[NAMES[message.msg_type]], message.encode())
        return Forged(chance.choice([message.msg_type, message.msg_type, 4, 24]), body)

    side._delivery.send_flight = send_flight


@PROVIDER
@examples(2)
@given(SEED, KINDS, st.sampled_from(["client", "server"]), st.integers(0, 6))
def test_a_peer_that_sends_nonsense_is_told_so(provider, seed, kinds, liar, index):
    pair = Pair(*ends(provider, **kinds))
    lie(Random(seed), pair.sides[liar], index)
    try:
        send_early(pair)
        pair.run()
        check_outcome(pair)
    finally:
        finish(pair)


def check_outcome(pair):
    """Both are connected, or each has ended with an alert or because nothing came any more."""
    if pair.client.connected and pair.server.connected:
        exchange(pair)
        return
    for name, side in pair.sides.items():
        assert side._terminated or side.connected
        if side._terminated:
            end = pair.end(name)
            assert end.alert is None or isinstance(end.alert, AlertDescription)
            assert end.alert is not AlertDescription.INTERNAL_ERROR, end


def nonsense(chance):
    """Content type and content of a record that only a peer without sense would seal."""
    body = chance.randbytes(chance.randrange(40))
    valid = chance.choice([seed for seeds in SEEDS.values() for seed in seeds])
    ticket = damaged(chance, SHAPES["NewSessionTicket"], SEEDS["NewSessionTicket"][0])
    msg_type = chance.choice([1, 2, 4, 4, 8, 9, 10, 11, 13, 15, 20, 24, 24, 254])
    message = chance.choice([body, valid, ticket])
    fragment = Fragment(msg_type, len(message), chance.randrange(10), 0, message)
    numbers = [RecordNumber(chance.choice([0, 2, 3, 4, 1 << 63]), chance.randrange(9))]
    return chance.choice(
        [
            (chance.choice([20, 21, 22, 23, 24, 26, 255]), body),
            (ContentType.HANDSHAKE, fragment.encode()),
            (ContentType.ACK, encode_ack(numbers)),
        ]
    )


@PROVIDER
@examples(2)
@given(SEED, st.sampled_from(["client", "server"]))
def test_so_is_one_that_sends_genuine_records_of_nonsense(provider, seed, liar):
    """After the handshake, under the current keys."""
    chance, pair = Random(seed), Pair.connected(*ends(provider, extend=seed % 2 == 0))
    honest = "server" if liar == "client" else "client"
    try:
        for _ in range(chance.randint(1, 4)):
            epoch = pair.sides[liar]._epochs.write_epoch
            pair.sides[liar]._outbox.send(epoch, *nonsense(chance))
        pair.run()
        side = pair.sides[honest]
        if side._terminated:
            end = pair.end(honest)
            assert end.alert is not None
            assert end.alert is not AlertDescription.INTERNAL_ERROR, end
            assert pair.sides[liar]._terminated or end.by_peer
        else:
            side.send(b"still here")
            pair.run()
            assert b"still here" in pair.data(liar) or pair.sides[liar]._terminated
    finally:
        finish(pair)
