"""Record protection in software: the AEADs of OpenSSL, through pyca/cryptography.

What runs once a record is written out here instead of called, and headers are packed and unpacked
by `struct`: at a hundred thousand records a second, Python's calls are what costs. Functions that
are attributes become local names first, because Python 3.11 is slow to call them as attributes.
Slots keep what a record needs of its connection together, and so in few lines of the cache: with
thousands of connections, those are what its time is made of.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from operator import xor

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES, ChaCha20
from cryptography.hazmat.primitives.ciphers.modes import ECB

from protocol import record_number, unified_header
from protocol.crypto.provider import (
    LONGEST_CONTENT,
    KeyLimitError,
    OpenedRecord,
    OpenedRun,
    Refusal,
    TrafficKeys,
)
from protocol.crypto.suites import Aead, CipherSuite
from protocol.unified_header import NO_LENGTH, SAMPLE_BYTES
from protocol.window import ReplayWindow

#: The first 16 bits of each of many masks.
_EACH_MASK = struct.Struct(">H14x")
_ONE_BYTE = tuple(bytes((value,)) for value in range(256))


class SoftwareProvider:
    """The CryptoProvider that needs no device; it counts the records it has protected.

    ``window`` is the width of the replay window, in records.
    """

    name = "software"
    suites = frozenset(CipherSuite)
    largest_content = LONGEST_CONTENT
    longest_connection_id = 255

    def __init__(self, window: int = 64) -> None:
        self.window = window
        self.records_sealed = 0
        self.records_opened = 0

    def sealer(
        self, keys: TrafficKeys, epoch: int, connection_id: bytes = b"", first: int = 0
    ) -> "SoftwareSealer":
        """Seals with 16-bit numbers and a length field."""
        return SoftwareSealer(self, keys, epoch, connection_id, first)

    def opener(
        self, keys: TrafficKeys, epoch: int, connection_id: bytes = b"", first: int = 0
    ) -> "SoftwareOpener":
        """Opens every form of header."""
        return SoftwareOpener(self, keys, epoch, connection_id, first)


class SoftwareSealer:
    """The Sealer of `SoftwareProvider`."""

    __slots__ = (
        "_encrypt",
        "_epoch",
        "_iv",
        "_limit",
        "_longest",
        "_mask",
        "_overhead",
        "_pack_header",
        "_prefix",
        "_provider",
        "next_number",
    )

    def __init__(
        self,
        provider: SoftwareProvider,
        keys: TrafficKeys,
        epoch: int,
        connection_id: bytes,
        first: int,
    ) -> None:
        parameters = keys.suite.parameters
        self._provider = provider
        self._epoch = epoch
        #: The sequence number of the next record.
        self.next_number = first
        self._limit = parameters.seal_limit
        self._overhead = 1 + parameters.tag_bytes
        self._longest = LONGEST_CONTENT + self._overhead
        self._iv = int.from_bytes(keys.iv, "big")
        self._encrypt = _aead(keys).encrypt
        self._mask = _record_number_mask(keys)
        form = unified_header.full_form(epoch & unified_header.EPOCH_MASK, connection_id)
        self._prefix, self._pack_header = form.prefix, form.pack

    def seal(self, content_type: int, content: bytes, padding: int = 0) -> bytes:
        """The next record. Raises `KeyLimitError`, or ValueError for over 2**14 bytes."""
        number = self.next_number
        if number >= self._limit:
            raise KeyLimitError(f"the key of epoch {self._epoch} has sealed {number} records")
        length = len(content) + padding + self._overhead
        if length > self._longest:
            size = len(content) + padding
            raise ValueError(f"content of {size} bytes is over {LONGEST_CONTENT}")
        if length < SAMPLE_BYTES:
            padding += SAMPLE_BYTES - length
            length = SAMPLE_BYTES
        inner = content + _ONE_BYTE[content_type]
        if padding:
            inner += bytes(padding)
        self.next_number = number + 1
        encrypt, mask, pack, prefix = self._encrypt, self._mask, self._pack_header, self._prefix
        low = number & 0xFFFF
        nonce = (self._iv ^ number).to_bytes(12, "big")
        ciphertext = encrypt(nonce, inner, pack(prefix, low, length))
        bits = mask(ciphertext[:SAMPLE_BYTES])
        header = pack(prefix, low ^ (bits[0] << 8 | bits[1]), length)
        self._provider.records_sealed += 1
        return header + ciphertext

    def seal_many(self, content_type: int, contents: Sequence[bytes]) -> list[bytes]:
        """The next records, all or none: what `seal` makes of them."""
        first = self.next_number
        if first + len(contents) > self._limit:
            raise KeyLimitError(f"the key of epoch {self._epoch} has sealed {first} records")
        longest = max(map(len, contents), default=0)
        if longest > LONGEST_CONTENT:
            raise ValueError(f"content of {longest} bytes is over {LONGEST_CONTENT}")
        overhead = self._overhead
        if overhead < SAMPLE_BYTES:  # there may be some to pad
            return [self.seal(content_type, content) for content in contents]
        self.next_number = first + len(contents)
        encrypt, pack, prefix, iv = self._encrypt, self._pack_header, self._prefix, self._iv
        ending = _ONE_BYTE[content_type]
        ciphertexts = [
            encrypt(
                (iv ^ number).to_bytes(12, "big"),
                content + ending,
                pack(prefix, number & 0xFFFF, len(content) + overhead),
            )
            for number, content in enumerate(contents, first)
        ]
        masks = _masks(self._mask, ciphertexts)
        self._provider.records_sealed += len(contents)
        return [
            pack(prefix, number & 0xFFFF ^ mask, len(ciphertext)) + ciphertext
            for number, (ciphertext, mask) in enumerate(zip(ciphertexts, masks, strict=True), first)
        ]

    def close(self) -> None:
        """Forget the keys; the sealer must not be used again."""
        del self._encrypt, self._mask, self._iv


class SoftwareOpener:
    """The Opener of `SoftwareProvider`."""

    __slots__ = (
        "_connection_id",
        "_decrypt",
        "_epoch",
        "_forgeries_left",
        "_forms",
        "_iv",
        "_longest",
        "_mask",
        "_provider",
        "_shortest",
        "_window",
    )

    def __init__(
        self,
        provider: SoftwareProvider,
        keys: TrafficKeys,
        epoch: int,
        connection_id: bytes,
        first: int,
    ) -> None:
        parameters = keys.suite.parameters
        self._provider = provider
        self._epoch = epoch
        self._forms = unified_header.forms(epoch & unified_header.EPOCH_MASK, connection_id)
        self._connection_id = connection_id
        self._shortest = max(SAMPLE_BYTES, 1 + parameters.tag_bytes)
        self._longest = LONGEST_CONTENT + 1 + parameters.tag_bytes
        self._window = ReplayWindow(provider.window, first)
        self._forgeries_left = parameters.forgery_limit
        self._iv = int.from_bytes(keys.iv, "big")
        self._decrypt = _aead(keys).decrypt
        self._mask = _record_number_mask(keys)

    @property
    def next_number(self) -> int:
        """One above the highest sequence number of a record that was opened."""
        return self._window.next

    def open(self, record: bytes) -> OpenedRecord | Refusal:
        """Open exactly one DTLSCiphertext, its header included."""
        if not self._forgeries_left:
            return Refusal.KEY_LIMIT
        form = self._forms.get(record[0]) if record else None
        if form is None:
            return self._refuse_header(record)
        unpack, pack, header_bytes = form.unpack, form.pack, form.header_bytes
        size = len(record) - header_bytes
        if not self._shortest <= size <= self._longest:
            return Refusal.MALFORMED
        prefix, low, length, sample = unpack(record)
        if prefix != form.prefix or (length != size and length != NO_LENGTH):
            return Refusal.MALFORMED

        ciphertext = record[header_bytes:]
        decrypt, mask, window = self._decrypt, self._mask, self._window
        bits = mask(sample)
        low ^= bits[0] << 8 | bits[1] if form.number_bits == 16 else bits[0]
        number = window.next
        if low != number & 0xFFFF:  # rare: records mostly come in order
            number = record_number.reconstruct(low, form.number_bits, number)
        nonce = (self._iv ^ number).to_bytes(12, "big")
        try:
            inner = decrypt(nonce, ciphertext, pack(prefix, low, length))
        except InvalidTag:
            self._forgeries_left -= 1
            return Refusal.BAD_TAG

        refusal = window.accept(number)
        if refusal is not None:
            return refusal
        if not inner[-1]:  # padding
            inner = inner.rstrip(b"\0")
            if not inner:
                return Refusal.NO_CONTENT_TYPE
        self._provider.records_opened += 1
        return OpenedRecord(self._epoch, number, inner[-1], inner[:-1])

    def open_many(self, data: bytes, size: int) -> OpenedRun | None:
        """Open records of ``size`` bytes that look alike, are genuine, and came in order.

        None for others: what else there may be is rare, and `open` judges it.
        """
        form = self._forms.get(data[0]) if data and self._forgeries_left else None
        if form is None or not self._shortest <= size - form.header_bytes <= self._longest:
            return None
        same = form.take_apart(data, size)
        if same is None:
            return None
        masked, ciphertexts, length = same
        masks = _masks(self._mask, ciphertexts)
        if form.number_bits == 8:
            masks = [mask >> 8 for mask in masks]
        lows = list(map(xor, masked, masks))
        numbers = record_number.reconstruct_rising(lows, form.number_bits, self._window.next)
        if numbers is None:
            return None
        iv = self._iv
        nonces = [(iv ^ number).to_bytes(12, "big") for number in numbers]
        headers = map(form.pack, repeat(form.prefix), lows, repeat(length))
        try:
            inners = list(map(self._decrypt, nonces, ciphertexts, headers))
        except InvalidTag:
            return None
        types = [inner[-1] for inner in inners]
        if 0 in types:  # padding
            inners = [inner.rstrip(b"\0") for inner in inners]
            if b"" in inners:
                return None
            types = [inner[-1] for inner in inners]
        self._window.accept_rising(numbers)
        self._provider.records_opened += len(numbers)
        return OpenedRun(self._epoch, numbers, types, [inner[:-1] for inner in inners])

    def _refuse_header(self, record: bytes) -> Refusal:
        """MALFORMED, unless nothing but the epoch is wrong."""
        header = unified_header.parse(record, len(self._connection_id))
        if header is None or header.connection_id != self._connection_id:
            return Refusal.MALFORMED
        size = len(record) - header.header_bytes
        if not self._shortest <= size <= self._longest or header.length not in (None, size):
            return Refusal.MALFORMED
        return Refusal.WRONG_EPOCH

    def close(self) -> None:
        """Forget the keys; the opener must not be used again."""
        del self._decrypt, self._mask, self._iv


def _aead(keys: TrafficKeys) -> AESGCM | AESCCM | ChaCha20Poly1305:
    parameters = keys.suite.parameters
    match parameters.aead:
        case Aead.AES_GCM:
            return AESGCM(keys.key)
        case Aead.AES_CCM:
            return AESCCM(keys.key, parameters.tag_bytes)
        case Aead.CHACHA20_POLY1305:
            return ChaCha20Poly1305(keys.key)


def _record_number_mask(keys: TrafficKeys) -> Callable[[bytes], bytes]:
    """From the first 16 bytes of a ciphertext to the mask of its number (RFC 9147, 4.2.3).

    Those of several ciphertexts, joined, make as many masks; each has 16 bytes.
    """
    if keys.suite.parameters.aead is Aead.CHACHA20_POLY1305:
        return _chacha20_mask(keys.record_number_key)
    # ECB without an end: each block yields the mask of one record.
    return Cipher(AES(keys.record_number_key), ECB()).encryptor().update


def _chacha20_mask(key: bytes) -> Callable[[bytes], bytes]:
    # OpenSSL's nonce is the block counter, little-endian, and the nonce of RFC 8439, 2.3: just what
    # the sample is made of.
    context = Cipher(ChaCha20(key, bytes(SAMPLE_BYTES)), None).encryptor()

    def mask(samples: bytes) -> bytes:
        if len(samples) > SAMPLE_BYTES:
            starts = range(0, len(samples), SAMPLE_BYTES)
            return b"".join([mask(samples[start : start + SAMPLE_BYTES]) for start in starts])
        context.reset_nonce(samples)
        return context.update(bytes(SAMPLE_BYTES))

    return mask


def _masks(mask: Callable[[bytes], bytes], ciphertexts: Iterable[bytes]) -> list[int]:
    """The first 16 bits of the mask of each."""
    samples = b"".join([ciphertext[:SAMPLE_BYTES] for ciphertext in ciphertexts])
    return [bits for (bits,) in _EACH_MASK.iter_unpack(mask(samples))] if samples else []
