"""Our certificates and keys, and the verification of the peer's chain (RFC 8446, 4.4.2; RFC 5280).

Path building and its rules are those of pyca/cryptography's verifier: version 3 certificates;
basicConstraints and keyUsage with keyCertSign in those of CAs; a subjectAltName in the peer's own
(the common name is not looked at); P-256, P-384, P-521 and RSA keys, Ed25519 in the peer's own
certificate only. Added here: RSA keys of 2048 bits, digitalSignature (RFC 8446, 4.4.2.2), alerts.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.verification import (
    PolicyBuilder,
    ServerVerifier,
    Store,
    VerificationError,
)

from protocol.alerts import AlertDescription, LocalError, ProtocolViolation, UsageError
from protocol.signatures import PrivateKey, SignatureScheme, fits, key_kind

_SHORTEST_RSA_KEY = 2048
#: More certificates than any sound chain has; it bounds the work that a peer can cause.
_LONGEST_CHAIN = 10
#: What pyca/cryptography raises for a damaged certificate: at once, or for the part looked at.
_MALFORMED = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


class CredentialsError(LocalError):
    """A certificate or key of ours that cannot be loaded or used."""


@dataclass(frozen=True)
class Credentials:
    """What one side authenticates itself with.

    ``chain``: its own certificate first, then the issuers (the root may be left out). Raises
    `CredentialsError` when the key does not belong to the first certificate, or is of a kind that
    no signature scheme needs.
    """

    chain: tuple[x509.Certificate, ...]
    private_key: PrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        if not self.chain:
            raise CredentialsError("there is no certificate in the chain")
        if problem := _key_problem(self.private_key):
            raise CredentialsError(f"the private key is {problem}")
        if self.chain[0].public_key() != self.private_key.public_key():
            raise CredentialsError(
                f"the private key does not belong to the certificate of {_subject(self.chain[0])}"
            )

    @property
    def chain_der(self) -> tuple[bytes, ...]:
        """The chain as the Certificate message carries it."""
        return tuple(certificate.public_bytes(Encoding.DER) for certificate in self.chain)

    @classmethod
    def from_pem_files(
        cls, chain: Path, private_key: Path, password: bytes | None = None
    ) -> "Credentials":
        """Load both from PEM files; raises `CredentialsError` naming the file and the problem."""
        certificates, key = load_certificates(chain), _load_private_key(private_key, password)
        try:
            return cls(certificates, key)
        except CredentialsError as error:
            raise CredentialsError(f"{chain}, {private_key}: {error}") from None


def load_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file, such as the trusted roots; raises `CredentialsError`."""
    try:
        return tuple(x509.load_pem_x509_certificates(_read(path)))
    except ValueError:
        raise CredentialsError(f"{path}: no certificate in PEM form") from None


def verify_chain(
    chain_der: Sequence[bytes],
    server_name: str,
    trust: Sequence[x509.Certificate],
    now: datetime,
) -> x509.Certificate:
    """Verify a server's chain for ``server_name``, a DNS name or an IP address, at ``now``.

    Returns the server's own certificate, whose key verifies its CertificateVerify. ``now`` needs a
    time zone. Raises `UsageError` for a server name, trust or time that is unusable, and
    `ProtocolViolation` with the alert of RFC 8446, 6.2:

    - decode_error: no certificate at all (RFC 8446, 4.4.2.4);
    - certificate_expired: a certificate of the path is not valid now;
    - unsupported_certificate: a kind or size of key that is not taken;
    - unknown_ca: nobody in ``trust`` stands behind the chain, so also for a self-signed one;
    - bad_certificate: anything else. That is where a wrong name goes: the RFC has no alert for it
      (unrecognized_name is a server's answer to a name), and OpenSSL sends this one too.
    """
    server = _server_verifier(server_name, _policy(trust, now))
    if not chain_der:
        raise ProtocolViolation(AlertDescription.DECODE_ERROR, "the server has no certificate")
    return _verify(server.verify, chain_der, trust, now, f"for {server_name!r}")


def check_server_name(server_name: str, trust: Sequence[x509.Certificate]) -> None:
    """Raises `UsageError` for what `verify_chain` could never take, before there is a chain."""
    _server_verifier(server_name, _store(trust))


