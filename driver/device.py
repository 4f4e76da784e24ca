"""An accelerator, whatever carries its packets."""

import heapq
import struct
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from driver.errors import (
    BadCompletion,
    BatchRefused,
    NoFreeSlot,
    ProtocolMismatch,
    RequestRefused,
)
from driver.link import Link
from driver.messages import (
    ALL_SLOTS,
    CONTRACT_VERSION,
    AeadPrefix,
    Completion,
    Counter,
    Info,
    Load,
    MessageError,
    Opcode,
    Request,
    Status,
    unpack_stats,
)

__all__ = ["Device", "Opened"]

_RECORD_NUMBER = struct.Struct(">H6s")
_REQUEST_IDS = 1 << 16


@dataclass(frozen=True)
class Opened:
    """A record that OPEN accepted: epoch modulo 2**16, full sequence number, no padding."""

    epoch: int
    sequence_number: int
    content_type: int
    content: bytes = field(repr=False)


class Device:
    """One accelerator, which must have no other host.

    A batch keeps up to ``in_flight`` requests on their way, so that the device works while packets
    travel; the link has to hold that many completions. Completions come in the order of requests
    and are matched by request id. ``timeout`` is in seconds, for each completion.

    Errors: ValueError for an argument that no request can carry, before anything is sent;
    `RequestRefused` if the device says no; `LinkTimeout`, `LinkError` and `BadCompletion` if it is
    unknown what became of the requests on their way. The device stays usable after each of them: a
    completion that comes after its time-out is known by its id, and dropped.

    Any thread may call any method: a lock makes each call whole, batches included.
    """

    def __init__(self, link: Link, *, timeout: float = 5.0, in_flight: int = 8):
        """Read INFO; raises `ProtocolMismatch` if this is not a device of our contract."""
        if not 1 <= in_flight <= _REQUEST_IDS // 2:
            raise ValueError(f"in_flight is {in_flight}, not in 1 .. {_REQUEST_IDS // 2}")
        self._link = link
        self._timeout = timeout
        self._in_flight = in_flight
        self._lock = threading.Lock()
        self._next_id = 0
        # Half of all ids: one in here is never given to a new request.
        self._abandoned: deque[int] = deque(maxlen=_REQUEST_IDS // 2)
        self.info = self._read_info()
        self._free_slots = list(range(self.info.slots))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the link. Keys stay in the device until `free`, `zeroize` or its reset."""
        self._link.close()

    # Slots

    def allocate(self) -> int:
        """A slot that nobody else got from here; raises `NoFreeSlot` if there is none.

        Whoever uses fixed slot numbers needs no `allocate`, but must not mix the two.
        """
        with self._lock:
            if not self._free_slots:
                raise NoFreeSlot(f"all {self.info.slots} slots of the device are allocated")
            return heapq.heappop(self._free_slots)

    def free(self, slot: int) -> None:
        """Zeroize an allocated slot and give it back; if zeroizing fails, it stays allocated."""
        if slot in self._free_slots:
            raise ValueError(f"slot {slot} is not allocated")
        self.zeroize(slot)
        with self._lock:
            heapq.heappush(self._free_slots, slot)

    def load(self, slot: int, load: Load) -> None:
        """Load keys into a slot, over what it held; a refused load leaves it as it was."""
        self._one(Opcode.LOAD, slot, load.pack())

    def zeroize(self, slot: int) -> None:
        """Erase a slot's keys, counters and window."""
        self._one(Opcode.ZEROIZE, slot)

    def zeroize_all(self) -> None:
        """Erase every slot; what is allocated stays allocated."""
        self._accept(self._exchange([(Opcode.ZEROIZE, ALL_SLOTS, b"")])[0])

    # Records

    def seal(self, slot: int, content_type: int, content: bytes, padding: int = 0) -> bytes:
        """The slot's next record, a complete DTLSCiphertext; ``padding`` is a count of zeros."""
        payload = self._inner_plaintext(content_type, content, padding)
        return self._one(Opcode.SEAL, slot, payload)

    def seal_many(self, slot: int, items: Iterable[tuple[int, bytes]]) -> list[bytes]:
        """One record for each (content type, content), in order and consecutively numbered.

        If the device refuses some, the others are sealed all the same, and `BatchRefused` holds
        them. After a `LinkError` or `BadCompletion` none is returned, though the device may have
        sealed any of them and used up their numbers.
        """
        payloads = [self._inner_plaintext(kind, content) for kind, content in items]
        results = self._many(Opcode.SEAL, slot, payloads)
        records = [result for result in results if isinstance(result, bytes)]
        if len(records) < len(results):
            raise BatchRefused(Opcode.SEAL, slot, results)
        return records

    def open(self, slot: int, record: bytes) -> Opened:
        """Open exactly one DTLSCiphertext; raises `RequestRefused`."""
        return _opened(self._one(Opcode.OPEN, slot, record))

    def open_many(self, slot: int, records: Iterable[bytes]) -> list[Opened | Status]:
        """Open records in order; for each, its content or why the device refused it."""
        results = self._many(Opcode.OPEN, slot, records)
        return [_opened(result) if isinstance(result, bytes) else result for result in results]

    # Messages of any other protocol

    def aead_seal(
        self, slot: int, nonce: bytes, plaintext: bytes, associated_data: bytes = b""
    ) -> bytes:
        """AES-GCM: ciphertext and tag; never use a nonce of 12 bytes twice with one key."""
        prefix = AeadPrefix(len(associated_data), nonce).pack()
        return self._one(Opcode.AEAD_SEAL, slot, prefix + associated_data + plaintext)

    def aead_open(
        self, slot: int, nonce: bytes, ciphertext: bytes, associated_data: bytes = b""
    ) -> bytes:
        """AES-GCM: the plaintext of ciphertext and tag; raises `RequestRefused` (BAD_TAG)."""
        prefix = AeadPrefix(len(associated_data), nonce).pack()
        return self._one(Opcode.AEAD_OPEN, slot, prefix + associated_data + ciphertext)

    # The device as a whole

    def stats(self) -> dict[Counter, int]:
        """The device's counters since its reset."""
        payload = self._accept(self._exchange([(Opcode.STATS, 0, b"")])[0])
        try:
            return unpack_stats(payload)
        except MessageError as error:
            raise BadCompletion(str(error)) from None

    def _read_info(self) -> Info:
        payload = self._accept(self._exchange([(Opcode.INFO, 0, b"")])[0])
        try:
            info = Info.unpack(payload)
        except ValueError as error:
            raise ProtocolMismatch(str(error)) from None
        if info.version != CONTRACT_VERSION:
            raise ProtocolMismatch(
                f"device speaks contract version {info.version}, this driver {CONTRACT_VERSION}"
            )
        return info

    def _inner_plaintext(self, content_type: int, content: bytes, padding: int = 0) -> bytes:
        """DTLSInnerPlaintext (RFC 9147, 4)."""
        if not 0 < content_type < 256:
            raise ValueError(f"content type {content_type} is not in 1 .. 255")
        size = len(content) + padding
        if size > self.info.largest_record:
            raise ValueError(
                f"content has {size} bytes, over the {self.info.largest_record} that the "
                "device takes"
            )
        return b"%b%c" % (content, content_type) + bytes(padding)

    # Requests and completions

    def _one(self, opcode: Opcode, slot: int, payload: bytes = b"") -> bytes:
        self._check_slot(slot)
        return self._accept(self._exchange([(opcode, slot, payload)])[0])

    def _many(self, opcode: Opcode, slot: int, payloads: Iterable[bytes]) -> list[bytes | Status]:
        self._check_slot(slot)
        completions = self._exchange([(opcode, slot, payload) for payload in payloads])
        return [
            completion.payload if completion.status == Status.OK else Status(completion.status)
            for completion in completions
        ]

    def _check_slot(self, slot: int) -> None:
        if not 0 <= slot < self.info.slots:
            raise ValueError(f"slot {slot} is not one of the device's {self.info.slots}")

    @staticmethod
    def _accept(completion: Completion) -> bytes:
        if completion.status != Status.OK:
            raise RequestRefused(
                Opcode(completion.opcode), completion.slot, Status(completion.status)
            )
        return completion.payload

    def _exchange(self, work: Sequence[tuple[Opcode, int, bytes]]) -> list[Completion]:
        """Send requests, at most ``in_flight`` ahead; their completions, in order."""
        with self._lock:
            requests = [
                Request(opcode, slot, self._take_id(), payload) for opcode, slot, payload in work
            ]
            packets = [request.pack() for request in requests]
            completions: list[Completion] = []
            sent = 0
            try:
                for request in requests:
                    while sent < min(len(completions) + self._in_flight, len(packets)):
                        sent += 1
                        self._link.send(packets[sent - 1])
                    completions.append(self._receive(request))
            except BaseException:
                self._abandoned.extend(
                    request.request_id for request in requests[len(completions) : sent]
                )
                raise
            return completions

    def _take_id(self) -> int:
        request_id = self._next_id
        self._next_id = (request_id + 1) % _REQUEST_IDS
        return request_id

    def _receive(self, request: Request) -> Completion:
        """The completion of a request, after dropping those of abandoned ones before it."""
        deadline = time.monotonic() + self._timeout
        while True:
            packet = self._link.receive(max(0.0, deadline - time.monotonic()))
            completion = _unpack(packet)
            if completion.request_id == request.request_id:
                _check_match(request, completion)
                self._abandoned.clear()  # in order: nothing older is still to come
                return completion
            if completion.request_id not in self._abandoned:
                raise BadCompletion(
                    f"completion of request {completion.request_id}, which nobody waits for; "
                    f"expected {request.request_id}"
                )
            while self._abandoned.popleft() != completion.request_id:
                pass  # in order: those before it never come


def _unpack(packet: bytes) -> Completion:
    try:
        completion = Completion.unpack(packet)
        Status(completion.status)
    except ValueError as error:
        raise BadCompletion(str(error)) from None
    if completion.status != Status.OK and completion.payload:
        raise BadCompletion(f"refusal with {len(completion.payload)} bytes of payload")
    return completion


def _check_match(request: Request, completion: Completion) -> None:
    if (completion.opcode, completion.slot) != (request.opcode, request.slot):
        raise BadCompletion(
            f"completion of request {request.request_id} has opcode {completion.opcode} and slot "
            f"{completion.slot}, its request {request.opcode:d} and {request.slot}"
        )


def _opened(payload: bytes) -> Opened:
    if len(payload) <= _RECORD_NUMBER.size:
        raise BadCompletion(f"OPEN completed with {len(payload)} bytes, too few for a record")
    epoch, sequence_number = _RECORD_NUMBER.unpack_from(payload)
    content = payload[_RECORD_NUMBER.size : -1]
    return Opened(epoch, int.from_bytes(sequence_number, "big"), payload[-1], content)
