from dataclasses import replace
from itertools import product

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from protocol import record_number, unified_header
from protocol.crypto.openssl import SoftwareProvider, _record_number_mask
from protocol.crypto.provider import (
    KeyLimitError,
    OpenedRecord,
    Opener,
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
AEADS = {
    CipherSuite.TLS_AES_128_GCM_SHA256: AESGCM,
    CipherSuite.TLS_AES_256_GCM_SHA384: AESGCM,
    CipherSuite.TLS_CHACHA20_POLY1305_SHA256: ChaCha20Poly1305,
    CipherSuite.TLS_AES_128_CCM_SHA256: AESCCM,
    CipherSuite.TLS_AES_128_CCM_8_SHA256: lambda key: AESCCM(key, tag_length=8),
}
PROVIDER = SoftwareProvider()
#: Bytes of the tags.
TAGS = dict.fromkeys(AEADS, 16) | {CipherSuite.TLS_AES_128_CCM_8_SHA256: 8}

each_suite = pytest.mark.parametrize("suite", AEADS, ids=lambda suite: suite.name)


@pytest.fixture
def suite() -> CipherSuite:
    return CipherSuite.TLS_AES_128_GCM_SHA256


@pytest.fixture
def keys(suite: CipherSuite) -> TrafficKeys:
    return make_keys(suite)


@pytest.fixture
def sealer(keys: TrafficKeys) -> Sealer:
    return SoftwareProvider().sealer(keys, EPOCH)


@pytest.fixture
def opener(keys: TrafficKeys) -> Opener:
    return SoftwareProvider().opener(keys, EPOCH)


def seal_as(
    header: bytes, number: int, inner: bytes, number_bytes: int = 2, keys: TrafficKeys = KEYS
) -> bytes:
    """A record of any form and any inner plaintext, with the pure functions only."""
    nonce = record_number.nonce(keys.iv, number)
    ciphertext = AEADS[keys.suite](keys.key).encrypt(nonce, inner, header)
    mask = mask_of(keys, ciphertext)
    has_length = header[0] & unified_header.LENGTH
    end = len(header) - (2 if has_length else 0)
    start = end - number_bytes
    masked = record_number.apply_mask(header[start:end], mask)
    return header[:start] + masked + header[end:] + ciphertext


def mask_of(keys: TrafficKeys, ciphertext: bytes) -> bytes:
    """One block of AES in ECB mode is one of CBC with an IV of zeros; RFC 9147, 4.2.3."""
    if keys.suite is CipherSuite.TLS_CHACHA20_POLY1305_SHA256:
        stream = Cipher(algorithms.ChaCha20(keys.record_number_key, ciphertext[:16]), None)
        return stream.encryptor().update(bytes(16))
    cipher = Cipher(algorithms.AES(keys.record_number_key), modes.CBC(bytes(16))).encryptor()
    return cipher.update(ciphertext[:16])


def test_the_mask_of_chacha20_is_that_of_quic() -> None:
    """RFC 9001, A.5: the construction of RFC 9147, 4.2.3 with the same counter and nonce."""
    key = "25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4"
    suite = CipherSuite.TLS_CHACHA20_POLY1305_SHA256
    mask = _record_number_mask(TrafficKeys(suite, bytes(32), bytes(12), bytes.fromhex(key)))
    sample = bytes.fromhex("5e5cd55c41f69080575d7999c25a5bfb")
    for count in (1, 1, 3):
        masks = mask(sample * count)
        assert [masks[start : start + 2].hex() for start in range(0, len(masks), 16)] == (
            ["aefe"] * count
        )


@each_suite
@pytest.mark.parametrize("connection_id", [b"", b"\xaa", bytes(range(20))])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 1200, 2**14])
def test_what_is_sealed_is_opened(suite: CipherSuite, connection_id: bytes, size: int) -> None:
    provider = SoftwareProvider()
    keys = make_keys(suite)
    sealer = provider.sealer(keys, EPOCH, connection_id)
    opener = provider.opener(keys, EPOCH, connection_id)
    content = bytes(range(256)) * 64
    content = content[:size]
    for number in range(3):
        record = sealer.seal(23, content)
        assert opener.open(record) == OpenedRecord(EPOCH, number, 23, content)
    assert (provider.records_sealed, provider.records_opened) == (3, 3)


