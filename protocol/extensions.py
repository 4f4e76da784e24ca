"""Extensions of handshake messages (RFC 8446, 4.2).

`Extensions` is the list as it stands in a message: in order and raw, so that what we do not know
(GREASE of RFC 8701 included) is tolerated and re-encoded as it came. A `Codec` reads and makes one
kind of extension; where client and server use different forms, there is one codec for each form::

    hello.extensions.find(ExtensionType.COOKIE)          # raw bytes, or None
    CLIENT_KEY_SHARES.read(hello.extensions)             # parsed, or None if absent
    CLIENT_KEY_SHARES.require(hello.extensions)          # parsed, or missing_extension
    Extensions([SERVER_VERSION.make(DTLS_1_3), ...])
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, Generic, NamedTuple, TypeVar

from protocol.alerts import AlertDescription, ProtocolViolation, UsageError
from protocol.wire import Reader, numbered_vectors, uint, uints, vector

#: The numbers that stand in supported_versions (RFC 9147, 5.3).
DTLS_1_2 = 0xFEFD
DTLS_1_3 = 0xFEFC

#: RFC 8701, 2: values that mean nothing, so that whoever does not ignore them is found out.
GREASE = tuple(range(0x0A0A, 0x10000, 0x1010))
_GREASE = frozenset(GREASE)
#: RFC 8449, 4.
SMALLEST_RECORD_SIZE_LIMIT = 64

_HOST_NAME = 0
_HOST_NAME_BYTES = 253

T = TypeVar("T")


class ExtensionType(IntEnum):
    """Those of RFC 8446, 4.2, record_size_limit of RFC 8449, connection_id of RFC 9146."""

    SERVER_NAME = 0
    MAX_FRAGMENT_LENGTH = 1
    STATUS_REQUEST = 5
    SUPPORTED_GROUPS = 10
    SIGNATURE_ALGORITHMS = 13
    USE_SRTP = 14
    HEARTBEAT = 15
    APPLICATION_LAYER_PROTOCOL_NEGOTIATION = 16
    SIGNED_CERTIFICATE_TIMESTAMP = 18
    CLIENT_CERTIFICATE_TYPE = 19
    SERVER_CERTIFICATE_TYPE = 20
    PADDING = 21
    RECORD_SIZE_LIMIT = 28
    PRE_SHARED_KEY = 41
    EARLY_DATA = 42
    SUPPORTED_VERSIONS = 43
    COOKIE = 44
    PSK_KEY_EXCHANGE_MODES = 45
    CERTIFICATE_AUTHORITIES = 47
    OID_FILTERS = 48
    POST_HANDSHAKE_AUTH = 49
    SIGNATURE_ALGORITHMS_CERT = 50
    KEY_SHARE = 51
    CONNECTION_ID = 54


_NAMES: dict[int, str] = {number: number.name.lower() for number in ExtensionType}


class Place(Enum):
    """The messages that carry extensions, as the table of RFC 8446, 4.2 abbreviates them."""

    __hash__ = object.__hash__  # Enum's looks up the name, each time

    CLIENT_HELLO = "CH"
    SERVER_HELLO = "SH"
    ENCRYPTED_EXTENSIONS = "EE"
    CERTIFICATE = "CT"
    CERTIFICATE_REQUEST = "CR"
    NEW_SESSION_TICKET = "NST"
    HELLO_RETRY_REQUEST = "HRR"


def _places(abbreviations: str) -> frozenset[Place]:
    return frozenset(Place(abbreviation) for abbreviation in abbreviations.split())


#: RFC 8446, 4.2, the table; record_size_limit: RFC 8449, 7; connection_id: RFC 9146, 3.
ALLOWED = {
    ExtensionType.SERVER_NAME: _places("CH EE"),
    ExtensionType.MAX_FRAGMENT_LENGTH: _places("CH EE"),
    ExtensionType.STATUS_REQUEST: _places("CH CR CT"),
    ExtensionType.SUPPORTED_GROUPS: _places("CH EE"),
    ExtensionType.SIGNATURE_ALGORITHMS: _places("CH CR"),
    ExtensionType.USE_SRTP: _places("CH EE"),
    ExtensionType.HEARTBEAT: _places("CH EE"),
    ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: _places("CH EE"),
    ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP: _places("CH CR CT"),
    ExtensionType.CLIENT_CERTIFICATE_TYPE: _places("CH EE"),
    ExtensionType.SERVER_CERTIFICATE_TYPE: _places("CH EE"),
    ExtensionType.PADDING: _places("CH"),
    ExtensionType.RECORD_SIZE_LIMIT: _places("CH EE"),
    ExtensionType.PRE_SHARED_KEY: _places("CH SH"),
    ExtensionType.EARLY_DATA: _places("CH EE NST"),
    ExtensionType.SUPPORTED_VERSIONS: _places("CH SH HRR"),
    ExtensionType.COOKIE: _places("CH HRR"),
    ExtensionType.PSK_KEY_EXCHANGE_MODES: _places("CH"),
    ExtensionType.CERTIFICATE_AUTHORITIES: _places("CH CR"),
    ExtensionType.OID_FILTERS: _places("CR"),
    ExtensionType.POST_HANDSHAKE_AUTH: _places("CH"),
    ExtensionType.SIGNATURE_ALGORITHMS_CERT: _places("CH CR"),
    ExtensionType.KEY_SHARE: _places("CH SH HRR"),
    ExtensionType.CONNECTION_ID: _places("CH SH"),
}


#: The extensions that we know and that must not stand in a message.
_MISPLACED = {
    place: frozenset(number for number, places in ALLOWED.items() if place not in places)
    for place in Place
}
_PRE_SHARED_KEY = ExtensionType.PRE_SHARED_KEY


class Extension(NamedTuple):
    """One extension: its 16-bit number, known or not, and its raw bytes."""

    type: int
    data: bytes


class Extensions:
    """The extensions of one message, raw and in their order."""

    def __init__(self, extensions: Iterable[Extension] = ()) -> None:
        self._by_type: dict[int, bytes] = {}
        #: What each `Codec` has read, so that it need not do so again.
        self.values: dict[Codec[Any], Any] = {}
        for number, data in extensions:
            if number in self._by_type:
                raise UsageError(f"extension {extension_name(number)} is given twice")
            self._by_type[number] = data

    def __iter__(self) -> Iterator[Extension]:
        return (Extension(number, data) for number, data in self._by_type.items())

    def __len__(self) -> int:
        return len(self._by_type)

    def __contains__(self, number: int) -> bool:
        return number in self._by_type

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Extensions) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Extensions([{', '.join(extension_name(number) for number in self._by_type)}])"

    def find(self, number: int) -> bytes | None:
        """The raw bytes of the extension of that number, or None."""
        return self._by_type.get(number)

    def encode(self) -> bytes:
        """The vector of extensions, with its length in two bytes."""
        return vector(numbered_vectors(self._by_type.items()), 2)

    @classmethod
    def parse(cls, reader: Reader, place: Place) -> "Extensions":
        """Read the vector of extensions as it stands in a message of the kind ``place``.

        Raises `DecodeError`; `ProtocolViolation` with illegal_parameter for an extension that comes
        twice, or that must not stand in this message (RFC 8446, 4.2).
        """
        block = reader.nested(2)
        extensions = cls()
        found, misplaced = extensions._by_type, _MISPLACED[place]
        for number, data in block.numbered_vectors():
            if number in found or number in misplaced or _PRE_SHARED_KEY in found:
                _check_place(number, place, found)
            found[number] = data
        return extensions

    def read_all(self, codecs: "Mapping[int, Codec[Any]]") -> None:
        """Read those that ``codecs`` has for the types here; raises what `Codec.read` raises."""
        for number in self._by_type:
            if number in codecs:
                codecs[number].read(self)

    def check_answers(self, offered: "Extensions") -> None:
        """Hold a response against the message that it answers (RFC 8446, 4.2).

        Raises unsupported_extension for anything that was not ``offered``, but for the cookie of a
        HelloRetryRequest; and for GREASE, which nobody may select (RFC 8701, 3.1).
        """
        for number in self._by_type:
            unknown = number not in offered or number in _GREASE
            if unknown and number != ExtensionType.COOKIE:
                raise ProtocolViolation(
                    AlertDescription.UNSUPPORTED_EXTENSION,
                    f"the response has {extension_name(number)}, which was not offered",
                )


def extension_name(number: int) -> str:
    """The name of an extension for messages: ``key_share``, or ``extension 0x0a0a``."""
    return _NAMES.get(number) or f"extension {number:#06x}"


def _check_place(number: int, place: Place, before: dict[int, bytes]) -> None:
    problem = None
    if number in before:
        problem = "comes twice"
    elif ExtensionType.PRE_SHARED_KEY in before and place is Place.CLIENT_HELLO:
        problem = "comes after pre_shared_key, which must be the last"
    elif number in ALLOWED and place not in ALLOWED[ExtensionType(number)]:
        problem = f"must not stand in {place.name.lower()}"
    if problem:
        raise ProtocolViolation(
            AlertDescription.ILLEGAL_PARAMETER, f"{extension_name(number)} {problem}"
        )


@dataclass(frozen=True, eq=False)
class Codec(Generic[T]):
    """Reads and makes one kind of extension in one form."""

    type: ExtensionType
    _encode: Callable[[T], bytes]
    _parse: Callable[[Reader], T]

    def make(self, value: T) -> Extension:
        """The extension that says ``value``; raises `UsageError` for what does not fit."""
        return Extension(self.type, self._encode(value))

    def read(self, extensions: Extensions) -> T | None:
        """The value, or None where the extension is absent; raises `ProtocolViolation`."""
        known = extensions.values
        if self in known:  # a hello's extensions are read for their syntax, and then again
            value: T = known[self]
            return value
        data = extensions.find(self.type)
        if data is None:
            return None
        reader = Reader(data, _NAMES[self.type])
        value = self._parse(reader)
        reader.finish()
        known[self] = value
        return value

    def require(self, extensions: Extensions) -> T:
        """The value; raises `ProtocolViolation` with missing_extension where it is absent."""
        value = self.read(extensions)
        if value is None:
            raise ProtocolViolation(
                AlertDescription.MISSING_EXTENSION, f"{extension_name(self.type)} is missing"
            )
        return value


class KeyShareEntry(NamedTuple):
    """A public key and its group (RFC 8446, 4.2.8)."""

    group: int
    key_exchange: bytes

    def encode(self) -> bytes:
        """KeyShareEntry of RFC 8446, 4.2.8."""
        return uint(self.group, 2) + vector(self.key_exchange, 2)

    @classmethod
    def parse(cls, reader: Reader) -> "KeyShareEntry":
        """Read one entry."""
        return cls(reader.uint(2), reader.vector(2, minimum=1))


def _encode_key_shares(entries: Sequence[KeyShareEntry]) -> bytes:
    return vector(b"".join(entry.encode() for entry in entries), 2)


def _parse_key_shares(reader: Reader) -> tuple[KeyShareEntry, ...]:
    block = reader.nested(2)
    entries: list[KeyShareEntry] = []
    while block.remaining:
        entries.append(KeyShareEntry.parse(block))
    groups = [entry.group for entry in entries]
    if len(set(groups)) != len(groups):
        raise ProtocolViolation(
            AlertDescription.ILLEGAL_PARAMETER, "key_share has two entries for one group"
        )
    return tuple(entries)


def _encode_server_name(name: str) -> bytes:
    try:
        host = name.encode("ascii")
    except UnicodeEncodeError:
        raise UsageError(f"server name {name!r} is not ASCII; use its A-label") from None
    if not 0 < len(host) <= _HOST_NAME_BYTES:
        raise UsageError(f"server name of {len(host)} bytes is not in 1 .. {_HOST_NAME_BYTES}")
    return vector(uint(_HOST_NAME, 1) + vector(host, 2), 2)


def _parse_server_name(reader: Reader) -> str:
    """RFC 6066, 3: one entry, since host_name is the only type there ever was."""
    names = reader.nested(2, minimum=1)
    if names.uint(1) != _HOST_NAME:
        raise ProtocolViolation(
            AlertDescription.ILLEGAL_PARAMETER, "server_name has a name that is no host_name"
        )
    host = names.vector(2, minimum=1)
    names.finish()
    try:
        return host.decode("ascii")
    except UnicodeDecodeError:
        raise ProtocolViolation(
            AlertDescription.ILLEGAL_PARAMETER, "server_name is not ASCII"
        ) from None


def _encode_protocols(names: Sequence[bytes]) -> bytes:
    return vector(b"".join(vector(name, 1) for name in names), 2)


def _parse_protocols(reader: Reader) -> tuple[bytes, ...]:
    block = reader.nested(2, minimum=2)
    names: list[bytes] = []
    while block.remaining:
        names.append(block.vector(1, minimum=1))
    return tuple(names)


def _parse_record_size_limit(reader: Reader) -> int:
    limit = reader.uint(2)
    if limit < SMALLEST_RECORD_SIZE_LIMIT:
        raise ProtocolViolation(
            AlertDescription.ILLEGAL_PARAMETER, f"record_size_limit of {limit} bytes"
        )
    return limit


def _parse_authorities(reader: Reader) -> tuple[bytes, ...]:
    block = reader.nested(2, minimum=3)
    names: list[bytes] = []
    while block.remaining:
        names.append(block.vector(2, minimum=1))
    return tuple(names)


def _parse_empty(_reader: Reader) -> bool:
    """An extension without data: that it is there says everything."""
    return True


def _uint16_list(number: ExtensionType) -> Codec[Sequence[int]]:
    return Codec(
        number,
        lambda values: uints(values, 2, length_size=2),
        lambda reader: reader.uints(2, length_size=2, minimum=2),
    )


#: supported_versions of a ClientHello: the versions, preferred first (RFC 8446, 4.2.1).
CLIENT_VERSIONS: Codec[Sequence[int]] = Codec(
    ExtensionType.SUPPORTED_VERSIONS,
    lambda versions: uints(versions, 2, length_size=1),
    lambda reader: reader.uints(2, length_size=1, minimum=2),
)
#: supported_versions of a ServerHello or HelloRetryRequest: the version selected.
SERVER_VERSION: Codec[int] = Codec(
    ExtensionType.SUPPORTED_VERSIONS, lambda version: uint(version, 2), lambda r: r.uint(2)
)
#: supported_groups: the groups, preferred first (RFC 8446, 4.2.7).
SUPPORTED_GROUPS = _uint16_list(ExtensionType.SUPPORTED_GROUPS)
#: signature_algorithms: the schemes, preferred first (RFC 8446, 4.2.3).
SIGNATURE_ALGORITHMS = _uint16_list(ExtensionType.SIGNATURE_ALGORITHMS)
#: signature_algorithms_cert: the schemes of certificates, preferred first (RFC 8446, 4.2.3).
SIGNATURE_ALGORITHMS_CERT = _uint16_list(ExtensionType.SIGNATURE_ALGORITHMS_CERT)
#: certificate_authorities: names in DER, at least one (RFC 8446, 4.2.4).
CERTIFICATE_AUTHORITIES: Codec[Sequence[bytes]] = Codec(
    ExtensionType.CERTIFICATE_AUTHORITIES,
    lambda names: vector(b"".join(vector(name, 2) for name in names), 2),
    _parse_authorities,
)
#: key_share of a ClientHello; it may be empty, to ask for a HelloRetryRequest (4.2.8).
CLIENT_KEY_SHARES: Codec[Sequence[KeyShareEntry]] = Codec(
    ExtensionType.KEY_SHARE, _encode_key_shares, _parse_key_shares
)
#: key_share of a ServerHello: the server's one entry.
SERVER_KEY_SHARE: Codec[KeyShareEntry] = Codec(
    ExtensionType.KEY_SHARE, KeyShareEntry.encode, KeyShareEntry.parse
)
#: key_share of a HelloRetryRequest: the group selected.
RETRY_GROUP: Codec[int] = Codec(
    ExtensionType.KEY_SHARE, lambda group: uint(group, 2), lambda r: r.uint(2)
)
#: server_name of a ClientHello: the DNS name; never an IP address (RFC 6066, 3).
SERVER_NAME: Codec[str] = Codec(ExtensionType.SERVER_NAME, _encode_server_name, _parse_server_name)
#: server_name of EncryptedExtensions: empty, the name was used (RFC 6066, 3).
SERVER_NAME_USED: Codec[bool] = Codec(ExtensionType.SERVER_NAME, lambda _used: b"", _parse_empty)
#: cookie of a HelloRetryRequest, and of the ClientHello that brings it back (4.2.2).
COOKIE: Codec[bytes] = Codec(
    ExtensionType.COOKIE, lambda cookie: vector(cookie, 2), lambda r: r.vector(2, minimum=1)
)
#: application_layer_protocol_negotiation: the protocols, preferred first, or the one selected
#: (RFC 7301, 3.1).
ALPN_PROTOCOLS: Codec[Sequence[bytes]] = Codec(
    ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, _encode_protocols, _parse_protocols
)
#: record_size_limit: the most bytes of content, content type and padding in a protected record that
#: the sender takes (RFC 8449, 4).
RECORD_SIZE_LIMIT: Codec[int] = Codec(
    ExtensionType.RECORD_SIZE_LIMIT, lambda limit: uint(limit, 2), _parse_record_size_limit
)
#: connection_id: what the sender wants to see in records to it, or nothing (RFC 9146, 3).
CONNECTION_ID: Codec[bytes] = Codec(
    ExtensionType.CONNECTION_ID, lambda cid: vector(cid, 1), lambda r: r.vector(1)
)
