"""An attacker on the path from the first datagram on: changes, cuts, repeats, invents."""

import random

import pytest

from protocol.ack import encode_ack
from protocol.crypto.provider import RecordNumber
from protocol.handshake_framing import Fragment
from protocol.record import ContentType, build_plaintext
from tests.protocol.certificates import authority, credentials
from tests.protocol.pair import (
    Network,
    Pair,
    client_config,
    counts,
    is_authenticated,
    server_config,
)


class Attacker:
    """Makes datagrams out of all those that it has seen."""

    def __init__(self, seed):
        self.chance = random.Random(seed)

    def datagram(self, seen):
        chance = self.chance
        genuine = chance.choice(seen) if seen else chance.randbytes(100)
        forge = chance.choice(
            [self.flip, self.cut, self.extend, self.splice, self.reframe, self.invent, self.noise]
        )
        return forge(genuine, chance.choice(seen) if seen else b"")

    def flip(self, data, _):
        changed = bytearray(data)
        for _ in range(self.chance.choice([1, 1, 1, 2, 8])):
            changed[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
        return bytes(changed)

    def cut(self, data, _):
        start = self.chance.choice([0, 0, self.chance.randrange(len(data))])
        return data[start : self.chance.randrange(len(data)) + 1]

    def extend(self, data, other):
        return data + self.chance.choice([other, self.chance.randbytes(20), b"\0", data])

    def splice(self, data, other):
        at = self.chance.randrange(len(data))
        return data[:at] + other[at:]

    def reframe(self, data, _):
        """One byte among the headers, where each means something."""
        at = self.chance.randrange(min(25, len(data)))
        return data[:at] + self.chance.randbytes(1) + data[at + 1 :]

    def invent(self, _, __):
        """A plaintext record of sense up to some depth."""
        chance = self.chance
        body = chance.randbytes(chance.randrange(40))
        message_seq, offset = chance.choice([0, 0, 1, 2, 9]), chance.choice([0, 0, 5])
        length = chance.choice([len(body), len(body) + offset, 90, 1 << 20])
        fragment = Fragment(chance.choice([1, 2, 8, 20, 24]), length, message_seq, offset, body)
        numbers = [RecordNumber(chance.randrange(5), chance.randrange(5)) for _ in body[:3]]
        content_type, content = chance.choice(
            [
                (ContentType.HANDSHAKE, fragment.encode()),
                (ContentType.HANDSHAKE, 2 * fragment.encode()),
                (ContentType.ACK, encode_ack(numbers)),
                (ContentType.ALERT, body[: chance.choice([1, 2, 3])]),
                (chance.choice(list(ContentType)), body),
            ]
        )
        return build_plaintext(content_type, chance.randrange(20), content)

    def noise(self, data, _):
        first = self.chance.choice([*data[:1], *self.chance.randbytes(1), 0x16, 0x2F, 0x2C])
        return bytes([first]) + self.chance.randbytes(self.chance.randrange(60))


class Attacked(Pair):
    """Each datagram that is sent gives the attacker an occasion."""

    def __init__(self, seed, rate, client, server):
        self.attacker = Attacker(seed)
        self.rate = rate
        network = Network(seed, loss=0.1, duplication=0.1, reordering=0.2)
        super().__init__(client, server, network)

    def _collect(self):
        before = len(self.sent)
        super()._collect()
        for _ in self.sent[before:]:
            while self.attacker.chance.random() < self.rate:
                self.attack(self.attacker.chance.choice(["client", "server"]))

    def attack(self, target):
        side = self.sides[target]
        data = self.attacker.datagram([data for _, _, data in self.sent])
        authenticated = is_authenticated(target, side)
        over, counted = side._terminated, counts(side)
        side.receive_datagram(data, self.now)
        assert over or counts(side) > counted or not data
        assert over or not (authenticated and side._terminated), data.hex()


def exchange(pair, sent):
    for name, side in pair.sides.items():
        for number in range(5):
            if side.connected:
                data = b"%s %d %d" % (name.encode(), number, len(sent))
                side.send(data)
                sent.append(data)
    pair.run(30)


@pytest.mark.parametrize("mtu", [128, 300, 1200])
@pytest.mark.parametrize("seed", range(10))
def test_an_attacker_neither_breaks_nor_ends_what_is_authenticated(seed, mtu):
    own = credentials("ed25519", "client.example")
    trust = (authority().certificate,) if seed % 2 else ()
    pair = Attacked(
        seed,
        rate=(seed % 4) / 5,
        client=client_config(mtu=mtu, credentials=own, handshake_timeout=120),
        server=server_config(mtu=mtu, trust=trust, handshake_timeout=120),
    )
    pair.run(200)
    sent = []
    exchange(pair, sent)
    for side in pair.sides.values():
        if side.connected:
            side.update_keys(pair.now, request_peer=True)
    pair.run(100)
    exchange(pair, sent)
    for name in pair.sides:
        received = pair.data(name)
        assert len(set(received)) == len(received)
        assert set(received) <= set(sent)
    if pair.client.connected and pair.server.connected:
        pair.network, pair.rate = Network(), 0
        count = len(sent)
        exchange(pair, sent)
        received = {*pair.data("client"), *pair.data("server")}
        assert set(sent[count:]) <= received


def test_handshakes_survive_an_attacker_more_often_than_not():
    """In plaintext one of its hellos may be believed; the rest of its noise may not matter."""
    survived = 0
    for seed in range(20):
        pair = Attacked(seed, 0.3, client_config(), server_config())
        pair.run(200)
        survived += pair.client.connected and pair.server.connected
    assert survived > 10
