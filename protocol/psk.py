"""Pre-shared keys: external ones, and the binders that prove who has them (RFC 8446, 4.2.11)."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from protocol.alerts import AlertDescription, ProtocolViolation, UsageError
from protocol.crypto.suites import CipherSuite
from protocol.extensions import Extensions
from protocol.handshake_framing import HandshakeType
from protocol.handshake_messages import ClientHello
from protocol.key_schedule import KeySchedule, Transcript, finished_mac
from protocol.psk_extensions import OFFERED_PSKS, OfferedPsks, PskIdentity

EXTERNAL_BINDER = b"ext binder"
RESUMPTION_BINDER = b"res binder"

_LONGEST_IDENTITY = (1 << 16) - 1
#: 128 bits: what a key has to hold that nobody is to guess (RFC 9257, 4).
_SHORTEST_KEY = 16


@dataclass(frozen=True)
class Psk:
    """A PSK as one ClientHello offers it; of ``suite`` only the hash counts."""

    identity: bytes = field(repr=False)
    key: bytes = field(repr=False)
    suite: CipherSuite
    binder_label: bytes
    obfuscated_age: int = field(default=0, repr=False)

    def fits(self, suite: CipherSuite) -> bool:
        """Whether ``suite`` has the hash of this PSK."""
        return same_hash(self.suite, suite)

    def binder(self, transcript: Transcript, hello: bytes, binders_bytes: int) -> bytes:
        """The binder for a ClientHello: its body, and how many bytes the binders take at its end.

        The transcript has what comes before it: nothing, or the first hello and the request to
        send it again.
        """
        header = bytes((HandshakeType.CLIENT_HELLO,)) + len(hello).to_bytes(3, "big")
        digest = transcript.digest_with(self.suite, header + hello[: len(hello) - binders_bytes])
        key = KeySchedule(self.suite, self.key).binder_key(self.binder_label)
        return finished_mac(self.suite, key, digest)


@dataclass(frozen=True)
class ExternalPsk:
    """A key that both sides were given by other means, and its name.

    The key has to be random: a password would be found by trying (RFC 8446, 2.2). ``suite`` says
    which hash belongs to it; any suite with that hash may be negotiated. Give each pair of a client
    and a server a key of its own. Raises `UsageError` for an identity or a key that is too short.
    """

    identity: bytes
    key: bytes = field(repr=False)
    suite: CipherSuite = CipherSuite.TLS_AES_128_GCM_SHA256

    def __post_init__(self) -> None:
        if not 0 < len(self.identity) <= _LONGEST_IDENTITY:
            raise UsageError(
                f"PSK identity of {len(self.identity)} bytes is not in 1 .. {_LONGEST_IDENTITY}"
            )
        if len(self.key) < _SHORTEST_KEY:
            raise UsageError(f"PSK of {len(self.key)} bytes is under {_SHORTEST_KEY}")

    def psk(self, _now: datetime | None = None) -> Psk:
        """It as a ClientHello offers it, at any time."""
        return Psk(self.identity, self.key, self.suite, EXTERNAL_BINDER)


def same_hash(one: CipherSuite, other: CipherSuite) -> bool:
    """Whether both suites have the same hash."""
    return one.parameters.hash.name == other.parameters.hash.name


def offer(psks: Sequence[Psk], hello: ClientHello, transcript: Transcript) -> ClientHello:
    """The hello with these PSKs in its last extension; without it if there are none."""
    if not psks:
        return hello
    identities = tuple(PskIdentity(psk.identity, psk.obfuscated_age) for psk in psks)
    blank = tuple(bytes(psk.suite.parameters.hash_bytes) for psk in psks)
    offered = OfferedPsks(identities, blank)
    body = _with_psks(hello, offered).encode()
    size = offered.binders_bytes
    binders = tuple(psk.binder(transcript, body, size) for psk in psks)
    return _with_psks(hello, OfferedPsks(identities, binders))


def check_binder(
    psk: Psk, binder: bytes, transcript: Transcript, hello: bytes, binders_bytes: int
) -> None:
    """Hold the client's binder against the body of its hello; raises decrypt_error."""
    if not hmac.compare_digest(psk.binder(transcript, hello, binders_bytes), binder):
        raise ProtocolViolation(
            AlertDescription.DECRYPT_ERROR, "the binder of the PSK does not match the ClientHello"
        )


def _with_psks(hello: ClientHello, offered: OfferedPsks) -> ClientHello:
    extensions = Extensions([*hello.extensions, OFFERED_PSKS.make(offered)])
    return ClientHello(hello.random, hello.cipher_suites, extensions, hello.legacy_session_id)
