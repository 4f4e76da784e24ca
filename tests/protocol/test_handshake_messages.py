import contextlib
from typing import get_args

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from protocol.alerts import AlertDescription, DecodeError, ProtocolViolation
from protocol.crypto.openssl import SoftwareProvider
from protocol.extensions import (
    CLIENT_VERSIONS,
    COOKIE,
    DTLS_1_2,
    DTLS_1_3,
    RETRY_GROUP,
    SERVER_KEY_SHARE,
    SERVER_NAME,
    SERVER_VERSION,
    SIGNATURE_ALGORITHMS,
    SUPPORTED_GROUPS,
    Extensions,
    KeyShareEntry,
)
from protocol.handshake_framing import Fragment, HandshakeType, parse_fragments
from protocol.handshake_messages import (
    RETRY_RANDOM,
    Certificate,
    CertificateEntry,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    EncryptedExtensions,
    Finished,
    KeyUpdate,
    NewConnectionId,
    NewSessionTicket,
    RequestConnectionId,
    ServerHello,
)
from protocol.key_schedule import Transcript
from protocol.signatures import PublicKey, Signer, verify
from protocol.wire import vector
from tests.protocol import traces
from tests.protocol.traces import SENDERS, TRACES, messages, opened

RANDOM = bytes(range(32))
AES_128 = 0x1301

CLIENT_HELLO = ClientHello(
    RANDOM,
    (AES_128, 0x0A0A),
    Extensions([CLIENT_VERSIONS.make([DTLS_1_3]), SUPPORTED_GROUPS.make([0x1D])]),
)
SERVER_HELLO = ServerHello(
    RANDOM,
    AES_128,
    Extensions([SERVER_VERSION.make(DTLS_1_3), SERVER_KEY_SHARE.make(KeyShareEntry(0x1D, b"x"))]),
)
RETRY = ServerHello(
    RETRY_RANDOM,
    AES_128,
    Extensions([SERVER_VERSION.make(DTLS_1_3), RETRY_GROUP.make(0x17), COOKIE.make(b"abc")]),
)
HandshakeMessage = (
    ClientHello
    | ServerHello
    | EncryptedExtensions
    | CertificateRequest
    | Certificate
    | CertificateVerify
    | Finished
    | KeyUpdate
    | RequestConnectionId
    | NewConnectionId
    | NewSessionTicket
)
MESSAGES: list[HandshakeMessage] = [
    CLIENT_HELLO,
    SERVER_HELLO,
    RETRY,
    EncryptedExtensions(Extensions([SUPPORTED_GROUPS.make([0x1D])])),
    CertificateRequest(Extensions([SIGNATURE_ALGORITHMS.make([0x0403])])),
    Certificate((CertificateEntry(b"one"), CertificateEntry(b"two")), b"context"),
    Certificate(()),
    CertificateVerify(0x0403, b"signature"),
    Finished(bytes(32)),
    KeyUpdate(True),
    KeyUpdate(False),
    RequestConnectionId(255),
    NewConnectionId((b"a", b"bc"), True),
    NewConnectionId((), False),
]


def parse_message(msg_type: int, body: bytes) -> HandshakeMessage:
    (message,) = (kind for kind in get_args(HandshakeMessage) if kind.msg_type == msg_type)
    return message.parse(body)


def refusal(msg_type: int, body: bytes) -> AlertDescription:
    with pytest.raises(ProtocolViolation) as caught:
        parse_message(msg_type, body)
    return caught.value.alert


def client_hello(
    version: str = "fefd", session: str = "00", cookie: str = "00", compression: str = "0100"
) -> bytes:
    extensions = Extensions([CLIENT_VERSIONS.make([DTLS_1_3])]).encode()
    fields = bytes.fromhex(f"{session} {cookie} 0002 1301 {compression}")
    return bytes.fromhex(version) + RANDOM + fields + extensions


