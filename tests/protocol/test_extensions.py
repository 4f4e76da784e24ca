from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.alerts import AlertDescription, DecodeError, ProtocolViolation, UsageError
from protocol.extensions import (
    ALPN_PROTOCOLS,
    CLIENT_KEY_SHARES,
    CLIENT_VERSIONS,
    CONNECTION_ID,
    COOKIE,
    DTLS_1_2,
    DTLS_1_3,
    RECORD_SIZE_LIMIT,
    RETRY_GROUP,
    SERVER_KEY_SHARE,
    SERVER_NAME,
    SERVER_NAME_USED,
    SERVER_VERSION,
    SIGNATURE_ALGORITHMS,
    SUPPORTED_GROUPS,
    Codec,
    Extension,
    Extensions,
    ExtensionType,
    KeyShareEntry,
    Place,
)
from protocol.wire import Reader, vector

CODECS: dict[str, Codec] = {
    "client versions": CLIENT_VERSIONS,
    "server version": SERVER_VERSION,
    "groups": SUPPORTED_GROUPS,
    "signature algorithms": SIGNATURE_ALGORITHMS,
    "client key shares": CLIENT_KEY_SHARES,
    "server key share": SERVER_KEY_SHARE,
    "retry group": RETRY_GROUP,
    "server name": SERVER_NAME,
    "server name used": SERVER_NAME_USED,
    "cookie": COOKIE,
    "protocols": ALPN_PROTOCOLS,
    "record size limit": RECORD_SIZE_LIMIT,
    "connection ID": CONNECTION_ID,
}

#: RFC 8701, 2.
GREASE = 0x0A0A


def encoded(*extensions: tuple[int, bytes]) -> bytes:
    entries = (number.to_bytes(2, "big") + vector(data, 2) for number, data in extensions)
    return vector(b"".join(entries), 2)


def parse(block: bytes, place: Place = Place.CLIENT_HELLO) -> Extensions:
    return Extensions.parse(Reader(block, "test"), place)


def refusal(block: bytes, place: Place = Place.CLIENT_HELLO) -> AlertDescription:
    with pytest.raises(ProtocolViolation) as caught:
        parse(block, place)
    return caught.value.alert


@pytest.mark.parametrize(
    ("codec", "value", "data"),
    [
        ("client versions", (DTLS_1_3, DTLS_1_2), "04 fefc fefd"),
        ("server version", DTLS_1_3, "fefc"),
        ("groups", (0x001D, 0x0017), "0004 001d 0017"),
        ("signature algorithms", (0x0403,), "0002 0403"),
        ("client key shares", (), "0000"),
        ("client key shares", (KeyShareEntry(0x001D, b"ab"),), "0006 001d 0002 6162"),
        ("server key share", KeyShareEntry(0x001D, b"ab"), "001d 0002 6162"),
        ("retry group", 0x0017, "0017"),
        ("server name", "a.example", "000c 00 0009 612e6578616d706c65"),
        ("server name used", True, ""),
        ("cookie", b"abc", "0003 616263"),
        ("protocols", (b"h2", b"\xff"), "0005 02 6832 01 ff"),
        ("record size limit", 0x4001, "4001"),
        ("connection ID", b"abc", "03 616263"),
        ("connection ID", b"", "00"),
    ],
)
def test_an_extension_is_made_and_read(codec: str, value: object, data: str) -> None:
    extension = CODECS[codec].make(value)

    assert extension.data == bytes.fromhex(data)
    assert CODECS[codec].read(Extensions([extension])) == value


@pytest.mark.parametrize(
    ("codec", "data"),
    [
        ("client versions", "00"),
        ("client versions", "03 fefc fe"),
        ("client versions", "02 fefc 00"),
        ("server version", "fe"),
        ("groups", "0000"),
        ("client key shares", "0004 001d 0000"),
        ("client key shares", "0005 001d 0002 61"),
        ("server key share", "001d 0002 6162 63"),
        ("retry group", "001700"),
        ("server name", "0000"),
        ("server name", "0003 00 0000"),
        ("server name used", "00"),
        ("cookie", "0000"),
        ("protocols", "0000"),
        ("protocols", "0004 02 6832 00"),
        ("protocols", "0003 03 6832"),
        ("record size limit", "40"),
        ("connection ID", "03 6162"),
        ("connection ID", ""),
    ],
)
def test_an_extension_with_wrong_syntax_is_a_decode_error(codec: str, data: str) -> None:
    extensions = Extensions([Extension(CODECS[codec].type, bytes.fromhex(data))])
    with pytest.raises(DecodeError):
        CODECS[codec].read(extensions)


