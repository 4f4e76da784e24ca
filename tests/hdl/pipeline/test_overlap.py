"""Requests that are under way together: each ends as if it had been alone (`hdl.model`).

One deviation is known: numbers are found from what has been opened when a record enters the engine,
so records that are in it together must be within half the range of their 8 or 16 bits.
"""

import itertools
import random

import pytest

from driver.messages import (
    ALL_SLOTS,
    HeaderForm,
    Opcode,
    Request,
    Status,
    Suite,
    Usage,
)
from hdl.accelerator import Accelerator
from sim import simulate
from tests.hdl.pipeline.batches import Device, Key, flipped, open_request, refused
from tests.hdl.traffic import SMALL_PIPELINED, SMALL_RING

PROFILE = SMALL_PIPELINED
LAST_NUMBER = (1 << 48) - 1
INFO, STATS = Request(Opcode.INFO).pack(), Request(Opcode.STATS).pack()
OK, BAD_TAG, REPLAYED, TOO_OLD = Status.OK, Status.BAD_TAG, Status.REPLAYED, Status.TOO_OLD


@pytest.fixture(scope="module", params=[PROFILE, SMALL_RING], ids=lambda profile: profile.name)
def device(request):
    with simulate(Accelerator(request.param)) as simulation:
        yield Device(simulation, request.param)


def opener(slot=1, suite=Suite.AES_128_GCM, **fields) -> Key:
    return Key(PROFILE, "open", Usage.OPEN, slot, suite, **fields)


def sealer(slot=0, suite=Suite.AES_128_GCM, **fields) -> Key:
    return Key(PROFILE, "seal", Usage.SEAL, slot, suite, **fields)


def messages(slot=2, suite=Suite.AES_128_GCM) -> Key:
    return Key(PROFILE, "message", Usage.AEAD, slot, suite)


def test_of_two_copies_of_a_record_one_is_opened(device):
    """Back to back, and a number of other records apart."""
    key = opener()
    device.clear(key)
    for apart in range(5):
        record = key.open()
        others = [key.open() for _ in range(apart)]
        statuses = device.send_all([record, *others, record])
        assert statuses == [OK] * (apart + 1) + [REPLAYED]


def test_a_forged_copy_uses_up_nothing_and_hides_nothing(device):
    key = opener()
    device.clear(key)
    record = key.open()
    assert device.send_all([flipped(record), record, record]) == [BAD_TAG, OK, REPLAYED]
    record = key.open()
    statuses = device.send_all([record, flipped(record), record, flipped(record), record])
    assert statuses == [OK, BAD_TAG, REPLAYED, BAD_TAG, REPLAYED]


def test_copies_for_slots_apart_are_not_replays(device):
    """The same keys in two slots: what one has seen, the other has not."""
    first, second = opener(1), opener(1)
    second.load = first.load[:3] + b"\x03" + first.load[4:]
    device.clear(first, second)
    record = first.record()
    packets = [open_request(slot, record) for slot in (1, 3, 1, 3)]
    assert device.send_all(packets) == [OK, OK, REPLAYED, REPLAYED]


def test_the_edges_of_the_window_move_with_records_under_way(device):
    """The oldest number in the window, and the one left of it, right behind the newest."""
    key = opener()
    device.clear(key)
    window = PROFILE.window
    records = [key.open() for _ in range(3 * window)]
    statuses = device.send_all(
        [
            *(records[window], records[1], records[0], records[1]),
            *(records[2 * window], records[window + 1], records[window]),
            *(records[2 * window + 1], records[window + 1], records[window + 2]),
        ]
    )
    assert statuses[:4] == [OK, OK, TOO_OLD, REPLAYED]
    assert statuses[4:7] == [OK, OK, TOO_OLD]
    assert statuses[7:] == [OK, TOO_OLD, OK]


