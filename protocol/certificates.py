"""Our certificates and keys, and the verification of the peer's chain (RFC 8446, 4.4.2; RFC 5280).

The path building and its rules are those of pyca/cryptography's verifier.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509

from protocol.alerts import LocalError
from protocol.signatures import PrivateKey


class CredentialsError(LocalError):
    """A certificate or key of ours that cannot be loaded or used."""


@dataclass(frozen=True)
class Credentials:
    """What one side authenticates itself with.

    ``chain``: its own certificate first, then the issuers (the root may be left out). Raises
    `CredentialsError` when the key does not belong to the first certificate.
    """

    chain: tuple[x509.Certificate, ...]
    private_key: PrivateKey = field(repr=False)

    @property
    def chain_der(self) -> tuple[bytes, ...]:
        """The chain as the Certificate message carries it."""
        raise NotImplementedError

    @classmethod
    def from_pem_files(
        cls, chain: Path, private_key: Path, password: bytes | None = None
    ) -> "Credentials":
        """Load both from PEM files; raises `CredentialsError` naming the file and the problem."""
        raise NotImplementedError


def load_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file, such as the trusted roots; raises `CredentialsError`."""
    raise NotImplementedError


def verify_chain(
    chain_der: Sequence[bytes],
    server_name: str,
    trust: Sequence[x509.Certificate],
    now: datetime,
) -> x509.Certificate:
    """Verify a server's chain for ``server_name``, a DNS name or an IP address, at ``now``.

    Returns the server's own certificate, whose key verifies its CertificateVerify. ``now`` needs a
    time zone. Raises `ProtocolViolation` with bad_certificate, unsupported_certificate,
    certificate_expired or unknown_ca; `UsageError` for a server name or time that is unusable.
    """
    raise NotImplementedError


def verify_client_chain(
    chain_der: Sequence[bytes], trust: Sequence[x509.Certificate], now: datetime
) -> x509.Certificate:
    """Verify a client's chain at ``now``; as `verify_chain`, without a name."""
    raise NotImplementedError
