"""What the extensions of hellos and EncryptedExtensions agree on."""

import pytest

from driver import Device
from hdl.model import AcceleratorModel
from hdl.profile import Profile
from protocol.alerts import Alert, AlertDescription, UsageError
from protocol.crypto.accelerator import AcceleratorProvider
from protocol.extensions import (
    ALPN_PROTOCOLS,
    CLIENT_VERSIONS,
    DTLS_1_2,
    DTLS_1_3,
    GREASE,
    RECORD_SIZE_LIMIT,
    SIGNATURE_ALGORITHMS,
    SUPPORTED_GROUPS,
    Extension,
    Extensions,
    ExtensionType,
)
from protocol.handshake_framing import Fragment, HandshakeType, parse_fragments
from protocol.handshake_messages import ClientHello, EncryptedExtensions
from protocol.key_exchange import NamedGroup
from protocol.negotiation import ClientNegotiation, ServerNegotiation
from protocol.record import ContentType, build_plaintext, parse_plaintext
from protocol.stats import Drop
from sim.model_link import ModelLink
from tests.protocol.certificates import credentials
from tests.protocol.pair import Network, Pair, client_config, server_config
from tests.protocol.providers import PROVIDERS

ON_EACH_PROVIDER = pytest.mark.parametrize("provider", ["software", "accelerator_model"])


def answers(pair):
    """The EncryptedExtensions that the server sends."""
    return Extensions(pair.server._handshake._negotiation.encrypted_extensions())


def answered_with(monkeypatch, *extensions):
    """A server that puts these into its EncryptedExtensions, whatever was offered."""
    monkeypatch.setattr(ServerNegotiation, "encrypted_extensions", lambda self: extensions)
    return Pair()


# ALPN


@pytest.mark.parametrize(
    ("client", "server", "agreed"),
    [
        (("coap", "h3"), ("h3", "coap"), "h3"),
        (("coap", "h3"), ("coap",), "coap"),
        (("coap",), (), None),
        ((), ("coap",), None),
    ],
    ids=["the server's order", "one", "server without", "client without"],
)
def test_the_server_selects_a_protocol_if_both_have_some(client, server, agreed):
    """RFC 7301, 3.2."""
    pair = Pair.connected(
        client_config(alpn_protocols=client), server_config(alpn_protocols=server)
    )
    assert [pair.result(side).alpn_protocol for side in pair.sides] == [agreed, agreed]
    assert (ALPN_PROTOCOLS.type in answers(pair)) == (agreed is not None)


def test_a_server_that_has_none_of_the_clients_protocols_refuses_it():
    """RFC 7301, 3.2."""
    pair = Pair(client_config(alpn_protocols=("coap",)), server_config(alpn_protocols=("h3",)))
    pair.run()
    assert pair.end("server").alert is AlertDescription.NO_APPLICATION_PROTOCOL
    assert pair.end("client").alert is AlertDescription.NO_APPLICATION_PROTOCOL
    assert pair.end("client").by_peer


@pytest.mark.parametrize(
    "selected", [[b"h3"], [b"coap", b"coaps"]], ids=["not offered", "more than one"]
)
def test_a_client_takes_only_one_protocol_that_it_offered(selected, monkeypatch):
    """RFC 7301, 3.1."""
    answered_with(monkeypatch, ALPN_PROTOCOLS.make(selected))
    pair = Pair(client_config(alpn_protocols=("coap", "coaps")))
    pair.run()
    assert pair.end("client").alert is AlertDescription.ILLEGAL_PARAMETER


def test_a_protocol_without_a_name_is_refused():
    for name in ("", "x" * 256):
        with pytest.raises(UsageError, match="alpn_protocols"):
            client_config(alpn_protocols=(name,))


# record_size_limit


def limited(client, server):
    """Sides on devices that take records of so many bytes of content."""
    profiles = (Profile("small", largest_record=size) for size in (client, server))
    providers = [AcceleratorProvider(Device(ModelLink(AcceleratorModel(p)))) for p in profiles]
    return Pair.connected(
        client_config(provider=providers[0], mtu=client),
        server_config(credentials("rsa"), provider=providers[1], mtu=server),
    )


@pytest.mark.parametrize(("client", "server"), [(256, 1024), (1024, 256), (256, 256)])
def test_records_are_no_larger_than_the_peer_takes(client, server):
    """RFC 8449, 4: data and protected handshake messages; a device could not open larger ones."""
    pair = limited(client, server)
    assert pair.client.max_payload == min(server, client - 22)
    assert pair.server.max_payload == min(client, server - 22)
    for side in pair.sides.values():
        side.send(bytes(side.max_payload))
        with pytest.raises(UsageError, match="largest payload"):
            side.send(bytes(side.max_payload + 1))
    pair.run()
    assert pair.data("server") == [bytes(pair.client.max_payload)]
    assert pair.data("client") == [bytes(pair.server.max_payload)]
    assert not pair.client.stats.drops + pair.server.stats.drops


