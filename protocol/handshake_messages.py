"""The bodies of the handshake messages (RFC 8446, 4; RFC 9147, 5.3 and 5.4).

Every message is a dataclass with its `HandshakeType` as ``msg_type``, ``encode() -> body`` and
``parse(body)``. A body has neither the TLS nor the DTLS header (see `protocol.handshake_framing`).
They are not frozen, nor is what they are cut into: that would treble the time it takes to make one.

``parse`` is strict: what does not have the syntax, trailing bytes included, raises `DecodeError`;
what has a value that the standards forbid raises `ProtocolViolation` with the alert that they name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, NoReturn

from protocol.alerts import AlertDescription, ProtocolViolation
from protocol.certificate_types import (
    CLIENT_CERTIFICATE_TYPE,
    CLIENT_CERTIFICATE_TYPES,
    SERVER_CERTIFICATE_TYPE,
    SERVER_CERTIFICATE_TYPES,
)
from protocol.extensions import (
    ALPN_PROTOCOLS,
    CERTIFICATE_AUTHORITIES,
    CLIENT_KEY_SHARES,
    CLIENT_VERSIONS,
    CONNECTION_ID,
    COOKIE,
    DTLS_1_2,
    DTLS_1_3,
    GREASE,
    RECORD_SIZE_LIMIT,
    RETRY_GROUP,
    SERVER_KEY_SHARE,
    SERVER_NAME,
    SERVER_NAME_USED,
    SERVER_VERSION,
    SIGNATURE_ALGORITHMS,
    SIGNATURE_ALGORITHMS_CERT,
    SUPPORTED_GROUPS,
    Codec,
    Extensions,
    Place,
)
from protocol.handshake_framing import HandshakeType
from protocol.psk_extensions import (
    EARLY_DATA,
    MAX_EARLY_DATA,
    OFFERED_PSKS,
    PSK_MODES,
    SELECTED_PSK,
)
from protocol.wire import Reader, uint, uints, vector

RANDOM_BYTES = 32
#: The random that makes a ServerHello a HelloRetryRequest: SHA-256 of those words (4.1.3).
RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
#: How the random of a server that has DTLS 1.3 ends if it selects an older version (4.1.3).
_DOWNGRADE_SENTINELS = (b"DOWNGRD\1", b"DOWNGRD\0")
_NO_COMPRESSION = b"\0"


def _by_type(*codecs: Codec[Any]) -> Mapping[int, Codec[Any]]:
    return {codec.type: codec for codec in codecs}


#: The extensions whose syntax is checked, since a side of ours reads them.
_IN_CLIENT_HELLO = _by_type(
    SUPPORTED_GROUPS,
    SIGNATURE_ALGORITHMS,
    SIGNATURE_ALGORITHMS_CERT,
    CERTIFICATE_AUTHORITIES,
    CLIENT_KEY_SHARES,
    COOKIE,
    SERVER_NAME,
    ALPN_PROTOCOLS,
    RECORD_SIZE_LIMIT,
    CONNECTION_ID,
    CLIENT_CERTIFICATE_TYPES,
    SERVER_CERTIFICATE_TYPES,
    PSK_MODES,
    EARLY_DATA,
    OFFERED_PSKS,
)
_IN_RETRY_REQUEST = _by_type(RETRY_GROUP, COOKIE)
_IN_SERVER_HELLO = _by_type(SERVER_KEY_SHARE, CONNECTION_ID, SELECTED_PSK)
_IN_ENCRYPTED_EXTENSIONS = _by_type(
    SERVER_NAME_USED,
    SUPPORTED_GROUPS,
    ALPN_PROTOCOLS,
    RECORD_SIZE_LIMIT,
    CLIENT_CERTIFICATE_TYPE,
    SERVER_CERTIFICATE_TYPE,
    EARLY_DATA,
)
_IN_CERTIFICATE_REQUEST = _by_type(SIGNATURE_ALGORITHMS_CERT, CERTIFICATE_AUTHORITIES)
_IN_NEW_SESSION_TICKET = _by_type(MAX_EARLY_DATA)


@dataclass
class ClientHello:
    """RFC 9147, 5.3. What `parse` returns offers DTLS 1.3, with the legacy fields as they must be.

    A hello that does not offer DTLS 1.3 is refused with protocol_version.
    """

    msg_type: ClassVar[HandshakeType] = HandshakeType.CLIENT_HELLO

    random: bytes
    #: 16-bit numbers, preferred first; those we do not know are kept.
    cipher_suites: tuple[int, ...]
    extensions: Extensions
    legacy_session_id: bytes = b""

    def encode(self) -> bytes:
        """The body."""
        return (
            uint(DTLS_1_2, 2)
            + self.random
            + vector(self.legacy_session_id, 1)
            + vector(b"", 1)  # legacy_cookie
            + uints(self.cipher_suites, 2, length_size=2)
            + vector(_NO_COMPRESSION, 1)
            + self.extensions.encode()
        )

    @classmethod
    @lru_cache(maxsize=1)  # a hello is looked at before it counts, and then again
    def parse(cls, body: bytes) -> "ClientHello":
        """Read a body, and the syntax of those extensions that a server of ours reads."""
        reader = Reader(body, "ClientHello")
        legacy_version, random = reader.uint(2), reader.take(RANDOM_BYTES)
        legacy_session_id = reader.vector(1, maximum=32)
        legacy_cookie = reader.vector(1)
        cipher_suites = reader.uints(2, length_size=2, minimum=2)
        compression = reader.vector(1, minimum=1)
        # Hellos of earlier versions may end here.
        extensions = (
            Extensions.parse(reader, Place.CLIENT_HELLO) if reader.remaining else Extensions()
        )
        reader.finish()
        versions = CLIENT_VERSIONS.read(extensions)
        if versions is None or DTLS_1_3 not in versions:
            raise ProtocolViolation(
                AlertDescription.PROTOCOL_VERSION, "the client does not offer DTLS 1.3"
            )
        _check("ClientHello.legacy_version", legacy_version == DTLS_1_2)
        _check("ClientHello.legacy_cookie", not legacy_cookie)
        _check("ClientHello.legacy_compression_methods", compression == _NO_COMPRESSION)
        extensions.read_all(_IN_CLIENT_HELLO)
        return cls(random, cipher_suites, extensions, legacy_session_id)


@dataclass
class ServerHello:
    """RFC 9147, 5.4; with `RETRY_RANDOM` as its random it is a HelloRetryRequest (8446, 4.1.4).

    What `parse` returns has selected DTLS 1.3, and no legacy field says otherwise; what the client
    alone can tell, that the suite was offered, is left to `check_answers`.
    """

    msg_type: ClassVar[HandshakeType] = HandshakeType.SERVER_HELLO

    random: bytes
    cipher_suite: int
    extensions: Extensions

    @property
    def is_hello_retry_request(self) -> bool:
        """Whether this is a HelloRetryRequest."""
        return self.random == RETRY_RANDOM

    def encode(self) -> bytes:
        """The body; the session ID of the client is never echoed (RFC 9147, 5)."""
        return (
            uint(DTLS_1_2, 2)
            + self.random
            + vector(b"", 1)  # legacy_session_id_echo
            + uint(self.cipher_suite, 2)
            + _NO_COMPRESSION
            + self.extensions.encode()
        )

    @classmethod
    @lru_cache(maxsize=1)  # a hello is looked at before it counts, and then again
    def parse(cls, body: bytes) -> "ServerHello":
        """Read a body, and the syntax of those extensions that a client of ours reads."""
        reader = Reader(body, "ServerHello")
        legacy_version, random = reader.uint(2), reader.take(RANDOM_BYTES)
        session_id = reader.vector(1, maximum=32)
        cipher_suite, compression = reader.uint(2), reader.take(1)
        place = Place.HELLO_RETRY_REQUEST if random == RETRY_RANDOM else Place.SERVER_HELLO
        extensions = Extensions.parse(reader, place) if reader.remaining else Extensions()
        reader.finish()
        version = SERVER_VERSION.read(extensions)
        if version is None:
            _check("ServerHello.random", not random.endswith(_DOWNGRADE_SENTINELS))
            raise ProtocolViolation(
                AlertDescription.PROTOCOL_VERSION, "the server does not select DTLS 1.3"
            )
        _check("ServerHello.supported_versions", version == DTLS_1_3)
        _check("ServerHello.legacy_version", legacy_version == DTLS_1_2)
        _check("ServerHello.legacy_session_id_echo", not session_id)
        _check("ServerHello.legacy_compression_method", compression == _NO_COMPRESSION)
        if place is Place.HELLO_RETRY_REQUEST:
            extensions.read_all(_IN_RETRY_REQUEST)
        else:
            extensions.read_all(_IN_SERVER_HELLO)
        return cls(random, cipher_suite, extensions)

    def check_answers(self, hello: ClientHello) -> None:
        """Hold it against the ClientHello that it answers (RFC 8446, 4.1.3 and 4.2).

        Raises illegal_parameter for a suite, unsupported_extension for an extension that was not
        offered.
        """
        suite = self.cipher_suite
        _check("ServerHello.cipher_suite", suite in hello.cipher_suites and suite not in GREASE)
        self.extensions.check_answers(hello.extensions)


class HelloVerifyRequest:
    """RFC 6347, 4.2.1: what servers of DTLS 1.2 may answer to a first ClientHello."""

    msg_type: ClassVar[HandshakeType] = HandshakeType.HELLO_VERIFY_REQUEST

    @classmethod
    def parse(cls, body: bytes) -> NoReturn:
        """Read a body; raises protocol_version for every one that is well-formed."""
        reader = Reader(body, "HelloVerifyRequest")
        reader.uint(2)  # server_version
        reader.vector(1)  # cookie
        reader.finish()
        raise ProtocolViolation(
            AlertDescription.PROTOCOL_VERSION, "the server asks for a cookie as of DTLS 1.2"
        )


@dataclass
class EncryptedExtensions:
    """RFC 8446, 4.3.1."""

    msg_type: ClassVar[HandshakeType] = HandshakeType.ENCRYPTED_EXTENSIONS

    extensions: Extensions = field(default_factory=Extensions)

    def encode(self) -> bytes:
        """The body."""
        return self.extensions.encode()

    @classmethod
    def parse(cls, body: bytes) -> "EncryptedExtensions":
        """Read a body, and the syntax of those extensions that a client of ours may get."""
        reader = Reader(body, "EncryptedExtensions")
        extensions = Extensions.parse(reader, Place.ENCRYPTED_EXTENSIONS)
        reader.finish()
        extensions.read_all(_IN_ENCRYPTED_EXTENSIONS)
        return cls(extensions)


@dataclass
class CertificateRequest:
    """RFC 8446, 4.3.2; signature_algorithms is always among the extensions."""

    msg_type: ClassVar[HandshakeType] = HandshakeType.CERTIFICATE_REQUEST

    extensions: Extensions
    #: Empty in a handshake; it has a value after it only (post-handshake authentication).
    context: bytes = b""

    def encode(self) -> bytes:
        """The body."""
        return vector(self.context, 1) + self.extensions.encode()

    @classmethod
    def parse(cls, body: bytes) -> "CertificateRequest":
        """Read a body; raises missing_extension without signature_algorithms."""
        reader = Reader(body, "CertificateRequest")
        context = reader.vector(1)
        extensions = Extensions.parse(reader, Place.CERTIFICATE_REQUEST)
        reader.finish()
        SIGNATURE_ALGORITHMS.require(extensions)
        extensions.read_all(_IN_CERTIFICATE_REQUEST)
        return cls(extensions, context)


@dataclass
class CertificateEntry:
    """One certificate in DER, or a raw public key, and its extensions (RFC 8446, 4.4.2)."""

    certificate: bytes = field(repr=False)
    extensions: Extensions = field(default_factory=Extensions)


@dataclass
class Certificate:
    """RFC 8446, 4.4.2: the chain, the sender's own certificate first; a client's may be empty."""

    msg_type: ClassVar[HandshakeType] = HandshakeType.CERTIFICATE

    entries: tuple[CertificateEntry, ...]
    #: Empty, or the context of the CertificateRequest that it answers.
    context: bytes = b""

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The certificates in DER."""
        return tuple(entry.certificate for entry in self.entries)

    @classmethod
    def of_chain(cls, chain_der: tuple[bytes, ...], context: bytes = b"") -> "Certificate":
        """The message for a chain in DER, without extensions."""
        return cls(tuple(CertificateEntry(der) for der in chain_der), context)

    def check_answers(self, offered: Extensions) -> None:
        """Hold its entries against the ClientHello or CertificateRequest (RFC 8446, 4.4.2)."""
        for entry in self.entries:
            entry.extensions.check_answers(offered)

    def encode(self) -> bytes:
        """The body."""
        entries = b"".join(
            vector(entry.certificate, 3) + entry.extensions.encode() for entry in self.entries
        )
        return vector(self.context, 1) + vector(entries, 3)

    @classmethod
    def parse(cls, body: bytes) -> "Certificate":
        """Read a body."""
        reader = Reader(body, "Certificate")
        context = reader.vector(1)
        block = reader.nested(3)
        reader.finish()
        entries: list[CertificateEntry] = []
        while block.remaining:
            certificate = block.vector(3, minimum=1)
            extensions = Extensions.parse(block, Place.CERTIFICATE)
            entries.append(CertificateEntry(certificate, extensions))
        return cls(tuple(entries), context)


