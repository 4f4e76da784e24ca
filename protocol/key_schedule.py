"""The key schedule of DTLS 1.3: secrets, traffic keys, Finished, the transcript hash.

RFC 8446, 7.1 to 7.5, with the label prefix of RFC 9147, 5.9: "dtls13", and no space after it. All
secrets are as long as the output of the suite's hash. None appears in a repr.
"""

import hashlib
import hmac
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes

from protocol.alerts import UsageError
from protocol.crypto.provider import TrafficKeys
from protocol.crypto.suites import CipherSuite

_LABEL_PREFIX = b"dtls13"
#: HandshakeType message_hash (RFC 8446, 4.4.1).
_MESSAGE_HASH = 254
_IV_BYTES = 12
#: HKDF-Expand makes so many blocks of output (RFC 5869, 2.3).
_MOST_BLOCKS = 255
_LONGEST_LABEL = 255 - len(_LABEL_PREFIX)


@dataclass(frozen=True)
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
        zeros = bytes(suite.parameters.hash_bytes)
        self._secret = _extract(suite, zeros, psk or zeros)

    def binder_key(self, label: bytes) -> bytes:
        """What keys the binder of the PSK; ``label`` is "ext binder" or "res binder"."""
        return _derive_secret(self.suite, self._secret, label, _hash(self.suite, b""))

    def early_traffic(self, transcript_hash: bytes) -> bytes:
        """The client's secret of epoch 1; transcript: ClientHello."""
        return _derive_secret(self.suite, self._secret, b"c e traffic", transcript_hash)

    def early_exporter_secret(self, transcript_hash: bytes) -> bytes:
        """The early exporter master secret; transcript: ClientHello."""
        return _derive_secret(self.suite, self._secret, b"e exp master", transcript_hash)

    def handshake_traffic(
        self, shared_secret: bytes | None, transcript_hash: bytes
    ) -> TrafficSecrets:
        """The secrets of epoch 2; transcript: ClientHello .. ServerHello.

        ``shared_secret`` is None where there was no key exchange beside the PSK (psk_ke).
        """
        zeros = bytes(self.suite.parameters.hash_bytes)
        self._secret = _extract(self.suite, self._next_salt(), shared_secret or zeros)
        return self._traffic_secrets(b"c hs traffic", b"s hs traffic", transcript_hash)

    def application_traffic(self, transcript_hash: bytes) -> TrafficSecrets:
        """The secrets of epoch 3; transcript: ClientHello .. server Finished. Call it once."""
        zeros = bytes(self.suite.parameters.hash_bytes)
        self._secret = _extract(self.suite, self._next_salt(), zeros)
        return self._traffic_secrets(b"c ap traffic", b"s ap traffic", transcript_hash)

    def exporter_secret(self, transcript_hash: bytes) -> bytes:
        """The exporter master secret, after `application_traffic` and with the same transcript."""
        return _derive_secret(self.suite, self._secret, b"exp master", transcript_hash)

    def resumption_secret(self, transcript_hash: bytes) -> bytes:
        """The resumption master secret, after `application_traffic`.

        Transcript: ClientHello .. client Finished.
        """
        return _derive_secret(self.suite, self._secret, b"res master", transcript_hash)

    def _next_salt(self) -> bytes:
        return _derive_secret(self.suite, self._secret, b"derived", _hash(self.suite, b""))

    def _traffic_secrets(self, client: bytes, server: bytes, transcript: bytes) -> TrafficSecrets:
        return TrafficSecrets(
            _derive_secret(self.suite, self._secret, client, transcript),
            _derive_secret(self.suite, self._secret, server, transcript),
        )


