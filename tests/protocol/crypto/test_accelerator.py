"""The accelerator's provider, on the device's software model and on failing links."""

import pytest

from driver import (
    Counter,
    Device,
    DriverError,
    LinkTimeout,
    NoFreeSlot,
    RequestRefused,
    Status,
)
from hdl.model import AcceleratorModel
from hdl.profile import Profile
from protocol.crypto.accelerator import AcceleratorProvider
from protocol.crypto.provider import (
    KeyLimitError,
    OpenedRecord,
    RecordNumber,
    Refusal,
    TrafficKeys,
)
from protocol.crypto.suites import CipherSuite
from sim.model_link import ModelLink
from tests.protocol.providers import GCM_SUITES

KEYS = TrafficKeys(
    CipherSuite.TLS_AES_128_GCM_SHA256,
    key=bytes(range(16)),
    iv=bytes(range(12)),
    record_number_key=bytes(range(16, 32)),
)
PROFILE = Profile("test", slots=3, largest_record=200, window=8, seal_limit=5, forgery_limit=3)


@pytest.fixture
def link():
    return ModelLink(AcceleratorModel(PROFILE))


@pytest.fixture
def device(link):
    with Device(link) as device:
        yield device


@pytest.fixture
def provider(device):
    return AcceleratorProvider(device)


def damaged(record: bytes) -> bytes:
    return record[:-1] + bytes([record[-1] ^ 1])


def test_says_what_it_is(provider):
    assert provider.name == "accelerator (test)"
    assert provider.suites == frozenset(GCM_SUITES)


def test_seals_and_opens_with_numbers_counted_on_the_host(provider):
    sealer, opener = provider.sealer(KEYS, 3), provider.opener(KEYS, 3)
    for sequence_number in range(4):
        assert sealer.next_number == sequence_number
        record = sealer.seal(23, b"hello")
        assert opener.open(record) == OpenedRecord(3, sequence_number, 23, b"hello")


def test_epochs_beyond_16_bits_keep_their_full_value(provider):
    epoch = (1 << 16) + 3
    record = provider.sealer(KEYS, epoch).seal(23, b"hello")
    assert provider.opener(KEYS, epoch).open(record).number == RecordNumber(epoch, 0)


def test_counts_what_the_device_has_done(provider, device):
    sealer, opener = provider.sealer(KEYS, 3), provider.opener(KEYS, 3)
    record = sealer.seal(23, b"")
    sealer.seal(23, b"")
    opener.open(record)
    opener.open(record)
    assert (provider.records_sealed, provider.records_opened) == (2, 1)
    stats = device.stats()
    assert (stats[Counter.RECORDS_SEALED], stats[Counter.RECORDS_OPENED]) == (2, 1)


class TestRefusals:
    def test_of_records(self, provider):
        sealer, opener = provider.sealer(KEYS, 3), provider.opener(KEYS, 3)
        record = sealer.seal(23, b"hello")
        assert opener.open(b"") is Refusal.MALFORMED
        assert opener.open(bytes(5000)) is Refusal.MALFORMED
        assert opener.open(bytes([record[0] ^ 1]) + record[1:]) is Refusal.WRONG_EPOCH
        assert opener.open(damaged(record)) is Refusal.BAD_TAG
        assert opener.open(record).content == b"hello"
        assert opener.open(record) is Refusal.REPLAYED

    def test_of_a_record_left_of_the_window(self, provider):
        sealer = provider.sealer(KEYS, 3)
        narrow = Device(ModelLink(AcceleratorModel(Profile("narrow", window=2))))
        opener = AcceleratorProvider(narrow).opener(KEYS, 3)
        records = [sealer.seal(23, b"") for _ in range(4)]
        assert opener.open(records[3]).number == RecordNumber(3, 3)
        assert opener.open(records[1]) is Refusal.TOO_OLD

    def test_at_the_forgery_limit(self, provider):
        record = provider.sealer(KEYS, 3).seal(23, b"hello")
        opener = provider.opener(KEYS, 3)
        for _ in range(PROFILE.forgery_limit):
            assert opener.open(damaged(record)) is Refusal.BAD_TAG
        assert opener.open(record) is Refusal.KEY_LIMIT

    def test_at_the_seal_limit(self, provider):
        sealer = provider.sealer(KEYS, 3)
        for _ in range(PROFILE.seal_limit):
            sealer.seal(23, b"")
        for _ in range(2):
            with pytest.raises(KeyLimitError, match="epoch 3: after 5 records"):
                sealer.seal(23, b"")

    def test_at_the_seal_limit_of_a_key_that_others_have_used(self, provider):
        limit = KEYS.suite.parameters.seal_limit
        sealer = provider.sealer(KEYS, 3, b"", limit - 1)
        sealer.seal(23, b"")
        assert sealer.next_number == limit
        with pytest.raises(KeyLimitError, match=f"epoch 3: after {limit} records"):
            sealer.seal(23, b"")

    def test_of_contents_over_what_the_device_takes(self, provider):
        sealer = provider.sealer(KEYS, 3)
        with pytest.raises(ValueError, match="201 bytes, over the 200"):
            sealer.seal(23, bytes(201))
        with pytest.raises(ValueError, match="201 bytes, over the 200"):
            sealer.seal(23, bytes(180), 21)
        assert sealer.next_number == 0
        sealer.seal(23, bytes(200))

    def test_of_a_device_that_lost_its_keys_are_raised(self, provider, device):
        sealer, opener = provider.sealer(KEYS, 3), provider.opener(KEYS, 3)
        record = sealer.seal(23, b"")
        device.zeroize_all()
        with pytest.raises(RequestRefused, match="SLOT_EMPTY"):
            opener.open(record)
        with pytest.raises(RequestRefused, match="SLOT_EMPTY"):
            sealer.seal(23, b"")