@dataclass
class CertificateVerify:
    """RFC 8446, 4.4.3; `protocol.signatures` makes and verifies the signature."""

    msg_type: ClassVar[HandshakeType] = HandshakeType.CERTIFICATE_VERIFY

    #: A SignatureScheme, or a number that we do not know.
    scheme: int
    signature: bytes = field(repr=False)

    def encode(self) -> bytes:
        """The body."""
        return uint(self.scheme, 2) + vector(self.signature, 2)

    @classmethod
    def parse(cls, body: bytes) -> "CertificateVerify":
        """Read a body."""
        reader = Reader(body, "CertificateVerify")
        scheme, signature = reader.uint(2), reader.vector(2)
        reader.finish()
        return cls(scheme, signature)


@dataclass
class Finished:
    """RFC 8446, 4.4.4: the HMAC over the transcript, as long as the suite's hash."""

    msg_type: ClassVar[HandshakeType] = HandshakeType.FINISHED

    verify_data: bytes = field(repr=False)

    def encode(self) -> bytes:
        """The body."""
        return self.verify_data

    @classmethod
    def parse(cls, body: bytes) -> "Finished":
        """Read a body of any length: whoever compares it knows the length."""
        return cls(bytes(body))


@dataclass
class KeyUpdate:
    """RFC 8446, 4.6.3."""

    msg_type: ClassVar[HandshakeType] = HandshakeType.KEY_UPDATE

    #: Whether the sender asks for an update in the other direction as well.
    update_requested: bool

    def encode(self) -> bytes:
        """The body."""
        return uint(self.update_requested, 1)

    @classmethod
    def parse(cls, body: bytes) -> "KeyUpdate":
        """Read a body; raises illegal_parameter for anything but 0 and 1."""
        reader = Reader(body, "KeyUpdate")
        request_update = reader.uint(1)
        reader.finish()
        _check("KeyUpdate.request_update", request_update in (0, 1))
        return cls(bool(request_update))


