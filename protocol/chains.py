"""The verification of the peer's certificate chain (RFC 8446, 4.4.2; RFC 5280).

Path building and its rules are those of pyca/cryptography's verifier: version 3 certificates;
basicConstraints and keyUsage with keyCertSign in those of CAs; a subjectAltName in the peer's own
(the common name is not looked at); P-256, P-384, P-521, RSA and ML-DSA keys, Ed25519 and
id-RSASSA-PSS in the peer's own certificate only. Added here: RSA keys of 2048 bits,
digitalSignature (RFC 8446, 4.4.2.2), alerts.
"""

import hashlib
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.verification import (
    PolicyBuilder,
    ServerVerifier,
    Store,
    VerificationError,
)

from protocol.alerts import AlertDescription, ProtocolViolation, UsageError
from protocol.certificates import is_for_signatures, key_problem, subject
from protocol.chain_signatures import CHAIN_SCHEMES
from protocol.signatures import PublicKey, fits

#: More certificates than any sound chain has; it bounds the work that a peer can cause.
_LONGEST_CHAIN = 10
#: How many good chains are remembered.
_REMEMBERED = 256
#: What pyca/cryptography raises for a damaged certificate: at once, or for the part looked at.
_MALFORMED = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True)
class _Verified:
    """A chain that was found good, and when it is."""

    leaf: x509.Certificate
    begin: datetime
    end: datetime


class ChainVerifier:
    """Verifies chains that must lead to one of the certificates in ``trust``.

    A chain that was good is so again at any time at which all certificates of its path are valid:
    nothing else in its verification depends on the time. So it is not verified anew, while it is
    one of the `_REMEMBERED` last ones.
    """

    def __init__(self, trust: Sequence[x509.Certificate]) -> None:
        self._trust = tuple(trust)
        self._policy = PolicyBuilder().store(Store(list(trust))) if trust else None
        self._checked_name: str | None = None
        #: By a hash of chain and server name; the latest one is the last.
        self._good: OrderedDict[bytes, _Verified] = OrderedDict()

    def verify_server(
        self, chain_der: Sequence[bytes], server_name: str, now: datetime
    ) -> x509.Certificate:
        """Verify a server's chain for ``server_name``, a DNS name or an IP address, at ``now``.

        Returns the server's own certificate, whose key verifies its CertificateVerify. ``now``
        needs a time zone. Raises `UsageError` for a server name, trust or time that is unusable,
        and `ProtocolViolation` with the alert of RFC 8446, 6.2:

        - decode_error: no certificate at all (RFC 8446, 4.4.2.4);
        - certificate_expired: a certificate of the path is not valid now;
        - unsupported_certificate: a kind or size of key that is not taken;
        - unknown_ca: nobody in ``trust`` stands behind the chain, so also for a self-signed one;
        - bad_certificate: anything else. That is where a wrong name goes: the RFC has no alert for
          it (unrecognized_name is a server's answer to a name), and OpenSSL sends this one too.
        """
        if not chain_der:
            raise ProtocolViolation(AlertDescription.DECODE_ERROR, "the server has no certificate")
        key = _digest(b"server " + server_name.encode(), chain_der)
        verified = self._remembered(key, now)
        if verified is None:
            verifier = _server_verifier(server_name, self._at(now))
            verified = self._verify(verifier.verify, chain_der, now, f"for {server_name!r}")
            self._remember(key, verified)
        return verified.leaf

    def verify_client(self, chain_der: Sequence[bytes], now: datetime) -> x509.Certificate:
        """Verify a client's chain at ``now``; as `verify_server`, without a name.

        No certificate at all is certificate_required (RFC 8446, 4.4.2.4).
        """
        if not chain_der:
            raise ProtocolViolation(
                AlertDescription.CERTIFICATE_REQUIRED, "the client has no certificate"
            )
        key = _digest(b"client", chain_der)
        verified = self._remembered(key, now)
        if verified is None:
            verifier = self._at(now).build_client_verifier()
            verified = self._verify(
                lambda leaf, others: verifier.verify(leaf, others).chain,
                chain_der,
                now,
                "as a client's",
            )
            self._remember(key, verified)
        return verified.leaf

    def check_server_name(self, server_name: str) -> None:
        """Raises `UsageError` for what `verify_server` could never take."""
        if server_name != self._checked_name:  # each client of a config asks for the same one
            _server_verifier(server_name, self._builder)
            self._checked_name = server_name

    @property
    def _builder(self) -> PolicyBuilder:
        if self._policy is None:
            raise UsageError("there is no trusted certificate to verify the peer with")
        return self._policy

    def _at(self, now: datetime) -> PolicyBuilder:
        if now.tzinfo is None:
            raise UsageError(f"the time {now} has no time zone")
        return self._builder.time(now)

    def _remembered(self, key: bytes, now: datetime) -> _Verified | None:
        verified = self._good.get(key)
        if verified is None or now.tzinfo is None or not verified.begin <= now <= verified.end:
            return None
        self._good.move_to_end(key)
        return verified

    def _remember(self, key: bytes, verified: _Verified) -> None:
        self._good[key] = verified
        if len(self._good) > _REMEMBERED:
            self._good.popitem(last=False)

    def _verify(
        self,
        verifier: Callable[[x509.Certificate, list[x509.Certificate]], list[x509.Certificate]],
        chain_der: Sequence[bytes],
        now: datetime,
        purpose: str,
    ) -> _Verified:
        if len(chain_der) > _LONGEST_CHAIN:
            raise _bad_certificate(
                f"a chain of {len(chain_der)} certificates, over {_LONGEST_CHAIN}"
            )
        with warnings.catch_warnings():
            # What a peer's certificate holds is no reason to warn our user.
            warnings.simplefilter("ignore", UserWarning)
            try:
                chain = [x509.load_der_x509_certificate(der) for der in chain_der]
                _check_leaf(chain[0])
                try:
                    path = verifier(chain[0], chain[1:])
                except VerificationError as error:
                    raise _diagnose(chain, self._trust, now, f"{purpose}: {error}") from None
            except _MALFORMED as error:
                raise _bad_certificate(f"the certificate is malformed: {error}") from None
        return _Verified(
            chain[0],
            max(certificate.not_valid_before_utc for certificate in path),
            min(certificate.not_valid_after_utc for certificate in path),
        )


