"""A second opinion: what one provider has sealed is sealed again by another, and compared."""

from dataclasses import dataclass, field

from protocol.crypto.provider import (
    CryptoProvider,
    OpenedRecord,
    Opener,
    Refusal,
    Sealer,
    TrafficKeys,
)
from protocol.crypto.suites import CipherSuite

__all__ = ["RecordingProvider", "differing_records"]


@dataclass
class _Recording:
    """All that one sealer was asked to seal, and what it made of it."""

    keys: TrafficKeys
    epoch: int
    connection_id: bytes
    first: int
    records: list[tuple[int, bytes, int, bytes]] = field(default_factory=list, repr=False)


class RecordingProvider:
    """A CryptoProvider that passes everything on to another, counts it, and keeps what was sealed.

    Keys and contents stay in memory: this is for demonstrations and tests only.
    """

    def __init__(self, provider: CryptoProvider):
        self.name = provider.name
        self.suites: frozenset[CipherSuite] = provider.suites
        self.largest_content = provider.largest_content
        self.longest_connection_id = provider.longest_connection_id
        #: One for each sealer, in the order in which they were made.
        self.recordings: list[_Recording] = []
        #: Records opened, not counting those that were refused.
        self.records_opened = 0
        self._provider = provider

    @property
    def records_sealed(self) -> int:
        """Records sealed by all sealers."""
        return sum(len(recording.records) for recording in self.recordings)

    def sealer(
        self, keys: TrafficKeys, epoch: int, connection_id: bytes = b"", first: int = 0
    ) -> Sealer:
        """The other's sealer, listened to."""
        recording = _Recording(keys, epoch, connection_id, first)
        self.recordings.append(recording)
        return _RecordingSealer(self._provider.sealer(keys, epoch, connection_id, first), recording)

    def opener(
        self, keys: TrafficKeys, epoch: int, connection_id: bytes = b"", first: int = 0
    ) -> Opener:
        """The other's opener, counted."""
        return _CountingOpener(self._provider.opener(keys, epoch, connection_id, first), self)


class _RecordingSealer(Sealer):
    def __init__(self, sealer: Sealer, recording: _Recording):
        self._sealer = sealer
        self._recording = recording

    @property
    def next_number(self) -> int:
        """The sequence number of the next record."""
        return self._sealer.next_number

    def seal(self, content_type: int, content: bytes, padding: int = 0) -> bytes:
        """The next record."""
        record = self._sealer.seal(content_type, content, padding)
        self._recording.records.append((content_type, content, padding, record))
        return record

    def close(self) -> None:
        """Forget the keys."""
        self._sealer.close()


class _CountingOpener(Opener):
    def __init__(self, opener: Opener, provider: RecordingProvider):
        self._opener = opener
        self._provider = provider

    @property
    def next_number(self) -> int:
        """One above the highest sequence number of a record that was opened."""
        return self._opener.next_number

    def open(self, record: bytes) -> OpenedRecord | Refusal:
        """Open one DTLSCiphertext."""
        opened = self._opener.open(record)
        self._provider.records_opened += isinstance(opened, OpenedRecord)
        return opened

    def close(self) -> None:
        """Forget the keys."""
        self._opener.close()


def differing_records(recorded: RecordingProvider, reference: CryptoProvider) -> int:
    """Seal everything again with ``reference``: how many records come out differently.

    AES-GCM has no randomness of its own: the same keys, numbers and contents make the same bytes.
    """
    differing = 0
    for recording in recorded.recordings:
        sealer = reference.sealer(
            recording.keys, recording.epoch, recording.connection_id, recording.first
        )
        for content_type, content, padding, record in recording.records:
            differing += sealer.seal(content_type, content, padding) != record
        sealer.close()
    return differing
