from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocol import record_number, unified_header
from protocol.crypto import suites
from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import (
    KeyLimitError,
    OpenedRecord,
    Opener,
    RecordNumber,
    Refusal,
    Sealer,
    TrafficKeys,
)
from protocol.crypto.suites import CipherSuite

EPOCH = 7


def make_keys(suite: CipherSuite) -> TrafficKeys:
    size = suite.parameters.key_bytes
    return TrafficKeys(
        suite, bytes(range(size)), bytes(range(100, 112)), bytes(range(50, 50 + size))
    )


KEYS = make_keys(CipherSuite.TLS_AES_128_GCM_SHA256)


@pytest.fixture
def sealer() -> Sealer:
    return SoftwareProvider().sealer(KEYS, EPOCH)


@pytest.fixture
def opener() -> Opener:
    return SoftwareProvider().opener(KEYS, EPOCH)


def seal_as(
    header: bytes, number: int, inner: bytes, number_bytes: int = 2, keys: TrafficKeys = KEYS
) -> bytes:
    """A record of any form and any inner plaintext, with the pure functions only."""
    nonce = record_number.nonce(keys.iv, number)
    ciphertext = AESGCM(keys.key).encrypt(nonce, inner, header)
    mask = mask_of(keys, ciphertext)
    has_length = header[0] & unified_header.LENGTH
    end = len(header) - (2 if has_length else 0)
    start = end - number_bytes
    masked = record_number.apply_mask(header[start:end], mask)
    return header[:start] + masked + header[end:] + ciphertext


def mask_of(keys: TrafficKeys, ciphertext: bytes) -> bytes:
    """One block of AES in ECB mode is one of CBC with an IV of zeros."""
    cipher = Cipher(algorithms.AES(keys.record_number_key), modes.CBC(bytes(16))).encryptor()
    return cipher.update(ciphertext[:16])


@pytest.mark.parametrize("suite", list(CipherSuite))
@pytest.mark.parametrize("connection_id", [b"", b"\xaa", bytes(range(20))])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 1200, 2**14])
def test_what_is_sealed_is_opened(suite: CipherSuite, connection_id: bytes, size: int) -> None:
    provider = SoftwareProvider()
    keys = make_keys(suite)
    sealer = provider.sealer(keys, EPOCH, connection_id)
    opener = provider.opener(keys, EPOCH, connection_id)
    content = bytes(size)
    for number in range(3):
        record = sealer.seal(23, content)
        assert record.number == (EPOCH, number)
        assert opener.open(record.data) == OpenedRecord(record.number, 23, content)
    assert (provider.records_sealed, provider.records_opened) == (3, 3)


def test_the_sealed_record_is_what_the_standard_says(sealer: Sealer) -> None:
    header = unified_header.build(EPOCH, 0, 5 + 1 + 16)
    assert sealer.seal(22, b"hello").data == seal_as(header, 0, b"hello\x16")


@pytest.mark.parametrize("connection_id", [b"", b"\xaa\xbb"])
@pytest.mark.parametrize("number_bytes", [1, 2])
@pytest.mark.parametrize("with_length", [False, True])
def test_every_form_of_header_is_opened(
    connection_id: bytes, number_bytes: int, with_length: bool
) -> None:
    opener = SoftwareProvider().opener(KEYS, EPOCH, connection_id)
    for number in (0, 100, 200, 300):
        length = 6 + 16 if with_length else None
        header = unified_header.build(EPOCH, number, length, connection_id, number_bytes)
        record = seal_as(header, number, b"hello\x17", number_bytes)
        assert opener.open(record) == OpenedRecord(RecordNumber(EPOCH, number), 23, b"hello")


def test_padding_is_taken_off(opener: Opener) -> None:
    header = unified_header.build(EPOCH, 0, 16 + 16)
    record = seal_as(header, 0, b"a\0b\0\x17" + bytes(11))
    assert opener.open(record) == OpenedRecord(RecordNumber(EPOCH, 0), 23, b"a\0b\0")