class TestSlots:
    def test_are_zeroized_and_given_back(self, provider, device):
        openers = [provider.opener(KEYS, 3) for _ in range(PROFILE.slots)]
        with pytest.raises(NoFreeSlot):
            provider.sealer(KEYS, 3)
        openers[1].close()
        with pytest.raises(RequestRefused) as refusal:
            device.open(1, b"")
        assert refusal.value.status is Status.SLOT_EMPTY
        assert provider.sealer(KEYS, 3).seal(23, b"")

    def test_closing_twice_frees_no_other_slot(self, provider):
        first = provider.sealer(KEYS, 3)
        first.close()
        second = provider.sealer(KEYS, 3)
        first.close()
        assert second.seal(23, b"")

    def test_a_closed_sealer_seals_nothing(self, provider):
        sealer, opener = provider.sealer(KEYS, 3), provider.opener(KEYS, 3)
        record = sealer.seal(23, b"")
        sealer.close()
        opener.close()
        with pytest.raises(ValueError, match="closed"):
            sealer.seal(23, b"")
        with pytest.raises(ValueError, match="closed"):
            opener.open(record)

    def test_are_given_back_if_loading_fails(self, provider, device):
        with pytest.raises(ValueError, match="connection ID has 21 bytes"):
            provider.sealer(KEYS, 3, bytes(21))
        assert [device.allocate() for _ in range(PROFILE.slots)] == [0, 1, 2]

    def test_are_given_back_later_if_the_link_fails_when_they_are_closed(
        self, provider, link, monkeypatch
    ):
        openers = [provider.opener(KEYS, 3) for _ in range(PROFILE.slots)]
        with monkeypatch.context() as silence:
            silence.setattr(link, "receive", raise_timeout)
            for opener in openers:
                with pytest.raises(LinkTimeout):
                    opener.close()
            with pytest.raises(LinkTimeout):
                provider.opener(KEYS, 3)
        for _ in range(PROFILE.slots):
            provider.opener(KEYS, 3)

    def test_are_given_back_later_if_the_link_fails_while_loading(
        self, provider, link, monkeypatch
    ):
        with monkeypatch.context() as silence:
            silence.setattr(link, "receive", raise_timeout)
            with pytest.raises(LinkTimeout):
                provider.opener(KEYS, 3)
        for _ in range(PROFILE.slots):
            provider.opener(KEYS, 3)


def test_a_sealer_that_lost_count_goes_no_further(provider, device, link, monkeypatch):
    sealer = provider.sealer(KEYS, 3)
    sealer.seal(23, b"")
    with monkeypatch.context() as silence:
        silence.setattr(link, "receive", raise_timeout)
        with pytest.raises(LinkTimeout):
            sealer.seal(23, b"")
    with pytest.raises(DriverError, match="number unknown"):
        sealer.seal(23, b"")
    assert device.stats()[Counter.RECORDS_SEALED] == 2
    sealer.close()


def raise_timeout(timeout: float) -> bytes:
    raise LinkTimeout("nothing to receive")