@each_suite
def test_the_sealed_record_is_what_the_standard_says(
    suite: CipherSuite, keys: TrafficKeys, sealer: Sealer
) -> None:
    for number, content in enumerate((b"hello, world", bytes(range(250)))):
        header = unified_header.build(EPOCH, number, len(content) + 1 + TAGS[suite])
        expected = seal_as(header, number, content + b"\x16", keys=keys)
        assert sealer.seal(22, content) == expected


def test_short_plaintexts_are_padded_to_a_ciphertext_of_16_bytes() -> None:
    """RFC 9147, 4.2.3: a tag of 8 bytes leaves 8 to fill."""
    keys = make_keys(CipherSuite.TLS_AES_128_CCM_8_SHA256)
    sealer, opener = PROVIDER.sealer(keys, EPOCH), PROVIDER.opener(keys, EPOCH)
    for size in range(10):
        record = sealer.seal(22, b"x" * size)
        inner = (b"x" * size + b"\x16").ljust(8, b"\0")
        header = unified_header.build(EPOCH, size, len(inner) + 8)
        assert record == seal_as(header, size, inner, keys=keys)
        assert len(record) == 5 + max(16, size + 1 + 8)
        assert opener.open(record) == OpenedRecord(EPOCH, size, 22, b"x" * size)


@each_suite
def test_padding_that_is_asked_for_counts_towards_that(suite: CipherSuite, sealer: Sealer) -> None:
    opener = PROVIDER.opener(make_keys(suite), EPOCH)
    for number, (size, padding) in enumerate(product((0, 3, 7, 20), (0, 1, 4, 100))):
        record = sealer.seal(22, b"x" * size, padding)
        assert len(record) == 5 + max(16, size + 1 + padding + TAGS[suite])
        assert opener.open(record) == OpenedRecord(EPOCH, number, 22, b"x" * size)


@each_suite
@pytest.mark.parametrize("connection_id", [b"", b"\xaa\xbb"])
@pytest.mark.parametrize("number_bytes", [1, 2])
@pytest.mark.parametrize("with_length", [False, True])
def test_every_form_of_header_is_opened(
    keys: TrafficKeys,
    suite: CipherSuite,
    connection_id: bytes,
    number_bytes: int,
    with_length: bool,
) -> None:
    opener = SoftwareProvider().opener(keys, EPOCH, connection_id)
    for number in (0, 1, 100, 200, 300, 256, 400, 399):
        length = 12 + 1 + TAGS[suite] if with_length else None
        header = unified_header.build(EPOCH, number, length, connection_id, number_bytes)
        record = seal_as(header, number, b"hello, world\x17", number_bytes, keys)
        assert opener.open(record) == OpenedRecord(EPOCH, number, 23, b"hello, world")


def test_padding_is_taken_off(opener: Opener) -> None:
    header = unified_header.build(EPOCH, 0, 16 + 16)
    record = seal_as(header, 0, b"a\0b\0\x17" + bytes(11))
    assert opener.open(record) == OpenedRecord(EPOCH, 0, 23, b"a\0b\0")


def test_a_genuine_record_of_zeros_has_no_content_type(opener: Opener) -> None:
    header = unified_header.build(EPOCH, 0, 8 + 16)
    assert opener.open(seal_as(header, 0, bytes(8))) is Refusal.NO_CONTENT_TYPE


def test_a_record_is_opened_once(sealer: Sealer, opener: Opener) -> None:
    records = [sealer.seal(23, b"x") for _ in range(66)]
    assert isinstance(opener.open(records[65]), OpenedRecord)
    assert opener.open(records[65]) is Refusal.REPLAYED
    assert opener.open(records[1]) is Refusal.TOO_OLD
    assert isinstance(opener.open(records[2]), OpenedRecord)
    assert opener.open(records[2]) is Refusal.REPLAYED


@each_suite
def test_no_flipped_bit_passes(keys: TrafficKeys, sealer: Sealer) -> None:
    record = sealer.seal(23, b"hello")
    for byte in range(len(record)):
        opener = PROVIDER.opener(keys, EPOCH)  # short tags stand 128 forgeries
        for bit in range(8):
            forged = bytearray(record)
            forged[byte] ^= 1 << bit
            assert isinstance(opener.open(bytes(forged)), Refusal), (byte, bit)
        assert isinstance(opener.open(record), OpenedRecord)


@each_suite
def test_no_truncated_record_passes(sealer: Sealer, opener: Opener) -> None:
    record = sealer.seal(23, b"hello")
    for size in range(len(record)):
        assert opener.open(record[:size]) is Refusal.MALFORMED
    assert opener.open(record + b"\0") is Refusal.MALFORMED


