import pytest

from intaglio.check import RecordingProvider, differing_records
from protocol.crypto.openssl import SoftwareProvider, SoftwareSealer
from protocol.crypto.provider import TrafficKeys
from protocol.crypto.suites import CipherSuite

KEYS = TrafficKeys(CipherSuite.TLS_AES_128_GCM_SHA256, bytes(16), bytes(12), bytes(16))


class Altering(SoftwareProvider):
    """Seals as software does, but flips one bit of every third record."""

    def sealer(self, keys, epoch, connection_id=b"", first=0):
        return AlteringSealer(self, keys, epoch, connection_id, first)


class AlteringSealer(SoftwareSealer):
    def seal(self, content_type, content, padding=0):
        number = self.next_number
        record = super().seal(content_type, content, padding)
        return record[:-1] + bytes([record[-1] ^ 1]) if number % 3 == 2 else record


@pytest.mark.parametrize(("provider", "differing"), [(SoftwareProvider(), 0), (Altering(), 3)])
def test_records_that_the_reference_makes_otherwise_are_counted(provider, differing):
    recording = RecordingProvider(provider)
    sealer = recording.sealer(KEYS, 3)
    for length in range(10):
        sealer.seal(23, bytes(length))
    assert recording.records_sealed == 10
    assert differing_records(recording, SoftwareProvider()) == differing


def test_only_records_that_were_accepted_count_as_opened():
    recording = RecordingProvider(SoftwareProvider())
    record = recording.sealer(KEYS, 3).seal(23, b"hello")
    opener = recording.opener(KEYS, 3)
    assert opener.open(record).content == b"hello"
    opener.open(record)
    opener.open(record[:-1])
    assert recording.records_opened == 1
