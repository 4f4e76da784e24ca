"""What is left of a connection so that another can resume it (RFC 8446, 2.2 and 4.6.1)."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from protocol.alerts import DecodeError, UsageError
from protocol.crypto.suites import CipherSuite
from protocol.psk import RESUMPTION_BINDER, Psk
from protocol.wire import Reader, uint, vector

#: In seconds: no ticket is kept for longer (RFC 8446, 4.6.1).
LONGEST_LIFETIME = 604_800
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, kw_only=True)
class Session:
    """What both sides know about a connection that may be resumed."""

    #: Early data is protected with it; any suite with its hash can resume the session.
    suite: CipherSuite
    key: bytes = field(repr=False)
    #: What disguises the age of the ticket, in milliseconds.
    age_add: int = field(repr=False)
    #: How many bytes of early data the server takes with the ticket.
    max_early_data: int = 0
    server_name: str | None = None
    #: The application protocol.
    alpn: str | None = None
    #: Who the peer is, by its certificate or by the identity of an external PSK.
    peer_certificate: x509.Certificate | None = None
    psk_identity: bytes | None = None
    #: The same by a raw public key: its SubjectPublicKeyInfo.
    peer_raw_key: bytes | None = None

    def encode(self) -> bytes:
        """Suite (16 bits), age_add (32), max_early_data (32), and the others behind their lengths.

        All big-endian.
        """
        certificate = self.peer_certificate
        return (
            uint(self.suite, 2)
            + uint(self.age_add, 4)
            + uint(self.max_early_data, 4)
            + vector(self.key, 1)
            + vector((self.server_name or "").encode(), 1)
            + vector((self.alpn or "").encode(), 1)
            + vector(certificate.public_bytes(Encoding.DER) if certificate else b"", 3)
            + vector(self.psk_identity or b"", 2)
            + vector(self.peer_raw_key or b"", 2)
        )

    @classmethod
    def parse(cls, reader: Reader) -> "Session":
        """Read the reverse of `encode`, which comes from a source that is trusted."""
        suite, age_add, max_early_data = reader.uint(2), reader.uint(4), reader.uint(4)
        key, server_name, alpn = reader.vector(1), reader.vector(1), reader.vector(1)
        certificate, psk_identity, raw_key = reader.vector(3), reader.vector(2), reader.vector(2)
        return cls(
            suite=CipherSuite(suite),
            key=key,
            age_add=age_add,
            max_early_data=max_early_data,
            server_name=server_name.decode() or None,
            alpn=alpn.decode() or None,
            peer_certificate=x509.load_der_x509_certificate(certificate) if certificate else None,
            psk_identity=psk_identity or None,
            peer_raw_key=raw_key or None,
        )


@dataclass(frozen=True)
class SessionTicket:
    """A ticket that a server gave us, and the session that it resumes.

    Keep it, and give it to one later `Connection.client`: whoever uses a ticket twice can be
    recognised by it.
    """

    session: Session
    ticket: bytes = field(repr=False)
    #: By `ConnectionConfig.verification_time`.
    received_at: datetime
    #: In seconds.
    lifetime: int

    def is_valid(self, now: datetime) -> bool:
        """Whether it has not expired, nor the certificate that stands behind it."""
        expiry = self.received_at + timedelta(seconds=self.lifetime)
        certificate = self.session.peer_certificate
        if certificate is not None:
            expiry = min(expiry, certificate.not_valid_after_utc)
        return self.received_at <= now < expiry

    def psk(self, now: datetime) -> Psk:
        """It as a ClientHello offers it at that time."""
        age = (now - self.received_at) // _MILLISECOND
        obfuscated = (age + self.session.age_add) % (1 << 32)
        return Psk(self.ticket, self.session.key, self.session.suite, RESUMPTION_BINDER, obfuscated)

    def to_bytes(self) -> bytes:
        """For a file that only its owner may read: the key is in it."""
        received_at = (self.received_at - _EPOCH) // _MILLISECOND
        head = uint(received_at, 8) + uint(self.lifetime, 4) + vector(self.ticket, 2)
        return head + self.session.encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "SessionTicket":
        """The reverse of `to_bytes`; raises `UsageError` for anything else."""
        reader = Reader(data, "session ticket")
        try:
            received_at = _EPOCH + reader.uint(8) * _MILLISECOND
            lifetime, ticket = reader.uint(4), reader.vector(2, minimum=1)
            session = Session.parse(reader)
            reader.finish()
        except (DecodeError, ValueError, OverflowError) as error:
            raise UsageError(f"not a session ticket: {error}") from None
        return cls(session, ticket, received_at, lifetime)
