import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import KeyLimitError, Refusal, TrafficKeys
from protocol.crypto.suites import CipherSuite
from protocol.record import (
    ContentType,
    PlaintextSealer,
    RecordLayer,
    build_plaintext,
    parse_plaintext,
)
from protocol.stats import Drop
from tests.protocol.providers import PROVIDERS

#: A ClientHello's header and its first bytes, from the BoringSSL trace.
CLIENT_HELLO = bytes.fromhex("16feff0000000000000000000c 0100008700000000000000 87")


def make_keys(seed: int) -> TrafficKeys:
    suite = CipherSuite.TLS_AES_128_GCM_SHA256
    return TrafficKeys(suite, bytes((seed,)) * 16, bytes((seed,)) * 12, bytes((seed + 128,)) * 16)


def make_pair(
    *epochs: int, connection_id: bytes = b"", keys: int = 0
) -> tuple[RecordLayer, RecordLayer]:
    """A sender and its receiver, with keys that differ from epoch to epoch."""
    provider = SoftwareProvider()
    sender, receiver = RecordLayer(provider), RecordLayer(provider)
    sender.use_connection_ids(receive=b"", send=connection_id)
    receiver.use_connection_ids(receive=connection_id, send=b"")
    for epoch in epochs:
        sender.install_sealer(epoch, make_keys(keys + epoch))
        receiver.install_opener(epoch, make_keys(keys + epoch))
    return sender, receiver


def contents(layer: RecordLayer, data: bytes) -> list[bytes]:
    return [record.content for record in layer.open_datagram(data)]


def test_plaintext_on_the_wire() -> None:
    record = build_plaintext(ContentType.ALERT, 0x0102_0304_0506, b"\x02\x28")
    assert record == bytes.fromhex("15 fefd 0000 010203040506 0002 0228")
    opened = parse_plaintext(record)
    assert opened is not None
    assert opened.number == (0, 0x0102_0304_0506)
    assert (opened.content_type, opened.content) == (ContentType.ALERT, b"\x02\x28")


def test_the_version_of_a_plaintext_record_is_ignored() -> None:
    assert parse_plaintext(CLIENT_HELLO) is not None
    assert parse_plaintext(b"\x16\x12\x34" + CLIENT_HELLO[3:]) is not None


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(b"", id="empty"),
        pytest.param(CLIENT_HELLO[:12], id="header cut off"),
        pytest.param(CLIENT_HELLO[:-1], id="fragment cut off"),
        pytest.param(CLIENT_HELLO + b"\0", id="more than the length says"),
        pytest.param(b"\x17" + CLIENT_HELLO[1:], id="application data"),
        pytest.param(CLIENT_HELLO[:4] + b"\x01" + CLIENT_HELLO[5:], id="epoch 1"),
        pytest.param(
            CLIENT_HELLO[:11] + (2**14 + 1).to_bytes(2, "big") + bytes(2**14 + 1), id="too long"
        ),
    ],
)
def test_malformed_plaintext_is_refused(record: bytes) -> None:
    assert parse_plaintext(record) is None


def test_malformed_plaintext_is_dropped_and_counted() -> None:
    layer = RecordLayer(SoftwareProvider())
    assert contents(layer, CLIENT_HELLO[:-1]) == []
    assert layer.statistics.drops == {Refusal.MALFORMED: 1}


def test_epoch_0_counts_its_own_records() -> None:
    sender, receiver = make_pair(2)
    first = sender.seal(0, ContentType.HANDSHAKE, b"a")
    protected = sender.seal(2, ContentType.HANDSHAKE, b"b")
    second = sender.seal(0, ContentType.HANDSHAKE, b"c")
    opened = list(receiver.open_datagram(first + protected + second))
    assert [record.number for record in opened] == [(0, 0), (2, 0), (0, 1)]
    assert [record.content for record in opened] == [b"a", b"b", b"c"]


def test_epoch_0_ends_before_its_numbers_do() -> None:
    sealer = PlaintextSealer()
    sealer._next = (1 << 48) - 1
    assert sealer.seal(ContentType.ALERT, b"\x02\x28")[5:11] == b"\xff" * 6
    with pytest.raises(KeyLimitError, match="epoch 0"):
        sealer.seal(ContentType.ALERT, b"\x02\x28")


