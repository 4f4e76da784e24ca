"""Our certificates and keys: what one side authenticates itself with (RFC 8446, 4.4.2)."""

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from protocol.alerts import LocalError
from protocol.chain_signatures import certificate_schemes
from protocol.signatures import AVAILABLE_SCHEMES, PrivateKey, PublicKey, fits, key_kind

_SHORTEST_RSA_KEY = 2048


class CredentialsError(LocalError):
    """A certificate or key of ours that cannot be loaded or used."""


@dataclass(frozen=True)
class Credentials:
    """What one side authenticates itself with.

    ``chain``: its own certificate first, then the issuers (the root may be left out). Raises
    `CredentialsError` when the key does not belong to the first certificate, or is of a kind that
    no signature scheme needs, or when the certificate is not for signatures.
    """

    chain: tuple[x509.Certificate, ...]
    private_key: PrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        if not self.chain:
            raise CredentialsError("there is no certificate in the chain")
        if problem := key_problem(PublicKey(key_kind(self.private_key), self.private_key)):
            raise CredentialsError(f"the private key is {problem}")
        if self.chain[0].public_key() != self.private_key.public_key():
            raise CredentialsError(
                f"the private key does not belong to the certificate of {subject(self.chain[0])}"
            )
        if not is_for_signatures(self.chain[0]):
            raise CredentialsError(
                f"the certificate of {subject(self.chain[0])} is not for signatures"
            )

    @cached_property
    def kind(self) -> str:
        """The kind of key that the certificate is for, as `protocol.signatures` names it."""
        return PublicKey.of_certificate(self.chain[0]).kind

    @cached_property
    def chain_der(self) -> tuple[bytes, ...]:
        """The chain as the Certificate message carries it."""
        return tuple(certificate.public_bytes(Encoding.DER) for certificate in self.chain)

    @cached_property
    def issuers(self) -> frozenset[bytes]:
        """The names, in DER, of those who issued the certificates of the chain."""
        return frozenset(certificate.issuer.public_bytes() for certificate in self.chain)

    def is_for(self, server_name: str) -> bool:
        """Whether the certificate names this DNS name, or has a wildcard for it (RFC 6125, 6.4)."""
        name = server_name.lower().removesuffix(".")
        return name in self._dns_names or f"*.{name.partition('.')[2]}" in self._dns_names

    def signed_with(self, schemes: Collection[int]) -> bool:
        """Whether each certificate is signed with one of these (RFC 8446, 4.2.3).

        A self-signed one need not be: nobody verifies it.
        """
        return all(not signed.isdisjoint(schemes) for signed in self._signatures)

    @cached_property
    def _signatures(self) -> tuple[frozenset[int], ...]:
        return tuple(
            certificate_schemes(certificate)
            for certificate in self.chain
            if certificate.issuer != certificate.subject
        )

    @cached_property
    def _dns_names(self) -> frozenset[str]:
        try:
            names = self.chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return frozenset()
        return frozenset(name.lower() for name in names.value.get_values_for_type(x509.DNSName))

    @classmethod
    def from_pem_files(
        cls, chain: Path, private_key: Path, password: bytes | None = None
    ) -> "Credentials":
        """Load both from PEM files; raises `CredentialsError` naming the file and the problem."""
        certificates, key = load_certificates(chain), load_private_key(private_key, password)
        try:
            return cls(certificates, key)
        except CredentialsError as error:
            raise CredentialsError(f"{chain}, {private_key}: {error}") from None


def load_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file, such as the trusted roots; raises `CredentialsError`."""
    try:
        return tuple(x509.load_pem_x509_certificates(read_file(path)))
    except ValueError:
        raise CredentialsError(f"{path}: no certificate in PEM form") from None


def key_problem(key: PublicKey) -> str | None:
    """What is wrong with a key, or None if it can be used; the private half will do as well."""
    if not any(fits(key.kind, scheme) for scheme in AVAILABLE_SCHEMES):
        return f"of a kind that is not supported: {key.kind}"
    is_rsa = isinstance(key.key, rsa.RSAPrivateKey | rsa.RSAPublicKey)
    if is_rsa and key.key.key_size < _SHORTEST_RSA_KEY:
        return f"an RSA key of {key.key.key_size} bits, under {_SHORTEST_RSA_KEY}"
    return None


def is_for_signatures(certificate: x509.Certificate) -> bool:
    """Whether its keyUsage, if there is one, has digitalSignature (RFC 8446, 4.4.2.2)."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return usage.digital_signature


def subject(certificate: x509.Certificate) -> str:
    """Its subject, for messages."""
    return repr(certificate.subject.rfc4514_string())


def load_private_key(path: Path, password: bytes | None) -> PrivateKey:
    """The private key of a PEM file; raises `CredentialsError` naming the file and the problem."""
    try:
        key = load_pem_private_key(read_file(path), password)
    except TypeError:
        needed = "is encrypted, a password is needed" if password is None else "is not encrypted"
        raise CredentialsError(f"{path}: the private key {needed}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CredentialsError(
            f"{path}: no private key in PEM form, or the password is wrong"
        ) from None
    if problem := key_problem(PublicKey(key_kind(key), key)):
        raise CredentialsError(f"{path}: the private key is {problem}")
    return cast(PrivateKey, key)


def read_file(path: Path) -> bytes:
    """Its bytes; raises `CredentialsError` naming the file and the problem."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialsError(f"{path}: {error.strerror}") from None
