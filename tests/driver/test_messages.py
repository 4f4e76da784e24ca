"""The contract's packets, byte by byte as driver/messages.py draws them."""

import pytest

from driver.messages import (
    AEAD_PREFIX_BYTES,
    HEADER_BYTES,
    INFO_BYTES,
    LOAD_BYTES,
    AeadPrefix,
    Completion,
    Counter,
    HeaderForm,
    Info,
    Load,
    MessageError,
    Opcode,
    Request,
    Status,
    Suite,
    Usage,
    unpack_stats,
)

KEY = bytes(range(0x80, 0x90))
SN_KEY = bytes(range(0x90, 0xA0))
IV = bytes(range(0x40, 0x4C))

LOAD = Load(
    suite=Suite.AES_128_GCM,
    usage=Usage.SEAL,
    key=KEY,
    iv=IV,
    record_number_key=SN_KEY,
    epoch=0x1_0003,
    connection_id=b"cid",
    sequence_number=0x010203040506,
    header_form=HeaderForm.LENGTH,
)


class TestPackets:
    def test_request(self):
        packet = Request(Opcode.OPEN, slot=0x0102, request_id=0x0304, payload=b"record").pack()
        assert packet == bytes.fromhex("05 00 0102 0304 0006") + b"record"
        assert Request.unpack(packet) == Request(Opcode.OPEN, 0x0102, 0x0304, b"record")

    def test_completion(self):
        packet = Completion(Opcode.OPEN, Status.BAD_TAG, slot=0x0102, request_id=0x0304).pack()
        assert packet == bytes.fromhex("05 0c 0102 0304 0000")
        assert Completion.unpack(packet) == Completion(Opcode.OPEN, Status.BAD_TAG, 0x0102, 0x0304)

    @pytest.mark.parametrize(
        ("packet", "message"),
        [
            (b"", "packet of 0 bytes"),
            (bytes(HEADER_BYTES - 1), "packet of 7 bytes"),
            (bytes.fromhex("05 00 0000 0000 0002 aa"), "1 bytes of payload, its header says 2"),
            (bytes.fromhex("05 00 0000 0000 0000 aa"), "1 bytes of payload, its header says 0"),
            (bytes.fromhex("05 80 0000 0000 0000"), "reserved byte of the request is 0x80"),
        ],
    )
    def test_what_is_no_request(self, packet, message):
        with pytest.raises(MessageError, match=message):
            Request.unpack(packet)

    @pytest.mark.parametrize(
        "request_",
        [
            Request(256),
            Request(Opcode.SEAL, slot=-1),
            Request(Opcode.SEAL, slot=1 << 16),
            Request(Opcode.SEAL, request_id=1 << 16),
            Request(Opcode.SEAL, payload=bytes(1 << 16)),
        ],
        ids=["opcode", "negative", "slot", "request_id", "payload"],
    )
    def test_fields_that_do_not_fit(self, request_):
        with pytest.raises(MessageError, match="does not fit the packet header"):
            request_.pack()

    def test_payloads_stay_out_of_texts(self):
        assert "secret" not in repr(Request(Opcode.SEAL, payload=b"secret"))
        assert "secret" not in repr(Completion(Opcode.OPEN, 0, payload=b"secret"))


