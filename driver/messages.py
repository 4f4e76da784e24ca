"""The contract between host and device: request and completion packets.

This file is the one source of truth. The driver packs its packets with it, the gateware builds its
constants from it, and it needs nothing but the standard library.

Every multi-byte field is big-endian, as in DTLS itself; byte 0 is the first on the wire. A packet
is an 8-byte header and ``length`` bytes of payload. One request gets exactly one completion, and
completions come back in the order of their requests::

                0        1        2        3        4        5        6        7
            +--------+--------+--------+--------+--------+--------+--------+--------+
    request | opcode |   0    |      slot       |   request id    |     length      | payload ...
            +--------+--------+--------+--------+--------+--------+--------+--------+
    compl.  | opcode | status |      slot       |   request id    |     length      | payload ...
            +--------+--------+--------+--------+--------+--------+--------+--------+

A completion whose status is not ``OK`` has no payload. What the payloads hold:

============  ========================================  ============================================
opcode        request                                   completion
============  ========================================  ============================================
INFO          empty                                     `Info`
LOAD          `Load`                                    empty
ZEROIZE       empty; slot `ALL_SLOTS` means every one   empty
SEAL          DTLSInnerPlaintext                        DTLSCiphertext
OPEN          DTLSCiphertext, exactly one               epoch (16), sequence number (48), and the
                                                        DTLSInnerPlaintext without its padding
AEAD_SEAL     `AeadPrefix`, associated data, plaintext  ciphertext and tag
AEAD_OPEN     `AeadPrefix`, associated data,            plaintext
              ciphertext and tag
STATS         empty                                     64 bits for each `Counter`, in its order
============  ========================================  ============================================

DTLSInnerPlaintext is content, one byte of content type, and zeros as padding (RFC 9147, 4; RFC
8446, 5.4), so it is never empty. DTLSCiphertext is the unified header and the encrypted record.
"""

import struct
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

__all__ = [
    "AEAD_PREFIX_BYTES",
    "ALL_SLOTS",
    "CONNECTION_ID_BYTES",
    "CONTRACT_VERSION",
    "HEADER_BYTES",
    "INFO_BYTES",
    "IV_BYTES",
    "KEY_BYTES",
    "LOAD_BYTES",
    "MAGIC",
    "RECORD_NUMBER_BYTES",
    "TAG_BYTES",
    "AeadPrefix",
    "Completion",
    "Counter",
    "HeaderForm",
    "Info",
    "Load",
    "MessageError",
    "Opcode",
    "Request",
    "Status",
    "Suite",
    "Usage",
    "unpack_stats",
]

CONTRACT_VERSION = 2
MAGIC = b"INTAGLIO"
ALL_SLOTS = 0xFFFF

#: Sizes in bytes.
HEADER_BYTES = 8
KEY_BYTES = 32
IV_BYTES = 12
TAG_BYTES = 16
CONNECTION_ID_BYTES = 20
RECORD_NUMBER_BYTES = 8

_HEADER = struct.Struct(">BBHHH")
_LOAD = struct.Struct(">BBBBH6s12s20s32s32s")
_INFO = struct.Struct(">8sHHHHHH8sI")
_AEAD_PREFIX = struct.Struct(">HH12s")

LOAD_BYTES = _LOAD.size
INFO_BYTES = _INFO.size
AEAD_PREFIX_BYTES = _AEAD_PREFIX.size


class MessageError(ValueError):
    """A field does not fit its place in a packet, or bytes are not a packet."""


class Opcode(IntEnum):
    """What a request asks for; its completion carries the same opcode."""

    INFO = 0x01
    LOAD = 0x02
    ZEROIZE = 0x03
    SEAL = 0x04
    OPEN = 0x05
    AEAD_SEAL = 0x06
    AEAD_OPEN = 0x07
    STATS = 0x08


