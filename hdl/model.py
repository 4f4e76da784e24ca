"""The whole accelerator in software: what it must answer to any packet, byte for byte."""

import struct
from dataclasses import dataclass, field

from driver.messages import (
    AEAD_PREFIX_BYTES,
    ALL_SLOTS,
    CONNECTION_ID_BYTES,
    IV_BYTES,
    KEY_BYTES,
    LOAD_BYTES,
    TAG_BYTES,
    Completion,
    Counter,
    HeaderForm,
    Opcode,
    Status,
    Suite,
    Usage,
)
from hdl import gcm
from hdl.aes.core import encrypt_block
from hdl.header import build_header, parse_header
from hdl.profile import Profile
from hdl.record_number import nonce_model, reconstruct
from hdl.replay import ReplayWindowModel, Verdict
from hdl.reports import info
from hdl.request_reader import read_request

__all__ = ["AcceleratorModel"]

#: `driver.messages.Load` on the wire.
_LOAD = struct.Struct(f">BBBBH6s{IV_BYTES}s{CONNECTION_ID_BYTES}s{KEY_BYTES}s{KEY_BYTES}s")
_STATS = struct.Struct(f">{len(Counter)}Q")
_LAST_SEQUENCE_NUMBER = (1 << 48) - 1
#: The first byte of a unified header: 001 C S L E E.
_FIXED_BITS = 0x20
_CONNECTION_ID_BIT = 0x10
_EPOCH_BITS = 0x03


class _RefusedError(Exception):
    """Ends a request with a status other than OK."""

    def __init__(self, status: Status):
        super().__init__(status.name)
        self.status = status