def test_a_genuine_record_of_zeros_has_no_content_type(opener: Opener) -> None:
    header = unified_header.build(EPOCH, 0, 8 + 16)
    assert opener.open(seal_as(header, 0, bytes(8))) is Refusal.NO_CONTENT_TYPE


def test_a_record_is_opened_once(sealer: Sealer, opener: Opener) -> None:
    records = [sealer.seal(23, b"x").data for _ in range(66)]
    assert isinstance(opener.open(records[65]), OpenedRecord)
    assert opener.open(records[65]) is Refusal.REPLAYED
    assert opener.open(records[1]) is Refusal.TOO_OLD
    assert isinstance(opener.open(records[2]), OpenedRecord)
    assert opener.open(records[2]) is Refusal.REPLAYED


def test_no_flipped_bit_passes(sealer: Sealer, opener: Opener) -> None:
    record = sealer.seal(23, b"hello").data
    for bit in range(8 * len(record)):
        forged = bytearray(record)
        forged[bit // 8] ^= 1 << bit % 8
        assert isinstance(opener.open(bytes(forged)), Refusal), bit
    assert isinstance(opener.open(record), OpenedRecord)


def test_no_truncated_record_passes(sealer: Sealer, opener: Opener) -> None:
    record = sealer.seal(23, b"hello").data
    for size in range(len(record)):
        assert opener.open(record[:size]) is Refusal.MALFORMED
    assert opener.open(record + b"\0") is Refusal.MALFORMED


@pytest.mark.parametrize("size", [16, 2**14 + 18])
def test_a_ciphertext_of_impossible_length_is_malformed(opener: Opener, size: int) -> None:
    header = unified_header.build(EPOCH, 0, None)
    assert opener.open(header + bytes(size)) is Refusal.MALFORMED


def test_another_epoch_or_connection_id_is_told_from_a_bad_tag(sealer: Sealer) -> None:
    provider = SoftwareProvider()
    record = sealer.seal(23, b"hello").data
    assert provider.opener(KEYS, EPOCH + 1).open(record) is Refusal.WRONG_EPOCH
    with_id = provider.sealer(KEYS, EPOCH, b"\xaa").seal(23, b"hello").data
    assert provider.opener(KEYS, EPOCH, b"\xbb").open(with_id) is Refusal.MALFORMED


def test_limits_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    suite = CipherSuite.TLS_AES_128_GCM_SHA256
    small = replace(suite.parameters, seal_limit=2, forgery_limit=2)
    monkeypatch.setitem(suites._PARAMETERS, suite, small)
    provider = SoftwareProvider()
    sealer, opener = provider.sealer(KEYS, EPOCH), provider.opener(KEYS, EPOCH)
    good, bad = sealer.seal(23, b"1").data, bytearray(sealer.seal(23, b"2").data)

    with pytest.raises(KeyLimitError, match="epoch 7 has sealed 2 records"):
        sealer.seal(23, b"3")

    bad[-1] ^= 1
    assert opener.open(bytes(bad)) is Refusal.BAD_TAG
    assert isinstance(opener.open(good), OpenedRecord)
    assert opener.open(bytes(bad)) is Refusal.BAD_TAG
    assert opener.open(good) is Refusal.KEY_LIMIT


def test_content_over_the_limit_is_an_error_of_the_caller(sealer: Sealer) -> None:
    with pytest.raises(ValueError, match="16385 bytes"):
        sealer.seal(23, bytes(2**14 + 1))
    assert sealer.seal(23, b"").number.sequence_number == 0


def test_keys_do_not_show(sealer: Sealer) -> None:
    assert KEYS.key.hex() not in repr(KEYS)
    assert repr(KEYS) == "TrafficKeys(suite=<CipherSuite.TLS_AES_128_GCM_SHA256: 4865>)"
