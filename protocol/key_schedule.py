"""The key schedule of DTLS 1.3: secrets, traffic keys, Finished, the transcript hash.

RFC 8446, 7.1 to 7.5, with the label prefix of RFC 9147, 5.9: "dtls13", and no space after it. All
secrets are as long as the output of the suite's hash. None appears in a repr.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cache, lru_cache

from cryptography.hazmat.primitives.hmac import HMAC

from protocol.alerts import UsageError
from protocol.crypto.provider import TrafficKeys
from protocol.crypto.suites import CipherSuite
from protocol.handshake_framing import HandshakeType

#: By their names in pyca/cryptography.
_HASHES = {"sha256": hashlib.sha256, "sha384": hashlib.sha384}
_LABEL_PREFIX = b"dtls13"
_IV_BYTES = 12
#: HKDF-Expand makes so many blocks of output (RFC 5869, 2.3).
_MOST_BLOCKS = 255
_LONGEST_LABEL = 255 - len(_LABEL_PREFIX)


@dataclass(slots=True)
class TrafficSecrets:
    """What the keys of both directions of one epoch come from."""

    client: bytes = field(repr=False)
    server: bytes = field(repr=False)


class KeySchedule:
    """The secrets of one handshake, in the order in which it yields them.

    ``psk`` is the pre-shared key that the handshake builds on, if any. The transcript hashes are
    those of `Transcript.digest`, after the messages that each method names.
    """

    def __init__(self, suite: CipherSuite, psk: bytes | None = None) -> None:
        self.suite = suite
        self._secret = _early_secret(suite, psk) if psk else _early_secret_without_psk(suite)

    def binder_key(self, label: bytes) -> bytes:
        """What keys the binder of the PSK; ``label`` is "ext binder" or "res binder"."""
        return self._secret.derive(label, _hash(self.suite, b""))

    def early_traffic(self, transcript_hash: bytes) -> bytes:
        """The client's secret of epoch 1; transcript: ClientHello."""
        return self._secret.derive(b"c e traffic", transcript_hash)

    def early_exporter_secret(self, transcript_hash: bytes) -> bytes:
        """The early exporter master secret; transcript: ClientHello."""
        return self._secret.derive(b"e exp master", transcript_hash)

    def handshake_traffic(
        self, shared_secret: bytes | None, transcript_hash: bytes
    ) -> TrafficSecrets:
        """The secrets of epoch 2; transcript: ClientHello .. ServerHello.

        ``shared_secret`` is None where there was no key exchange beside the PSK (psk_ke).
        """
        self._secret = self._secret.next(shared_secret)
        return self._traffic_secrets(b"c hs traffic", b"s hs traffic", transcript_hash)

    def application_traffic(self, transcript_hash: bytes) -> TrafficSecrets:
        """The secrets of epoch 3; transcript: ClientHello .. server Finished. Call it once."""
        self._secret = self._secret.next()
        return self._traffic_secrets(b"c ap traffic", b"s ap traffic", transcript_hash)

    def exporter_secret(self, transcript_hash: bytes) -> bytes:
        """The exporter master secret, after `application_traffic` and with the same transcript."""
        return self._secret.derive(b"exp master", transcript_hash)

    def resumption_secret(self, transcript_hash: bytes) -> bytes:
        """The resumption master secret, after `application_traffic`.

        Transcript: ClientHello .. client Finished.
        """
        return self._secret.derive(b"res master", transcript_hash)

    def _traffic_secrets(self, client: bytes, server: bytes, transcript: bytes) -> TrafficSecrets:
        return TrafficSecrets(
            self._secret.derive(client, transcript), self._secret.derive(server, transcript)
        )


class Transcript:
    """The hash over all handshake messages (RFC 8446, 4.4.1).

    Messages go in as TLS 1.3 has them: type, 24-bit length, body, without the fields that DTLS
    adds (RFC 9147, 5.2). The hash is known once the suite is: until `select` they are kept.
    """

    def __init__(self) -> None:
        self._waiting = b""
        self._hash: hashlib._Hash | None = None

    def copy(self) -> "Transcript":
        """Another one with the same messages."""
        other = Transcript()
        other._waiting, other._hash = self._waiting, self._hash and self._hash.copy()
        return other

    def select(self, suite: CipherSuite) -> None:
        """Hash with the hash of ``suite``; doing so twice has no effect."""
        if self._hash is None:
            self._hash = _new_hash(suite, self._waiting)
            self._waiting = b""

    def add(self, message_type: int, body: bytes) -> None:
        """Append a whole handshake message: its type and its reassembled body."""
        message = (message_type << 24 | len(body)).to_bytes(4, "big") + body
        if self._hash is None:
            self._waiting += message
        else:
            self._hash.update(message)

    def digest(self) -> bytes:
        """Hash of the messages so far; `select` comes first."""
        return self._selected().digest()

    def digest_with(self, suite: CipherSuite, start: bytes = b"") -> bytes:
        """Hash of the messages so far and the first bytes of one more, by the hash of ``suite``.

        That need not be selected: a PSK is offered before there is a suite. If one is selected, it
        has to have the same hash.
        """
        state = _new_hash(suite, self._waiting) if self._hash is None else self._hash.copy()
        state.update(start)
        return state.digest()

    def restart(self, client_hello_hash: bytes) -> None:
        """Put a message_hash in the place of all messages, when a HelloRetryRequest follows.

        ``client_hello_hash`` is `digest` after the first ClientHello; a server without state has
        it from its cookie.
        """
        self._hash = hashlib.new(self._selected().name)
        self.add(HandshakeType.MESSAGE_HASH, client_hello_hash)

    def _selected(self) -> "hashlib._Hash":
        if self._hash is None:
            raise ValueError("the transcript has no hash before a cipher suite is selected")
        return self._hash


