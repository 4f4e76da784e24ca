"""From what went over the ports to bins of `cocotb_tests.coverage_points`.

Nothing here knows what the traffic was meant to be. What is in the slots follows from the LOAD and
ZEROIZE requests that were answered OK; a record's number is unmasked with the key of that LOAD.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from cocotb_tests.coverage_points import (
    KINDS,
    change_of_keys,
    header_form,
    pace,
    under_way,
    with_what,
)
from cocotb_tests.monitor import Packet, Transaction
from driver.messages import (
    AEAD_PREFIX_BYTES,
    ALL_SLOTS,
    HEADER_BYTES,
    RECORD_NUMBER_BYTES,
    TAG_BYTES,
    Opcode,
    Status,
    Suite,
)
from hdl.profile import Profile
from protocol import record_number, unified_header

__all__ = ["Sample", "Sampler"]

#: A point and one of its bins.
Sample = tuple[str, str]

_OPCODES = {int(opcode): opcode.name for opcode in Opcode}
#: Of OPEN: the record was genuine.
_GENUINE = (Status.OK, Status.REPLAYED, Status.TOO_OLD, Status.NO_CONTENT_TYPE)


@dataclass
class _Key:
    """What a slot holds, of the LOAD that filled it (`driver.messages.Load`)."""

    suite: Suite
    epoch: int
    connection_id: bytes
    record_number_key: bytes = field(repr=False)
    #: SEAL: the next record's number; OPEN: one above the highest that was accepted.
    next: int

    @classmethod
    def of(cls, load: bytes) -> "_Key":
        suite = Suite(load[0])
        key_bytes = {Suite.AES_128_GCM: 16, Suite.AES_256_GCM: 32}[suite]
        return cls(
            suite,
            int.from_bytes(load[4:6], "big"),
            load[24 : 24 + load[3]],
            load[76 : 76 + key_bytes],
            int.from_bytes(load[6:12], "big"),
        )


@dataclass(frozen=True)
class _Answered:
    """A transaction taken apart."""

    transaction: Transaction
    opcode: str
    status: Status
    slot: int
    payload: bytes
    answer: bytes
    suite: Suite | None

    @property
    def protects(self) -> bool:
        """Whether it sealed or opened something."""
        return self.status is Status.OK and self.opcode in _KINDS

    @property
    def change(self) -> str | None:
        """How it changed keys, if it did."""
        if self.status is not Status.OK or self.opcode not in ("LOAD", "ZEROIZE"):
            return None
        return "ZEROIZE of all slots" if self.slot == ALL_SLOTS else self.opcode


_KINDS = tuple(kind.name for kind in KINDS)


class Sampler:
    """Takes the transactions of one simulation, in order, from reset on."""

    def __init__(self, profile: Profile):
        self._profile = profile
        self._keys: dict[int, _Key] = {}
        self._before: _Answered | None = None
        self._under_way: deque[_Answered] = deque()

    def samples(self, transaction: Transaction) -> Iterator[Sample]:
        """The bins that this one hits."""
        this = self._take_apart(transaction)
        while self._under_way and not self._under_way[0].transaction.is_under_way_with(transaction):
            self._under_way.popleft()
        yield "answer", f"{this.opcode} {this.status.name}"
        yield "framing", _framing(transaction.request.data)
        yield from _paces(transaction.request, transaction.completion)
        yield "under way in all", under_way(len(self._under_way) + 1)
        if self._before and transaction.request.pause == 0:
            yield from _directly_behind(self._before, this)
        for earlier in self._under_way:
            yield from _together(earlier, this)
        if this.protects:
            slot = [one for one in self._under_way if one.protects and one.slot == this.slot]
            yield "under way in a slot", under_way(len(slot) + 1)
            yield from self._protected(this)
        if this.opcode == "OPEN":
            yield from self._opened(this)
        self._move(this)
        self._before = this
        self._under_way.append(this)

    def _take_apart(self, transaction: Transaction) -> _Answered:
        request, completion = transaction.request.data, transaction.completion.data
        slot = int.from_bytes(completion[2:4], "big")
        key = self._keys.get(slot)
        return _Answered(
            transaction,
            _OPCODES.get(completion[0], "other"),
            Status(completion[1]),
            slot,
            request[HEADER_BYTES:],
            completion[HEADER_BYTES:],
            key and key.suite,
        )

    def _move(self, this: _Answered) -> None:
        """What a transaction leaves in the slots; what accepted records leave is in `_opened`."""
        match this.change:
            case "LOAD":
                self._keys[this.slot] = _Key.of(this.payload)
            case "ZEROIZE":
                self._keys.pop(this.slot, None)
            case "ZEROIZE of all slots":
                self._keys.clear()

    def _protected(self, this: _Answered) -> Iterator[Sample]:
        kind, key = this.opcode, self._keys[this.slot]
        last, most = self._profile.slots - 1, self._profile.largest_seal
        yield "slot", {0: "first", last: "last"}.get(this.slot, "another")
        yield "suite", f"{kind} {key.suite.name}"
        match kind:
            case "SEAL":
                yield from _sizes(kind, len(this.payload), len(this.payload) == most)
                yield from _record(kind, key, this.answer)
                yield from _sealed_number(key, this.answer[0])
                key.next += 1
            case "OPEN":
                header = _header(key, this.payload)
                inner = len(this.payload) - header.header_bytes - TAG_BYTES
                yield from _sizes(kind, inner, inner == most)
                yield from _record(kind, key, this.payload)
                yield "padding", _padding(inner - len(this.answer) + RECORD_NUMBER_BYTES)
            case _:
                yield from self._message(kind, this)

    def _message(self, kind: str, this: _Answered) -> Iterator[Sample]:
        associated = int.from_bytes(this.payload[:2], "big")
        sealed = this.payload[AEAD_PREFIX_BYTES + associated :]
        text = len(sealed) if kind == "AEAD_SEAL" else len(this.answer)
        yield from _sizes(kind, text, len(this.payload) == self._profile.largest_aead)
        yield "associated data", f"{kind} {_associated_data(associated)}"

    def _opened(self, this: _Answered) -> Iterator[Sample]:
        """What OPEN was asked and has answered: epoch, number and window."""
        if this.status not in (*_GENUINE, Status.WRONG_EPOCH):
            return
        key = self._keys[this.slot]
        more = (this.payload[0] - key.epoch) % 4
        assert (more > 0) == (this.status is Status.WRONG_EPOCH)
        yield "epoch", f"slot {key.epoch % 4}, header +{more}"
        if this.status is Status.WRONG_EPOCH:
            return
        number = _number(key, this.payload)
        yield "window", _place(this.status, number - key.next + 1, self._profile.window)
        if this.status is Status.OK:
            assert number == int.from_bytes(this.answer[2:RECORD_NUMBER_BYTES], "big")
            yield from _opened_number(key, number, this.payload[0])
        if this.status in (Status.OK, Status.NO_CONTENT_TYPE):
            key.next = max(key.next, number + 1)


def _framing(packet: bytes) -> str:
    if len(packet) < HEADER_BYTES:
        return "cut in the header"
    more = len(packet) - HEADER_BYTES - int.from_bytes(packet[6:8], "big")
    if more:
        return "longer than announced" if more > 0 else "cut in the payload"
    return "reserved byte" if packet[1] else "right"


def _paces(request: Packet, completion: Packet) -> Iterator[Sample]:
    yield "request bytes modulo 16", str(len(request.data) % 16)
    yield "completion bytes modulo 16", str(len(completion.data) % 16)
    yield "request pace", pace("pause", request.pause)
    yield "request pace", pace("idle", request.idle)
    yield "request pace", pace("waited", request.waited)
    yield "completion pace", pace("waited", completion.waited)


def _directly_behind(first: _Answered, second: _Answered) -> Iterator[Sample]:
    """The second request's first beat was offered in the cycle after the first one's last."""
    if second.protects and first.status is not Status.OK:
        yield "record behind a refusal", first.status.name
    if first.protects and second.protects:
        yield "directly behind", with_what(first.opcode, second.opcode)
        if first.suite is not second.suite and first.suite and second.suite:
            yield "suite", with_what(first.suite.name, second.suite.name)
    for bin_ in _changes(first, second):
        yield "change of keys", bin_


def _together(first: _Answered, second: _Answered) -> Iterator[Sample]:
    if first.protects and second.protects:
        yield "under way together", with_what(first.opcode, second.opcode)
    for bin_ in _changes(first, second):
        yield "change of keys under way", bin_


def _changes(first: _Answered, second: _Answered) -> Iterable[str]:
    """A change of keys and a record, in either order; a record may be refused behind a change."""
    same_slot = first.slot == second.slot
    if first.protects and second.change:
        yield change_of_keys(second.change, same_slot, change_is_first=False)
    if first.change and (second.protects or second.status is Status.SLOT_EMPTY):
        yield change_of_keys(first.change, same_slot, change_is_first=True)


def _header(key: _Key, record: bytes) -> unified_header.UnifiedHeader:
    header = unified_header.parse(record, len(key.connection_id))
    assert header is not None
    return header


def _record(kind: str, key: _Key, record: bytes) -> Iterator[Sample]:
    yield "header", header_form(kind, record[0])
    size = len(key.connection_id)
    names = {0: "none", 1: "1 byte", 20: "20 bytes"}
    yield "connection ID", f"{kind} {names.get(size, '2 to 19 bytes')}"


def _sizes(kind: str, length: int, is_longest: bool) -> Iterator[Sample]:
    yield "length modulo 16", f"{kind} {length % 16}"
    size = "none" if not length else "one" if length <= 16 else "several"
    yield "blocks", f"{kind} {'most' if is_longest else size}"


def _associated_data(count: int) -> str:
    if not count:
        return "none"
    return "one block" if count == 16 else "under a block" if count < 16 else "more"


def _padding(count: int) -> str:
    return "none" if not count else "1 to 15" if count < 16 else "16 or more"


def _number(key: _Key, record: bytes) -> int:
    """The number of a record (RFC 9147, 4.2.2 and 4.2.3)."""
    header = _header(key, record)
    start = header.header_bytes
    cipher = Cipher(AES(key.record_number_key), ECB()).encryptor()
    mask = cipher.update(record[start : start + 16])
    low = int.from_bytes(record_number.apply_mask(header.number_bytes, mask), "big")
    return record_number.reconstruct(low, 8 * len(header.number_bytes), key.next)


def _place(status: Status, distance: int, window: int) -> str:
    """Where in the window a record was, by its distance from the newest one accepted."""
    if status is Status.TOO_OLD:
        return "first one left of it" if distance == -window else "further left"
    if distance > 0:
        near = "next" if distance == 1 else "ahead, within a window's width"
        return near if distance < window else "ahead, further than that"
    if distance == 0:
        return "newest again"
    oldest, again = distance == 1 - window, status is Status.REPLAYED
    if oldest:
        return "oldest again" if again else "oldest, new"
    return "inside again" if again else "inside, new"


def _bits(flags: int) -> int:
    return 16 if flags & unified_header.SEQUENCE_NUMBER_16 else 8


def _sealed_number(key: _Key, flags: int) -> Iterator[Sample]:
    bits = _bits(flags)
    carries = key.next and key.next % (1 << bits) == 0
    yield "number", f"SEAL {bits} bits, {'carry' if carries else 'same above'}"
    if key.next == record_number.LIMIT - 2:  # the last one would leave no next number
        yield "number", "SEAL last"


def _opened_number(key: _Key, number: int, flags: int) -> Iterator[Sample]:
    """Whether the bits that are not sent are those of the number that was expected."""
    bits = _bits(flags)
    change = (number >> bits) - (key.next >> bits)
    what = "carry" if change > 0 else "borrow" if change else "same above"
    yield "number", f"OPEN {bits} bits, {what}"
    if number == record_number.LIMIT - 1:
        yield "number", "OPEN last"