@pytest.mark.parametrize("value", [64, 200, 2**14 + 1, 2**16 - 1])
def test_any_limit_of_a_peer_is_kept_and_none_goes_beyond_the_protocols(value, monkeypatch):
    """RFC 8449, 4: a server must not mind a limit over 2^14 + 1; the records stay as they are."""
    monkeypatch.setattr(ClientNegotiation, "_own_limit", lambda self: RECORD_SIZE_LIMIT.make(value))
    pair = Pair.connected(server=server_config(credentials("rsa"), mtu=20_000))
    assert pair.server.max_payload == min(value - 1, 2**14)
    pair.server.send(bytes(pair.server.max_payload))
    pair.run()
    assert len(pair.data("client")[0]) == pair.server.max_payload


def test_a_limit_below_64_is_an_illegal_parameter(monkeypatch):
    """RFC 8449, 4."""
    pair = answered_with(monkeypatch, Extension(ExtensionType.RECORD_SIZE_LIMIT, b"\0\x3f"))
    pair.run()
    assert pair.end("client").alert is AlertDescription.ILLEGAL_PARAMETER


def test_padding_is_part_of_the_limit_and_is_taken_off():
    """RFC 8446, 5.4."""
    pair = limited(256, 256)
    pair.client.send(b"short", padding=pair.client.max_payload - 5)
    pair.client.send(b"", padding=1)
    with pytest.raises(UsageError, match="largest payload"):
        pair.client.send(b"short", padding=pair.client.max_payload - 4)
    pair.run()
    assert [len(datagram) for datagram in pair.datagrams("client")[-2:]] == [256, 23]
    assert pair.data("server") == [b"short", b""]


@ON_EACH_PROVIDER
def test_records_of_one_length_hide_the_length_of_what_is_in_them(provider):
    pair = Pair.connected(
        client_config(provider=PROVIDERS[provider]()), server_config(provider=PROVIDERS[provider]())
    )
    texts = [b"yes", b"no", b"\x17", b"\0\0\0", b""]
    for text in texts:
        pair.client.send(text, padding=64 - len(text))
    pair.run()
    assert pair.data("server") == texts
    assert {len(datagram) for datagram in pair.datagrams("client")[2:]} == {22 + 64}


# What else a server answers


def test_a_server_says_that_it_heeds_the_name():
    """RFC 6066, 3; no name is sent for an address, so nothing is answered."""
    assert ExtensionType.SERVER_NAME in answers(Pair.connected())
    pair = Pair.connected(
        client_config(server_name="127.0.0.1"), server_config(credentials(name="127.0.0.1"))
    )
    assert ExtensionType.SERVER_NAME not in answers(pair)


def test_nothing_is_answered_that_was_not_offered(monkeypatch):
    """RFC 8446, 4.2."""
    monkeypatch.setattr(ClientNegotiation, "offer", lambda self: [])
    pair = Pair.connected(
        server=server_config(alpn_protocols=("coap",), connection_id=lambda: b"server")
    )
    assert list(answers(pair)) == [Extension(ExtensionType.SERVER_NAME, b"")]
    assert pair.result("client").send_connection_id == b""


@pytest.mark.parametrize(
    "extension",
    [
        Extension(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, b"\0\3\2h3"),
        Extension(ExtensionType.MAX_FRAGMENT_LENGTH, b"\1"),
        Extension(0xFAFA, b""),
    ],
    ids=["alpn", "max_fragment_length", "grease"],
)
def test_an_answer_to_what_was_not_offered_is_an_unsupported_extension(extension, monkeypatch):
    """RFC 8446, 4.2; RFC 8449, 5: max_fragment_length is nothing that we would offer."""
    pair = answered_with(monkeypatch, extension)
    pair.run()
    assert pair.end("client").alert is AlertDescription.UNSUPPORTED_EXTENSION


@pytest.mark.parametrize(
    "extension",
    [Extension(ExtensionType.PADDING, bytes(200)), Extension(ExtensionType.HEARTBEAT, b"\1")],
    ids=["padding", "heartbeat"],
)
def test_extensions_that_a_server_has_no_use_for_are_ignored(extension, monkeypatch):
    """RFC 7685; RFC 8446, 4.2."""
    offer = ClientNegotiation.offer
    monkeypatch.setattr(ClientNegotiation, "offer", lambda self: [*offer(self), extension])
    assert extension.type not in answers(Pair.connected())


# GREASE