def test_epoch_0_can_be_closed_in_each_direction() -> None:
    sender, receiver = make_pair(2)
    receiver.discard_opener(0)
    assert contents(receiver, CLIENT_HELLO) == []
    assert receiver.statistics.drops == {Drop.NO_KEY: 1}
    sender.discard_sealer(0)
    with pytest.raises(LookupError, match="epoch 0"):
        sender.seal(0, ContentType.ALERT, b"\x02\x28")


@pytest.mark.parametrize("first", [*range(20), 20, 23, 24, 25, *range(27, 32), 64, 128, 255])
def test_other_first_bytes_are_not_dtls(first: int) -> None:
    layer = RecordLayer(SoftwareProvider())
    assert contents(layer, bytes((first,)) + bytes(30)) == []
    assert layer.statistics.drops == {Drop.NOT_DTLS: 1}


def test_records_of_an_epoch_without_keys_are_dropped() -> None:
    sender, receiver = make_pair(2)
    sender.install_sealer(3, make_keys(3))
    data = sender.seal(3, 23, b"early") + sender.seal(2, 22, b"late")
    assert contents(receiver, data) == [b"late"]
    assert receiver.statistics.drops == {Drop.NO_KEY: 1}


def test_a_record_may_bring_the_keys_of_the_next() -> None:
    sender, receiver = make_pair(2)
    sender.install_sealer(3, make_keys(3))
    records = receiver.open_datagram(sender.seal(2, 22, b"a") + sender.seal(3, 23, b"b"))
    assert next(records).content == b"a"
    receiver.install_opener(3, make_keys(3))
    assert next(records).content == b"b"


def test_a_bad_record_does_not_harm_its_neighbours() -> None:
    sender, receiver = make_pair(3)
    a, b, c = (sender.seal(3, 23, text) for text in (b"a", b"b", b"c"))
    forged = b[:-1] + bytes((b[-1] ^ 1,))
    assert contents(receiver, a + forged + a + c) == [b"a", b"c"]
    assert receiver.statistics.drops == {Refusal.BAD_TAG: 1, Refusal.REPLAYED: 1}


def test_the_most_recent_epoch_with_these_bits_opens() -> None:
    sender, receiver = make_pair(3, 4, 5, 6)
    old = sender.seal(3, 23, b"old")
    sender.install_sealer(7, make_keys(7))
    new = sender.seal(7, 23, b"new")
    assert [r.number for r in receiver.open_datagram(old)] == [(3, 0)]
    assert contents(receiver, new) == []
    receiver.install_opener(7, make_keys(7))
    assert [r.number for r in receiver.open_datagram(new)] == [(7, 0)]
    receiver.discard_opener(7)
    old = sender.seal(3, 23, b"old again")
    assert [r.number for r in receiver.open_datagram(old)] == [(3, 1)]


def test_discarded_keys_are_gone() -> None:
    sender, receiver = make_pair(3)
    data = sender.seal(3, 23, b"x")
    sender.discard_sealer(3)
    sender.discard_sealer(3)
    receiver.discard_opener(3)
    with pytest.raises(LookupError, match="epoch 3"):
        sender.seal(3, 23, b"x")
    assert contents(receiver, data) == []
    assert receiver.statistics.drops == {Drop.NO_KEY: 1}


def test_close_forgets_all_keys() -> None:
    sender, receiver = make_pair(2, 3)
    data = sender.seal(3, 23, b"x")
    for layer in (sender, receiver):
        layer.close()
    assert contents(receiver, CLIENT_HELLO + data) == []
    with pytest.raises(LookupError):
        sender.seal(0, 22, b"x")


def test_connection_ids() -> None:
    sender, receiver = make_pair(3, connection_id=b"\xaa\xbb")
    other, _ = make_pair(3, connection_id=b"\xaa\xbc")
    without, _ = make_pair(3)
    mine = [sender.seal(3, 23, b"%d" % n) for n in range(3)]

    assert contents(receiver, mine[0] + mine[1]) == [b"0", b"1"]
    # What follows a record of another association is not looked at (RFC 9147, 4).
    foreign = other.seal(3, 23, b"x")
    assert contents(receiver, foreign + mine[2]) == []
    assert contents(receiver, without.seal(3, 23, b"x")) == []
    assert receiver.statistics.drops == {Drop.CONNECTION_ID: 2}

    # RFC 9147, 9.1: none was negotiated, so none may come.
    _, plain_receiver = make_pair(3)
    assert contents(plain_receiver, mine[2]) == []
    assert plain_receiver.statistics.drops == {Drop.CONNECTION_ID: 1}


