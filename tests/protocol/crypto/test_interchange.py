"""What one provider seals another opens: every suite of both, connection ID and form of header."""

import itertools

import pytest

from driver import Device, HeaderForm, Load, Suite, Usage
from hdl.model import AcceleratorModel
from hdl.profile import COMPACT
from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import OpenedRecord, RecordNumber, Refusal, TrafficKeys
from protocol.crypto.suites import CipherSuite
from sim.model_link import ModelLink
from tests.protocol.providers import GCM_SUITES, PROVIDERS

EPOCH = 7

each_provider = pytest.mark.parametrize("provider", PROVIDERS)
each_suite = pytest.mark.parametrize("suite", GCM_SUITES, ids=lambda suite: suite.name)
each_connection_id = pytest.mark.parametrize(
    "connection_id", [b"", b"c", bytes(range(20))], ids=["no CID", "CID of 1", "CID of 20"]
)


def keys_of(suite: CipherSuite) -> TrafficKeys:
    size = suite.parameters.key_bytes
    return TrafficKeys(suite, bytes(range(size)), bytes(range(12)), bytes(range(64, 64 + size)))


@pytest.mark.parametrize(("sealing", "opening"), list(itertools.product(PROVIDERS, repeat=2)))
@each_suite
@each_connection_id
def test_what_one_seals_another_opens(sealing, opening, suite, connection_id):
    sealer = PROVIDERS[sealing]().sealer(keys_of(suite), EPOCH, connection_id)
    opener = PROVIDERS[opening]().opener(keys_of(suite), EPOCH, connection_id)
    for number, size in enumerate([0, 1, 14, 15, 16, 17, 100]):
        record = sealer.seal(22, bytes(size))
        assert opener.open(record) == OpenedRecord(EPOCH, number, 22, bytes(size))


@each_suite
def test_records_of_full_size_are_the_same_bytes(suite):
    content = bytes(COMPACT.largest_record)
    sealers = [make().sealer(keys_of(suite), EPOCH) for make in PROVIDERS.values()]
    assert len({sealer.seal(23, content) for sealer in sealers}) == 1


@each_provider
@each_suite
@each_connection_id
@pytest.mark.parametrize("form", [HeaderForm(bits) for bits in (0, 4, 8, 12)], ids=str)
def test_every_form_of_header_is_opened(provider, suite, connection_id, form):
    keys = keys_of(suite)
    opener = PROVIDERS[provider]().opener(keys, EPOCH, connection_id)
    for number, record in enumerate(records_of_form(keys, connection_id, form)):
        assert opener.open(record) == OpenedRecord(EPOCH, number, 23, b"hello")


def records_of_form(keys: TrafficKeys, connection_id: bytes, form: HeaderForm) -> list[bytes]:
    """Records as no sealer here makes them, but other implementations do."""
    load = Load(
        suite=Suite(keys.suite & 0xFF),
        usage=Usage.SEAL,
        key=keys.key,
        iv=keys.iv,
        record_number_key=keys.record_number_key,
        epoch=EPOCH,
        connection_id=connection_id,
        header_form=form,
    )
    with Device(ModelLink(AcceleratorModel(COMPACT))) as device:
        device.load(0, load)
        return device.seal_many(0, [(23, b"hello")] * 3)


@each_provider
class TestRefusals:
    KEYS = keys_of(CipherSuite.TLS_AES_128_GCM_SHA256)

    def test_at_the_edges_of_the_window(self, provider):
        sealer = SoftwareProvider().sealer(self.KEYS, EPOCH)
        opener = PROVIDERS[provider]().opener(self.KEYS, EPOCH)
        records = [sealer.seal(23, b"") for _ in range(100)]
        for number, expected in [
            (70, RecordNumber(EPOCH, 70)),
            (70, Refusal.REPLAYED),
            (7, RecordNumber(EPOCH, 7)),
            (7, Refusal.REPLAYED),
            (6, Refusal.TOO_OLD),
            (99, RecordNumber(EPOCH, 99)),
            (35, Refusal.TOO_OLD),
            (36, RecordNumber(EPOCH, 36)),
        ]:
            assert outcome(opener.open(records[number])) == expected

    def test_of_the_next_epoch(self, provider):
        record = SoftwareProvider().sealer(self.KEYS, EPOCH + 1).seal(23, b"")
        assert PROVIDERS[provider]().opener(self.KEYS, EPOCH).open(record) is Refusal.WRONG_EPOCH

    def test_of_all_zeros(self, provider):
        record = SoftwareProvider().sealer(self.KEYS, EPOCH).seal(0, bytes(5))
        opener = PROVIDERS[provider]().opener(self.KEYS, EPOCH)
        assert opener.open(record) is Refusal.NO_CONTENT_TYPE
        assert opener.open(record) is Refusal.REPLAYED


def outcome(result: OpenedRecord | Refusal) -> RecordNumber | Refusal:
    return result if isinstance(result, Refusal) else result.number
