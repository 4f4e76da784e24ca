"""Every parser of what comes from the network: its shape, its seeds, how it is called.

Messages and extensions are found by walking the package; a new one needs a shape and seeds here.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import protocol
from protocol.ack import encode_ack, parse_ack
from protocol.alerts import Alert, AlertDescription
from protocol.certificate_types import CLIENT_CERTIFICATE_TYPES, SERVER_CERTIFICATE_TYPES
from protocol.crypto.provider import RecordNumber
from protocol.extensions import (
    ALPN_PROTOCOLS,
    CLIENT_KEY_SHARES,
    CLIENT_VERSIONS,
    CONNECTION_ID,
    COOKIE,
    DTLS_1_3,
    RECORD_SIZE_LIMIT,
    RETRY_GROUP,
    SERVER_KEY_SHARE,
    SERVER_NAME,
    SERVER_VERSION,
    SIGNATURE_ALGORITHMS,
    SUPPORTED_GROUPS,
    Codec,
    Extension,
    Extensions,
    KeyShareEntry,
    Place,
)
from protocol.handshake_framing import Fragment, HandshakeType, parse_fragments
from protocol.psk_extensions import (
    EARLY_DATA,
    OFFERED_PSKS,
    PSK_MODES,
    OfferedPsks,
    PskIdentity,
)
from protocol.record import ContentType, build_plaintext, parse_plaintext
from protocol.wire import Reader
from tests.fuzz.shapes import REST, Vec

RANDOM = bytes(range(32))
RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
GREASE = Extension(0x0A0A, b"")

#: Extensions of RFC 8446, 4.2: a vector of type and data.
EXTENSIONS = Vec(2, (2, Vec(2)))
NUMBERS = Vec(2, (2,))
FRAGMENT = (1, 3, 2, 3, Vec(3))

SHAPES = {
    # Messages (RFC 8446, 4; RFC 9147, 5.3, 5.4 and 9; RFC 6347, 4.2.1).
    "ClientHello": (2, 32, Vec(1), Vec(1), NUMBERS, Vec(1), EXTENSIONS),
    "ServerHello": (2, 32, Vec(1), 2, 1, EXTENSIONS),
    "EncryptedExtensions": (EXTENSIONS,),
    "CertificateRequest": (Vec(1), EXTENSIONS),
    "Certificate": (Vec(1), Vec(3, (Vec(3), EXTENSIONS))),
    "CertificateVerify": (2, Vec(2)),
    "Finished": (REST,),
    "KeyUpdate": (1,),
    "HelloVerifyRequest": (2, Vec(1)),
    "NewConnectionId": (Vec(2, (Vec(1),)), 1),
    "RequestConnectionId": (1,),
    "NewSessionTicket": (4, 4, Vec(1), Vec(2), EXTENSIONS),
    # Extensions (RFC 8446, 4.2; RFC 7301; RFC 8449; RFC 9146).
    "CLIENT_VERSIONS": (Vec(1, (2,)),),
    "SERVER_VERSION": (2,),
    "SUPPORTED_GROUPS": (NUMBERS,),
    "SIGNATURE_ALGORITHMS": (NUMBERS,),
    "SIGNATURE_ALGORITHMS_CERT": (NUMBERS,),
    "CERTIFICATE_AUTHORITIES": (Vec(2, (Vec(2),)),),
    "CLIENT_KEY_SHARES": (Vec(2, (2, Vec(2))),),
    "SERVER_KEY_SHARE": (2, Vec(2)),
    "RETRY_GROUP": (2,),
    "SERVER_NAME": (Vec(2, (1, Vec(2))),),
    "SERVER_NAME_USED": (REST,),
    "COOKIE": (Vec(2),),
    "ALPN_PROTOCOLS": (Vec(2, (Vec(1),)),),
    "RECORD_SIZE_LIMIT": (2,),
    "CONNECTION_ID": (Vec(1),),
    "PSK_MODES": (Vec(1, (1,)),),
    "OFFERED_PSKS": (Vec(2, (Vec(2), 4)), Vec(2, (Vec(1),))),
    "SELECTED_PSK": (2,),
    "EARLY_DATA": (REST,),
    "MAX_EARLY_DATA": (4,),
    # RFC 7250, 3.
    "CLIENT_CERTIFICATE_TYPES": (Vec(1, (1,)),),
    "SERVER_CERTIFICATE_TYPES": (Vec(1, (1,)),),
    "CLIENT_CERTIFICATE_TYPE": (1,),
    "SERVER_CERTIFICATE_TYPE": (1,),
}

_CLIENT_EXTENSIONS = Extensions(
    [
        CLIENT_VERSIONS.make((DTLS_1_3, 0x7A7A)),
        SUPPORTED_GROUPS.make((0x1D, 0x17)),
        SIGNATURE_ALGORITHMS.make((0x0403, 0x0807)),
        CLIENT_KEY_SHARES.make((KeyShareEntry(0x1D, bytes(32)), KeyShareEntry(0x17, bytes(65)))),
        SERVER_NAME.make("server.example"),
        COOKIE.make(b"cookie"),
        ALPN_PROTOCOLS.make([b"h3"]),
        RECORD_SIZE_LIMIT.make(2_000),
        CONNECTION_ID.make(b"id"),
        GREASE,
        CLIENT_CERTIFICATE_TYPES.make((2, 0)),
        SERVER_CERTIFICATE_TYPES.make((2,)),
        PSK_MODES.make((1,)),
        EARLY_DATA.make(True),
        OFFERED_PSKS.make(OfferedPsks((PskIdentity(b"me", 7),), (bytes(32),))),
    ]
)
_SERVER_EXTENSIONS = Extensions(
    [SERVER_VERSION.make(DTLS_1_3), SERVER_KEY_SHARE.make(KeyShareEntry(0x1D, bytes(32)))]
)
_RETRY_EXTENSIONS = Extensions(
    [SERVER_VERSION.make(DTLS_1_3), RETRY_GROUP.make(0x17), COOKIE.make(b"cookie")]
)
_SCHEMES = Extensions([SIGNATURE_ALGORITHMS.make((0x0403,)), GREASE])


def _hex(*texts: str) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


SEEDS: dict[str, list[bytes]] = {
    "ClientHello": [
        bytes.fromhex("fefd")
        + RANDOM
        + bytes.fromhex("00 00 0004 1301 1302 0100")
        + _CLIENT_EXTENSIONS.encode()
    ],
    "ServerHello": [
        bytes.fromhex("fefd") + random + bytes.fromhex("00 1301 00") + extensions.encode()
        for random, extensions in ((RANDOM, _SERVER_EXTENSIONS), (RETRY_RANDOM, _RETRY_EXTENSIONS))
    ],
    "EncryptedExtensions": [
        Extensions([Extension(0, b""), SUPPORTED_GROUPS.make((0x1D,)), GREASE]).encode()
    ],
    "CertificateRequest": [b"\0" + _SCHEMES.encode(), b"\3abc" + _SCHEMES.encode()],
    "Certificate": _hex("00 000000", "00 000013 000004 6c656166 0000 000005 6f74686572 0000"),
    "CertificateVerify": _hex("0403 0008 0102030405060708"),
    "Finished": [bytes(32)],
    "KeyUpdate": _hex("00", "01"),
    "HelloVerifyRequest": _hex("fefd 06 636f6f6b6965"),
    "NewConnectionId": _hex("0006 02 6162 02 6364 00", "0000 01"),
    "RequestConnectionId": _hex("00", "07"),
    "NewSessionTicket": _hex(
        "00015180 01020304 02 0a0b 0003 616263 000c 0a0a0000 002a0004 00001000"
    ),
    "CLIENT_VERSIONS": _hex("04 fefc fefd"),
    "SERVER_VERSION": _hex("fefc"),
    "SUPPORTED_GROUPS": _hex("0004 001d 0017"),
    "SIGNATURE_ALGORITHMS": _hex("0004 0403 0804"),
    "SIGNATURE_ALGORITHMS_CERT": _hex("0002 0807"),
    "CERTIFICATE_AUTHORITIES": _hex("0007 0002 3000 0001 30"),
    "CLIENT_KEY_SHARES": _hex("0000", "000d 001d 0002 6162 0017 0003 636465"),
    "SERVER_KEY_SHARE": _hex("001d 0002 6162"),
    "RETRY_GROUP": _hex("0017"),
    "SERVER_NAME": _hex("000c 00 0009 612e6578616d706c65"),
    "SERVER_NAME_USED": [b""],
    "COOKIE": _hex("0003 616263"),
    "ALPN_PROTOCOLS": _hex("0003 02 6832", "0006 02 6832 02 6833"),
    "RECORD_SIZE_LIMIT": _hex("0040", "4001"),
    "CONNECTION_ID": _hex("00", "04 61626364"),
    "PSK_MODES": _hex("01 01", "03 01 00 0b"),
    "OFFERED_PSKS": [
        bytes.fromhex("0007 0001 61 00000000 0021 20") + bytes(32),
        bytes.fromhex("000f 0001 61 00000000 0002 6263 01020304 0052 20")
        + bytes(32)
        + b"\x30"
        + bytes(48),
    ],
    "SELECTED_PSK": _hex("0001"),
    "EARLY_DATA": [b""],
    "MAX_EARLY_DATA": _hex("00001000"),
    "CLIENT_CERTIFICATE_TYPES": _hex("02 02 00"),
    "SERVER_CERTIFICATE_TYPES": _hex("01 02", "03 02 00 7f"),
    "CLIENT_CERTIFICATE_TYPE": _hex("02"),
    "SERVER_CERTIFICATE_TYPE": _hex("00"),
}


#: Those that are understood only to be refused.
REFUSED = {"HelloVerifyRequest": AlertDescription.PROTOCOL_VERSION}


@dataclass(frozen=True)
class Target:
    """``parse`` raises `ProtocolViolation` or returns None for what it does not take.

    ``encode`` is the reverse, if there is one. Only what `parse` ignores may come back otherwise:
    then ``exact`` is False. ``sound`` is what the standard says of every value, apart from the
    parser: an encoding that comes back may still be one that had to be refused.
    """

    parse: Callable[[bytes], Any]
    encode: Callable[[Any], bytes] | None
    shape: tuple
    seeds: list[bytes]
    exact: bool = True
    sound: Callable[[Any], bool] = lambda value: True


def _is_message(member: object) -> bool:
    has_type = isinstance(getattr(member, "msg_type", None), HandshakeType)
    return inspect.isclass(member) and has_type and hasattr(member, "parse")


def _find(fits: Callable[[object], bool]) -> dict[str, Any]:
    """The module-level names of the package's modules whose values fit."""
    modules = pkgutil.walk_packages(protocol.__path__, "protocol.")
    members = (vars(importlib.import_module(module.name)).items() for module in modules)
    return {name: member for items in members for name, member in items if fits(member)}


