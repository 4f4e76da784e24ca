"""Which of our credentials to use, and what to ask of the peer's (RFC 8446, 4.4.2.2, 4.4.2.3)."""

from collections.abc import Sequence
from functools import lru_cache

from cryptography import x509

from protocol.alerts import AlertDescription, ProtocolViolation
from protocol.certificates import Credentials
from protocol.chain_signatures import CHAIN_SCHEMES
from protocol.extensions import (
    CERTIFICATE_AUTHORITIES,
    SERVER_NAME,
    SIGNATURE_ALGORITHMS,
    SIGNATURE_ALGORITHMS_CERT,
    Extension,
    Extensions,
)
from protocol.signatures import fits

#: Who trusts more names than fit this many bytes (the roots of the web) does not list them.
_MOST_AUTHORITIES_BYTES = 4096


def server_credentials(own: Sequence[Credentials], hello: Extensions) -> Credentials:
    """The server's credentials for a client, by the extensions of its ClientHello.

    Their key has to fit the client's signature_algorithms. Of those that do, the best ones name the
    server that the client asks for; then have signatures that the client takes in certificates;
    then come from a CA that it names; then stand first. None of this is more than a preference:
    who offers a single chain sends that one (RFC 8446, 4.4.2.2).

    Raises `ProtocolViolation`: missing_extension without signature_algorithms, handshake_failure
    when no key fits.
    """
    usable = _usable(own, hello)
    if not usable:
        kinds = ", ".join(credentials.kind for credentials in own)
        raise ProtocolViolation(
            AlertDescription.HANDSHAKE_FAILURE,
            f"the client takes no signature of {kinds}",
        )
    if len(usable) == 1:
        return usable[0]
    name, schemes, authorities = SERVER_NAME.read(hello), _chain_schemes(hello), _authorities(hello)

    def merits(credentials: Credentials) -> tuple[bool, ...]:
        return (
            name is not None and credentials.is_for(name),
            credentials.signed_with(schemes),
            not authorities.isdisjoint(credentials.issuers),
        )

    return max(usable, key=merits)


def client_credentials(own: Sequence[Credentials], request: Extensions) -> Credentials | None:
    """The client's credentials for a server, by the extensions of its CertificateRequest.

    None when there are none whose key and certificates have signatures that the server takes, which
    is required (RFC 8446, 4.4.2.3); rather those from a CA that it names, then those that stand
    first. Raises missing_extension without signature_algorithms.
    """
    schemes, authorities = _chain_schemes(request), _authorities(request)
    usable = [
        credentials for credentials in _usable(own, request) if credentials.signed_with(schemes)
    ]
    return max(usable, key=lambda c: not authorities.isdisjoint(c.issuers), default=None)


@lru_cache
def signature_extensions(schemes: tuple[int, ...]) -> tuple[Extension, ...]:
    """What signatures we take: of the peer itself, and in its certificates."""
    return SIGNATURE_ALGORITHMS.make(schemes), SIGNATURE_ALGORITHMS_CERT.make(CHAIN_SCHEMES)


def authorities_extension(trust: Sequence[x509.Certificate]) -> list[Extension]:
    """certificate_authorities with the names of the roots; no extension if they are too many."""
    names = dict.fromkeys(certificate.subject.public_bytes() for certificate in trust)
    if not 0 < sum(map(len, names)) <= _MOST_AUTHORITIES_BYTES:
        return []
    return [CERTIFICATE_AUTHORITIES.make(tuple(names))]


def _usable(own: Sequence[Credentials], extensions: Extensions) -> list[Credentials]:
    schemes = SIGNATURE_ALGORITHMS.require(extensions)
    return [c for c in own if any(fits(c.kind, scheme) for scheme in schemes)]


def _chain_schemes(extensions: Extensions) -> Sequence[int]:
    """For signatures in certificates (RFC 8446, 4.2.3)."""
    schemes = SIGNATURE_ALGORITHMS_CERT.read(extensions)
    return SIGNATURE_ALGORITHMS.require(extensions) if schemes is None else schemes


def _authorities(extensions: Extensions) -> frozenset[bytes]:
    return frozenset(CERTIFICATE_AUTHORITIES.read(extensions) or ())
