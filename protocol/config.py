"""What a connection is configured with; one immutable object for any number of connections."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from cryptography import x509

from protocol.alerts import UsageError
from protocol.certificate_types import CertificateType
from protocol.certificates import Credentials
from protocol.chains import ChainVerifier
from protocol.crypto.provider import LONGEST_CONTENT, CryptoProvider
from protocol.crypto.suites import DEFAULT_SUITES, CipherSuite
from protocol.key_exchange import AVAILABLE_GROUPS, NamedGroup
from protocol.keylog import KeyLog
from protocol.psk import ExternalPsk, same_hash
from protocol.psk_extensions import PskMode
from protocol.raw_keys import RawKey, TrustedKeys
from protocol.signatures import AVAILABLE_SCHEMES, SignatureScheme, VerifyingKey
from protocol.tickets import TicketIssuer

#: Below this a datagram has no room for a record and a useful piece of a message.
_SMALLEST_MTU = 128
#: The same, but for the connection ID in the record's header.
_SMALLEST_MTU_WITHOUT_ID = 108
#: The largest payload of UDP over IPv4.
_LARGEST_MTU = 65_507
#: What max_early_data_size can say (RFC 8446, 4.6.1).
_MOST_EARLY_DATA = (1 << 32) - 1


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class ConnectionConfig:
    """Raises `UsageError`, naming the value, for what cannot work.

    A client needs ``trust`` and ``server_name``, or ``trusted_keys``, or ``psks``: there is no
    connection to a server that is not verified. A server needs ``credentials``, or a ``raw_key``,
    or ``psks``; with ``trust`` or ``trusted_keys`` it asks clients for a certificate or a key, and
    refuses those without. One of the ``psks`` is as good as a certificate, on both sides.
    """

    provider: CryptoProvider
    #: One, or several to choose from: by what the peer takes, by the server's name, then in order.
    credentials: Credentials | tuple[Credentials, ...] | None = None
    #: The roots that the peer's certificate must lead to.
    trust: tuple[x509.Certificate, ...] = ()
    #: Our key pair that peers may know without a certificate (RFC 7250). A client prefers it, and
    #: a server uses what the client prefers.
    raw_key: RawKey | None = None
    #: The public keys of such peers; a client would rather see one of these than a certificate.
    trusted_keys: tuple[VerifyingKey, ...] = ()
    #: Who the client wants to talk to: a DNS name or an IP address.
    server_name: str | None = None
    #: Preferred first, as the groups and the signature schemes. The default leaves out what the
    #: provider lacks.
    suites: tuple[CipherSuite, ...] = DEFAULT_SUITES
    #: A client sends a key share of the first one.
    groups: tuple[NamedGroup, ...] = AVAILABLE_GROUPS
    signature_schemes: tuple[SignatureScheme, ...] = AVAILABLE_SCHEMES
    #: Makes each connection ID that the peer is to send with, all of one length; None: the peer
    #: sends with none. A server that routes by them needs unique ones (RFC 9146; RFC 9147, 9).
    connection_id: Callable[[], bytes] | None = None
    #: The application protocols, preferred first (RFC 7301). A server refuses clients that offer
    #: some, but none of these.
    alpn_protocols: tuple[str, ...] = ()
    #: Whether a client offers values that servers have to ignore (RFC 8701).
    grease: bool = False
    #: Keys that were agreed on by other means; a client offers all of them, in this order.
    psks: tuple[ExternalPsk, ...] = ()
    #: How PSKs and tickets are used, preferred first; psk_ke gives up forward secrecy.
    psk_modes: tuple[PskMode, ...] = (PskMode.PSK_DHE_KE,)
    #: Seals the tickets with which a server's clients may resume their sessions; None: no tickets.
    tickets: TicketIssuer | None = None
    #: How many bytes of early data a client sends at most, or a server takes with each ticket. It
    #: is not as well protected as other data: RFC 8446, 8 and E.5.
    max_early_data: int = 0
    #: Largest datagram to send, in bytes.
    mtu: int = 1200
    #: First retransmission time-out in seconds, and the longest (RFC 9147, 5.8.2).
    retransmission_timeout: float = 1.0
    max_retransmission_timeout: float = 60.0
    #: Seconds after which a handshake that is incomplete, or a KeyUpdate or a ticket without its
    #: ACK, ends the connection.
    handshake_timeout: float = 60.0
    #: Longest handshake message to take, in bytes; twice of it bounds the memory for fragments.
    max_handshake_message: int = 65_536
    #: After so many records under one key, a KeyUpdate changes it. AES-CCM's limit is 2**23.
    update_keys_after: int = 1 << 22
    #: The time at which certificates have to be valid, and by which tickets age.
    verification_time: Callable[[], datetime] = _utc_now
    key_log: KeyLog | None = None
    #: Where the random of the hello comes from; the argument is a count of bytes.
    random: Callable[[int], bytes] = field(default=os.urandom, repr=False)

    def __post_init__(self) -> None:
        if self.suites is DEFAULT_SUITES and not self.provider.suites.issuperset(DEFAULT_SUITES):
            there = tuple(suite for suite in DEFAULT_SUITES if suite in self.provider.suites)
            object.__setattr__(self, "suites", there)
        for name in ("suites", "groups", "signature_schemes", "psk_modes"):
            _require(bool(getattr(self, name)), name, "at least one", ())
        for name, available in (
            ("groups", AVAILABLE_GROUPS),
            ("signature_schemes", AVAILABLE_SCHEMES),
        ):
            chosen = getattr(self, name)
            _require(set(chosen) <= set(available), name, "what this pyca/cryptography has", chosen)
        missing = set(self.suites) - self.provider.suites
        _require(not missing, "suites", f"what provider {self.provider.name} has", self.suites)
        largest_mtu = self._largest_mtu()
        _require(
            _SMALLEST_MTU <= self.mtu <= largest_mtu,
            "mtu",
            f"{_SMALLEST_MTU} .. {largest_mtu} bytes",
            self.mtu,
        )
        for protocol in self.alpn_protocols:
            _require(
                0 < len(protocol.encode()) < 256, "alpn_protocols", "of 1 .. 255 bytes", protocol
            )
        for name in ("retransmission_timeout", "handshake_timeout", "max_handshake_message"):
            _require(getattr(self, name) > 0, name, "more than 0", getattr(self, name))
        _require(
            self.max_retransmission_timeout >= self.retransmission_timeout,
            "max_retransmission_timeout",
            "no less than retransmission_timeout",
            self.max_retransmission_timeout,
        )
        _require(
            0 <= self.max_early_data <= _MOST_EARLY_DATA,
            "max_early_data",
            f"0 .. {_MOST_EARLY_DATA} bytes",
            self.max_early_data,
        )
        TrustedKeys(self.trusted_keys)
        for psk in self.psks:
            usable = any(same_hash(psk.suite, suite) for suite in self.suites)
            _require(usable, "psks", "of a hash that one of the suites has", psk)
        limit = min(suite.parameters.seal_limit for suite in self.suites)
        _require(
            0 < self.update_keys_after < limit,
            "update_keys_after",
            f"1 .. {limit - 1} records",
            self.update_keys_after,
        )

    @property
    def longest_connection_id(self) -> int:
        """How long the peer's connection IDs may be, in bytes, so that records have room."""
        return min(self.provider.longest_connection_id, self.mtu - _SMALLEST_MTU_WITHOUT_ID)

    def _largest_mtu(self) -> int:
        """A datagram is cut into records of at most its size: the provider has to take them."""
        largest_content = self.provider.largest_content
        return _LARGEST_MTU if largest_content >= LONGEST_CONTENT else largest_content

    @cached_property
    def chain_verifier(self) -> ChainVerifier:
        """What verifies the peer's chain; it remembers chains for all connections."""
        return ChainVerifier(self.trust)

    @cached_property
    def key_verifier(self) -> TrustedKeys:
        """What knows the peers' raw public keys."""
        return TrustedKeys(self.trusted_keys)

    @cached_property
    def own_certificate_types(self) -> tuple[CertificateType, ...]:
        """What we can authenticate ourselves with, preferred first."""
        return _certificate_types(raw=bool(self.raw_key), x509=bool(self.all_credentials))

    @cached_property
    def peer_certificate_types(self) -> tuple[CertificateType, ...]:
        """What we take from peers, preferred first; none if we do not ask for it."""
        return _certificate_types(raw=bool(self.trusted_keys), x509=bool(self.trust))

    @property
    def all_credentials(self) -> tuple[Credentials, ...]:
        """The credentials to choose from, preferred first."""
        if isinstance(self.credentials, Credentials):
            return (self.credentials,)
        return self.credentials or ()

    def check_client(self) -> None:
        """Raises `UsageError` for what a client lacks."""
        if not self.trust and (self.psks or self.trusted_keys):
            return
        _require(bool(self.trust), "trust", "the roots that a client trusts", self.trust)
        _require(bool(self.server_name), "server_name", "set for a client", self.server_name)
        self.chain_verifier.check_server_name(self.server_name or "")

    def check_server(self) -> None:
        """Raises `UsageError` for what a server lacks."""
        usable = bool(self.own_certificate_types or self.psks)
        _require(usable, "credentials", "set for a server without a raw_key or psks", None)

    def external_psk(self, identity: bytes) -> ExternalPsk | None:
        """The one of `psks` with that identity, if there is one."""
        return self._psks_by_identity.get(identity)

    @cached_property
    def _psks_by_identity(self) -> dict[bytes, ExternalPsk]:
        return {psk.identity: psk for psk in self.psks}


def _certificate_types(*, raw: bool, x509: bool) -> tuple[CertificateType, ...]:
    there = {CertificateType.RAW_PUBLIC_KEY: raw, CertificateType.X509: x509}
    return tuple(kind for kind, is_there in there.items() if is_there)


def _require(holds: bool, name: str, expected: str, value: object) -> None:
    if not holds:
        raise UsageError(f"{name} must be {expected}, not {value!r}")