class Status(IntEnum):
    """How a request ended. Codes are contiguous: each refusal has a `Counter`."""

    #: Done.
    OK = 0
    #: Payload shorter or longer than the header says, or a field out of its range.
    MALFORMED_REQUEST = 1
    #: No such opcode.
    UNKNOWN_OPCODE = 2
    #: The device has fewer slots than that.
    NO_SUCH_SLOT = 3
    #: Nothing is loaded into the slot.
    SLOT_EMPTY = 4
    #: The slot is loaded for another `Usage`.
    WRONG_USAGE = 5
    #: The device does not have this cipher suite.
    UNSUPPORTED_SUITE = 6
    #: The payload is over what the device takes for this opcode (`Info.largest_record`).
    TOO_LONG = 7
    #: OPEN: not a DTLSCiphertext of this slot: fixed bits, connection ID or length are wrong.
    MALFORMED_RECORD = 8
    #: OPEN: the header's two epoch bits are not those of the slot's epoch.
    WRONG_EPOCH = 9
    #: OPEN: the record is genuine and has been accepted before.
    REPLAYED = 10
    #: OPEN: the record is genuine and left of the replay window.
    TOO_OLD = 11
    #: OPEN, AEAD_OPEN: authentication failed.
    BAD_TAG = 12
    #: SEAL, OPEN: the key has reached its AEAD limit (RFC 9147, 4.5.3) or its last number.
    KEY_LIMIT = 13
    #: OPEN: the record is genuine but all zeros; fatal to the connection (RFC 8446, 5.4).
    NO_CONTENT_TYPE = 14


class Suite(IntEnum):
    """Cipher suites, by a code of one byte: the low byte of their TLS number."""

    AES_128_GCM = 0x01
    AES_256_GCM = 0x02


class Usage(IntEnum):
    """What a slot may be used for; one slot is one key in one direction."""

    #: SEAL only.
    SEAL = 1
    #: OPEN only.
    OPEN = 2
    #: AEAD_SEAL and AEAD_OPEN only; the caller answers for its nonces.
    AEAD = 3


class HeaderForm(IntFlag):
    """The form of the unified headers that SEAL builds: bits S and L of RFC 9147, figure 3."""

    #: L: the length field is present.
    LENGTH = 0x04
    #: S: the sequence number takes 16 bits, not 8.
    SEQUENCE_NUMBER_16 = 0x08


class Counter(IntEnum):
    """The counters of STATS, in order; each is 64 bits wide, counts from reset and wraps."""

    #: Clock cycles since reset.
    CYCLES = 0
    #: Cycles in which a request was being worked on.
    BUSY_CYCLES = 1
    #: Cycles in which the device, in the middle of a request, waited for its next byte.
    STARVED_CYCLES = 2
    #: Cycles in which a completion waited because its receiver was not ready.
    STALLED_CYCLES = 3
    #: Records sealed, and the bytes of DTLSInnerPlaintext in them.
    RECORDS_SEALED = 4
    BYTES_SEALED = 5
    #: Records opened, and the bytes of DTLSInnerPlaintext in them, padding included.
    RECORDS_OPENED = 6
    BYTES_OPENED = 7
    #: AEAD_SEAL and AEAD_OPEN messages, and the bytes of plaintext in them.
    AEAD_SEALED = 8
    AEAD_BYTES_SEALED = 9
    AEAD_OPENED = 10
    AEAD_BYTES_OPENED = 11
    #: One for each refusal, in the order of `Status`.
    MALFORMED_REQUEST = 12
    UNKNOWN_OPCODE = 13
    NO_SUCH_SLOT = 14
    SLOT_EMPTY = 15
    WRONG_USAGE = 16
    UNSUPPORTED_SUITE = 17
    TOO_LONG = 18
    MALFORMED_RECORD = 19
    WRONG_EPOCH = 20
    REPLAYED = 21
    TOO_OLD = 22
    BAD_TAG = 23
    KEY_LIMIT = 24
    NO_CONTENT_TYPE = 25


