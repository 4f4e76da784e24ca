"""Requests at the edges: of packets, of lengths, of record numbers and of what a key may do."""

import random

import pytest

from driver.messages import (
    AEAD_PREFIX_BYTES,
    ALL_SLOTS,
    HEADER_BYTES,
    TAG_BYTES,
    AeadPrefix,
    HeaderForm,
    Load,
    Opcode,
    Request,
    Status,
    Suite,
    Usage,
)
from hdl.accelerator import Accelerator
from hdl.model import AcceleratorModel
from sim import simulate
from tests.hdl.test_accelerator import without_cycles
from tests.hdl.traffic import ENGINES, SMALL

#: Enough for 65535 bytes of payload that a header promises and its packet does not hold.
PATIENCE = 100_000
LAST_NUMBER = (1 << 48) - 1
SEALER, OPENER, MESSAGES, EMPTY = range(4)
KEY, RECORD_NUMBER_KEY, IV = bytes(range(16)), bytes(range(16, 32)), bytes(range(12))


class Pair:
    """Device and model, asked the same; and a model that seals what they open."""

    def __init__(self, simulation, profile):
        self._simulation = simulation
        self._model = AcceleratorModel(profile)
        self._peer = AcceleratorModel(SMALL)

    def load(self, connection_id=b"", form=12, sequence_number=0) -> None:
        """The same keys everywhere: slot 0 seals, 1 opens, 2 is for messages, 3 is empty."""
        fields = {
            "key": KEY,
            "iv": IV,
            "record_number_key": RECORD_NUMBER_KEY,
            "connection_id": connection_id,
            "header_form": HeaderForm(form),
            "sequence_number": sequence_number,
        }
        for slot, usage in enumerate((Usage.SEAL, Usage.OPEN, Usage.AEAD)):
            payload = Load(Suite.AES_128_GCM, usage, **fields).pack()
            assert self.ask(Opcode.LOAD, slot, payload) == (Status.OK, b"")
        seals = Load(Suite.AES_128_GCM, Usage.SEAL, **fields).pack()
        self._peer.request(Request(Opcode.LOAD, OPENER, payload=seals).pack())

    def ask(self, opcode, slot=0, payload=b"") -> tuple[Status, bytes]:
        return self.send(Request(opcode, slot, payload=payload).pack())

    def send(self, packet: bytes) -> tuple[Status, bytes]:
        """What device and model agree upon."""
        self._simulation.send(packet)
        completion = self._simulation.receive(PATIENCE)
        assert completion is not None, f"wedged by {packet[:HEADER_BYTES].hex()}"
        expected = self._model.request(packet)
        assert without_cycles(completion).hex() == without_cycles(expected).hex()
        return Status(completion[1]), completion[HEADER_BYTES:]

    def record(self, plaintext=b"hello\x17") -> bytes:
        """A genuine record for the slot that opens."""
        request = Request(Opcode.SEAL, OPENER, payload=plaintext).pack()
        return self._peer.request(request)[HEADER_BYTES:]


@pytest.fixture(scope="module", params=ENGINES, ids=lambda profile: profile.name)
def profile(request):
    return request.param


@pytest.fixture(scope="module")
def simulation(profile):
    with simulate(Accelerator(profile), backend="cxxrtl") as running:
        yield running


@pytest.fixture
def pair(simulation, profile):
    pair = Pair(simulation, profile)
    assert pair.ask(Opcode.ZEROIZE, ALL_SLOTS) == (Status.OK, b"")
    pair.load()
    return pair


@pytest.fixture(autouse=True)
def goes_on_afterwards(request):
    """Whatever a test sent, the next record is sealed as ever."""
    pair = request.getfixturevalue("pair")
    yield
    pair.load()
    assert pair.ask(Opcode.SEAL, SEALER, b"and on\x17")[0] is Status.OK


@pytest.mark.parametrize("opcode", [0, *Opcode, 9, 255])
def test_packets_shorter_than_their_header(pair, opcode):
    for length in range(1, HEADER_BYTES):
        packet = Request(opcode, 0, 0x1234, bytes(9)).pack()[:length]
        assert pair.send(packet) == (Status.MALFORMED_REQUEST, b"")


@pytest.mark.parametrize("length", [1, 15, 16, 17, 108, 0x7FFF, 0xFFFF])
@pytest.mark.parametrize("sent", [0, 1, 20])
@pytest.mark.parametrize("opcode", Opcode)
def test_packets_that_promise_more_than_they_hold(pair, opcode, sent, length):
    slot = {Opcode.OPEN: OPENER, Opcode.AEAD_SEAL: MESSAGES, Opcode.AEAD_OPEN: MESSAGES}
    packet = bytes([opcode, 0, 0, slot.get(opcode, SEALER), 0, 0])
    packet += length.to_bytes(2, "big") + b"\x2c" * min(sent, length - 1)
    assert pair.send(packet) == (Status.MALFORMED_REQUEST, b"")