MESSAGES = _find(_is_message)
CODECS = _find(lambda member: isinstance(member, Codec))


def _message_target(name: str) -> Target:
    message = MESSAGES[name]
    return Target(message.parse, getattr(message, "encode", None), SHAPES[name], SEEDS[name])


def _codec_target(name: str) -> Target:
    codec = CODECS[name]
    return Target(
        lambda data: codec.read(Extensions([Extension(codec.type, data)])),
        lambda value: codec.make(value).data,
        SHAPES[name],
        SEEDS[name],
    )


def _extensions_target(place: Place, seed: Extensions) -> Target:
    def parse(data: bytes) -> Extensions:
        reader = Reader(data, "test")
        extensions = Extensions.parse(reader, place)
        reader.finish()
        return extensions

    return Target(parse, Extensions.encode, (EXTENSIONS,), [seed.encode()])


_FRAGMENTS = [Fragment(1, 5, 0, 0, b"hello").encode(), Fragment(20, 9, 7, 4, b"bytes").encode()]
_ACKS = [encode_ack([]), encode_ack([RecordNumber(2, 5), RecordNumber(3, 1 << 40)])]
_PLAINTEXTS = [
    build_plaintext(ContentType.HANDSHAKE, 3, _FRAGMENTS[0]),
    build_plaintext(ContentType.ACK, 1 << 40, _ACKS[1]),
    build_plaintext(ContentType.ALERT, 0, b"\2\50"),
]

