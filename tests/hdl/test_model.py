"""The accelerator's software model against pyca/cryptography and the contract, refusal by refusal.

Records are put together here from RFC 9147 alone, so that the model has an opinion to meet.
"""

import dataclasses
import random

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from driver.messages import (
    ALL_SLOTS,
    CONTRACT_VERSION,
    HEADER_BYTES,
    AeadPrefix,
    Completion,
    Counter,
    HeaderForm,
    Info,
    Load,
    Opcode,
    Request,
    Status,
    Suite,
    Usage,
    unpack_stats,
)
from hdl.model import AcceleratorModel
from hdl.profile import Profile

PROFILE = Profile("test", slots=3, largest_record=200, window=8, seal_limit=5, forgery_limit=3)
FORMS = [HeaderForm(bits) for bits in (0x00, 0x04, 0x08, 0x0C)]
EPOCH = 3
LAST = (1 << 48) - 1


def load_for(usage: Usage, suite: Suite = Suite.AES_128_GCM, **fields) -> Load:
    size = 16 if suite is Suite.AES_128_GCM else 32
    return Load(
        suite=suite,
        usage=usage,
        key=bytes(range(size)),
        iv=bytes(range(100, 112)),
        record_number_key=bytes(range(50, 50 + size)),
        **{"epoch": EPOCH} | fields,
    )


def record_for(load: Load, number: int, plaintext: bytes, form: HeaderForm = FORMS[3]) -> bytes:
    """A DTLSCiphertext by the letter of RFC 9147, 4 and 4.2.3, and RFC 8446, 5.2 and 5.3."""
    first = 0x20 | (0x10 if load.connection_id else 0) | form | load.epoch % 4
    number_bytes = 2 if form & HeaderForm.SEQUENCE_NUMBER_16 else 1
    start = bytes([first]) + load.connection_id
    low = number.to_bytes(6, "big")[-number_bytes:]
    end = (len(plaintext) + 16).to_bytes(2, "big") if form & HeaderForm.LENGTH else b""
    nonce = (int.from_bytes(load.iv, "big") ^ number).to_bytes(12, "big")
    encrypted = AESGCM(load.key).encrypt(nonce, plaintext, start + low + end)
    mask = Cipher(AES(load.record_number_key), ECB()).encryptor().update(encrypted[:16])
    masked = bytes(a ^ b for a, b in zip(low, mask, strict=False))
    return start + masked + end + encrypted


class Host:
    """Packs requests and unpacks completions; checks that the header is echoed."""

    def __init__(self, profile: Profile = PROFILE):
        self.model = AcceleratorModel(profile)

    def ask(self, opcode: int, slot: int = 0, payload: bytes = b"") -> tuple[Status, bytes]:
        completion = Completion.unpack(
            self.model.request(Request(opcode, slot, 0xABCD, payload).pack())
        )
        assert (completion.opcode, completion.slot) == (opcode, slot)
        assert completion.request_id == 0xABCD
        assert completion.status == Status.OK or completion.payload == b""
        return Status(completion.status), completion.payload

    def loaded(self, load: Load, slot: int = 0) -> "Host":
        assert self.ask(Opcode.LOAD, slot, load.pack()) == (Status.OK, b"")
        return self

    def stats(self) -> dict[Counter, int]:
        """The counters that are not 0."""
        status, payload = self.ask(Opcode.STATS)
        assert status is Status.OK
        return {counter: value for counter, value in unpack_stats(payload).items() if value}