def test_a_packet_that_holds_far_more_than_it_promises(pair):
    packet = Request(Opcode.SEAL, SEALER, payload=b"\x17").pack() + bytes(70_000)
    assert pair.send(packet) == (Status.MALFORMED_REQUEST, b"")


def test_a_malformed_packet_moves_nothing(pair):
    """Not the sequence number, not the window, and no key is loaded or wiped."""
    first = pair.record()
    for opcode, slot, payload in (
        (Opcode.SEAL, SEALER, b"text\x17"),
        (Opcode.OPEN, OPENER, first),
        (Opcode.OPEN, OPENER, first[:-1] + b"?"),
        (Opcode.LOAD, EMPTY, Load(Suite.AES_128_GCM, Usage.AEAD, KEY).pack()),
        (Opcode.ZEROIZE, SEALER, b""),
        (Opcode.ZEROIZE, ALL_SLOTS, b""),
    ):
        packet = Request(opcode, slot, payload=payload).pack()
        assert pair.send(packet + b"\0") == (Status.MALFORMED_REQUEST, b"")
        if payload:
            assert pair.send(packet[:-1]) == (Status.MALFORMED_REQUEST, b"")
    assert pair.ask(Opcode.OPEN, OPENER, first)[0] is Status.OK
    assert pair.ask(Opcode.SEAL, SEALER, b"\x17")[0] is Status.OK
    assert pair.ask(Opcode.AEAD_SEAL, EMPTY, bytes(16))[0] is Status.SLOT_EMPTY


@pytest.mark.parametrize("form", [0, 4, 8, 12])
@pytest.mark.parametrize("connection_id", [b"", bytes(range(20))], ids=len)
def test_records_of_every_length_up_to_two_blocks_and_of_the_greatest(pair, connection_id, form):
    pair.load(connection_id, form)
    for length in (*range(1, 34), SMALL.largest_seal - 1, SMALL.largest_seal):
        plaintext = random.Random(length).randbytes(length - 1) + b"\x17"
        status, record = pair.ask(Opcode.SEAL, SEALER, plaintext)
        assert status is Status.OK
        assert record == pair.record(plaintext)
        assert pair.ask(Opcode.OPEN, OPENER, record)[1][8:] == plaintext
    too_long = bytes(SMALL.largest_seal + 1)
    assert pair.ask(Opcode.SEAL, SEALER, too_long) == (Status.TOO_LONG, b"")
    assert pair.ask(Opcode.SEAL, SEALER, b"") == (Status.MALFORMED_REQUEST, b"")


@pytest.mark.parametrize("connection_id", [b"", bytes(range(20))], ids=len)
def test_the_longest_record_to_open(pair, connection_id):
    pair.load(connection_id)
    longest = pair.record(b"\x17" + bytes(SMALL.largest_seal - 1))
    rest = (SMALL.largest_seal + TAG_BYTES).to_bytes(2, "big")
    one_more = (SMALL.largest_seal + TAG_BYTES + 1).to_bytes(2, "big")
    too_long = longest.replace(rest, one_more, 1) + b"\0"
    assert pair.ask(Opcode.OPEN, OPENER, too_long) == (
        Status.TOO_LONG if len(too_long) > SMALL.largest_open else Status.MALFORMED_RECORD,
        b"",
    )
    assert pair.ask(Opcode.OPEN, OPENER, bytes(0xFFFF)) == (Status.TOO_LONG, b"")
    assert pair.ask(Opcode.OPEN, OPENER, longest)[0] is Status.OK


@pytest.mark.parametrize("form", [0, 4, 8, 12])
@pytest.mark.parametrize("connection_id", [b"", bytes(range(20))], ids=len)
def test_records_cut_short_anywhere(pair, connection_id, form):
    pair.load(connection_id, form)
    record = pair.record(b"\x17")
    header_bytes = len(record) - 1 - TAG_BYTES
    for length in range(len(record)):
        cut = pair.ask(Opcode.OPEN, OPENER, record[:length])
        assert cut == (Status.MALFORMED_RECORD, b"")
        if form & HeaderForm.LENGTH and length >= header_bytes:
            # Even with a length field that agrees, no content type is left.
            rest = (length - header_bytes).to_bytes(2, "big")
            shorter = record[: header_bytes - 2] + rest + record[header_bytes:length]
            assert pair.ask(Opcode.OPEN, OPENER, shorter) == (Status.MALFORMED_RECORD, b"")
    assert pair.ask(Opcode.OPEN, OPENER, record)[0] is Status.OK