class Transcript:
    """The hash over all handshake messages (RFC 8446, 4.4.1).

    Messages go in as TLS 1.3 has them: type, 24-bit length, body, without the fields that DTLS
    adds (RFC 9147, 5.2). The hash is known once the suite is: until `select` they are kept.
    """

    def __init__(self) -> None:
        self._waiting = b""
        self._hash: hashes.Hash | None = None

    def select(self, suite: CipherSuite) -> None:
        """Hash with the hash of ``suite``; doing so twice has no effect."""
        if self._hash is None:
            self._hash = hashes.Hash(suite.parameters.hash)
            self._hash.update(self._waiting)
            self._waiting = b""

    def add(self, message_type: int, body: bytes) -> None:
        """Append a whole handshake message: its type and its reassembled body."""
        message = bytes((message_type,)) + len(body).to_bytes(3, "big") + body
        if self._hash is None:
            self._waiting += message
        else:
            self._hash.update(message)

    def digest(self) -> bytes:
        """Hash of the messages so far; `select` comes first."""
        return self._selected().copy().finalize()

    def digest_with(self, suite: CipherSuite, start: bytes = b"") -> bytes:
        """Hash of the messages so far and the first bytes of one more, by the hash of ``suite``.

        That need not be selected: a PSK is offered before there is a suite. If one is selected, it
        has to have the same hash.
        """
        if self._hash is None:
            state = hashes.Hash(suite.parameters.hash)
            state.update(self._waiting)
        else:
            state = self._hash.copy()
        state.update(start)
        return state.finalize()

    def restart(self, client_hello_hash: bytes) -> None:
        """Put a message_hash in the place of all messages, when a HelloRetryRequest follows.

        ``client_hello_hash`` is `digest` after the first ClientHello; a server without state has
        it from its cookie.
        """
        self._hash = hashes.Hash(self._selected().algorithm)
        self.add(_MESSAGE_HASH, client_hello_hash)

    def _selected(self) -> hashes.Hash:
        if self._hash is None:
            raise ValueError("the transcript has no hash before a cipher suite is selected")
        return self._hash


def traffic_keys(suite: CipherSuite, secret: bytes) -> TrafficKeys:
    """Key, IV and record-number key of one traffic secret (RFC 8446, 7.3; RFC 9147, 4.2.3)."""
    key_bytes = suite.parameters.key_bytes
    return TrafficKeys(
        suite,
        expand_label(suite, secret, b"key", b"", key_bytes),
        expand_label(suite, secret, b"iv", b"", _IV_BYTES),
        expand_label(suite, secret, b"sn", b"", key_bytes),
    )


def next_generation(suite: CipherSuite, secret: bytes) -> bytes:
    """The traffic secret that follows a KeyUpdate (RFC 8446, 7.2)."""
    return expand_label(suite, secret, b"traffic upd", b"", suite.parameters.hash_bytes)


def resumption_key(suite: CipherSuite, resumption_secret: bytes, nonce: bytes) -> bytes:
    """The PSK of a ticket with that nonce (RFC 8446, 4.6.1)."""
    return expand_label(suite, resumption_secret, b"resumption", nonce, suite.parameters.hash_bytes)


def finished_mac(suite: CipherSuite, secret: bytes, transcript_hash: bytes) -> bytes:
    """The verify_data of a Finished (RFC 8446, 4.4.4).

    ``secret`` is the sender's handshake traffic secret; the transcript ends with the message
    before the Finished. A PSK binder is the same with `KeySchedule.binder_key`. Compare what the
    peer sent with `hmac.compare_digest`.
    """
    key = expand_label(suite, secret, b"finished", b"", suite.parameters.hash_bytes)
    return hmac.digest(key, transcript_hash, suite.parameters.hash.name)


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
        secret = _derive_secret(self.suite, self.secret, label, _hash(self.suite, b""))
        return expand_label(self.suite, secret, b"exporter", _hash(self.suite, context), length)


def expand_label(
    suite: CipherSuite, secret: bytes, label: bytes, context: bytes, length: int
) -> bytes:
    """HKDF-Expand-Label (RFC 8446, 7.1; RFC 9147, 5.9); ``label`` comes without its prefix."""
    full_label = _LABEL_PREFIX + label
    info = b"%b%c%b%c%b" % (
        length.to_bytes(2, "big"), len(full_label), full_label, len(context), context,
    )  # fmt: skip
    return _expand(suite.parameters.hash, secret, info, length)


def _derive_secret(
    suite: CipherSuite, secret: bytes, label: bytes, transcript_hash: bytes
) -> bytes:
    return expand_label(suite, secret, label, transcript_hash, suite.parameters.hash_bytes)


def _expand(algorithm: hashes.HashAlgorithm, secret: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand (RFC 5869, 2.3); nearly always the first block is enough."""
    block = output = hmac.digest(secret, info + b"\1", algorithm.name)
    for number in range(2, -(-length // algorithm.digest_size) + 1):
        block = hmac.digest(secret, b"%b%b%c" % (block, info, number), algorithm.name)
        output += block
    return output[:length]


def _extract(suite: CipherSuite, salt: bytes, input_key: bytes) -> bytes:
    """HKDF-Extract (RFC 5869, 2.2)."""
    return hmac.digest(salt, input_key, suite.parameters.hash.name)


def _hash(suite: CipherSuite, data: bytes) -> bytes:
    return hashlib.new(suite.parameters.hash.name, data).digest()