def server_hello(
    version: str = "fefd", session: str = "00", compression: str = "00", selected: int = DTLS_1_3
) -> bytes:
    extensions = Extensions([SERVER_VERSION.make(selected)]).encode()
    fields = bytes.fromhex(f"{session} 1301 {compression}")
    return bytes.fromhex(version) + RANDOM + fields + extensions


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_back(message: HandshakeMessage) -> None:
    assert parse_message(message.msg_type, message.encode()) == message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_with_a_byte_too_many_or_too_few_is_a_decode_error(
    message: HandshakeMessage,
) -> None:
    if isinstance(message, Finished):
        return
    body = message.encode()
    assert refusal(message.msg_type, body + b"\0") is AlertDescription.DECODE_ERROR
    for length in range(len(body)):
        with pytest.raises(ProtocolViolation):
            parse_message(message.msg_type, body[:length])


def test_a_client_hello_is_laid_out_as_in_the_standard() -> None:
    hello = ClientHello(RANDOM, (AES_128,), Extensions([CLIENT_VERSIONS.make([DTLS_1_3])]))
    assert hello.encode() == client_hello()
    assert client_hello().hex() == (f"fefd{RANDOM.hex()}00000002130101000007002b000302fefc")


@pytest.mark.parametrize(
    "body",
    [
        client_hello(version="fefc"),
        client_hello(cookie="0161"),
        client_hello(compression="020100"),
        client_hello(compression="0101"),
    ],
    ids=["version", "cookie", "two compressions", "another compression"],
)
def test_a_client_hello_has_the_legacy_values_of_dtls_1_3(body: bytes) -> None:
    """RFC 9147, 5.3; RFC 8446, 4.1.2."""
    assert refusal(HandshakeType.CLIENT_HELLO, body) is AlertDescription.ILLEGAL_PARAMETER


def test_a_client_may_have_a_session_id_of_an_earlier_version() -> None:
    hello = ClientHello.parse(client_hello(session="03616263"))
    assert hello.legacy_session_id == b"abc"
    assert hello.encode() == client_hello(session="03616263")


def test_a_session_id_over_32_bytes_is_a_decode_error() -> None:
    body = client_hello(session="21" + "00" * 33)
    assert refusal(HandshakeType.CLIENT_HELLO, body) is AlertDescription.DECODE_ERROR


@pytest.mark.parametrize(
    "extensions",
    [b"", Extensions().encode(), Extensions([CLIENT_VERSIONS.make([DTLS_1_2])]).encode()],
    ids=["no block", "no versions", "DTLS 1.2"],
)
def test_a_client_of_an_earlier_version_is_told_so(extensions: bytes) -> None:
    """A cookie is no illegal parameter there: DTLS 1.2 has it."""
    fields = bytes.fromhex("00 0161 0002 c02b 0100")
    body = bytes.fromhex("fefd") + RANDOM + fields + extensions
    assert refusal(HandshakeType.CLIENT_HELLO, body) is AlertDescription.PROTOCOL_VERSION


@pytest.mark.parametrize(
    "body",
    [
        server_hello(version="fefc"),
        server_hello(session="0161"),
        server_hello(compression="01"),
        server_hello(selected=DTLS_1_2),
    ],
    ids=["version", "session ID", "compression", "selected version"],
)
def test_a_server_hello_has_the_legacy_values_of_dtls_1_3(body: bytes) -> None:
    """RFC 9147, 5 and 5.4; RFC 8446, 4.1.3 and 4.2.1."""
    assert refusal(HandshakeType.SERVER_HELLO, body) is AlertDescription.ILLEGAL_PARAMETER


def test_a_server_of_an_earlier_version_is_told_so() -> None:
    body = bytes.fromhex("fefd") + RANDOM + bytes.fromhex("0161 c02b 00")
    assert refusal(HandshakeType.SERVER_HELLO, body) is AlertDescription.PROTOCOL_VERSION