def _digest(purpose: bytes, chain_der: Sequence[bytes]) -> bytes:
    """SHA-256 over length and content of each part, so that no two inputs look the same."""
    digest = hashlib.sha256()
    for part in (purpose, *chain_der):
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()


def _server_verifier(server_name: str, policy: PolicyBuilder) -> ServerVerifier:
    try:
        return policy.build_server_verifier(_subject_to_verify(server_name))
    except ValueError as error:
        raise UsageError(f"server name {server_name!r}: {error}") from None


@lru_cache
def _subject_to_verify(server_name: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ip_address(server_name))
    except ValueError:
        return x509.DNSName(server_name)


def _check_leaf(leaf: x509.Certificate) -> None:
    """What CertificateVerify asks of the peer's own certificate (RFC 8446, 4.4.2.2)."""
    if problem := key_problem(PublicKey.of_certificate(leaf)):
        raise ProtocolViolation(
            AlertDescription.UNSUPPORTED_CERTIFICATE,
            f"the key of the certificate of {subject(leaf)} is {problem}",
        )
    if not is_for_signatures(leaf):
        raise _bad_certificate(f"the certificate of {subject(leaf)} is not for signatures")


def _diagnose(
    chain: Sequence[x509.Certificate],
    trust: Sequence[x509.Certificate],
    now: datetime,
    details: str,
) -> ProtocolViolation:
    """Why the verifier refused the chain; it says so in words only, and alerts need a reason."""
    issuers = {certificate.issuer for certificate in chain}
    path = [*chain, *(root for root in trust if root.subject in issuers)]
    for certificate in path:
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not begin <= now <= end:
            return ProtocolViolation(
                AlertDescription.CERTIFICATE_EXPIRED,
                f"the certificate of {subject(certificate)} is valid from {begin} to {end}, "
                f"not at {now}",
            )
    for kind in (PublicKey.of_certificate(certificate).kind for certificate in path[1:]):
        if not any(fits(kind, scheme) for scheme in CHAIN_SCHEMES):
            return ProtocolViolation(
                AlertDescription.UNSUPPORTED_CERTIFICATE, f"the key of a CA is of kind {kind}"
            )
    if not _reaches_trust(chain, trust):
        return ProtocolViolation(
            AlertDescription.UNKNOWN_CA,
            f"no trusted CA stands behind the certificate of {subject(chain[0])}, "
            f"issued by {chain[0].issuer.rfc4514_string()!r}",
        )
    return _bad_certificate(f"the certificate does not pass {details}")


def _reaches_trust(chain: Sequence[x509.Certificate], trust: Sequence[x509.Certificate]) -> bool:
    """Whether signatures lead from the first certificate of the chain to a trusted one."""
    current, rest = chain[0], list(chain[1:])
    while current not in trust and not any(_is_issuer(root, current) for root in trust):
        issuer = next((other for other in rest if _is_issuer(other, current)), None)
        if issuer is None:
            return False
        rest.remove(issuer)
        current = issuer
    return True


def _is_issuer(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _bad_certificate(message: str) -> ProtocolViolation:
    return ProtocolViolation(AlertDescription.BAD_CERTIFICATE, message)
