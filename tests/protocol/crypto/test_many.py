"""Many records in one go: what comes of it is what comes of one after the other."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driver import Device, DriverError, RequestRefused
from hdl.model import AcceleratorModel
from hdl.profile import Profile
from protocol import record_number, unified_header
from protocol.crypto.accelerator import AcceleratorProvider
from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import (
    CryptoProvider,
    KeyLimitError,
    OpenedRecord,
    OpenedRun,
    Opener,
    Refusal,
    TrafficKeys,
)
from protocol.crypto.suites import CipherSuite
from sim.model_link import ModelLink
from tests.protocol.crypto.test_openssl import seal_as
from tests.protocol.providers import PROVIDERS, PROVIDERS_AND_SUITES

EPOCH = 3
CONNECTION_IDS = [b"", b"\xaa\xbb"]
GCM, CCM_8 = CipherSuite.TLS_AES_128_GCM_SHA256, CipherSuite.TLS_AES_128_CCM_8_SHA256
SIZE = 40
#: Those that make thousands of records in a second.
QUICK = [each for each in PROVIDERS_AND_SUITES if each[0] != "accelerator_rtl"]


def make_keys(suite: CipherSuite) -> TrafficKeys:
    size = suite.parameters.key_bytes
    return TrafficKeys(suite, bytes(range(size)), bytes(range(12)), bytes(range(size, 2 * size)))


def open_all(opener: Opener, records: Sequence[bytes]) -> list[OpenedRecord | Refusal]:
    """As whoever has an opener does: in one go if it can, and else one after the other."""
    run = opener.open_many(b"".join(records), len(records[0]))
    if run is None:
        return [opener.open(record) for record in records]
    return results(run, len(records))


def results(run: OpenedRun, count: int) -> list[OpenedRecord | Refusal]:
    genuine = zip(run.sequence_numbers, run.content_types, run.contents, strict=True)
    return [
        run.refused[index] if index in run.refused else OpenedRecord(run.epoch, *next(genuine))
        for index in range(count)
    ]


@pytest.fixture(scope="module", params=PROVIDERS_AND_SUITES, ids=str)
def provider_and_keys(request: pytest.FixtureRequest) -> tuple[CryptoProvider, TrafficKeys]:
    name, suite = request.param
    return PROVIDERS[name](), make_keys(suite)


@pytest.fixture(scope="module", params=QUICK, ids=str)
def quick_provider_and_keys(request: pytest.FixtureRequest) -> tuple[CryptoProvider, TrafficKeys]:
    name, suite = request.param
    return PROVIDERS[name](), make_keys(suite)


@pytest.mark.parametrize("connection_id", CONNECTION_IDS)
def test_many_are_sealed_as_one_by_one(
    provider_and_keys: tuple[CryptoProvider, TrafficKeys], connection_id: bytes
) -> None:
    """Also across the end of the 16 bits that a header has for numbers."""
    provider, keys = provider_and_keys
    single, many = (provider.sealer(keys, EPOCH, connection_id, 0xFFFC) for _ in range(2))
    for sizes in ((100,) * 5, (0, 1, 6, 7, 15, 16, 1200), ()):
        contents = [bytes(range(size % 256)) + bytes(size - size % 256) for size in sizes]
        expected = [single.seal(23, content) for content in contents]
        assert many.seal_many(23, contents) == expected
        assert many.next_number == single.next_number
    single.close()
    many.close()


@pytest.mark.parametrize("connection_id", CONNECTION_IDS)
def test_records_in_order_are_opened_in_one_go(
    provider_and_keys: tuple[CryptoProvider, TrafficKeys], connection_id: bytes
) -> None:
    provider, keys = provider_and_keys
    sealer = provider.sealer(keys, EPOCH, connection_id)
    opener = provider.opener(keys, EPOCH, connection_id)
    contents = [b"%040d" % number for number in range(100)]
    records = sealer.seal_many(23, contents)
    for first, last in ((0, 30), (30, 31), (40, 100)):  # some in between are lost
        run = opener.open_many(b"".join(records[first:last]), len(records[0]))
        assert run == OpenedRun(
            EPOCH, list(range(first, last)), [23] * (last - first), contents[first:last]
        )
        assert opener.next_number == last
    assert opener.open(records[99]) is Refusal.REPLAYED
    assert opener.open(records[39]) == OpenedRecord(EPOCH, 39, 23, contents[39])
    sealer.close()
    opener.close()


@settings(max_examples=50)
@given(
    connection_id=st.sampled_from(CONNECTION_IDS),
    batches=st.lists(
        st.lists(
            st.tuples(
                # Numbers, most of them near each other, and which bit is damaged, if one is.
                st.integers(0, 12) | st.integers(0, 139),
                st.none() | st.none() | st.integers(0, 8 * (SIZE + 5) - 1),
            ),
            min_size=1,
            max_size=12,
        )
        | st.tuples(st.integers(0, 60), st.integers(1, 70)).map(
            lambda span: [(number, None) for number in range(span[0], span[0] + span[1])]
        ),
        max_size=5,
    ),
)
def test_what_comes_in_a_batch_is_judged_as_if_it_came_alone(
    quick_provider_and_keys: tuple[CryptoProvider, TrafficKeys],
    connection_id: bytes,
    batches: list[list[tuple[int, int | None]]],
) -> None:
    """In any order, repeated and forged: the same results, and the same afterwards."""
    provider, keys = quick_provider_and_keys
    sealer = SoftwareProvider().sealer(keys, EPOCH, connection_id)
    records = sealer.seal_many(23, [number.to_bytes(SIZE - 9, "big") for number in range(140)])
    single, many = (provider.opener(keys, EPOCH, connection_id) for _ in range(2))
    for batch in batches:
        data = [damaged(records[number], bit) for number, bit in batch]
        assert open_all(many, data) == [single.open(record) for record in data]
        assert many.next_number == single.next_number
    assert [many.open(record) for record in records] == [single.open(record) for record in records]
    single.close()
    many.close()


def damaged(record: bytes, bit: int | None) -> bytes:
    """With this bit flipped, if it has so many."""
    flipped = bytearray(record)
    if bit is not None and bit < 8 * len(record):
        flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


@pytest.mark.parametrize("connection_id", CONNECTION_IDS)
@pytest.mark.parametrize("number_bytes", [1, 2])
@pytest.mark.parametrize("with_length", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_records_of_every_form_and_with_padding_are_opened(
    provider: str, connection_id: bytes, number_bytes: int, with_length: bool
) -> None:
    keys = make_keys(GCM)
    opener = PROVIDERS[provider]().opener(keys, EPOCH, connection_id)
    numbers = [0, 1, 2, 100, 101, 227, 300, 301]
    inners = [b"%03d\x17" % number + bytes(number % 2 and 3) for number in numbers]
    inners = [inner.ljust(7, b"\0") for inner in inners]
    records = [
        seal_as(
            unified_header.build(
                EPOCH, number, 7 + 16 if with_length else None, connection_id, number_bytes
            ),
            number,
            inner,
            number_bytes,
            keys,
        )
        for number, inner in zip(numbers, inners, strict=True)
    ]
    assert open_all(opener, records) == [
        OpenedRecord(EPOCH, number, 23, b"%03d" % number) for number in numbers
    ]
    assert open_all(opener, records[-2:]) == [Refusal.REPLAYED] * 2


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_does_not_look_alike_is_left_to_open(provider: str) -> None:
    keys = make_keys(GCM)
    own = PROVIDERS[provider]()
    opener = own.opener(keys, EPOCH, b"\xaa")
    good, other = own.sealer(keys, EPOCH, b"\xaa"), own.sealer(keys, EPOCH, b"\xbb")
    record, stranger = good.seal(23, b"hello"), other.seal(23, b"hello")
    wrong_length = record[:5] + bytes([record[5] ^ 1]) + record[6:]
    size = len(record)
    for data in (
        record + stranger,
        record + wrong_length,
        record + bytes([record[0] ^ 1]) + record[1:],  # another epoch
        record + record[:-1],
        record[:3] * 2,
        b"",
        bytes(2 * size),
    ):
        assert opener.open_many(data, size) is None
    assert opener.open_many(record * 2, 2 * size) is None  # two in one datagram
    assert opener.next_number == 0
    assert opener.open(record) == OpenedRecord(EPOCH, 0, 23, b"hello")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_nothing_is_opened_behind_a_record_of_zeros(provider: str) -> None:
    """RFC 8446, 5.4."""
    keys = make_keys(GCM)
    opener = PROVIDERS[provider]().opener(keys, EPOCH)
    inners = [b"one\x17", bytes(4), b"two\x17"]
    records = [
        seal_as(unified_header.build(EPOCH, number, 20), number, inner, keys=keys)
        for number, inner in enumerate(inners)
    ]
    run = opener.open_many(b"".join(records), len(records[0]))
    if run is None:
        assert opener.open(records[0]) == OpenedRecord(EPOCH, 0, 23, b"one")
        assert opener.open(records[1]) is Refusal.NO_CONTENT_TYPE
    else:
        assert run == OpenedRun(EPOCH, [0], [23], [b"one"], {1: Refusal.NO_CONTENT_TYPE})


def test_a_worn_key_seals_and_opens_no_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(GCM.parameters, seal_limit=3, forgery_limit=1)
    monkeypatch.setattr(GCM, "parameters", small)
    keys = make_keys(GCM)
    provider = SoftwareProvider()
    sealer, opener = provider.sealer(keys, EPOCH), provider.opener(keys, EPOCH)
    with pytest.raises(KeyLimitError, match="of epoch 3"):
        sealer.seal_many(23, [b"hello"] * 4)
    records = sealer.seal_many(23, [b"hello"] * 3)
    forged = damaged(records[0], 80)
    assert open_all(opener, [forged, records[1]]) == [Refusal.BAD_TAG, Refusal.KEY_LIMIT]
    assert opener.open_many(b"".join(records), len(records[0])) is None


def test_a_content_that_is_too_long_seals_nothing() -> None:
    sealer = SoftwareProvider().sealer(make_keys(GCM), EPOCH)
    with pytest.raises(ValueError, match="16385 bytes"):
        sealer.seal_many(23, [b"", bytes(2**14 + 1)])
    assert sealer.next_number == 0


class TestOnADevice:
    """What a device refuses of a batch."""

    PROFILE = Profile("test", slots=3, largest_record=200, window=8, seal_limit=5, forgery_limit=3)

    @pytest.fixture
    def link(self) -> ModelLink:
        return ModelLink(AcceleratorModel(self.PROFILE))

    @pytest.fixture
    def provider(self, link: ModelLink) -> Iterable[AcceleratorProvider]:
        with Device(link) as device:
            yield AcceleratorProvider(device)

    def test_its_key_limit_is_told_and_numbers_go_on(self, provider: AcceleratorProvider) -> None:
        sealer = provider.sealer(make_keys(GCM), EPOCH)
        sealer.seal_many(23, [b"hello"] * 3)
        with pytest.raises(KeyLimitError, match="after 5 records"):
            sealer.seal_many(23, [b"hello"] * 3)
        assert sealer.next_number == 5

    def test_what_it_cannot_take_seals_nothing(self, provider: AcceleratorProvider) -> None:
        sealer = provider.sealer(make_keys(GCM), EPOCH)
        with pytest.raises(ValueError, match="201 bytes"):
            sealer.seal_many(23, [b"", bytes(201)])
        assert sealer.next_number == 0

    def test_a_link_that_fails_leaves_the_numbers_unknown(
        self, provider: AcceleratorProvider, link: ModelLink
    ) -> None:
        sealer = provider.sealer(make_keys(GCM), EPOCH)
        link.close()
        with pytest.raises(DriverError):
            sealer.seal_many(23, [b"hello"] * 2)
        with pytest.raises(DriverError, match="number unknown"):
            sealer.seal_many(23, [b"hello"] * 2)

    def test_other_refusals_are_raised(self, provider: AcceleratorProvider) -> None:
        records = SoftwareProvider().sealer(make_keys(GCM), EPOCH).seal_many(23, [b"hello"] * 2)
        sealer = provider.sealer(make_keys(GCM), EPOCH)
        opener = provider.opener(make_keys(GCM), EPOCH)
        provider._device.zeroize_all()
        with pytest.raises(RequestRefused, match="OPEN"):
            opener.open_many(b"".join(records), len(records[0]))
        with pytest.raises(RequestRefused, match="SEAL"):
            sealer.seal_many(23, [b"hello"] * 2)

    def test_after_its_limit_of_forgeries_it_opens_nothing(
        self, provider: AcceleratorProvider
    ) -> None:
        keys = make_keys(GCM)
        records = SoftwareProvider().sealer(keys, EPOCH).seal_many(23, [b"hello"] * 5)
        opener = provider.opener(keys, EPOCH)
        data = [damaged(record, 80) for record in records[:3]] + records[3:]
        assert open_all(opener, data) == [Refusal.BAD_TAG] * 3 + [Refusal.KEY_LIMIT] * 2


@given(
    expected=st.integers(0, 1 << 17) | st.integers(record_number.LIMIT - 70_000, 1 << 48),
    bits=st.sampled_from((8, 16)),
    steps=st.lists(st.integers(-2, 40) | st.integers(-70_000, 70_000), max_size=20),
)
def test_rising_numbers_are_those_that_come_one_after_the_other(
    expected: int, bits: int, steps: list[int]
) -> None:
    lows, numbers, next_number, rising = [], [], expected, True
    for step in steps:
        if next_number >= record_number.LIMIT:
            break
        low = (next_number + step) % (1 << bits)
        number = record_number.reconstruct(low, bits, next_number)
        rising = rising and number >= next_number
        lows.append(low)
        numbers.append(number)
        next_number = number + 1
    found = record_number.reconstruct_rising(lows, bits, expected)
    assert found == (numbers if rising else None)