_BY_PLACE = {
    Place.CLIENT_HELLO: _CLIENT_EXTENSIONS,
    Place.SERVER_HELLO: _SERVER_EXTENSIONS,
    Place.HELLO_RETRY_REQUEST: _RETRY_EXTENSIONS,
    Place.CERTIFICATE_REQUEST: _SCHEMES,
}

TARGETS: dict[str, Target] = {
    **{name: _message_target(name) for name in MESSAGES if name in SEEDS},
    **{name: _codec_target(name) for name in CODECS if name in SEEDS},
    **{
        f"Extensions in {place.value}": _extensions_target(
            place, _BY_PLACE.get(place, Extensions([GREASE, Extension(0xFAFA, b"abc")]))
        )
        for place in Place
    },
    "fragments": Target(
        parse_fragments,
        lambda fragments: b"".join(fragment.encode() for fragment in fragments),
        FRAGMENT * 2,
        [_FRAGMENTS[0] + _FRAGMENTS[1]],
        # RFC 9147, 5.5: a fragment is a part of its message.
        sound=lambda fragments: all(f.offset + len(f.data) <= f.length for f in fragments),
    ),
    # `encode_ack` puts the numbers in order.
    "ACK": Target(
        lambda data: sorted(parse_ack(data)), encode_ack, (Vec(2, (8, 8)),), _ACKS, False
    ),
    "Alert": Target(Alert.parse, Alert.encode, (1, 1), [b"\1\0", b"\2\50"], False),
    "DTLSPlaintext": Target(
        parse_plaintext,
        lambda record: build_plaintext(
            record.content_type, record.number.sequence_number, record.content
        ),
        (1, 2, 2, 6, Vec(2)),
        _PLAINTEXTS,
        False,  # the version is ignored
    ),
}