@dataclass(frozen=True)
class Request:
    """A packet from the host to the device."""

    opcode: int
    slot: int = 0
    request_id: int = 0
    payload: bytes = field(default=b"", repr=False)

    def pack(self) -> bytes:
        """The packet's bytes; raises `MessageError` for a field that does not fit."""
        return _pack_packet(self.opcode, 0, self.slot, self.request_id, self.payload)

    @classmethod
    def unpack(cls, packet: bytes) -> "Request":
        """The reverse of `pack`; raises `MessageError` where the device would refuse."""
        opcode, reserved, slot, request_id, payload = _unpack_packet(packet)
        if reserved:
            raise MessageError(f"reserved byte of the request is {reserved:#04x}, not 0")
        return cls(opcode, slot, request_id, payload)


@dataclass(frozen=True)
class Completion:
    """A packet from the device to the host: what became of one request."""

    opcode: int
    status: int
    slot: int = 0
    request_id: int = 0
    payload: bytes = field(default=b"", repr=False)

    def pack(self) -> bytes:
        """The packet's bytes; raises `MessageError` for a field that does not fit."""
        return _pack_packet(self.opcode, self.status, self.slot, self.request_id, self.payload)

    @classmethod
    def unpack(cls, packet: bytes) -> "Completion":
        """The reverse of `pack`; raises `MessageError` for anything but one whole packet."""
        return cls(*_unpack_packet(packet))


@dataclass(frozen=True)
class Load:
    """The payload of LOAD: everything that a slot needs to protect records, 108 bytes.

    ======  =====  ======================================================================
    offset  bytes  field
    ======  =====  ======================================================================
    0       1      `Suite`
    1       1      `Usage`
    2       1      `HeaderForm`; only SEAL heeds it
    3       1      length of the connection ID in bytes, 0 to 20
    4       2      the epoch, modulo 2**16
    6       6      sequence number: of the first record to seal, or one that all records to
                   open are at or above (0 for a new key)
    12      12     the IV (RFC 8446, 5.3)
    24      20     connection ID, left-aligned, zeros behind it
    44      32     key: AES-128 in the first 16 bytes, zeros behind it
    76      32     record-number key (sn_key of RFC 9147, 4.2.3), aligned like the key
    ======  =====  ======================================================================

    With `Usage.AEAD`, only suite, usage and key count; the rest is zero.
    """

    suite: Suite
    usage: Usage
    key: bytes = field(repr=False)
    iv: bytes = field(default=bytes(IV_BYTES), repr=False)
    record_number_key: bytes = field(default=b"", repr=False)
    epoch: int = 0
    connection_id: bytes = b""
    sequence_number: int = 0
    header_form: HeaderForm = HeaderForm.LENGTH | HeaderForm.SEQUENCE_NUMBER_16

    def pack(self) -> bytes:
        """The payload's bytes; raises `MessageError`, never naming a key."""
        key_bytes = {Suite.AES_128_GCM: 16, Suite.AES_256_GCM: 32}[self.suite]
        _check_length("key", self.key, key_bytes)
        _check_length("IV", self.iv, IV_BYTES)
        if self.usage is not Usage.AEAD:
            _check_length("record-number key", self.record_number_key, key_bytes)
        if len(self.connection_id) > CONNECTION_ID_BYTES:
            raise MessageError(
                f"connection ID has {len(self.connection_id)} bytes, over {CONNECTION_ID_BYTES}"
            )
        if not 0 <= self.sequence_number < 1 << 48:
            raise MessageError(f"sequence number {self.sequence_number} is not in 0 .. 2**48-1")
        return _LOAD.pack(
            self.suite,
            self.usage,
            self.header_form,
            len(self.connection_id),
            self.epoch % (1 << 16),
            self.sequence_number.to_bytes(6, "big"),
            self.iv,
            self.connection_id,
            self.key,
            self.record_number_key,
        )


