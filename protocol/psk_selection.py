"""Which PSK of a ClientHello a server takes (RFC 8446, 4.2.11)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding

from protocol.config import ConnectionConfig
from protocol.crypto.suites import CipherSuite
from protocol.extensions import SERVER_NAME
from protocol.handshake_messages import ClientHello
from protocol.psk import ExternalPsk, Psk
from protocol.psk_extensions import OFFERED_PSKS, PSK_MODES, OfferedPsks, PskMode
from protocol.session import Session
from protocol.tickets import IssuedTicket

#: How many identities of a ClientHello are looked at; it bounds the work that a client can cause.
_MOST_IDENTITIES = 8


@dataclass(frozen=True)
class SelectedPsk:
    """A PSK of a ClientHello that we know; its binder is still to be checked."""

    #: Its place among those offered.
    index: int
    offered: OfferedPsks
    psk: Psk
    #: What it comes from.
    source: IssuedTicket | ExternalPsk
    #: The suite to negotiate.
    suite: CipherSuite
    mode: PskMode

    @property
    def binder(self) -> bytes:
        """The client's proof that it has the key."""
        return self.offered.binders[self.index]

    @property
    def obfuscated_age(self) -> int:
        """The age of the ticket, as the client gives it."""
        return self.offered.identities[self.index].obfuscated_ticket_age


def select_psk(
    config: ConnectionConfig, hello: ClientHello, suites: Sequence[CipherSuite]
) -> SelectedPsk | None:
    """The first PSK that we know, in a mode that both sides have.

    ``suites``: those that both sides have, best first. None if there is no such PSK: what is
    unknown is ignored. Raises missing_extension for PSKs without psk_key_exchange_modes.
    """
    offered = OFFERED_PSKS.read(hello.extensions)
    if offered is None:
        return None
    mode = common_mode(config, PSK_MODES.require(hello.extensions))
    if mode is None:
        return None
    server_name = SERVER_NAME.read(hello.extensions)
    for index, (identity, _) in enumerate(offered.identities[:_MOST_IDENTITIES]):
        source = _find(config, identity, server_name)
        if source is None:
            continue
        psk = source.psk() if isinstance(source, ExternalPsk) else source.psk(identity)
        suite = next((suite for suite in suites if psk.fits(suite)), None)
        if suite is not None:
            return SelectedPsk(index, offered, psk, source, suite, mode)
    return None


def common_mode(config: ConnectionConfig, offered: Sequence[int]) -> PskMode | None:
    """The first of our modes that the client has."""
    return next((mode for mode in config.psk_modes if mode in offered), None)


def ticket_context(config: ConnectionConfig) -> bytes:
    """What a ticket is bound to beside its key: whom the server trusts.

    A ticket tells who the client is, and servers that trust others must not believe it.
    """
    digest = hashlib.sha256()
    for root in config.trust:
        digest.update(hashlib.sha256(root.public_bytes(Encoding.DER)).digest())
    return digest.digest()


def _find(
    config: ConnectionConfig, identity: bytes, server_name: str | None
) -> IssuedTicket | ExternalPsk | None:
    external = config.external_psk(identity)
    if external is not None or config.tickets is None:
        return external
    now = config.verification_time()
    issued = config.tickets.open(identity, ticket_context(config), now.timestamp())
    if issued is None or issued.session.server_name != server_name:
        return None
    return issued if _is_still_authentic(config, issued.session, now) else None


def _is_still_authentic(config: ConnectionConfig, session: Session, now: datetime) -> bool:
    """Whether we would still take what the client proved who it is by."""
    if session.psk_identity is not None:
        return config.external_psk(session.psk_identity) is not None
    if session.peer_certificate is not None:
        return now < session.peer_certificate.not_valid_after_utc
    if session.peer_raw_key is not None:
        return config.key_verifier.find(session.peer_raw_key) is not None
    return not config.peer_certificate_types