@pytest.mark.parametrize("opcode", [Opcode.AEAD_SEAL, Opcode.AEAD_OPEN])
def test_messages_whose_associated_data_takes_all_that_is_there(pair, opcode):
    tag_bytes = TAG_BYTES if opcode is Opcode.AEAD_OPEN else 0
    done = Status.BAD_TAG if opcode is Opcode.AEAD_OPEN else Status.OK
    for length in (0, 1, 15, 16, 17, 40, SMALL.largest_aead - AEAD_PREFIX_BYTES - tag_bytes):
        rest = bytes(length + tag_bytes)
        for associated, status in ((length, done), (length + 1, Status.MALFORMED_REQUEST)):
            payload = AeadPrefix(associated, IV).pack() + rest
            assert pair.ask(opcode, MESSAGES, payload)[0] is status
    for associated in (0xFFFF, 0xFFF0, 0xFFE0, 0xFFDF):
        payload = AeadPrefix(associated, IV).pack() + bytes(40)
        assert pair.ask(opcode, MESSAGES, payload) == (Status.MALFORMED_REQUEST, b"")
    longest = AeadPrefix(0, IV).pack() + bytes(SMALL.largest_aead - AEAD_PREFIX_BYTES)
    assert pair.ask(opcode, MESSAGES, longest)[0] is done
    assert pair.ask(opcode, MESSAGES, longest + b"\0") == (Status.TOO_LONG, b"")
    assert pair.ask(opcode, MESSAGES, longest[:15]) == (Status.MALFORMED_REQUEST, b"")


@pytest.mark.parametrize("opcode", [Opcode.AEAD_SEAL, Opcode.AEAD_OPEN])
def test_the_reserved_bytes_of_a_prefix(pair, opcode):
    for bit in range(16):
        payload = bytearray(AeadPrefix(0, IV).pack() + bytes(TAG_BYTES))
        payload[2 + bit // 8] = 1 << bit % 8
        assert pair.ask(opcode, MESSAGES, bytes(payload)) == (Status.MALFORMED_REQUEST, b"")


def test_a_message_to_open_that_is_shorter_than_its_tag(pair):
    for length in range(TAG_BYTES):
        payload = AeadPrefix(0, IV).pack() + bytes(length)
        assert pair.ask(Opcode.AEAD_OPEN, MESSAGES, payload) == (Status.MALFORMED_REQUEST, b"")


def test_a_key_seals_up_to_its_limit(pair):
    for _ in range(SMALL.seal_limit):
        assert pair.ask(Opcode.SEAL, SEALER, b"\x17")[0] is Status.OK
    assert pair.ask(Opcode.SEAL, SEALER, b"\x17") == (Status.KEY_LIMIT, b"")
    assert pair.ask(Opcode.SEAL, SEALER, b"\x17") == (Status.KEY_LIMIT, b"")


def test_a_key_opens_until_it_has_seen_too_many_forgeries(pair):
    first, second = pair.record(), pair.record()
    forgery = first[:-1] + bytes([first[-1] ^ 1])
    for _ in range(SMALL.forgery_limit - 1):
        assert pair.ask(Opcode.OPEN, OPENER, forgery) == (Status.BAD_TAG, b"")
    # Neither good nor replayed records count.
    assert pair.ask(Opcode.OPEN, OPENER, first)[0] is Status.OK
    assert pair.ask(Opcode.OPEN, OPENER, first) == (Status.REPLAYED, b"")
    assert pair.ask(Opcode.OPEN, OPENER, forgery) == (Status.BAD_TAG, b"")
    assert pair.ask(Opcode.OPEN, OPENER, second) == (Status.KEY_LIMIT, b"")


def test_the_last_sequence_numbers(pair):
    """2**48 - 2 is the last that SEAL gives away."""
    pair.load(sequence_number=LAST_NUMBER - 2)
    records = []
    for number in (LAST_NUMBER - 2, LAST_NUMBER - 1):
        status, record = pair.ask(Opcode.SEAL, SEALER, b"\x17")
        assert status is Status.OK
        records.append((number, record))
    assert pair.ask(Opcode.SEAL, SEALER, b"\x17") == (Status.KEY_LIMIT, b"")
    for number, record in reversed(records):
        expected = (Status.OK, number.to_bytes(8, "big") + b"\x17")
        assert pair.ask(Opcode.OPEN, OPENER, record) == expected
        assert pair.ask(Opcode.OPEN, OPENER, record) == (Status.REPLAYED, b"")


def test_a_new_key_takes_the_place_of_the_old_one_at_once(pair):
    """In the middle of traffic: old records are foreign, numbers and counts begin anew."""
    old = pair.record()
    assert pair.ask(Opcode.OPEN, OPENER, old)[0] is Status.OK
    assert pair.ask(Opcode.SEAL, SEALER, b"\x17")[0] is Status.OK
    pair.load(connection_id=b"new")
    assert pair.ask(Opcode.OPEN, OPENER, old) == (Status.MALFORMED_RECORD, b"")
    assert pair.ask(Opcode.SEAL, SEALER, b"\x17")[1] == pair.record(b"\x17")


def test_the_window_is_asked_before_the_content_type(pair):
    """A record of zeros that is too old, or replayed, is not fatal to the connection."""
    blank, *_, replayed = [pair.record(bytes(3)) for _ in range(SMALL.window + 1)]
    assert pair.ask(Opcode.OPEN, OPENER, replayed) == (Status.NO_CONTENT_TYPE, b"")
    assert pair.ask(Opcode.OPEN, OPENER, replayed) == (Status.REPLAYED, b"")
    assert pair.ask(Opcode.OPEN, OPENER, blank) == (Status.TOO_OLD, b"")