@dataclass
class RequestConnectionId:
    """RFC 9147, 9."""

    msg_type: ClassVar[HandshakeType] = HandshakeType.REQUEST_CONNECTION_ID

    #: How many connection IDs the sender wants.
    num_cids: int

    def encode(self) -> bytes:
        """The body."""
        return uint(self.num_cids, 1)

    @classmethod
    def parse(cls, body: bytes) -> "RequestConnectionId":
        """Read a body."""
        reader = Reader(body, "RequestConnectionId")
        num_cids = reader.uint(1)
        reader.finish()
        return cls(num_cids)


@dataclass
class NewConnectionId:
    """RFC 9147, 9."""

    msg_type: ClassVar[HandshakeType] = HandshakeType.NEW_CONNECTION_ID

    #: What the sender wants to see in records to it, in this order; never empty ones.
    cids: tuple[bytes, ...]
    #: cid_immediate: all records from now on come with one of these; else they are spare.
    immediate: bool

    def encode(self) -> bytes:
        """The body."""
        cids = b"".join(vector(cid, 1) for cid in self.cids)
        return vector(cids, 2) + uint(not self.immediate, 1)

    @classmethod
    def parse(cls, body: bytes) -> "NewConnectionId":
        """Read a body; raises illegal_parameter for what the receiver could not use."""
        reader = Reader(body, "NewConnectionId")
        block, usage = reader.nested(2), reader.uint(1)
        reader.finish()
        cids: list[bytes] = []
        while block.remaining:
            cids.append(block.vector(1))
        _check("NewConnectionId.usage", usage in (0, 1))
        _check("NewConnectionId.cids", all(cids) and bool(cids or usage))
        return cls(tuple(cids), not usage)