def verify_client_chain(
    chain_der: Sequence[bytes], trust: Sequence[x509.Certificate], now: datetime
) -> x509.Certificate:
    """Verify a client's chain at ``now``; as `verify_chain`, without a name.

    No certificate at all is certificate_required (RFC 8446, 4.4.2.4).
    """
    client = _policy(trust, now).build_client_verifier()
    if not chain_der:
        raise ProtocolViolation(
            AlertDescription.CERTIFICATE_REQUIRED, "the client has no certificate"
        )
    return _verify(client.verify, chain_der, trust, now, "as a client's")


def _store(trust: Sequence[x509.Certificate]) -> PolicyBuilder:
    if not trust:
        raise UsageError("there is no trusted certificate to verify the peer with")
    return PolicyBuilder().store(Store(list(trust)))


def _policy(trust: Sequence[x509.Certificate], now: datetime) -> PolicyBuilder:
    if now.tzinfo is None:
        raise UsageError(f"the time {now} has no time zone")
    return _store(trust).time(now)


def _server_verifier(server_name: str, policy: PolicyBuilder) -> ServerVerifier:
    try:
        return policy.build_server_verifier(_subject_to_verify(server_name))
    except ValueError as error:
        raise UsageError(f"server name {server_name!r}: {error}") from None


def _subject_to_verify(server_name: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ip_address(server_name))
    except ValueError:
        return x509.DNSName(server_name)


def _verify(
    verifier: Callable[[x509.Certificate, list[x509.Certificate]], object],
    chain_der: Sequence[bytes],
    trust: Sequence[x509.Certificate],
    now: datetime,
    purpose: str,
) -> x509.Certificate:
    if len(chain_der) > _LONGEST_CHAIN:
        raise _bad_certificate(f"a chain of {len(chain_der)} certificates, over {_LONGEST_CHAIN}")
    with warnings.catch_warnings():
        # What a peer's certificate holds is no reason to warn our user.
        warnings.simplefilter("ignore", UserWarning)
        try:
            chain = [x509.load_der_x509_certificate(der) for der in chain_der]
            _check_leaf(chain[0])
            try:
                verifier(chain[0], chain[1:])
            except VerificationError as error:
                raise _diagnose(chain, trust, now, f"{purpose}: {error}") from None
        except _MALFORMED as error:
            raise _bad_certificate(f"the certificate is malformed: {error}") from None
        return chain[0]


def _check_leaf(leaf: x509.Certificate) -> None:
    """What CertificateVerify asks of the peer's own certificate (RFC 8446, 4.4.2.2)."""
    if problem := _key_problem(leaf.public_key()):
        raise ProtocolViolation(
            AlertDescription.UNSUPPORTED_CERTIFICATE,
            f"the key of the certificate of {_subject(leaf)} is {problem}",
        )
    try:
        key_usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not key_usage.digital_signature:
        raise _bad_certificate(f"the certificate of {_subject(leaf)} is not for signatures")


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
                f"the certificate of {_subject(certificate)} is valid from {begin} to {end}, "
                f"not at {now}",
            )
    if any(key_kind(certificate.public_key()) == "ed25519" for certificate in path[1:]):
        return ProtocolViolation(
            AlertDescription.UNSUPPORTED_CERTIFICATE, "the key of a CA is an Ed25519 key"
        )
    if not _reaches_trust(chain, trust):
        return ProtocolViolation(
            AlertDescription.UNKNOWN_CA,
            f"no trusted CA stands behind the certificate of {_subject(chain[0])}, "
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


def _key_problem(key: object) -> str | None:
    """What is wrong with a key, private or public, or None if it can be used."""
    if not any(fits(key, scheme) for scheme in SignatureScheme):
        return f"of a kind that is not supported: {key_kind(key)}"
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey) and key.key_size < _SHORTEST_RSA_KEY:
        return f"an RSA key of {key.key_size} bits, under {_SHORTEST_RSA_KEY}"
    return None


def _load_private_key(path: Path, password: bytes | None) -> PrivateKey:
    try:
        key = load_pem_private_key(_read(path), password)
    except TypeError:
        needed = "is encrypted, a password is needed" if password is None else "is not encrypted"
        raise CredentialsError(f"{path}: the private key {needed}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CredentialsError(
            f"{path}: no private key in PEM form, or the password is wrong"
        ) from None
    if not isinstance(
        key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
    ):
        raise CredentialsError(f"{path}: the private key is {_key_problem(key)}")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialsError(f"{path}: {error.strerror}") from None


def _subject(certificate: x509.Certificate) -> str:
    return repr(certificate.subject.rfc4514_string())


def _bad_certificate(message: str) -> ProtocolViolation:
    return ProtocolViolation(AlertDescription.BAD_CERTIFICATE, message)