@each_suite
def test_a_ciphertext_of_impossible_length_is_malformed(suite: CipherSuite, opener: Opener) -> None:
    """RFC 9147, 4.2.3 and RFC 8446, 5.4: 16 bytes, tag and content type; 2**14 bytes of content."""
    header = unified_header.build(EPOCH, 0, None)
    shortest, longest = max(16, 1 + TAGS[suite]), 2**14 + 1 + TAGS[suite]
    for size, refusal in (
        (shortest - 1, Refusal.MALFORMED),
        (shortest, Refusal.BAD_TAG),
        (longest, Refusal.BAD_TAG),
        (longest + 1, Refusal.MALFORMED),
    ):
        assert opener.open(header + bytes(size)) is refusal


def test_another_epoch_or_connection_id_is_told_from_a_bad_tag(sealer: Sealer) -> None:
    provider = SoftwareProvider()
    record = sealer.seal(23, b"hello")
    assert provider.opener(KEYS, EPOCH + 1).open(record) is Refusal.WRONG_EPOCH
    with_id = provider.sealer(KEYS, EPOCH, b"\xaa").seal(23, b"hello")
    assert provider.opener(KEYS, EPOCH, b"\xbb").open(with_id) is Refusal.MALFORMED
    assert provider.opener(KEYS, EPOCH + 1).open(record[:-1]) is Refusal.MALFORMED
    assert provider.opener(KEYS, EPOCH + 1, b"\xbb").open(with_id) is Refusal.MALFORMED


def test_limits_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    suite = CipherSuite.TLS_AES_128_GCM_SHA256
    small = replace(suite.parameters, seal_limit=2, forgery_limit=2)
    monkeypatch.setattr(suite, "parameters", small)
    provider = SoftwareProvider()
    sealer, opener = provider.sealer(KEYS, EPOCH), provider.opener(KEYS, EPOCH)
    good, bad = sealer.seal(23, b"1"), bytearray(sealer.seal(23, b"2"))

    with pytest.raises(KeyLimitError, match="epoch 7 has sealed 2 records"):
        sealer.seal(23, b"3")

    bad[-1] ^= 1
    assert opener.open(bytes(bad)) is Refusal.BAD_TAG
    assert isinstance(opener.open(good), OpenedRecord)
    assert opener.open(bytes(bad)) is Refusal.BAD_TAG
    assert opener.open(good) is Refusal.KEY_LIMIT


@pytest.mark.parametrize(
    ("suite", "seal_limit", "forgery_limit"),
    [
        (CipherSuite.TLS_AES_128_GCM_SHA256, 2**24.5, 2**36),
        (CipherSuite.TLS_AES_256_GCM_SHA384, 2**24.5, 2**36),
        (CipherSuite.TLS_CHACHA20_POLY1305_SHA256, 2**48, 2**36),
        (CipherSuite.TLS_AES_128_CCM_SHA256, 2**23, 2**23.5),
        (CipherSuite.TLS_AES_128_CCM_8_SHA256, 2**23, 2**7),
    ],
)
def test_the_limits_are_those_of_the_standards(
    suite: CipherSuite, seal_limit: float, forgery_limit: float
) -> None:
    """RFC 8446, 5.5; RFC 9147, 4.5.3 and appendix B."""
    parameters = suite.parameters
    assert (parameters.seal_limit, parameters.forgery_limit) == (
        int(seal_limit),
        int(forgery_limit),
    )


@each_suite
def test_content_over_the_limit_is_an_error_of_the_caller(sealer: Sealer) -> None:
    with pytest.raises(ValueError, match="16385 bytes"):
        sealer.seal(23, bytes(2**14 + 1))
    with pytest.raises(ValueError, match="16385 bytes"):
        sealer.seal(23, bytes(2**14), 1)
    assert sealer.next_number == 0


def test_keys_do_not_show(sealer: Sealer) -> None:
    assert KEYS.key.hex() not in repr(KEYS)
    opened = SoftwareProvider().opener(KEYS, EPOCH).open(sealer.seal(23, b"secret"))
    assert repr(opened) == "OpenedRecord(epoch=7, sequence_number=0, content_type=23)"
    assert repr(KEYS) == "TrafficKeys(suite=<CipherSuite.TLS_AES_128_GCM_SHA256: 4865>)"