@dataclass
class NewSessionTicket:
    """RFC 8446, 4.6.1: what a client needs to resume the session."""

    msg_type: ClassVar[HandshakeType] = HandshakeType.NEW_SESSION_TICKET

    #: In seconds.
    lifetime: int
    #: What the client adds to the age of the ticket, in milliseconds, to hide it.
    age_add: int = field(repr=False)
    nonce: bytes
    ticket: bytes = field(repr=False)
    extensions: Extensions

    def encode(self) -> bytes:
        """The body."""
        return (
            uint(self.lifetime, 4)
            + uint(self.age_add, 4)
            + vector(self.nonce, 1)
            + vector(self.ticket, 2)
            + self.extensions.encode()
        )

    @classmethod
    def parse(cls, body: bytes) -> "NewSessionTicket":
        """Read a body, and the syntax of its early_data."""
        reader = Reader(body, "NewSessionTicket")
        lifetime, age_add = reader.uint(4), reader.uint(4)
        nonce, ticket = reader.vector(1), reader.vector(2, minimum=1)
        extensions = Extensions.parse(reader, Place.NEW_SESSION_TICKET)
        reader.finish()
        extensions.read_all(_IN_NEW_SESSION_TICKET)
        return cls(lifetime, age_add, nonce, ticket, extensions)


def _check(field_name: str, holds: bool) -> None:
    if not holds:
        raise ProtocolViolation(
            AlertDescription.ILLEGAL_PARAMETER, f"{field_name} has a value that it must not have"
        )
