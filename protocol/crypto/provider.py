"""What the protocol asks of whoever protects its records: one interface, several providers.

A provider turns the traffic keys of one epoch and direction into a `Sealer` or an `Opener`. Both
work on whole records, so that a provider may be a few lines around an AEAD library or a piece of
hardware which builds the header, encrypts the record number and keeps the replay window itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol

from protocol.crypto.suites import CipherSuite

#: The longest content of a record, in bytes (RFC 8446, 5.1).
LONGEST_CONTENT = 1 << 14


@dataclass(slots=True)
class TrafficKeys:
    """What protects the records of one epoch in one direction (RFC 8446, 7.3; RFC 9147, 4.2.3).

    ``key`` and ``record_number_key`` are 16 or 32 bytes as the suite has it, ``iv`` 12 bytes.
    """

    suite: CipherSuite
    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)
    record_number_key: bytes = field(repr=False)


class RecordNumber(NamedTuple):
    """Epoch and sequence number of a record (RFC 9147, 4); they compare in the order of sending."""

    epoch: int
    sequence_number: int


# It is made once a record, and not frozen: that would treble the time it takes.
@dataclass(slots=True)
class OpenedRecord:
    """A genuine record that no earlier one repeats, without its padding."""

    epoch: int
    sequence_number: int
    content_type: int
    content: bytes = field(repr=False)

    @property
    def number(self) -> RecordNumber:
        """Epoch and sequence number."""
        return RecordNumber(self.epoch, self.sequence_number)


class Refusal(Enum):
    """Why a record was not opened. The network causes these: they are counted, not raised."""

    MALFORMED = "malformed"
    WRONG_EPOCH = "wrong epoch"
    REPLAYED = "replayed"
    TOO_OLD = "too old"
    BAD_TAG = "bad tag"
    KEY_LIMIT = "key limit reached"
    #: Genuine, but without a content type: the one refusal that ends the connection
    #: (unexpected_message; RFC 8446, 5.4).
    NO_CONTENT_TYPE = "no content type"


@dataclass(slots=True)
class OpenedRun:
    """Records of one epoch that were opened together.

    Three lists have an entry for each genuine record, in the order in which they came; ``refused``
    says of the others, by their index among all, why not.
    """

    epoch: int
    sequence_numbers: list[int] = field(default_factory=list)
    content_types: list[int] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list, repr=False)
    refused: dict[int, Refusal] = field(default_factory=dict)

    def add(self, sequence_number: int, content_type: int, content: bytes) -> None:
        """The next record, genuine."""
        self.sequence_numbers.append(sequence_number)
        self.content_types.append(content_type)
        self.contents.append(content)

    def refuse(self, reason: Refusal) -> None:
        """The next record is not opened."""
        self.refused[len(self.contents) + len(self.refused)] = reason


class KeyLimitError(Exception):
    """The key may protect no more records (RFC 9147, 4.5.3): update it, or close."""


class Sealer(Protocol):
    """Protects the records of one epoch; it owns their sequence numbers.

    Who has no better way to seal many inherits that.
    """

    @property
    def next_number(self) -> int:
        """The sequence number of the next record."""

    def seal(self, content_type: int, content: bytes, padding: int = 0) -> bytes:
        """The next record, with so many zeros behind the content type (RFC 8446, 5.4).

        Its number is what `next_number` was before. Raises `KeyLimitError`, or ValueError for over
        2**14 bytes of content and padding.
        """

    def seal_many(self, content_type: int, contents: Sequence[bytes]) -> list[bytes]:
        """The next records, one for each content: what `seal` makes of them, in one go.

        Raises what `seal` raises; none can be used then, and their numbers may be used up.
        """
        return [self.seal(content_type, content) for content in contents]

    def close(self) -> None:
        """Forget the keys; the sealer must not be used again."""


class Opener(Protocol):
    """Opens the records of one epoch; it owns the replay window.

    Who has no way to open many at a time inherits that.
    """

    @property
    def next_number(self) -> int:
        """One above the highest sequence number of a record that was opened."""

    def open(self, record: bytes) -> OpenedRecord | Refusal:
        """Open exactly one DTLSCiphertext, its header included."""

    def open_many(self, data: bytes, size: int) -> OpenedRun | None:
        """Open records of ``size`` bytes each, which follow each other, in one go.

        What comes of it is what `open` would make of one after the other. Behind one with
        NO_CONTENT_TYPE no more are opened. None, and nothing has changed, unless they look alike:
        the same bytes before the number, and the length that they have. An opener may always say
        None.
        """
        return None

    def close(self) -> None:
        """Forget the keys; the opener must not be used again."""


class CryptoProvider(Protocol):
    """Where record protection comes from."""

    #: What reports and logs call it.
    name: str
    #: What it can protect records with.
    suites: frozenset[CipherSuite]
    #: The longest content of a record that it takes, in bytes: `LONGEST_CONTENT`, or less.
    largest_content: int
    #: The longest connection ID that it takes, in bytes.
    longest_connection_id: int

    def sealer(
        self, keys: TrafficKeys, epoch: int, connection_id: bytes = b"", first: int = 0
    ) -> Sealer:
        """A sealer for one epoch, whose first record has the number ``first``.

        ``connection_id`` is the one that the peer asked to see.
        """

    def opener(
        self, keys: TrafficKeys, epoch: int, connection_id: bytes = b"", first: int = 0
    ) -> Opener:
        """An opener for one epoch, which refuses records with numbers below ``first``.

        ``connection_id`` is one that we asked the peer for.
        """
