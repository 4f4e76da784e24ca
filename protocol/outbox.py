"""Records on their way into datagrams of at most the MTU (RFC 9147, 4.3 and 4.4)."""

from protocol.crypto.provider import RecordNumber
from protocol.record import ContentType, RecordLayer

#: DTLSPlaintext header.
_PLAINTEXT_OVERHEAD = 13
#: Unified header with a 16-bit number and a length, content type, tag of AES-GCM.
_CIPHERTEXT_OVERHEAD = 5 + 1 + 16


def record_overhead(epoch: int) -> int:
    """How many bytes a record of ``epoch`` is longer than its content."""
    return _CIPHERTEXT_OVERHEAD if epoch else _PLAINTEXT_OVERHEAD


class Outbox:
    """Seals records and fills datagrams with them, in order.

    Application data has a datagram of its own for each record; handshake messages, ACKs and alerts
    share datagrams.
    """

    def __init__(self, records: RecordLayer, mtu: int) -> None:
        self._records = records
        self._mtu = mtu
        self._datagrams: list[bytes] = []
        self._filling = b""

    def room(self, epoch: int) -> int:
        """How many bytes of content fit the datagram that is being filled; 0 or less if none."""
        return self._mtu - len(self._filling) - record_overhead(epoch)

    def next_datagram(self) -> None:
        """The records that follow go into a new datagram."""
        if self._filling:
            self._datagrams.append(self._filling)
            self._filling = b""

    def send(self, epoch: int, content_type: ContentType, content: bytes) -> RecordNumber:
        """Seal a record and put it into a datagram; raises `KeyLimitError`."""
        record = self._records.seal(epoch, content_type, content)
        if len(self._filling) + len(record.data) > self._mtu:
            self.next_datagram()
        self._filling += record.data
        return record.number

    def send_data(self, epoch: int, content: bytes) -> RecordNumber:
        """Seal application data, in a datagram of its own; raises `KeyLimitError`."""
        self.next_datagram()
        number = self.send(epoch, ContentType.APPLICATION_DATA, content)
        self.next_datagram()
        return number

    def take(self) -> list[bytes]:
        """The datagrams to send now."""
        self.next_datagram()
        datagrams, self._datagrams = self._datagrams, []
        self._records.statistics.datagrams_sent += len(datagrams)
        return datagrams