def test_no_record_is_judged_beyond_the_limit_of_forgeries(device):
    """However many forgeries are under way when the limit is reached."""
    key = opener()
    device.clear(key)
    good, forgery = key.open(), flipped(key.open())
    limit = PROFILE.forgery_limit
    wrong_epoch, malformed = flipped(good, 8), good[:-30]
    malformed = Request(Opcode.OPEN, 1, payload=good[8:-2]).pack()
    statuses = device.send_all(
        [
            *(forgery, forgery, wrong_epoch, malformed),
            *[forgery] * (limit - 2),
            *(good, forgery, wrong_epoch, malformed, good),
        ]
    )
    assert statuses[:2] == [BAD_TAG] * 2
    assert statuses[4 : limit + 2] == [BAD_TAG] * (limit - 2)
    assert statuses[limit + 2 :] == [Status.KEY_LIMIT] * 5


@pytest.mark.parametrize("text", [b"\x17", b"t" * 15 + b"\x17", b"t" * 50 + b"\x17"], ids=len)
def test_no_record_is_sealed_beyond_the_limit_of_the_key(device, text):
    """And those that are refused leave nothing behind for the records of other keys."""
    first, other = sealer(0), sealer(3, connection_id=b"c" * 18)
    device.clear(first, other)
    limit = PROFILE.seal_limit
    packets = [first.seal(text)] * limit
    for _ in range(3):
        packets += [first.seal(text), other.seal(b"another\x17"), first.seal(b"x" * 33), STATS]
    statuses = device.send_all(packets)
    assert statuses[:limit] == [OK] * limit
    assert statuses[limit:] == [Status.KEY_LIMIT, OK, Status.KEY_LIMIT, OK] * 3


def test_the_last_sequence_numbers_are_given_once(device):
    key = sealer(sequence_number=LAST_NUMBER - 2)
    reader = Key(PROFILE, "seal", Usage.OPEN, 1, sequence_number=LAST_NUMBER - 2)
    device.clear(key)
    assert device.send_all([key.seal(b"\x17")] * 5) == [OK] * 2 + [Status.KEY_LIMIT] * 3
    device.clear(reader)


def test_the_last_numbers_are_opened(device):
    key = opener(sequence_number=LAST_NUMBER - 2)
    device.clear(key)
    last, before = key.open(), key.open()
    assert device.send_all([before, last, last, before]) == [OK, OK, REPLAYED, REPLAYED]


@pytest.mark.parametrize("suite", Suite, ids=lambda suite: suite.name)
def test_keys_change_between_records(device, suite):
    """LOAD and ZEROIZE hold for what is behind them, and not for what is before them."""
    first, second = opener(1), Key(PROFILE, "second", Usage.OPEN, 1, suite)
    seals, other = sealer(0), sealer(3, suite)
    device.clear()
    wipe = [Request(Opcode.ZEROIZE, slot).pack() for slot in range(4)]
    every = Request(Opcode.ZEROIZE, ALL_SLOTS).pack()
    old, young = first.open(), first.open()
    packets = [
        *(first.load, old, seals.load, seals.seal(b"\x17"), seals.seal(b"\x17"), young),
        *(second.load, second.open(), old, wipe[0], seals.seal(b"\x17"), second.open()),
        *(seals.load, seals.seal(b"\x17"), other.load, other.seal(b"\x17"), seals.seal(b"\x17")),
        *(wipe[1], second.open(), other.seal(b"\x17"), every, other.seal(b"\x17"), STATS),
    ]
    statuses = device.send_all(packets)
    assert statuses.count(Status.SLOT_EMPTY) == 3
    assert statuses.count(BAD_TAG) == 1


def test_a_slot_changes_its_usage_between_records(device):
    keys = [Key(PROFILE, "use", usage, 1) for usage in Usage]
    device.clear()
    packets = []
    for key in keys:
        packets += [key.load, key.seal(b"text\x17"), opener().open(), key.aead_seal(b"a", b"text")]
    statuses = device.send_all(packets)
    assert statuses.count(Status.WRONG_USAGE) == 6


def test_reports_are_exact_amid_traffic(device):
    """`Device` compares the counters; those of cycles excepted."""
    seals, opens, aead = sealer(), opener(), messages()
    device.clear(seals, opens, aead)
    packets = []
    for i in range(6):
        forgery = flipped(opens.open())
        packets += [seals.seal(b"s" * (1 + 20 * i)), opens.open(b"o" * 30 + b"\x17"), STATS]
        packets += [aead.aead_seal(b"a" * i, b"t" * i), INFO, opens.open(b"\x17"), INFO, STATS]
        packets += [aead.aead_open(b"a" * 17, b"t" * i), forgery if i < 3 else INFO, STATS, STATS]
    device.send_all(packets)