def opened(load: Load, number: int, plaintext: bytes) -> tuple[Status, bytes]:
    return Status.OK, load.epoch.to_bytes(2, "big") + number.to_bytes(6, "big") + plaintext


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("connection_id", [b"", b"c", bytes(range(20))], ids=len)
@pytest.mark.parametrize("form", FORMS, ids=str)
class TestRecords:
    def test_sealed_records_are_those_of_the_rfc(self, suite, connection_id, form):
        load = load_for(
            Usage.SEAL,
            suite,
            connection_id=connection_id,
            header_form=form,
            sequence_number=0x1_00FE,
        )
        host = Host().loaded(load)
        for offset, plaintext in enumerate([b"\x17", b"hello\x16", bytes(16) + b"\x17" + bytes(9)]):
            expected = record_for(load, 0x1_00FE + offset, plaintext, form)
            assert host.ask(Opcode.SEAL, 0, plaintext) == (Status.OK, expected)

    def test_records_of_the_rfc_are_opened(self, suite, connection_id, form):
        load = load_for(Usage.OPEN, suite, connection_id=connection_id, sequence_number=0x1_00FE)
        host = Host().loaded(load)
        for number in (0x1_0100, 0x1_00FE, 0x1_0150):
            record = record_for(load, number, b"hello\x17\0\0", form)
            assert host.ask(Opcode.OPEN, 0, record) == opened(load, number, b"hello\x17")


class TestSeal:
    def test_takes_every_length(self):
        load = load_for(Usage.SEAL)
        host = Host(dataclasses.replace(PROFILE, seal_limit=1000)).loaded(load)
        for number, size in enumerate([1, 2, 15, 16, 17, 31, 32, 33, 201]):
            plaintext = bytes(size - 1) + b"\x17"
            assert host.ask(Opcode.SEAL, 0, plaintext)[1] == record_for(load, number, plaintext)

    @pytest.mark.parametrize(
        ("size", "status"),
        [(0, Status.MALFORMED_REQUEST), (202, Status.TOO_LONG), (65535, Status.TOO_LONG)],
    )
    def test_lengths_out_of_range(self, size, status):
        host = Host().loaded(load_for(Usage.SEAL))
        assert host.ask(Opcode.SEAL, 0, bytes(size)) == (status, b"")

    def test_ends_at_the_key_limit(self):
        host = Host().loaded(load_for(Usage.SEAL))
        statuses = [host.ask(Opcode.SEAL, 0, b"\x17")[0] for _ in range(7)]
        assert statuses == [Status.OK] * 5 + [Status.KEY_LIMIT] * 2

    def test_ends_before_the_last_sequence_number(self):
        load = load_for(Usage.SEAL, sequence_number=LAST - 1)
        host = Host().loaded(load)
        assert host.ask(Opcode.SEAL, 0, b"\x17") == (Status.OK, record_for(load, LAST - 1, b"\x17"))
        assert host.ask(Opcode.SEAL, 0, b"\x17") == (Status.KEY_LIMIT, b"")

    def test_a_refusal_uses_up_no_number(self):
        load = load_for(Usage.SEAL)
        host = Host().loaded(load)
        assert host.ask(Opcode.SEAL, 0, bytes(202))[0] is Status.TOO_LONG
        assert host.ask(Opcode.SEAL, 0, b"\x17")[1] == record_for(load, 0, b"\x17")