@pytest.mark.parametrize("sentinel", ["444f574e47524401", "444f574e47524400"])
def test_a_server_that_was_talked_out_of_dtls_1_3_is_an_illegal_parameter(sentinel: str) -> None:
    """RFC 8446, 4.1.3; RFC 9147bis, 5.3: it has DTLS 1.3, and somebody hid that we have it too."""
    random = RANDOM[:24] + bytes.fromhex(sentinel)
    body = bytes.fromhex("fefd") + random + bytes.fromhex("00 c02b 00")
    assert refusal(HandshakeType.SERVER_HELLO, body) is AlertDescription.ILLEGAL_PARAMETER
    chosen = Extensions([SERVER_VERSION.make(DTLS_1_3)])
    assert ServerHello.parse(ServerHello(random, AES_128, chosen).encode()).random == random


def test_the_random_makes_a_hello_retry_request() -> None:
    assert RETRY.is_hello_retry_request
    assert not SERVER_HELLO.is_hello_retry_request
    wrong_place = ServerHello(RANDOM, AES_128, RETRY.extensions).encode()
    assert refusal(HandshakeType.SERVER_HELLO, wrong_place) is AlertDescription.ILLEGAL_PARAMETER


def test_a_server_selects_from_what_the_client_offers() -> None:
    hello = ClientHello(RANDOM, (AES_128,), Extensions([CLIENT_VERSIONS.make([DTLS_1_3])]))
    plain = Extensions([SERVER_VERSION.make(DTLS_1_3)])

    ServerHello(RANDOM, AES_128, plain).check_answers(hello)
    with pytest.raises(ProtocolViolation, match="cipher_suite") as caught:
        ServerHello(RANDOM, 0x1302, plain).check_answers(hello)
    assert caught.value.alert is AlertDescription.ILLEGAL_PARAMETER
    grease = ClientHello(RANDOM, (0x0A0A, AES_128), hello.extensions)
    with pytest.raises(ProtocolViolation, match="cipher_suite"):
        ServerHello(RANDOM, 0x0A0A, plain).check_answers(grease)
    with pytest.raises(ProtocolViolation, match="key_share") as caught:
        SERVER_HELLO.check_answers(hello)
    assert caught.value.alert is AlertDescription.UNSUPPORTED_EXTENSION


def test_a_certificate_request_names_signature_algorithms() -> None:
    """RFC 8446, 4.3.2."""
    body = CertificateRequest(Extensions()).encode()
    assert refusal(HandshakeType.CERTIFICATE_REQUEST, body) is AlertDescription.MISSING_EXTENSION


def test_a_chain_becomes_a_certificate_message_and_back() -> None:
    message = Certificate.of_chain((b"leaf", b"issuer"))

    assert message.encode().hex() == "000000140000046c65616600000000066973737565720000"
    assert Certificate.parse(message.encode()).chain == (b"leaf", b"issuer")


def test_an_empty_certificate_in_a_chain_is_a_decode_error() -> None:
    body = vector(b"", 1) + vector(vector(b"", 3) + Extensions().encode(), 3)
    assert refusal(HandshakeType.CERTIFICATE, body) is AlertDescription.DECODE_ERROR


def test_a_key_update_says_yes_or_no() -> None:
    assert refusal(HandshakeType.KEY_UPDATE, b"\2") is AlertDescription.ILLEGAL_PARAMETER
    assert refusal(HandshakeType.KEY_UPDATE, b"") is AlertDescription.DECODE_ERROR


def test_connection_ids_are_laid_out_as_in_the_standard() -> None:
    """RFC 9147, 9."""
    assert RequestConnectionId(3).encode().hex() == "03"
    assert NewConnectionId((b"a", b"bc"), True).encode().hex() == "0005016102626300"
    assert NewConnectionId((b"a",), False).encode().hex() == "0002016101"


def test_a_new_session_ticket_is_read() -> None:
    body = bytes.fromhex("00015180 01020304 02 0a0b 0003 616263 0000")
    ticket = NewSessionTicket.parse(body)

    assert (ticket.lifetime, ticket.age_add) == (86400, 0x01020304)
    assert (ticket.nonce, ticket.ticket) == (b"\x0a\x0b", b"abc")
    assert "abc" not in repr(ticket)
    assert ticket.encode() == body