@dataclass(frozen=True)
class AeadPrefix:
    """What stands before the associated data in AEAD_SEAL and AEAD_OPEN, 16 bytes.

    ======  =====  ==================================
    offset  bytes  field
    ======  =====  ==================================
    0       2      length of the associated data
    2       2      zero
    4       12     the nonce (SP 800-38D, 96-bit IV)
    ======  =====  ==================================
    """

    associated_data_bytes: int
    nonce: bytes = field(repr=False)

    def pack(self) -> bytes:
        """The prefix's bytes; raises `MessageError` for a field that does not fit."""
        _check_length("nonce", self.nonce, IV_BYTES)
        try:
            return _AEAD_PREFIX.pack(self.associated_data_bytes, 0, self.nonce)
        except struct.error:
            raise MessageError(
                f"associated data of {self.associated_data_bytes} bytes is over {0xFFFF}"
            ) from None


@dataclass(frozen=True)
class Info:
    """The payload of INFO's completion, 32 bytes.

    ======  =====  ==========================================================
    offset  bytes  field
    ======  =====  ==========================================================
    0       8      `MAGIC`
    8       2      `CONTRACT_VERSION`
    10      2      number of slots
    12      2      largest content of a record, in bytes
    14      2      width of the replay window, in records
    16      2      suites: bit n is set for the `Suite` of code n
    18      2      longest connection ID, in bytes
    20      8      name of the profile, ASCII, zeros behind it
    28      4      identity of the build, 0 where there is none
    ======  =====  ==========================================================
    """

    version: int
    slots: int
    largest_record: int
    window: int
    suites: frozenset[Suite]
    connection_id_bytes: int
    profile: str
    build: int = 0

    def pack(self) -> bytes:
        """The payload's bytes."""
        return _INFO.pack(
            MAGIC,
            self.version,
            self.slots,
            self.largest_record,
            self.window,
            sum(1 << suite for suite in self.suites),
            self.connection_id_bytes,
            self.profile.encode("ascii"),
            self.build,
        )

    @classmethod
    def unpack(cls, payload: bytes) -> "Info":
        """The reverse of `pack`; raises `MessageError` if this is not one of our devices."""
        _check_length("INFO payload", payload, INFO_BYTES)
        magic, version, slots, largest, window, suites, cid, name, build = _INFO.unpack(payload)
        if magic != MAGIC:
            raise MessageError(f"INFO begins with {magic!r}, not {MAGIC!r}: not this accelerator")
        known = frozenset(suite for suite in Suite if suites >> suite & 1)
        if not name.isascii():
            raise MessageError(f"profile name {name!r} is not ASCII")
        profile = name.rstrip(b"\0").decode("ascii")
        return cls(version, slots, largest, window, known, cid, profile, build)


def unpack_stats(payload: bytes) -> dict[Counter, int]:
    """The payload of STATS's completion; raises `MessageError` if its length is wrong."""
    _check_length("STATS payload", payload, 8 * len(Counter))
    return dict(zip(Counter, struct.unpack(f">{len(Counter)}Q", payload), strict=True))


def _pack_packet(opcode: int, second: int, slot: int, request_id: int, payload: bytes) -> bytes:
    try:
        return _HEADER.pack(opcode, second, slot, request_id, len(payload)) + payload
    except struct.error:
        raise MessageError(
            f"opcode {opcode}, slot {slot}, request id {request_id} or a payload of "
            f"{len(payload)} bytes does not fit the packet header"
        ) from None


def _unpack_packet(packet: bytes) -> tuple[int, int, int, int, bytes]:
    if len(packet) < HEADER_BYTES:
        raise MessageError(f"packet of {len(packet)} bytes is shorter than its header")
    opcode, second, slot, request_id, length = _HEADER.unpack_from(packet)
    if len(packet) != HEADER_BYTES + length:
        raise MessageError(
            f"packet has {len(packet) - HEADER_BYTES} bytes of payload, its header says {length}"
        )
    return opcode, second, slot, request_id, bytes(packet[HEADER_BYTES:])


def _check_length(name: str, value: bytes, expected: int) -> None:
    if len(value) != expected:
        raise MessageError(f"{name} has {len(value)} bytes, not {expected}")
