"""Record protection in software: AES-GCM of OpenSSL, through pyca/cryptography.

What runs once a record is written out here instead of called: at a hundred thousand records a
second, Python's calls are what costs.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from protocol import record_number, unified_header
from protocol.crypto.provider import (
    LONGEST_CONTENT,
    KeyLimitError,
    OpenedRecord,
    RecordNumber,
    Refusal,
    SealedRecord,
    TrafficKeys,
)
from protocol.crypto.suites import CipherSuite
from protocol.window import ReplayWindow

_TAG_BYTES = 16
_LONGEST_CIPHERTEXT = unified_header.LONGEST_CIPHERTEXT
_SHORTEST_CIPHERTEXT = unified_header.SHORTEST_CIPHERTEXT


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

    def __init__(
        self,
        provider: SoftwareProvider,
        keys: TrafficKeys,
        epoch: int,
        connection_id: bytes,
        first: int,
    ) -> None:
        self._provider = provider
        self._epoch = epoch
        self._next = first
        self._limit = keys.suite.parameters.seal_limit
        self._iv = int.from_bytes(keys.iv, "big")
        self._encrypt = AESGCM(keys.key).encrypt
        self._mask = _record_number_cipher(keys).update
        # All of the header before the number.
        self._prefix = unified_header.build(epoch, 0, 0, connection_id)[:-4]

    @property
    def next_number(self) -> int:
        """The sequence number of the next record."""
        return self._next

    def seal(self, content_type: int, content: bytes, padding: int = 0) -> SealedRecord:
        """The next record. Raises `KeyLimitError`, or ValueError for over 2**14 bytes."""
        if padding:  # All but its last zero, which stands where the type does without padding.
            content += content_type.to_bytes(1, "big") + bytes(padding - 1)
            content_type = 0
        number = self._next
        if number >= self._limit:
            raise KeyLimitError(f"the key of epoch {self._epoch} has sealed {number} records")
        if len(content) > LONGEST_CONTENT:
            raise ValueError(f"content of {len(content)} bytes is over {LONGEST_CONTENT}")
        self._next = number + 1
        low = number & 0xFFFF
        length = (len(content) + 1 + _TAG_BYTES).to_bytes(2, "big")
        ciphertext = self._encrypt(
            (self._iv ^ number).to_bytes(12, "big"),
            content + content_type.to_bytes(1, "big"),
            self._prefix + low.to_bytes(2, "big") + length,
        )
        low ^= int.from_bytes(self._mask(ciphertext[:16])[:2], "big")
        self._provider.records_sealed += 1
        return SealedRecord(
            RecordNumber(self._epoch, number),
            self._prefix + low.to_bytes(2, "big") + length + ciphertext,
        )

    def close(self) -> None:
        """Forget the keys; the sealer must not be used again."""
        del self._encrypt, self._mask, self._iv


class SoftwareOpener:
    """The Opener of `SoftwareProvider`."""

    def __init__(
        self,
        provider: SoftwareProvider,
        keys: TrafficKeys,
        epoch: int,
        connection_id: bytes,
        first: int,
    ) -> None:
        self._provider = provider
        self._epoch = epoch
        self._epoch_bits = epoch & unified_header.EPOCH_MASK
        self._connection_id = connection_id
        self._layouts = unified_header.layouts(len(connection_id))
        self._window = ReplayWindow(provider.window, first)
        self._forgeries_left = keys.suite.parameters.forgery_limit
        self._iv = int.from_bytes(keys.iv, "big")
        self._decrypt = AESGCM(keys.key).decrypt
        self._mask = _record_number_cipher(keys).update

    @property
    def next_number(self) -> int:
        """One above the highest sequence number of a record that was opened."""
        return self._window.next

    def open(self, record: bytes) -> OpenedRecord | Refusal:
        """Open exactly one DTLSCiphertext, its header included."""
        if not self._forgeries_left:
            return Refusal.KEY_LIMIT
        layout = self._layouts[record[0]] if record else None
        if layout is None:
            return Refusal.MALFORMED
        number_offset, number_bytes, has_length, header_bytes = layout
        length = len(record) - header_bytes
        if (
            not _SHORTEST_CIPHERTEXT <= length <= _LONGEST_CIPHERTEXT
            or (
                has_length
                and int.from_bytes(record[header_bytes - 2 : header_bytes], "big") != length
            )
            or record[1:number_offset] != self._connection_id
        ):
            return Refusal.MALFORMED
        if record[0] & unified_header.EPOCH_MASK != self._epoch_bits:
            return Refusal.WRONG_EPOCH

        ciphertext = record[header_bytes:]
        number_end = number_offset + number_bytes
        low = int.from_bytes(record[number_offset:number_end], "big")
        low ^= int.from_bytes(self._mask(ciphertext[:16])[:number_bytes], "big")
        number = record_number.reconstruct(low, 8 * number_bytes, self._window.next)
        try:
            inner = self._decrypt(
                (self._iv ^ number).to_bytes(12, "big"),
                ciphertext,
                record[:number_offset]
                + low.to_bytes(number_bytes, "big")
                + record[number_end:header_bytes],
            )
        except InvalidTag:
            self._forgeries_left -= 1
            return Refusal.BAD_TAG
        return self._accept(number, inner)

    def _accept(self, number: int, inner: bytes) -> OpenedRecord | Refusal:
        """Check a genuine record against the window and take its padding off."""
        refusal = self._window.check(number)
        if refusal is not None:
            return refusal
        self._window.update(number)
        inner = inner.rstrip(b"\0")
        if not inner:
            return Refusal.NO_CONTENT_TYPE
        self._provider.records_opened += 1
        return OpenedRecord(RecordNumber(self._epoch, number), inner[-1], inner[:-1])

    def close(self) -> None:
        """Forget the keys; the opener must not be used again."""
        del self._decrypt, self._mask, self._iv


def _record_number_cipher(keys: TrafficKeys) -> CipherContext:
    """AES-ECB without an end: each update of one block yields the mask of one record."""
    return Cipher(AES(keys.record_number_key), ECB()).encryptor()