def test_the_extensions_of_the_server_are_read_with_their_message() -> None:
    """RFC 6066, 3: server_name is empty there."""
    body = Extensions([SERVER_NAME.make("a.example")]).encode()
    assert refusal(HandshakeType.ENCRYPTED_EXTENSIONS, body) is AlertDescription.DECODE_ERROR


@given(st.sampled_from([1, 2, 4, 8, 9, 10, 11, 13, 15, 20, 24]), st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_violation(msg_type: int, body: bytes) -> None:
    with contextlib.suppress(ProtocolViolation):
        parse_message(msg_type, body)


@given(st.sampled_from(MESSAGES), st.data())
def test_any_damage_to_a_message_is_read_or_is_a_violation(
    message: HandshakeMessage, data: st.DataObject
) -> None:
    body = bytearray(message.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = parse_message(message.msg_type, bytes(body))
    except ProtocolViolation:
        return
    assert read.encode() == body


def test_a_fragment_is_laid_out_as_in_the_standard() -> None:
    """RFC 9147, 5.2."""
    fragment = Fragment(HandshakeType.FINISHED, 0x010203, 0x0405, 0x060708 & 0xFFFF, b"ab")
    assert fragment.encode().hex() == "1401020304050007080000026162"
    assert parse_fragments(fragment.encode() * 2) == (fragment, fragment)


@pytest.mark.parametrize(
    "content",
    ["", "14", "14 000002 0000 000000 000003 616263", "14 000002 0000 000001 000002 6162"],
    ids=["nothing", "half a header", "longer than its message", "beyond its message"],
)
def test_a_fragment_stays_in_its_record_and_in_its_message(content: str) -> None:
    with pytest.raises(DecodeError):
        parse_fragments(bytes.fromhex(content))


@given(st.binary(max_size=60))
def test_any_bytes_are_fragments_or_a_violation(content: bytes) -> None:
    try:
        fragments = parse_fragments(content)
    except DecodeError:
        return
    assert b"".join(fragment.encode() for fragment in fragments) == content


@pytest.mark.parametrize("name", TRACES)
@pytest.mark.parametrize("sender", SENDERS)
def test_recorded_messages_are_read_and_written_byte_for_byte(name: str, sender: str) -> None:
    recorded = messages(opened(traces.load(name), sender, SoftwareProvider()))
    assert recorded
    for msg_type, body in recorded:
        message = parse_message(msg_type, body)
        assert message.encode() == body


@pytest.mark.parametrize("name", TRACES)
def test_the_server_of_a_recorded_session_answers_and_signs(name: str) -> None:
    """Its CertificateVerify is over the transcript of everything before."""
    trace = traces.load(name)
    client, server = (messages(opened(trace, who, SoftwareProvider())) for who in SENDERS)
    transcript = Transcript()
    transcript.select(trace.suite)
    key = None
    for msg_type, body in [*in_order(client, server)]:
        message = parse_message(msg_type, body)
        if isinstance(message, ClientHello):
            hello = message
        if isinstance(message, ServerHello):
            message.check_answers(hello)
        if isinstance(message, ServerHello) and message.is_hello_retry_request:
            transcript.restart(transcript.digest())
        if isinstance(message, Certificate):
            leaf = x509.load_der_x509_certificate(message.chain[0])
            key = PublicKey.of_certificate(leaf)
        if isinstance(message, CertificateVerify):
            verify(key, message.scheme, Signer.SERVER, transcript.digest(), message.signature)
            return
        transcript.add(msg_type, body)
    pytest.fail("the session has no CertificateVerify")


def in_order(
    client: list[tuple[int, bytes]], server: list[tuple[int, bytes]]
) -> list[tuple[int, bytes]]:
    """The messages up to the server's flight: its answer to a ClientHello is one message or all."""
    if ServerHello.parse(server[0][1]).is_hello_retry_request:
        return [client[0], server[0], client[1], *server[1:]]
    return [client[0], *server]