def test_records_may_come_with_any_of_several_connection_ids() -> None:
    sender, receiver = make_pair(3, connection_id=b"aa")
    receiver.accept_id(b"bb")
    data = [sender.seal(3, 23, b"0")]
    for connection_id in (b"bb", b"cc", b"aa"):
        sender.change_send_id(connection_id)
        data.append(sender.seal(3, 23, connection_id))
    assert contents(receiver, data[0] + data[1] + data[3]) == [b"0", b"bb", b"aa"]
    assert contents(receiver, data[2] + data[3]) == []
    assert contents(receiver, data[3] + data[1]) == []
    assert receiver.statistics.drops == {Drop.CONNECTION_ID: 1, Refusal.REPLAYED: 2}
    receiver.forget_id(b"aa")
    assert contents(receiver, sender.seal(3, 23, b"late")) == []
    assert receiver.statistics.drops[Drop.CONNECTION_ID] == 2


@pytest.mark.parametrize("provider", ["software", "accelerator_model"])
def test_numbers_go_on_when_the_connection_id_changes(provider: str) -> None:
    """The low 16 bits that are sent have to be taken for those of a number far above 2**16."""
    layer = RecordLayer(PROVIDERS[provider]())
    layer.use_connection_ids(receive=b"aa", send=b"")
    layer.install_opener(3, make_keys(3))
    for number in range(0, 200_000, 30_000):
        sealer = SoftwareProvider().sealer(make_keys(3), 3, b"aa", number)
        (record,) = layer.open_datagram(sealer.seal(23, b""))
        assert record.number == (3, number)
    layer.accept_id(b"bb")
    layer.accept_id(b"cc")
    sealer = SoftwareProvider().sealer(make_keys(3), 3, b"bb", 180_001)
    (record,) = layer.open_datagram(sealer.seal(23, b""))
    assert record.number == (3, 180_001)
    layer.forget_id(b"aa")
    layer.forget_id(b"bb")
    sealer = SoftwareProvider().sealer(make_keys(3), 3, b"cc", 180_000)
    (record,) = layer.open_datagram(sealer.seal(23, b""))
    assert record.number == (3, 180_000)


def test_a_record_without_length_takes_the_rest_of_the_datagram() -> None:
    _, receiver = make_pair(2)
    data = CLIENT_HELLO + bytes((0x22, 0)) + bytes(40) + CLIENT_HELLO
    assert len(contents(receiver, data)) == 1
    assert receiver.statistics.drops == {Refusal.BAD_TAG: 1}


def test_a_record_of_zeros_is_fatal() -> None:
    sender, receiver = make_pair(3)
    assert contents(receiver, sender.seal(3, 0, b"")) == []
    assert receiver.statistics.drops == {Refusal.NO_CONTENT_TYPE: 1}
    assert receiver.fatal is Refusal.NO_CONTENT_TYPE


def test_statistics_count_both_directions() -> None:
    sender, receiver = make_pair(3)
    data = CLIENT_HELLO + sender.seal(3, 23, bytes(100))
    assert len(contents(receiver, data)) == 2
    assert sender.statistics.records_sent == 1
    assert sender.statistics.bytes_sent == 5 + 100 + 1 + 16
    assert receiver.statistics.datagrams_received == 1
    assert receiver.statistics.records_received == 2
    assert receiver.statistics.bytes_received == len(data)


@given(st.binary(max_size=200), st.sampled_from((b"", b"\x16\xfe\xfd\0\0", b"\x2f", b"\x3e\xaa")))
def test_no_datagram_raises(noise: bytes, start: bytes) -> None:
    for connection_id in (b"", b"\xaa"):
        _, receiver = make_pair(2, 3, connection_id=connection_id)
        opened = list(receiver.open_datagram(start + noise))
        assert all(record.number.epoch == 0 for record in opened)
        if start + noise and not opened:
            assert sum(receiver.statistics.drops.values()) > 0