@dataclass
class _Slot:
    """What one slot holds."""

    usage: Usage
    form: HeaderForm
    epoch: int
    connection_id: bytes
    iv: bytes = field(repr=False)
    key: bytes = field(repr=False)
    record_number_key: bytes = field(repr=False)
    #: SEAL: the number of the next record.
    sequence_number: int
    #: OPEN: the records that were opened.
    window: ReplayWindowModel
    #: SEAL: records sealed; OPEN: records that failed authentication.
    count: int = 0

    def header_flags(self) -> int:
        """The first byte of the headers that SEAL builds (RFC 9147, figure 3)."""
        connection_id_bit = _CONNECTION_ID_BIT if self.connection_id else 0
        return _FIXED_BITS | connection_id_bit | self.form | self.epoch & _EPOCH_BITS

    def nonce(self, sequence_number: int) -> bytes:
        """The nonce of a record."""
        return nonce_model(self.iv, sequence_number)

    def record_number_mask(self, flags: int, encrypted: bytes) -> int:
        """What to XOR to the number on the wire (RFC 9147, 4.2.3)."""
        mask = encrypt_block(self.record_number_key, encrypted[:16])
        return int.from_bytes(mask[: _number_bits(flags) // 8], "big")


class AcceleratorModel:
    """The reference for the gateware: the same completions, one for each packet.

    The counters of cycles stay 0; all others are exact.
    """

    def __init__(self, profile: Profile):
        self.profile = profile
        self._slots: dict[int, _Slot] = {}
        self._counters = dict.fromkeys(Counter, 0)

    def request(self, packet: bytes) -> bytes:
        """The completion packet for a request packet, which may hold anything."""
        header, payload, well_formed = read_request(packet)
        status, answer = Status.OK, b""
        try:
            _require(well_formed and not header["reserved"], Status.MALFORMED_REQUEST)
            answer = self._perform(header["opcode"], header["slot"], payload)
        except _RefusedError as refused:
            status = refused.status
            self._counters[Counter[status.name]] += 1
        return Completion(
            header["opcode"], status, header["slot"], header["request_id"], answer
        ).pack()

    def _perform(self, opcode: int, slot: int, payload: bytes) -> bytes:
        match opcode:
            case Opcode.INFO:
                _require(not payload, Status.MALFORMED_REQUEST)
                return info(self.profile).pack()
            case Opcode.STATS:
                _require(not payload, Status.MALFORMED_REQUEST)
                return _STATS.pack(*self._counters.values())
            case Opcode.ZEROIZE:
                return self._zeroize(slot, payload)
            case Opcode.LOAD:
                return self._load(slot, payload)
            case Opcode.SEAL:
                return self._seal(slot, payload)
            case Opcode.OPEN:
                return self._open(slot, payload)
            case Opcode.AEAD_SEAL | Opcode.AEAD_OPEN:
                return self._aead(Opcode(opcode), slot, payload)
        raise _RefusedError(Status.UNKNOWN_OPCODE)

    def _zeroize(self, slot: int, payload: bytes) -> bytes:
        if slot != ALL_SLOTS:
            self._require_slot(slot)
        _require(not payload, Status.MALFORMED_REQUEST)
        if slot == ALL_SLOTS:
            self._slots.clear()
        else:
            self._slots.pop(slot, None)
        return b""

    def _load(self, slot: int, payload: bytes) -> bytes:
        self._require_slot(slot)
        _require(len(payload) == LOAD_BYTES, Status.MALFORMED_REQUEST)
        suite, usage, form, connection_id_bytes, epoch, first, iv, connection_id, *keys = (
            _LOAD.unpack(payload)
        )
        _require(suite in set(Suite), Status.UNSUPPORTED_SUITE)
        _require(usage in set(Usage), Status.MALFORMED_REQUEST)
        _require(form & ~sum(HeaderForm) == 0, Status.MALFORMED_REQUEST)
        _require(connection_id_bytes <= CONNECTION_ID_BYTES, Status.MALFORMED_REQUEST)
        key_bytes = 32 if suite == Suite.AES_256_GCM else 16
        sequence_number = int.from_bytes(first, "big")
        self._slots[slot] = _Slot(
            usage=Usage(usage),
            form=HeaderForm(form),
            epoch=epoch,
            connection_id=connection_id[:connection_id_bytes],
            iv=iv,
            key=keys[0][:key_bytes],
            record_number_key=keys[1][:key_bytes],
            sequence_number=sequence_number,
            window=ReplayWindowModel(self.profile.window, sequence_number),
        )
        return b""

    def _seal(self, number: int, plaintext: bytes) -> bytes:
        self._require_slot(number)
        _require(len(plaintext) > 0, Status.MALFORMED_REQUEST)
        _require(len(plaintext) <= self.profile.largest_seal, Status.TOO_LONG)
        slot = self._loaded(number, Usage.SEAL)
        _require(slot.count < self.profile.seal_limit, Status.KEY_LIMIT)
        _require(slot.sequence_number < _LAST_SEQUENCE_NUMBER, Status.KEY_LIMIT)

        flags = slot.header_flags()
        wire = slot.sequence_number & 0xFFFF
        length = len(plaintext) + TAG_BYTES
        header = build_header(flags, slot.connection_id, wire, length)
        encrypted = gcm.seal(slot.key, slot.nonce(slot.sequence_number), plaintext, header)
        wire ^= slot.record_number_mask(flags, encrypted)

        slot.sequence_number += 1
        slot.count += 1
        self._count(Counter.RECORDS_SEALED, Counter.BYTES_SEALED, len(plaintext))
        return build_header(flags, slot.connection_id, wire, length) + encrypted

    def _open(self, number: int, record: bytes) -> bytes:
        self._require_slot(number)
        _require(len(record) <= self.profile.largest_open, Status.TOO_LONG)
        slot = self._loaded(number, Usage.OPEN)
        _require(slot.count < self.profile.forgery_limit, Status.KEY_LIMIT)
        parsed = parse_header(record, slot.connection_id)
        longest = self.profile.largest_seal + TAG_BYTES
        if parsed is None or len(record) - parsed.size > longest:
            raise _RefusedError(Status.MALFORMED_RECORD)
        _require(parsed.flags & _EPOCH_BITS == slot.epoch & _EPOCH_BITS, Status.WRONG_EPOCH)

        encrypted = record[parsed.size :]
        wire = parsed.wire ^ slot.record_number_mask(parsed.flags, encrypted)
        header = build_header(parsed.flags, slot.connection_id, wire, parsed.length)
        sequence_number = reconstruct(wire, _number_bits(parsed.flags), slot.window.next)
        plaintext = gcm.open_(slot.key, slot.nonce(sequence_number), encrypted, header)
        if plaintext is None:
            slot.count += 1
            raise _RefusedError(Status.BAD_TAG)

        verdict = slot.window.check(sequence_number)
        _require(verdict is not Verdict.TOO_OLD, Status.TOO_OLD)
        _require(verdict is not Verdict.REPLAYED, Status.REPLAYED)
        slot.window.accept(sequence_number)
        content = plaintext.rstrip(b"\0")
        _require(len(content) > 0, Status.NO_CONTENT_TYPE)
        self._count(Counter.RECORDS_OPENED, Counter.BYTES_OPENED, len(plaintext))
        return slot.epoch.to_bytes(2, "big") + sequence_number.to_bytes(6, "big") + content

    def _aead(self, opcode: Opcode, number: int, payload: bytes) -> bytes:
        self._require_slot(number)
        _require(len(payload) >= AEAD_PREFIX_BYTES, Status.MALFORMED_REQUEST)
        _require(len(payload) <= self.profile.largest_aead, Status.TOO_LONG)
        associated_bytes = int.from_bytes(payload[0:2], "big")
        reserved, nonce = payload[2:4], payload[4:AEAD_PREFIX_BYTES]
        text_at = AEAD_PREFIX_BYTES + associated_bytes
        least = text_at if opcode == Opcode.AEAD_SEAL else text_at + TAG_BYTES
        _require(len(payload) >= least and not any(reserved), Status.MALFORMED_REQUEST)
        key = self._loaded(number, Usage.AEAD).key

        associated_data, text = payload[AEAD_PREFIX_BYTES:text_at], payload[text_at:]
        if opcode == Opcode.AEAD_SEAL:
            self._count(Counter.AEAD_SEALED, Counter.AEAD_BYTES_SEALED, len(text))
            return gcm.seal(key, nonce, text, associated_data)
        plaintext = gcm.open_(key, nonce, text, associated_data)
        if plaintext is None:
            raise _RefusedError(Status.BAD_TAG)
        self._count(Counter.AEAD_OPENED, Counter.AEAD_BYTES_OPENED, len(plaintext))
        return plaintext

    def _require_slot(self, number: int) -> None:
        _require(number < self.profile.slots, Status.NO_SUCH_SLOT)

    def _loaded(self, number: int, usage: Usage) -> _Slot:
        _require(number in self._slots, Status.SLOT_EMPTY)
        slot = self._slots[number]
        _require(slot.usage == usage, Status.WRONG_USAGE)
        return slot

    def _count(self, messages: Counter, volume: Counter, amount: int) -> None:
        self._counters[messages] += 1
        self._counters[volume] += amount


def _require(condition: bool, status: Status) -> None:
    if not condition:
        raise _RefusedError(status)


def _number_bits(flags: int) -> int:
    """Bits of the record number in a header with this first byte."""
    return 16 if flags & HeaderForm.SEQUENCE_NUMBER_16 else 8
