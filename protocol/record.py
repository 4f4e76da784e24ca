"""The record layer (RFC 9147, 4): datagrams in, opened records out, and the reverse.

::

    DTLSPlaintext    type (8) version (16) epoch (16) sequence number (48) length (16) fragment
    DTLSCiphertext   unified header, encrypted record: see protocol.unified_header

All fields are big-endian; widths are in bits.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from enum import IntEnum
from typing import TypeAlias

from protocol import unified_header
from protocol.crypto.provider import (
    LONGEST_CONTENT,
    CryptoProvider,
    KeyLimitError,
    OpenedRecord,
    OpenedRun,
    Opener,
    Refusal,
    Sealer,
    TrafficKeys,
)
from protocol.stats import Drop, Statistics

_PLAINTEXT_HEADER = struct.Struct(">BHHHIH")
PLAINTEXT_HEADER_BYTES = _PLAINTEXT_HEADER.size
_LEGACY_RECORD_VERSION = 0xFEFD
_LAST_NUMBER = (1 << 48) - 1
_EPOCH_MASK = unified_header.EPOCH_MASK
#: What a DTLSCiphertext of ours has beside its content, connection ID and tag: a first byte, a
#: 16-bit number, a length and a content type.
_CIPHERTEXT_OVERHEAD = 1 + 2 + 2 + 1
_LONGEST_TAG = 16
#: How far behind the others records under a connection ID of their own may be.
_REORDERING = 64


class ContentType(IntEnum):
    """What a record carries (RFC 9147, 4.1)."""

    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23
    ACK = 26


#: First bytes of a DTLSPlaintext (RFC 9147, 4.1).
_PLAINTEXT_TYPES = frozenset({ContentType.ALERT, ContentType.HANDSHAKE, ContentType.ACK})


def build_plaintext(content_type: int, sequence_number: int, fragment: bytes) -> bytes:
    """A DTLSPlaintext of epoch 0; raises ValueError for a fragment of over 2**14 bytes."""
    if len(fragment) > LONGEST_CONTENT:
        raise ValueError(f"content of {len(fragment)} bytes is over {LONGEST_CONTENT}")
    header = _PLAINTEXT_HEADER.pack(
        content_type,
        _LEGACY_RECORD_VERSION,
        0,
        sequence_number >> 32,
        sequence_number & 0xFFFFFFFF,
        len(fragment),
    )
    return header + fragment


def parse_plaintext(record: bytes) -> OpenedRecord | None:
    """The reverse for exactly one record, whatever its version field says.

    None if it is malformed or of another epoch than 0.
    """
    if len(record) < PLAINTEXT_HEADER_BYTES:
        return None
    content_type, _, epoch, high, low, length = _PLAINTEXT_HEADER.unpack_from(record)
    fragment = record[PLAINTEXT_HEADER_BYTES:]
    if content_type not in _PLAINTEXT_TYPES or epoch != 0 or len(fragment) != length:
        return None
    if length > LONGEST_CONTENT:
        return None
    return OpenedRecord(0, high << 32 | low, content_type, fragment)


class PlaintextSealer(Sealer):
    """The `Sealer` of epoch 0: no protection, only numbers, from ``first`` on."""

    def __init__(self, first: int = 0) -> None:
        self._next = first

    def seal(self, content_type: int, content: bytes, padding: int = 0) -> bytes:
        """The next DTLSPlaintext, which has no padding."""
        if self._next > _LAST_NUMBER:
            raise KeyLimitError("epoch 0 has no record numbers left")
        record = build_plaintext(content_type, self._next, content)
        self._next += 1
        return record

    @property
    def next_number(self) -> int:
        """The sequence number of the next record."""
        return self._next

    def close(self) -> None:
        """There are no keys to forget."""


class _EpochOpeners:
    """Opens the records of one epoch: one `Opener` for each connection ID that they come with.

    Each has a replay window of its own, and still no record is accepted twice: its connection ID
    is authenticated, so it can only come again to the same opener; and a peer counts the records of
    an epoch whatever their connection IDs, so that no two have the same number.
    """

    def __init__(
        self,
        provider: CryptoProvider,
        keys: TrafficKeys,
        epoch: int,
        connection_id: bytes,
        *,
        with_others: bool,
    ) -> None:
        """``with_others``: whether records may come with other connection IDs as well."""
        self._provider = provider
        # Where there is only one opener, nothing else needs the keys.
        self._keys = keys if with_others else None
        self.epoch = epoch
        #: How many forgeries the key has seen, and how many it may see.
        self.forgeries = 0
        self.forgery_limit = keys.suite.parameters.forgery_limit
        #: One above the highest number that a forgotten opener has opened.
        self._reached = 0
        self.by_id = {connection_id: provider.opener(keys, epoch, connection_id)}

    def add(self, connection_id: bytes) -> Opener:
        """The opener for another connection ID; it continues with the numbers of the others."""
        assert self._keys is not None
        reached = max([self._reached, *(opener.next_number for opener in self.by_id.values())])
        first = max(0, reached - _REORDERING)
        opener = self._provider.opener(self._keys, self.epoch, connection_id, first)
        self.by_id[connection_id] = opener
        return opener

    def forget(self, connection_id: bytes) -> None:
        """Close the opener for this connection ID, if there is one."""
        opener = self.by_id.pop(connection_id, None)
        if opener is not None:
            self._reached = max(self._reached, opener.next_number)
            opener.close()

    def close(self) -> None:
        """Close all openers, even when some fail to close: that is raised at the end."""
        with ExitStack() as each:
            for connection_id in tuple(self.by_id):
                each.callback(self.forget, connection_id)


def _refuse(record: bytes) -> Drop:
    return Drop.NO_KEY


#: How to open records that begin alike: what opens them, whether the header has a length, and how
#: long it is.
_Route: TypeAlias = tuple[Callable[[bytes], OpenedRecord | Refusal | Drop], bool, int]


class RecordLayer:
    """The records of one connection, both directions, all epochs.

    Epoch 0 is open from the beginning and needs no keys; `discard_opener(0)` ends it, so that
    plaintext records are dropped from then on. Nothing protects epoch 0, so nothing tells a
    repeated record of it from a new one: the handshake's message_seq does.

    Whatever is wrong with what comes in is dropped and counted in ``statistics``, never raised.
    ``fatal`` is the refusal after which the connection must end, once there was one:
    NO_CONTENT_TYPE (alert unexpected_message; RFC 8446, 5.4) or KEY_LIMIT (RFC 9147, 4.5.3).
    ``worn_opener`` is the epoch of the last key that saw half of the forgeries which its suite
    allows. When one of the two changes, ``alarm`` is set, for the owner to clear.
    """

    __slots__ = (
        "_layouts",
        "_newest",
        "_openers",
        "_plaintext_open",
        "_prefix_bytes",
        "_provider",
        "_receive_ids",
        "_routes",
        "_write_keys",
        "alarm",
        "fatal",
        "overhead",
        "receive_id",
        "sealers",
        "send_id",
        "statistics",
        "worn_opener",
    )

    def __init__(self, provider: CryptoProvider, statistics: Statistics | None = None) -> None:
        self.statistics = statistics if statistics is not None else Statistics()
        self.fatal: Refusal | None = None
        self.worn_opener: int | None = None
        self.alarm = False
        #: What a protected record of ours has beside its content, in bytes.
        self.overhead = _CIPHERTEXT_OVERHEAD + _LONGEST_TAG
        self._provider = provider
        #: The connection IDs that records may come with; all of one length, which may be 0.
        self._receive_ids = {b""}
        #: The one of them that the peer began to use last.
        self.receive_id = b""
        #: The connection ID that records are sent with, if any.
        self.send_id = b""
        #: What comes before the number in a header: the first byte and the connection ID.
        self._prefix_bytes = 1
        self._layouts = unified_header.layouts(0)
        #: What records have begun with so far. It is forgotten when keys or connection IDs change.
        self._routes: dict[bytes, _Route] = {}
        #: What seals the records of each epoch that may be sent; for others to read only.
        self.sealers: dict[int, Sealer] = {0: PlaintextSealer()}
        #: The keys of the sealers, if there are connection IDs to change.
        self._write_keys: dict[int, TrafficKeys] = {}
        self._openers: dict[int, _EpochOpeners] = {}
        self._plaintext_open = True
        #: By the low two bits of an epoch: the openers of the most recent epoch that has them.
        self._newest: list[_EpochOpeners | None] = [None] * 4

    def use_connection_ids(self, receive: bytes, send: bytes) -> None:
        """The negotiated connection IDs, before the first keys are installed (RFC 9146, 3).

        ``receive`` is the one that we asked the peer for, ``send`` the one that it asked us for;
        empty where that side wants none.
        """
        self._receive_ids = {receive}
        self.receive_id = receive
        self.send_id = send
        self._prefix_bytes = 1 + len(receive)
        self._layouts = unified_header.layouts(len(receive))

    def accept_id(self, connection_id: bytes) -> None:
        """Records may come with this connection ID as well; it is as long as the first one."""
        self._receive_ids.add(connection_id)

    def forget_id(self, connection_id: bytes) -> None:
        """Records no longer come with this connection ID."""
        self._routes.clear()
        self._receive_ids.discard(connection_id)
        for openers in self._openers.values():
            openers.forget(connection_id)

    def change_send_id(self, connection_id: bytes) -> None:
        """Send with this connection ID from now on, in all epochs; the numbers go on."""
        self.overhead += len(connection_id) - len(self.send_id)
        self.send_id = connection_id
        for epoch, keys in self._write_keys.items():
            old = self.sealers.pop(epoch)
            first = old.next_number
            old.close()
            self.sealers[epoch] = self._provider.sealer(keys, epoch, connection_id, first)

    def number_plaintext_from(self, first: int) -> None:
        """Epoch 0 goes on with this number: those before are taken (RFC 9147, 4)."""
        self.sealers[0] = PlaintextSealer(first)

    def install_sealer(self, epoch: int, keys: TrafficKeys, first: int = 0) -> None:
        """Protect the records of ``epoch``, which is not 0, with these keys, from ``first`` on."""
        self.discard_sealer(epoch)
        self.sealers[epoch] = self._provider.sealer(keys, epoch, self.send_id, first)
        self.overhead = _CIPHERTEXT_OVERHEAD + len(self.send_id) + keys.suite.parameters.tag_bytes
        if self.send_id:
            self._write_keys[epoch] = keys

    def install_opener(self, epoch: int, keys: TrafficKeys, *, without_id: bool = False) -> None:
        """Open the records of ``epoch``, which is not 0, with these keys.

        ``without_id``: they begin before the peer knows the connection ID that we want.
        """
        self.discard_opener(epoch)
        first, others = b"" if without_id else self.receive_id, bool(self.receive_id)
        self._openers[epoch] = _EpochOpeners(self._provider, keys, epoch, first, with_others=others)
        self._find_newest()

    def discard_sealer(self, epoch: int) -> None:
        """Forget the keys, if there are any; records of ``epoch`` can no longer be sent."""
        self._write_keys.pop(epoch, None)
        sealer = self.sealers.pop(epoch, None)
        if sealer is not None:
            sealer.close()

    def discard_opener(self, epoch: int) -> None:
        """Forget the keys, if there are any; records of ``epoch`` are dropped from now on."""
        if epoch == 0:
            self._plaintext_open = False
        openers = self._openers.pop(epoch, None)
        if openers is not None:
            self._find_newest()
            openers.close()

    def close(self) -> None:
        """Forget all keys; nothing can be sent or opened any more.

        Those of each epoch, even when a provider fails to forget some: that is raised at the end.
        """
        with ExitStack() as each:
            for epoch in self.sealers:
                each.callback(self.discard_sealer, epoch)
            for epoch in (0, *self._openers):
                each.callback(self.discard_opener, epoch)

    def seal(self, epoch: int, content_type: int, content: bytes, padding: int = 0) -> bytes:
        """The next record of ``epoch``, to be sent.

        Raises `KeyLimitError`, ValueError for more than 2**14 bytes, and LookupError when the
        epoch has no sealer.
        """
        sealer = self.sealers.get(epoch)
        if sealer is None:
            raise LookupError(f"no keys to seal records of epoch {epoch}")
        record = sealer.seal(content_type, content, padding)
        statistics = self.statistics
        statistics.records_sent += 1
        statistics.bytes_sent += len(record)
        return record

    def seal_many(self, epoch: int, content_type: int, contents: Sequence[bytes]) -> list[bytes]:
        """The next records of ``epoch``, one for each content, as `seal` makes them.

        Raises what `seal` raises; all are lost then.
        """
        if epoch not in self.sealers:
            raise LookupError(f"no keys to seal records of epoch {epoch}")
        records = self.sealers[epoch].seal_many(content_type, contents)
        statistics = self.statistics
        statistics.records_sent += len(records)
        statistics.bytes_sent += sum(map(len, records))
        return records

    def open_datagram(self, data: bytes) -> Iterator[OpenedRecord]:
        """The genuine records of a datagram in their order, none of a protected epoch twice.

        Each is opened when it is asked for and not before: the one before it may bring the keys.
        """
        statistics = self.statistics
        statistics.datagrams_received += 1
        left = len(data)
        while left:
            route = self._routes.get(data[: self._prefix_bytes]) or self._find_route(data)
            if route is None:
                end, result = self._open_other(data)
            else:
                open_record, has_length, size = route
                end = left
                if has_length and left >= size:
                    end = size + (data[size - 2] << 8 | data[size - 1])
                result = open_record(data if end == left else data[:end])
            if isinstance(result, OpenedRecord):
                statistics.records_received += 1
                statistics.bytes_received += end
                yield result
            else:
                self._drop(result, data[0])
            if end >= left:
                return
            data = data[end:]
            left -= end

    def open_segments(self, data: bytes, size: int) -> OpenedRun | None:
        """Open datagrams of ``size`` bytes, each of them one record, which follow each other.

        None if they are not all of one epoch with one connection ID: then nothing has changed, and
        each needs `open_datagram`.
        """
        openers = self._newest[data[0] & _EPOCH_MASK]
        if openers is None:
            return None
        opener = openers.by_id.get(data[1 : self._prefix_bytes])
        # The limit of the key counts the forgeries under all connection IDs.
        if opener is None or openers.forgeries + len(data) // size > openers.forgery_limit:
            return None
        run = opener.open_many(data, size)
        if run is not None:
            statistics = self.statistics
            opened = len(run.contents)
            statistics.datagrams_received += opened + len(run.refused)
            statistics.records_received += opened
            statistics.bytes_received += opened * size
            for reason in run.refused.values():
                self._drop(reason, data[0])
        return run

    def _open_other(self, data: bytes) -> tuple[int, OpenedRecord | Drop | Refusal]:
        """What no DTLSCiphertext of ours begins like: where its first record ends, and the record.

        One of another association is as long as the datagram, because all that follows must be
        discarded with it (RFC 9147, 4).
        """
        if data[0] in _PLAINTEXT_TYPES:
            end = plaintext_end(data)
            return end, self._open_plaintext(data[:end])
        if data[0] & unified_header.FIXED_MASK == unified_header.FIXED_BITS:
            return self._open_without_id(data)
        return len(data), Drop.NOT_DTLS

    def _open_without_id(self, data: bytes) -> tuple[int, OpenedRecord | Drop | Refusal]:
        """A DTLSCiphertext that has not our connection ID: only early data may have none."""
        layout = unified_header.layouts(0)[data[0]]
        openers = self._newest[data[0] & _EPOCH_MASK]
        if layout is None or openers is None or b"" not in openers.by_id:
            return len(data), Drop.CONNECTION_ID
        end = _ciphertext_end(data, layout)
        return end, openers.by_id[b""].open(data[:end])

    def _open_plaintext(self, record: bytes) -> OpenedRecord | Drop | Refusal:
        if not self._plaintext_open:
            return Drop.NO_KEY
        return parse_plaintext(record) or Refusal.MALFORMED

    def _find_route(self, data: bytes) -> _Route | None:
        """How to open what a datagram begins with; None if that is no DTLSCiphertext of ours."""
        layout = self._layouts[data[0]]
        if layout is None or data[1 : self._prefix_bytes] not in self._receive_ids:
            return None
        openers = self._newest[data[0] & _EPOCH_MASK]
        open_record = _refuse if openers is None else self._opener(openers, data).open
        route = (open_record, layout.has_length, layout.header_bytes)
        self._routes[data[: self._prefix_bytes]] = route
        return route

    def _opener(self, openers: _EpochOpeners, data: bytes) -> Opener:
        """That for the connection ID in a record; there is none yet if the peer has a new one."""
        connection_id = data[1 : self._prefix_bytes]
        if connection_id not in openers.by_id:
            openers.add(connection_id)
            self.receive_id = connection_id
        return openers.by_id[connection_id]

    def _find_newest(self) -> None:
        self._routes.clear()
        self._newest = [None] * 4
        for epoch in sorted(self._openers):
            self._newest[epoch & _EPOCH_MASK] = self._openers[epoch]

    def _drop(self, reason: Drop | Refusal, first: int) -> None:
        """Count a record that was not opened, by its first byte, and see what follows."""
        self.statistics.drops[reason] += 1
        openers = self._newest[first & _EPOCH_MASK]
        if reason is Refusal.NO_CONTENT_TYPE:
            self._end(reason)
        elif reason is Refusal.BAD_TAG and openers is not None:
            openers.forgeries += 1
            if openers.forgeries == openers.forgery_limit // 2:
                self.worn_opener, self.alarm = openers.epoch, True
            elif openers.forgeries > openers.forgery_limit:  # of several openers together
                self._end_key(openers.epoch)
        elif reason is Refusal.KEY_LIMIT and openers is not None:
            self._end_key(openers.epoch)

    def _end_key(self, epoch: int) -> None:
        """A key has seen all forgeries that it may: an old one goes, the newest is fatal."""
        if epoch == max(self._openers):
            self._end(Refusal.KEY_LIMIT)
        else:
            self.discard_opener(epoch)

    def _end(self, reason: Refusal) -> None:
        self.fatal, self.alarm = reason, True


def _ciphertext_end(data: bytes, layout: unified_header.Layout) -> int:
    """Where the first DTLSCiphertext of a datagram ends, by its length field if it has one."""
    size = layout.header_bytes
    if not layout.has_length or len(data) < size:
        return len(data)
    return size + int.from_bytes(data[size - 2 : size], "big")


def plaintext_end(data: bytes) -> int:
    """Where the first DTLSPlaintext of a datagram ends, by its length field."""
    size = PLAINTEXT_HEADER_BYTES
    return size + int.from_bytes(data[size - 2 : size], "big")