@pytest.mark.parametrize("groups", [(NamedGroup.X25519,), (NamedGroup.SECP256R1,)])
def test_a_client_with_grease_offers_it_everywhere_and_is_understood(groups):
    """RFC 8701, 3.1; with a HelloRetryRequest, it stays the same."""
    pair = Pair.connected(client_config(grease=True), server_config(groups=groups))
    hello = pair.client._handshake._hello
    (grease,) = set(GREASE).intersection(hello.cipher_suites)
    for codec in (CLIENT_VERSIONS, SUPPORTED_GROUPS, SIGNATURE_ALGORITHMS):
        assert grease in codec.require(hello.extensions)
    assert grease in hello.extensions


def test_without_being_asked_to_a_client_offers_no_grease():
    hello = Pair().client._handshake._hello
    offered = {*hello.cipher_suites, *(extension.type for extension in hello.extensions)}
    assert not offered.intersection(GREASE)
    assert {CLIENT_VERSIONS.type, SUPPORTED_GROUPS.type} <= offered


# Versions


def first_record(datagram):
    return datagram[: 13 + int.from_bytes(datagram[11:13], "big")]


def hello_of(pair):
    (datagram,) = pair.datagrams("client")
    (fragment,) = parse_fragments(parse_plaintext(datagram).content)
    return ClientHello.parse(fragment.data)


@pytest.mark.parametrize("versions", [(DTLS_1_2,), (GREASE[3], DTLS_1_2), None])
def test_a_client_that_has_no_dtls_1_3_is_told_so_in_plaintext(versions):
    """RFC 8446, 4.2.1."""
    pair = Pair(network=Network(loss=1.0))
    pair.run(0.0)
    hello = hello_of(pair)
    others = [e for e in hello.extensions if e.type != ExtensionType.SUPPORTED_VERSIONS]
    offers = [CLIENT_VERSIONS.make(versions)] if versions else []
    old = ClientHello(hello.random, hello.cipher_suites, Extensions([*others, *offers]))
    for _ in range(2):
        pair.inject("server", _plaintext(old))
    assert pair.end("server").alert is AlertDescription.PROTOCOL_VERSION
    (answer,) = pair.datagrams("server")
    record = parse_plaintext(answer)
    assert record.content_type == ContentType.ALERT
    assert Alert.parse(record.content).description is AlertDescription.PROTOCOL_VERSION


@pytest.mark.parametrize("message_seq", [0, 1])
def test_a_server_that_asks_for_a_cookie_as_of_dtls_1_2_is_refused(message_seq):
    """RFC 6347, 4.2.1; one out of its turn, or not well-formed, is dropped."""
    pair = Pair(network=Network(loss=1.0))
    pair.run(0.0)
    for body in (b"\xfe\xff", b"\xfe\xff\3abcd", *[b"\xfe\xff\3abc"] * 2):
        fragment = Fragment(HandshakeType.HELLO_VERIFY_REQUEST, len(body), message_seq, 0, body)
        pair.inject("client", build_plaintext(ContentType.HANDSHAKE, 0, fragment.encode()))
    if message_seq:
        assert pair.client.stats.drops == {Drop.BAD_PLAINTEXT: 4}
        return
    assert pair.client.stats.drops == {Drop.BAD_PLAINTEXT: 3}
    assert pair.end("client").alert is AlertDescription.PROTOCOL_VERSION
    (_, answer) = pair.datagrams("client")
    record = parse_plaintext(answer)
    assert Alert.parse(record.content).description is AlertDescription.PROTOCOL_VERSION


def test_a_client_that_has_dtls_1_3_among_others_is_served():
    pair = Pair(network=Network(loss=1.0))
    pair.run(0.0)
    hello = hello_of(pair)
    others = [e for e in hello.extensions if e.type != ExtensionType.SUPPORTED_VERSIONS]
    versions = CLIENT_VERSIONS.make((GREASE[0], DTLS_1_2, DTLS_1_3))
    both = ClientHello(hello.random, hello.cipher_suites, Extensions([*others, versions]))
    pair.inject("server", _plaintext(both))
    datagram = pair.datagrams("server")[0]
    (fragment,) = parse_fragments(parse_plaintext(first_record(datagram)).content)
    assert fragment.msg_type == HandshakeType.SERVER_HELLO


def _plaintext(message):
    body = message.encode()
    fragment = Fragment(message.msg_type, len(body), 0, 0, body)
    return build_plaintext(ContentType.HANDSHAKE, 0, fragment.encode())


def test_encrypted_extensions_are_read_with_their_message():
    """What we did not offer is kept raw; what a client of ours reads has its syntax."""
    limit = RECORD_SIZE_LIMIT.make(1000)
    assert EncryptedExtensions.parse(Extensions([limit]).encode()).extensions.find(limit.type)
