"""The tickets of a server: a session, sealed so that the client can keep it (RFC 8446, 4.6.1).

::

    ticket     key name (32) nonce (96) ciphertext and tag of AES-256-GCM
    plaintext  issued at (64) authenticated at (64) session: see `Session.encode`

Widths are in bits, numbers big-endian, times in milliseconds since 1970.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocol.alerts import UsageError
from protocol.early_data import ReplayDefence
from protocol.psk import RESUMPTION_BINDER, Psk
from protocol.session import LONGEST_LIFETIME, Session
from protocol.wire import Reader, uint

_NAME_BYTES, _NONCE_BYTES, _KEY_BYTES = 4, 12, 32


@dataclass(frozen=True)
class IssuedTicket:
    """What a ticket of ours holds; times in seconds since 1970."""

    session: Session
    issued_at: float
    #: When the peers last proved who they are by something else than a ticket.
    authenticated_at: float

    def psk(self, ticket: bytes) -> Psk:
        """The PSK that the ticket stands for."""
        return Psk(ticket, self.session.key, self.session.suite, RESUMPTION_BINDER)

    def sent_at(self, obfuscated_age: int) -> float:
        """When a ClientHello with that obfuscated_ticket_age was sent (RFC 8446, 8.3)."""
        age = (obfuscated_age - self.session.age_add) % (1 << 32)
        return self.issued_at + age / 1000

    def encode(self) -> bytes:
        """The plaintext of the ticket."""
        times = (self.issued_at, self.authenticated_at)
        return b"".join(uint(round(t * 1000), 8) for t in times) + self.session.encode()

    @classmethod
    def parse(cls, data: bytes) -> "IssuedTicket":
        """The reverse of `encode`."""
        reader = Reader(data, "ticket")
        issued_at, authenticated_at = reader.uint(8) / 1000, reader.uint(8) / 1000
        session = Session.parse(reader)
        reader.finish()
        return cls(session, issued_at, authenticated_at)


@dataclass(frozen=True)
class _TicketKey:
    name: bytes
    aead: AESGCM = field(repr=False)
    made_at: float


class TicketIssuer:
    """Seals and opens the tickets of a server: one object for all of its connections.

    The key changes every ``lifetime`` seconds, and the one before it opens tickets for as long
    again: then both are forgotten, and with them what could open the resumed sessions. A session is
    over ``lifetime`` seconds after the peers last authenticated each other, however often it was
    resumed. Early data of a ClientHello is taken once, `early_data` remembers which was.

    Raises `UsageError` for a lifetime over seven days.
    """

    def __init__(
        self,
        lifetime: int = 86_400,
        early_data: ReplayDefence | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if not 0 < lifetime <= LONGEST_LIFETIME:
            raise UsageError(f"lifetime must be 1 .. {LONGEST_LIFETIME} seconds, not {lifetime}")
        self.lifetime = lifetime
        self.early_data = early_data or ReplayDefence()
        self.random = random
        #: The newest first.
        self._keys: tuple[_TicketKey, ...] = ()

    def remaining(self, authenticated_at: float, now: float) -> float:
        """For how many more seconds a session may be resumed; 0 or less if it is over."""
        return authenticated_at + self.lifetime - now

    def seal(self, issued: IssuedTicket, context: bytes) -> bytes:
        """The ticket; it opens with the same ``context`` only."""
        self._rotate(issued.issued_at)
        key = self._keys[0]
        nonce = self.random(_NONCE_BYTES)
        return key.name + nonce + key.aead.encrypt(nonce, issued.encode(), context)

    def open(self, ticket: bytes, context: bytes, now: float) -> IssuedTicket | None:
        """What is in it, if it is one of ours, and the session may still be resumed."""
        self._rotate(now)
        name, rest = ticket[:_NAME_BYTES], ticket[_NAME_BYTES:]
        key = next((key for key in self._keys if key.name == name), None)
        if key is None or len(rest) < _NONCE_BYTES:
            return None
        try:
            data = key.aead.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], context)
        except InvalidTag:
            return None
        issued = IssuedTicket.parse(data)
        return issued if self.remaining(issued.authenticated_at, now) > 0 else None

    def _rotate(self, now: float) -> None:
        self._keys = tuple(key for key in self._keys if now < key.made_at + 2 * self.lifetime)
        if not self._keys or now >= self._keys[0].made_at + self.lifetime:
            key = _TicketKey(self.random(_NAME_BYTES), AESGCM(self.random(_KEY_BYTES)), now)
            self._keys = (key, *self._keys)