class TestLoad:
    def test_fields_are_where_the_table_says(self):
        payload = LOAD.pack()
        assert len(payload) == LOAD_BYTES == 108
        assert payload[:12] == bytes.fromhex("01 01 04 03 0003 010203040506")
        assert payload[12:24] == IV
        assert payload[24:44] == b"cid" + bytes(17)
        assert payload[44:76] == KEY + bytes(16)
        assert payload[76:108] == SN_KEY + bytes(16)

    def test_aes_256_keys_fill_their_fields(self):
        load = Load(Suite.AES_256_GCM, Usage.OPEN, KEY + SN_KEY, IV, SN_KEY + KEY)
        assert load.pack()[44:] == KEY + SN_KEY + SN_KEY + KEY

    def test_aead_needs_no_more_than_a_key(self):
        assert len(Load(Suite.AES_128_GCM, Usage.AEAD, KEY).pack()) == LOAD_BYTES

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"key": KEY + SN_KEY}, "key has 32 bytes, not 16"),
            ({"iv": bytes(8)}, "IV has 8 bytes, not 12"),
            ({"record_number_key": b""}, "record-number key has 0 bytes, not 16"),
            ({"connection_id": bytes(21)}, "connection ID has 21 bytes, over 20"),
            ({"sequence_number": 1 << 48}, "sequence number 281474976710656 is not in"),
            ({"sequence_number": -1}, "sequence number -1 is not in"),
        ],
    )
    def test_fields_that_do_not_fit(self, fields, message):
        complete = {"key": KEY, "iv": IV, "record_number_key": SN_KEY} | fields
        with pytest.raises(MessageError, match=message):
            Load(Suite.AES_128_GCM, Usage.SEAL, **complete).pack()

    def test_keys_stay_out_of_texts(self):
        secrets = Load(
            Suite.AES_128_GCM, Usage.SEAL, b"secret" * 3, b"secret" * 2, record_number_key=b"secret"
        )
        assert "secret" not in repr(secrets)
        with pytest.raises(MessageError) as error:
            secrets.pack()
        assert "secret" not in str(error.value)


class TestAeadPrefix:
    def test_fields_are_where_the_table_says(self):
        assert AeadPrefix(0x0102, IV).pack() == bytes.fromhex("0102 0000") + IV
        assert AEAD_PREFIX_BYTES == 16

    def test_fields_that_do_not_fit(self):
        with pytest.raises(MessageError, match="nonce has 11 bytes, not 12"):
            AeadPrefix(0, IV[1:]).pack()
        with pytest.raises(MessageError, match="associated data of 65536 bytes is over 65535"):
            AeadPrefix(1 << 16, IV).pack()


class TestInfo:
    INFO = Info(
        version=2,
        slots=16,
        largest_record=1 << 14,
        window=64,
        suites=frozenset(Suite),
        connection_id_bytes=20,
        profile="compact",
        build=0xDEC0DE,
    )

    def test_fields_are_where_the_table_says(self):
        payload = self.INFO.pack()
        assert len(payload) == INFO_BYTES == 32
        numbers = bytes.fromhex("0002 0010 4000 0040 0006 0014")
        assert payload == b"INTAGLIO" + numbers + b"compact\x00" + bytes.fromhex("00dec0de")
        assert Info.unpack(payload) == self.INFO

    def test_suites_of_a_later_contract_are_ignored(self):
        payload = bytearray(self.INFO.pack())
        payload[16:18] = b"\xff\xff"
        assert Info.unpack(bytes(payload)) == self.INFO

    def test_what_is_no_info(self):
        with pytest.raises(MessageError, match="INFO payload has 31 bytes, not 32"):
            Info.unpack(self.INFO.pack()[:-1])
        with pytest.raises(MessageError, match="not this accelerator"):
            Info.unpack(bytes(32))


class TestStats:
    def test_counters_come_in_their_order(self):
        payload = b"".join((counter + (1 << 40)).to_bytes(8, "big") for counter in Counter)
        assert unpack_stats(payload) == {counter: counter + (1 << 40) for counter in Counter}

    def test_payload_of_another_length(self):
        with pytest.raises(MessageError, match="STATS payload has 0 bytes"):
            unpack_stats(b"")

    def test_every_refusal_has_its_counter_in_the_order_of_statuses(self):
        refusals = [status.name for status in Status if status is not Status.OK]
        assert [counter.name for counter in Counter][-len(refusals) :] == refusals


def test_suite_codes_are_the_low_bytes_of_the_tls_numbers():
    """RFC 8446, B.4: TLS_AES_128_GCM_SHA256 is 0x1301, TLS_AES_256_GCM_SHA384 0x1302."""
    assert [(suite.name, 0x1300 | suite) for suite in Suite] == [
        ("AES_128_GCM", 0x1301),
        ("AES_256_GCM", 0x1302),
    ]