class TestOpen:
    LOAD = load_for(Usage.OPEN, connection_id=b"cid")

    def ask(self, host: Host, record: bytes) -> Status:
        return host.ask(Opcode.OPEN, 0, record)[0]

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda record: b"",
            lambda record: record[:1],
            lambda record: record[:-1],
            lambda record: record + b"\0",
            lambda record: bytes([record[0] ^ 0x80]) + record[1:],
            lambda record: bytes([record[0] ^ 0x10]) + record[1:],
            lambda record: record[:1] + b"CID" + record[4:],
        ],
        ids=["empty", "header cut", "cut", "surplus", "fixed bits", "C bit", "connection ID"],
    )
    def test_malformed_records(self, spoil):
        host = Host().loaded(self.LOAD)
        record = record_for(self.LOAD, 0, b"hello\x17")
        assert self.ask(host, spoil(record)) is Status.MALFORMED_RECORD
        assert self.ask(host, record) is Status.OK

    def test_a_record_needs_a_content_type_and_a_tag(self):
        host = Host().loaded(self.LOAD)
        assert self.ask(host, record_for(self.LOAD, 0, b"")) is Status.MALFORMED_RECORD
        assert self.ask(host, record_for(self.LOAD, 0, b"\x17")) is Status.OK

    def test_a_connection_id_that_nobody_asked_for(self):
        host = Host().loaded(load_for(Usage.OPEN))
        assert self.ask(host, record_for(self.LOAD, 0, b"\x17")) is Status.MALFORMED_RECORD

    @pytest.mark.parametrize("epoch", [0, 1, 2, 4])
    def test_epoch_bits_of_another_epoch(self, epoch):
        host = Host().loaded(self.LOAD)
        other = dataclasses.replace(self.LOAD, epoch=epoch)
        assert self.ask(host, record_for(other, 0, b"\x17")) is Status.WRONG_EPOCH

    def test_any_changed_bit_behind_the_first_byte_is_noticed(self):
        host = Host(dataclasses.replace(PROFILE, forgery_limit=1000)).loaded(self.LOAD)
        record = record_for(self.LOAD, 0, b"hello\x17", HeaderForm.SEQUENCE_NUMBER_16)
        for bit in range(8 * 4, 8 * len(record)):
            changed = bytearray(record)
            changed[bit // 8] ^= 1 << bit % 8
            assert self.ask(host, bytes(changed)) is Status.BAD_TAG
        assert self.ask(host, record) is Status.OK

    def test_replays_and_the_left_edge_of_the_window(self):
        host = Host().loaded(self.LOAD)
        records = [record_for(self.LOAD, number, b"\x17") for number in range(20)]
        for number, status in [
            (10, Status.OK),
            (10, Status.REPLAYED),
            (3, Status.OK),
            (3, Status.REPLAYED),
            (2, Status.TOO_OLD),
            (11, Status.OK),
            (3, Status.TOO_OLD),
            (4, Status.OK),
        ]:
            assert self.ask(host, records[number]) is status

    def test_numbers_below_the_first_count_as_seen(self):
        host = Host().loaded(dataclasses.replace(self.LOAD, sequence_number=100))
        for number, status in [(99, Status.REPLAYED), (91, Status.TOO_OLD), (100, Status.OK)]:
            assert self.ask(host, record_for(self.LOAD, number, b"\x17")) is status

    def test_a_forgery_does_not_move_the_window(self):
        host = Host().loaded(self.LOAD)
        forged = record_for(dataclasses.replace(self.LOAD, iv=bytes(12)), 50, b"\x17")
        assert self.ask(host, forged) is Status.BAD_TAG
        assert self.ask(host, record_for(self.LOAD, 0, b"\x17")) is Status.OK

    def test_a_forged_replay_is_a_bad_tag(self):
        host = Host().loaded(self.LOAD)
        record = record_for(self.LOAD, 0, b"\x17")
        assert self.ask(host, record) is Status.OK
        assert self.ask(host, record[:-1] + bytes([record[-1] ^ 1])) is Status.BAD_TAG

    def test_ends_at_the_forgery_limit(self):
        host = Host().loaded(self.LOAD)
        record = record_for(self.LOAD, 0, b"\x17")
        forged = record[:-1] + bytes([record[-1] ^ 1])
        assert [self.ask(host, forged) for _ in range(4)] == [Status.BAD_TAG] * 3 + [
            Status.KEY_LIMIT
        ]
        assert self.ask(host, record) is Status.KEY_LIMIT
        assert self.ask(host, b"") is Status.KEY_LIMIT

    def test_all_zeros_are_genuine_but_fatal(self):
        host = Host().loaded(self.LOAD)
        record = record_for(self.LOAD, 0, bytes(9))
        assert self.ask(host, record) is Status.NO_CONTENT_TYPE
        assert self.ask(host, record) is Status.REPLAYED

    def test_the_longest_record(self):
        host = Host().loaded(self.LOAD)
        longest, too_long = (
            record_for(self.LOAD, 0, b"\x17" + bytes(PROFILE.largest_record + more))
            for more in (0, 1)
        )
        assert self.ask(host, too_long) is Status.MALFORMED_RECORD
        assert self.ask(host, bytes(PROFILE.largest_open + 1)) is Status.TOO_LONG
        assert host.ask(Opcode.OPEN, 0, longest) == opened(self.LOAD, 0, b"\x17")

    def test_a_number_at_the_end_of_its_range(self):
        load = dataclasses.replace(self.LOAD, sequence_number=LAST)
        host = Host().loaded(load)
        record = record_for(load, LAST, b"\x17")
        assert host.ask(Opcode.OPEN, 0, record) == opened(load, LAST, b"\x17")
        assert self.ask(host, record) is Status.REPLAYED


@pytest.mark.parametrize("suite", Suite)
class TestAead:
    NONCE = bytes(range(12))

    def test_messages_of_any_length(self, suite):
        load = load_for(Usage.AEAD, suite)
        host = Host().loaded(load)
        for text_bytes, associated_bytes in [(0, 0), (0, 5), (1, 16), (16, 0), (33, 21), (200, 99)]:
            text, associated = bytes(text_bytes), bytes(associated_bytes)
            prefix = AeadPrefix(associated_bytes, self.NONCE).pack()
            sealed = AESGCM(load.key).encrypt(self.NONCE, text, associated)
            assert host.ask(Opcode.AEAD_SEAL, 0, prefix + associated + text) == (Status.OK, sealed)
            assert host.ask(Opcode.AEAD_OPEN, 0, prefix + associated + sealed) == (Status.OK, text)

    def test_a_wrong_tag(self, suite):
        host = Host().loaded(load_for(Usage.AEAD, suite))
        for _ in range(PROFILE.forgery_limit + 1):
            message = AeadPrefix(0, self.NONCE).pack() + bytes(20)
            assert host.ask(Opcode.AEAD_OPEN, 0, message) == (Status.BAD_TAG, b"")

    @pytest.mark.parametrize(
        ("opcode", "payload", "status"),
        [
            (Opcode.AEAD_SEAL, bytes(15), Status.MALFORMED_REQUEST),
            (Opcode.AEAD_SEAL, bytes(16), Status.OK),
            (Opcode.AEAD_SEAL, b"\0\1\0\0" + bytes(12), Status.MALFORMED_REQUEST),
            (Opcode.AEAD_SEAL, b"\0\1\0\0" + bytes(13), Status.OK),
            (Opcode.AEAD_SEAL, b"\0\0\1\0" + bytes(12), Status.MALFORMED_REQUEST),
            (Opcode.AEAD_SEAL, b"\0\0\0\1" + bytes(12), Status.MALFORMED_REQUEST),
            (Opcode.AEAD_SEAL, bytes(PROFILE.largest_aead), Status.OK),
            (Opcode.AEAD_SEAL, bytes(PROFILE.largest_aead + 1), Status.TOO_LONG),
            (Opcode.AEAD_SEAL, b"\xff" * 65535, Status.TOO_LONG),
            (Opcode.AEAD_OPEN, bytes(31), Status.MALFORMED_REQUEST),
            (Opcode.AEAD_OPEN, bytes(32), Status.BAD_TAG),
            (Opcode.AEAD_OPEN, b"\0\1\0\0" + bytes(28), Status.MALFORMED_REQUEST),
            (Opcode.AEAD_OPEN, b"\0\1\0\0" + bytes(29), Status.BAD_TAG),
        ],
    )
    def test_lengths_at_their_limits(self, suite, opcode, payload, status):
        host = Host().loaded(load_for(Usage.AEAD, suite))
        assert host.ask(opcode, 0, payload)[0] is status


class TestLoad:
    @pytest.mark.parametrize(
        ("offset", "value", "status"),
        [
            (0, 0, Status.UNSUPPORTED_SUITE),
            (0, 3, Status.UNSUPPORTED_SUITE),
            (1, 0, Status.MALFORMED_REQUEST),
            (1, 4, Status.MALFORMED_REQUEST),
            (2, 0x10, Status.MALFORMED_REQUEST),
            (2, 0x01, Status.MALFORMED_REQUEST),
            (3, 21, Status.MALFORMED_REQUEST),
        ],
    )
    def test_refused_fields_leave_the_slot_as_it_was(self, offset, value, status):
        load = load_for(Usage.SEAL)
        host = Host().loaded(load)
        payload = bytearray(load.pack())
        payload[offset] = value
        assert host.ask(Opcode.LOAD, 0, bytes(payload)) == (status, b"")
        assert host.ask(Opcode.SEAL, 0, b"\x17")[1] == record_for(load, 0, b"\x17")

    def test_an_unknown_suite_comes_before_other_fields(self):
        payload = bytes([9, 9, 9, 99]) + bytes(104)
        assert Host().ask(Opcode.LOAD, 0, payload)[0] is Status.UNSUPPORTED_SUITE

    @pytest.mark.parametrize("size", [0, 107, 109])
    def test_another_length(self, size):
        assert Host().ask(Opcode.LOAD, 0, bytes(size))[0] is Status.MALFORMED_REQUEST

    def test_replaces_what_was_there(self):
        host = Host().loaded(load_for(Usage.SEAL))
        for _ in range(PROFILE.seal_limit + 1):
            host.ask(Opcode.SEAL, 0, b"\x17")
        fresh = load_for(Usage.SEAL, Suite.AES_256_GCM)
        host.loaded(fresh)
        assert host.ask(Opcode.SEAL, 0, b"\x17")[1] == record_for(fresh, 0, b"\x17")


USES = [
    (Opcode.SEAL, Usage.SEAL, b"\x17"),
    (Opcode.OPEN, Usage.OPEN, b""),
    (Opcode.AEAD_SEAL, Usage.AEAD, bytes(16)),
    (Opcode.AEAD_OPEN, Usage.AEAD, bytes(32)),
]


class TestSlots:
    @pytest.mark.parametrize(("opcode", "usage", "payload"), USES)
    def test_empty_wrongly_used_or_not_there(self, opcode, usage, payload):
        host = Host()
        assert host.ask(opcode, 2, payload)[0] is Status.SLOT_EMPTY
        assert host.ask(opcode, 3, payload)[0] is Status.NO_SUCH_SLOT
        assert host.ask(opcode, ALL_SLOTS, payload)[0] is Status.NO_SUCH_SLOT
        for other in set(Usage) - {usage}:
            host.loaded(load_for(other), slot=2)
            assert host.ask(opcode, 2, payload)[0] is Status.WRONG_USAGE

    def test_zeroize_empties_one(self):
        host = Host().loaded(load_for(Usage.SEAL), 0).loaded(load_for(Usage.SEAL), 1)
        assert host.ask(Opcode.ZEROIZE, 0) == (Status.OK, b"")
        assert host.ask(Opcode.ZEROIZE, 0) == (Status.OK, b"")
        assert host.ask(Opcode.SEAL, 0, b"\x17")[0] is Status.SLOT_EMPTY
        assert host.ask(Opcode.SEAL, 1, b"\x17")[0] is Status.OK

    def test_zeroize_empties_all(self):
        host = Host().loaded(load_for(Usage.SEAL), 0).loaded(load_for(Usage.SEAL), 2)
        assert host.ask(Opcode.ZEROIZE, ALL_SLOTS) == (Status.OK, b"")
        for slot in (0, 2):
            assert host.ask(Opcode.SEAL, slot, b"\x17")[0] is Status.SLOT_EMPTY

    @pytest.mark.parametrize("opcode", [Opcode.ZEROIZE, Opcode.LOAD])
    def test_the_slot_is_looked_at_before_the_payload(self, opcode):
        assert Host().ask(opcode, 3, b"x")[0] is Status.NO_SUCH_SLOT


class TestPackets:
    def test_info_tells_the_profile_and_ignores_the_slot(self):
        status, payload = Host().ask(Opcode.INFO, 999)
        assert status is Status.OK
        assert Info.unpack(payload) == Info(
            CONTRACT_VERSION, 3, 200, 8, frozenset(Suite), 20, "test"
        )

    @pytest.mark.parametrize("opcode", [Opcode.INFO, Opcode.STATS, Opcode.ZEROIZE])
    def test_requests_without_payload(self, opcode):
        assert Host().ask(opcode, 0, b"x")[0] is Status.MALFORMED_REQUEST

    @pytest.mark.parametrize("opcode", [0, 9, 0x80, 0xFF])
    def test_unknown_opcodes(self, opcode):
        assert Host().ask(opcode, 999, b"whatever") == (Status.UNKNOWN_OPCODE, b"")

    @pytest.mark.parametrize(
        ("packet", "completion"),
        [
            ("", "00 01 0000 0000 0000"),
            ("01", "01 01 0000 0000 0000"),
            ("01 00 00", "01 01 0000 0000 0000"),
            ("01 00 12", "01 01 1200 0000 0000"),
            ("99 00 1234 5678 00", "99 01 1234 5678 0000"),
            ("99 00 1234 5678 0001", "99 01 1234 5678 0000"),
            ("99 00 1234 5678 0000 00", "99 01 1234 5678 0000"),
            ("99 01 1234 5678 0000", "99 01 1234 5678 0000"),
            ("04 00 9999 5678 0000 00", "04 01 9999 5678 0000"),
        ],
    )
    def test_what_is_no_request_is_answered_too(self, packet, completion):
        model = AcceleratorModel(PROFILE)
        assert model.request(bytes.fromhex(packet)) == bytes.fromhex(completion)

    @pytest.mark.parametrize("seed", range(5))
    def test_any_bytes_get_one_well_formed_completion(self, seed):
        source = random.Random(seed)
        host = Host()
        for slot, usage in enumerate(Usage):
            host.loaded(load_for(usage), slot)
        for _ in range(300):
            payload = source.randbytes(source.choice([0, 1, 16, 40, 108, 300]))
            header = [source.randrange(11), 0, 0, source.randrange(4), 0, 1]
            packet = bytes(header) + len(payload).to_bytes(2, "big") + payload
            packet = packet[: source.choice([len(packet), source.randrange(len(packet))])]
            completion = Completion.unpack(host.model.request(packet))
            assert packet.ljust(HEADER_BYTES, b"\0")[0] == completion.opcode
            Status(completion.status)


class TestStats:
    def test_nothing_has_happened_at_first(self):
        assert Host().stats() == {}

    def test_records_bytes_and_refusals(self):
        host = Host()
        for slot, usage in enumerate([Usage.SEAL, Usage.OPEN, Usage.AEAD]):
            host.loaded(load_for(usage), slot)
        record = host.ask(Opcode.SEAL, 0, b"hello\x17\0\0")[1]
        host.ask(Opcode.SEAL, 0, b"\x17")
        host.ask(Opcode.OPEN, 1, record)
        host.ask(Opcode.OPEN, 1, record)
        prefix = AeadPrefix(3, bytes(12)).pack()
        sealed = host.ask(Opcode.AEAD_SEAL, 2, prefix + b"aad" + b"text")[1]
        host.ask(Opcode.AEAD_OPEN, 2, prefix + b"aad" + sealed)
        host.ask(Opcode.AEAD_OPEN, 2, prefix + b"AAD" + sealed)
        host.ask(0x77)
        host.model.request(b"")
        assert host.stats() == {
            Counter.RECORDS_SEALED: 2,
            Counter.BYTES_SEALED: 9,
            Counter.RECORDS_OPENED: 1,
            Counter.BYTES_OPENED: 8,
            Counter.AEAD_SEALED: 1,
            Counter.AEAD_BYTES_SEALED: 4,
            Counter.AEAD_OPENED: 1,
            Counter.AEAD_BYTES_OPENED: 4,
            Counter.REPLAYED: 1,
            Counter.BAD_TAG: 1,
            Counter.UNKNOWN_OPCODE: 1,
            Counter.MALFORMED_REQUEST: 1,
        }


def test_keys_stay_out_of_texts():
    host = Host().loaded(dataclasses.replace(load_for(Usage.SEAL), key=b"secret secret 16"))
    assert "secret" not in repr(vars(host.model))