def traffic_keys(suite: CipherSuite, secret: bytes) -> TrafficKeys:
    """Key, IV and record-number key of one traffic secret (RFC 8446, 7.3; RFC 9147, 4.2.3)."""
    expand_label, key_bytes = Hkdf(suite, secret).expand_label, suite.parameters.key_bytes
    return TrafficKeys(
        suite,
        expand_label(b"key", b"", key_bytes),
        expand_label(b"iv", b"", _IV_BYTES),
        expand_label(b"sn", b"", key_bytes),
    )


def next_generation(suite: CipherSuite, secret: bytes) -> bytes:
    """The traffic secret that follows a KeyUpdate (RFC 8446, 7.2)."""
    return Hkdf(suite, secret).derive(b"traffic upd", b"")


def resumption_key(suite: CipherSuite, resumption_secret: bytes, nonce: bytes) -> bytes:
    """The PSK of a ticket with that nonce (RFC 8446, 4.6.1)."""
    return Hkdf(suite, resumption_secret).derive(b"resumption", nonce)


def finished_mac(suite: CipherSuite, secret: bytes, transcript_hash: bytes) -> bytes:
    """The verify_data of a Finished (RFC 8446, 4.4.4).

    ``secret`` is the sender's handshake traffic secret; the transcript ends with the message
    before the Finished. A PSK binder is the same with `KeySchedule.binder_key`. Compare what the
    peer sent with `hmac.compare_digest`.
    """
    return _hmac(suite, Hkdf(suite, secret).derive(b"finished", b""), transcript_hash)


@dataclass(frozen=True)
class Exporter:
    """Keys for protocols above this one (RFC 8446, 7.5), from an exporter master secret."""

    suite: CipherSuite
    secret: bytes = field(repr=False)

    def export(self, label: bytes, context: bytes, length: int) -> bytes:
        """``length`` bytes; raises `UsageError` for a length or a label that HKDF cannot take.

        No context and an empty one are the same.
        """
        longest = _MOST_BLOCKS * self.suite.parameters.hash_bytes
        if not 0 < length <= longest:
            raise UsageError(f"length must be 1 .. {longest} bytes, not {length}")
        if not 0 < len(label) <= _LONGEST_LABEL:
            raise UsageError(f"label must be 1 .. {_LONGEST_LABEL} bytes, not {len(label)}")
        secret = Hkdf(self.suite, self.secret).derive(label, _hash(self.suite, b""))
        return Hkdf(self.suite, secret).expand_label(
            b"exporter", _hash(self.suite, context), length
        )


class Hkdf:
    """HKDF (RFC 5869) from one secret, whose HMAC is set up once for all that is derived from it.

    With the labels of RFC 8446, 7.1, which come here without the prefix of RFC 9147, 5.9.
    """

    __slots__ = ("_mac", "_next_salt", "_suite")

    def __init__(self, suite: CipherSuite, secret: bytes) -> None:
        self._suite = suite
        self._mac = HMAC(secret, suite.parameters.hash)
        #: What `next` derives, once it has.
        self._next_salt = b""

    def expand_label(self, label: bytes, context: bytes, length: int) -> bytes:
        """HKDF-Expand-Label; nearly always one block of HKDF-Expand is enough."""
        info = _info(label, len(context), length) + context
        mac = self._mac.copy()
        mac.update(info + b"\1")
        block = output = mac.finalize()
        number = 1
        while len(output) < length:
            number += 1
            mac = self._mac.copy()
            mac.update(b"%b%b%c" % (block, info, number))
            block = mac.finalize()
            output += block
        return output[:length]

    def derive(self, label: bytes, context: bytes) -> bytes:
        """A secret as long as the hash: Derive-Secret, if ``context`` is a transcript hash."""
        return self.expand_label(label, context, self._suite.parameters.hash_bytes)

    def next(self, input_key: bytes | None = None) -> "Hkdf":
        """The next of Early Secret, Handshake Secret and Master Secret; None stands for zeros."""
        if not self._next_salt:
            self._next_salt = self.derive(b"derived", _hash(self._suite, b""))
        return _extract(self._suite, self._next_salt, input_key)


@lru_cache(maxsize=256)  # there are few labels but those of exporters
def _info(label: bytes, context_bytes: int, length: int) -> bytes:
    """An HkdfLabel up to its context."""
    full_label = _LABEL_PREFIX + label
    return b"%b%c%b%c" % (length.to_bytes(2, "big"), len(full_label), full_label, context_bytes)


def _early_secret(suite: CipherSuite, psk: bytes | None) -> Hkdf:
    return _extract(suite, bytes(suite.parameters.hash_bytes), psk)


@cache
def _early_secret_without_psk(suite: CipherSuite) -> Hkdf:
    return _early_secret(suite, None)


def _extract(suite: CipherSuite, salt: bytes, input_key: bytes | None) -> Hkdf:
    """HKDF-Extract; where there is no key, it is as many zeros as the hash has bytes."""
    return Hkdf(suite, _hmac(suite, salt, input_key or bytes(suite.parameters.hash_bytes)))


def _hmac(suite: CipherSuite, key: bytes, data: bytes) -> bytes:
    mac = HMAC(key, suite.parameters.hash)
    mac.update(data)
    return mac.finalize()


def _hash(suite: CipherSuite, data: bytes) -> bytes:
    return _new_hash(suite, data).digest()


def _new_hash(suite: CipherSuite, data: bytes) -> "hashlib._Hash":
    return _HASHES[suite.parameters.hash.name](data)
