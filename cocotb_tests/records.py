"""DTLS 1.3 records as `protocol` and OpenSSL make and open them: what the RTL is compared with."""

from dataclasses import dataclass, field
from random import Random

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from driver.messages import TAG_BYTES, HeaderForm, Load, Status, Suite, Usage
from protocol import record_number, unified_header
from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import OpenedRecord, Opener, Refusal, TrafficKeys
from protocol.crypto.suites import CipherSuite

__all__ = ["FORMS", "SUITES", "Direction", "expected_answer"]

FORMS = tuple(HeaderForm(bits) for bits in (0x00, 0x04, 0x08, 0x0C))

#: What the device has, as TLS numbers them.
SUITES = [CipherSuite(0x1300 | suite) for suite in Suite]

_STATUS = {
    Refusal.MALFORMED: Status.MALFORMED_RECORD,
    Refusal.WRONG_EPOCH: Status.WRONG_EPOCH,
    Refusal.REPLAYED: Status.REPLAYED,
    Refusal.TOO_OLD: Status.TOO_OLD,
    Refusal.BAD_TAG: Status.BAD_TAG,
    Refusal.NO_CONTENT_TYPE: Status.NO_CONTENT_TYPE,
}


@dataclass(frozen=True)
class Direction:
    """What two ends agree on for the records of one epoch in one direction."""

    keys: TrafficKeys = field(repr=False)
    epoch: int
    connection_id: bytes

    @classmethod
    def random(cls, rng: Random, suite: CipherSuite) -> "Direction":
        """Fresh keys, any epoch, and a connection ID of 0 to 20 bytes."""
        size = suite.parameters.key_bytes
        return cls(
            TrafficKeys(suite, rng.randbytes(size), rng.randbytes(12), rng.randbytes(size)),
            epoch=rng.randrange(1 << 16),
            connection_id=rng.randbytes(rng.choice((0, 0, 1, 8, 20))),
        )

    def load(self, usage: Usage, form: HeaderForm = FORMS[-1], first: int = 0) -> Load:
        """What fills a slot of the device; ``first`` is the first sequence number."""
        return Load(
            suite=Suite(self.keys.suite & 0xFF),
            usage=usage,
            key=self.keys.key,
            iv=self.keys.iv,
            record_number_key=self.keys.record_number_key,
            epoch=self.epoch,
            connection_id=self.connection_id,
            sequence_number=first,
            header_form=form,
        )

    def opener(self, window: int) -> Opener:
        """The software's opener, with a replay window of that width."""
        return SoftwareProvider(window).opener(self.keys, self.epoch, self.connection_id)

    def seal(self, number: int, inner: bytes, form: HeaderForm = FORMS[-1]) -> bytes:
        """The DTLSCiphertext of a DTLSInnerPlaintext (RFC 9147, 4 and 4.2.3)."""
        number_bytes = 2 if form & HeaderForm.SEQUENCE_NUMBER_16 else 1
        length = len(inner) + TAG_BYTES if form & HeaderForm.LENGTH else None
        header = unified_header.build(self.epoch, number, length, self.connection_id, number_bytes)
        nonce = record_number.nonce(self.keys.iv, number)
        encrypted = AESGCM(self.keys.key).encrypt(nonce, inner, header)
        mask = Cipher(AES(self.keys.record_number_key), ECB()).encryptor().update(encrypted[:16])
        start = 1 + len(self.connection_id)
        masked = record_number.apply_mask(header[start : start + number_bytes], mask)
        return header[:start] + masked + header[start + number_bytes :] + encrypted


def expected_answer(result: OpenedRecord | Refusal) -> tuple[Status, bytes]:
    """The status and payload of OPEN that say what the software's opener said."""
    if isinstance(result, Refusal):
        return _STATUS[result], b""
    epoch, number = result.number
    prefix = epoch.to_bytes(2, "big") + number.to_bytes(6, "big")
    return Status.OK, prefix + result.content + bytes([result.content_type])
