"""Records on their way into datagrams of at most the MTU (RFC 9147, 4.3 and 4.4)."""

from collections.abc import Sequence

from protocol.crypto.provider import LONGEST_CONTENT, RecordNumber
from protocol.record import PLAINTEXT_HEADER_BYTES, ContentType, RecordLayer

#: As a plain number: to look it up in its class takes longer than to compare it.
_APPLICATION_DATA = int(ContentType.APPLICATION_DATA)
#: What every path takes: the smallest MTU of IPv4, 576 bytes, without the headers of IP and UDP.
SAFE_MTU = 548


class Outbox:
    """Seals records and fills datagrams with them, in order.

    Application data has a datagram of its own for each record; handshake messages, ACKs and alerts
    share datagrams.
    """

    __slots__ = (
        "_datagrams",
        "_filling",
        "_records",
        "_statistics",
        "content_limit",
        "mtu",
        "path_mtu",
    )

    def __init__(self, records: RecordLayer, mtu: int) -> None:
        #: Largest datagram that the path takes, as far as is known.
        self.path_mtu = mtu
        #: Largest datagram for what may be cut to size: everything but application data.
        self.mtu = mtu
        #: Largest content of a protected record that the peer takes, padding included.
        self.content_limit = LONGEST_CONTENT
        self._records = records
        self._statistics = records.statistics
        self._datagrams: list[bytes] = []
        self._filling = b""

    def largest_content(self, epoch: int, size: int) -> int:
        """How many bytes of content a record of ``epoch`` has that fills ``size`` bytes."""
        if not epoch:
            return min(LONGEST_CONTENT, size - PLAINTEXT_HEADER_BYTES)
        return min(self.content_limit, size - self._records.overhead)

    def room(self, epoch: int) -> int:
        """How many bytes of content fit the datagram that is being filled; 0 or less if none."""
        return self.largest_content(epoch, self.mtu - len(self._filling))

    def next_datagram(self) -> None:
        """The records that follow go into a new datagram."""
        if self._filling:
            self._datagrams.append(self._filling)
            self._filling = b""

    def send(
        self, epoch: int, content_type: ContentType, content: bytes, padding: int = 0
    ) -> RecordNumber:
        """Seal a record and put it into a datagram; raises `KeyLimitError`."""
        number = RecordNumber(epoch, self._records.sealers[epoch].next_number)
        self.add(self._records.seal(epoch, content_type, content, padding))
        return number

    def add(self, record: bytes) -> None:
        """Put a record that is sealed already into a datagram."""
        if len(self._filling) + len(record) > self.mtu:
            self.next_datagram()
        self._filling += record

    def send_data(self, epoch: int, content: bytes, padding: int = 0) -> None:
        """Seal application data, in a datagram of its own; raises `KeyLimitError`.

        ``padding`` is how many zeros follow it in the record (RFC 8446, 5.4).
        """
        if self._filling:
            self.next_datagram()
        record = self._records.seal(epoch, _APPLICATION_DATA, content, padding)
        self._datagrams.append(record)

    def send_many(self, epoch: int, contents: Sequence[bytes]) -> None:
        """Seal application data, each content in a datagram of its own; raises `KeyLimitError`."""
        if self._filling:
            self.next_datagram()
        self._datagrams += self._records.seal_many(epoch, _APPLICATION_DATA, contents)

    def take(self) -> list[bytes]:
        """The datagrams to send now."""
        if self._filling:
            self.next_datagram()
        datagrams, self._datagrams = self._datagrams, []
        self._statistics.datagrams_sent += len(datagrams)
        return datagrams