@pytest.mark.parametrize(
    ("codec", "data"),
    [
        ("client key shares", "000a 001d 0001 61 001d 0001 62"),
        ("server name", "0004 07 0001 61"),
        ("server name", "0004 00 0001 ff"),
        ("record size limit", "003f"),
    ],
    ids=["two shares of a group", "no host name", "not ASCII", "records too small"],
)
def test_an_extension_with_a_wrong_value_is_an_illegal_parameter(codec: str, data: str) -> None:
    extensions = Extensions([Extension(CODECS[codec].type, bytes.fromhex(data))])
    with pytest.raises(ProtocolViolation) as caught:
        CODECS[codec].read(extensions)
    assert caught.value.alert is AlertDescription.ILLEGAL_PARAMETER


def test_absence_is_none_or_a_missing_extension() -> None:
    assert COOKIE.read(Extensions()) is None
    with pytest.raises(ProtocolViolation, match="cookie") as caught:
        COOKIE.require(Extensions())
    assert caught.value.alert is AlertDescription.MISSING_EXTENSION


@pytest.mark.parametrize("name", ["", "ä.example", "a" * 254])
def test_a_server_name_that_cannot_be_sent_is_our_own_mistake(name: str) -> None:
    with pytest.raises(UsageError):
        SERVER_NAME.make(name)


def test_what_we_do_not_know_is_kept_in_its_place() -> None:
    block = encoded((GREASE, b""), (ExtensionType.COOKIE, b"\0\1x"), (0xFAFA, b"anything"))
    extensions = parse(block)

    assert extensions.find(0xFAFA) == b"anything"
    assert extensions.encode() == block
    assert repr(extensions) == "Extensions([extension 0x0a0a, cookie, extension 0xfafa])"


@pytest.mark.parametrize("number", [ExtensionType.COOKIE, GREASE])
def test_an_extension_that_comes_twice_is_an_illegal_parameter(number: int) -> None:
    block = encoded((number, b"\0\1x"), (number, b"\0\1x"))
    assert refusal(block) is AlertDescription.ILLEGAL_PARAMETER


def test_to_give_an_extension_twice_is_our_own_mistake() -> None:
    with pytest.raises(UsageError, match="cookie"):
        Extensions([COOKIE.make(b"a"), COOKIE.make(b"b")])


@pytest.mark.parametrize(
    ("number", "place"),
    [
        (ExtensionType.COOKIE, Place.SERVER_HELLO),
        (ExtensionType.KEY_SHARE, Place.ENCRYPTED_EXTENSIONS),
        (ExtensionType.SERVER_NAME, Place.SERVER_HELLO),
        (ExtensionType.SIGNATURE_ALGORITHMS, Place.CERTIFICATE),
        (ExtensionType.CONNECTION_ID, Place.HELLO_RETRY_REQUEST),
    ],
)
def test_a_known_extension_in_the_wrong_message_is_an_illegal_parameter(
    number: int, place: Place
) -> None:
    assert refusal(encoded((number, b"")), place) is AlertDescription.ILLEGAL_PARAMETER


def test_pre_shared_key_is_the_last_of_a_client_hello() -> None:
    block = encoded((ExtensionType.PRE_SHARED_KEY, b""), (GREASE, b""))
    assert refusal(block) is AlertDescription.ILLEGAL_PARAMETER
    parse(block, Place.SERVER_HELLO)


def test_an_answer_to_nothing_is_an_unsupported_extension() -> None:
    answer = Extensions([Extension(ExtensionType.SERVER_NAME, b"")])

    answer.check_answers(Extensions([SERVER_NAME.make("a.example")]))
    with pytest.raises(ProtocolViolation, match="server_name") as caught:
        answer.check_answers(Extensions())
    assert caught.value.alert is AlertDescription.UNSUPPORTED_EXTENSION


def test_grease_is_never_an_answer() -> None:
    """RFC 8701, 3.1: who selects it does not ignore it."""
    offer = Extensions([Extension(GREASE, b"")])
    with pytest.raises(ProtocolViolation, match="0x0a0a") as caught:
        offer.check_answers(offer)
    assert caught.value.alert is AlertDescription.UNSUPPORTED_EXTENSION


def test_the_cookie_of_a_retry_answers_nothing() -> None:
    Extensions([COOKIE.make(b"abc")]).check_answers(Extensions())


@given(st.binary(max_size=80), st.sampled_from(Place))
def test_any_bytes_are_parsed_or_are_a_violation(block: bytes, place: Place) -> None:
    try:
        extensions = parse(block, place)
    except ProtocolViolation:
        return
    assert block.startswith(extensions.encode())


@given(st.sampled_from(sorted(CODECS)), st.binary(max_size=60))
def test_any_extension_is_read_or_is_a_violation(codec: str, data: bytes) -> None:
    extensions = Extensions([Extension(CODECS[codec].type, data)])
    try:
        value = CODECS[codec].read(extensions)
    except ProtocolViolation:
        return
    assert CODECS[codec].make(value).data == data


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=9)), unique_by=lambda e: e[0]))
def test_extensions_come_back(entries: Sequence[tuple[int, bytes]]) -> None:
    unknown = [Extension(n, data) for n, data in entries if n not in set(ExtensionType)]
    extensions = Extensions(unknown)

    assert parse(extensions.encode()) == extensions
    assert list(extensions) == unknown