def test_refused_packets_between_records_move_nothing(device):
    seals, opens, aead = sealer(), opener(), messages()
    device.clear(seals, opens, aead)
    source = random.Random(4)
    packets = []
    for packet in refused(PROFILE, seals):
        packets.append(packet)
        text = source.randbytes(source.choice((1, 16, 40))) + b"\x17"
        following = [seals.seal, opens.open, lambda text: aead.aead_seal(b"ad", text)]
        packets.append(source.choice(following)(text))
        if len(packets) % 40 == 0:
            packets.append(seals.load)
    device.send_all([*packets, STATS])


@pytest.mark.parametrize("form", [0, 4, 8, 12])
@pytest.mark.parametrize("suite", Suite, ids=lambda suite: suite.name)
def test_tiny_records_one_behind_the_other(device, suite, form):
    """The mask of their number comes from bytes of their tag as well (RFC 9147, 4.2.3)."""
    fields = {"header_form": HeaderForm(form), "suite": suite}
    seals, opens = sealer(**fields), opener(**fields)
    device.clear(seals, opens)
    source = random.Random(form)
    texts = [source.randbytes(length - 1) + b"\x17" for length in range(1, 17)]
    assert set(device.send_all([seals.seal(text) for text in texts])) == {OK}
    assert set(device.send_all([opens.open(text) for text in texts])) == {OK}
    mixed = [packet for text in texts for packet in (opens.open(text), seals.seal(text))]
    assert set(device.send_all(mixed)) == {OK}


@pytest.mark.parametrize("sizes", [(0, 1), (4, 5, 6), (12, 13, 14, 15), (16, 17, 20)], ids=str)
def test_all_forms_of_headers_in_one_batch(device, sizes):
    """OPEN takes every form, whatever LOAD has chosen for SEAL."""
    device.clear()
    source = random.Random(str(sizes))
    packets = []
    for form, size in itertools.product((0, 4, 8, 12), sizes):
        fields = {"header_form": HeaderForm(form), "connection_id": source.randbytes(size)}
        seals, opens = sealer(form // 4 % 2, **fields), opener(2 + form // 4 % 2, **fields)
        packets += [seals.load, opens.load]
        for length in (1, 16, 17, 33):
            text = source.randbytes(length - 1) + b"\x17"
            packets += [seals.seal(text), opens.open(text)]
        packets.append(flipped(opens.open(b"\x17"), 8 + source.randrange(1 + size)))
    device.send_all(packets)


@pytest.mark.parametrize("suite", Suite, ids=lambda suite: suite.name)
@pytest.mark.parametrize("associated_bytes", [0, 1, 15, 16, 17, 40])
def test_messages_of_all_lengths_amid_records(device, suite, associated_bytes):
    seals, opens, aead = sealer(), opener(suite=suite), messages(suite=suite)
    device.clear(seals, opens, aead)
    source = random.Random(associated_bytes)
    packets = []
    for length in range(34):
        associated, text = source.randbytes(associated_bytes), source.randbytes(length)
        nonce = source.randbytes(12)
        opened = aead.aead_open(associated, text, nonce)
        packets += [aead.aead_seal(associated, text, nonce), opened]
        packets += [flipped(opened, source.randrange(24, len(opened)))] * (length % 5 == 0)
        match length % 4:
            case 0:
                packets.append(seals.seal(text + b"\x17"))
            case 1:
                packets.append(opens.open(text + b"\x17"))
    device.send_all(packets)


def test_refused_requests_between_messages_of_any_length(device):
    """The hash of a short message is there before the refused ones in front of it are judged."""
    key = Key(PROFILE, "aead", Usage.AEAD, 1)
    device.clear(key)
    refused = [Request(Opcode.SEAL, 2).pack()] * 6
    for number in range(7):
        long, short = key.aead_seal(b"", bytes(100)), key.aead_open(b"", b"")
        statuses = device.send_all([long, *refused[:number], short, *refused])
        assert statuses.count(OK) == 2
