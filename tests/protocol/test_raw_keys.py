"""Raw public keys in the place of certificates (RFC 7250; RFC 8446, 4.4.2)."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from protocol.alerts import AlertDescription, UsageError
from protocol.certificate_types import (
    CLIENT_CERTIFICATE_TYPE,
    CLIENT_CERTIFICATE_TYPES,
    SERVER_CERTIFICATE_TYPE,
    SERVER_CERTIFICATE_TYPES,
    CertificateType,
    select,
    selected,
)
from protocol.certificates import CredentialsError
from protocol.config import ConnectionConfig
from protocol.crypto.openssl import SoftwareProvider
from protocol.extensions import Extensions
from protocol.handshake_messages import Certificate, ClientHello
from protocol.raw_keys import RawKey, load_public_key, public_key_info
from protocol.session import SessionTicket
from protocol.signatures import SignatureScheme
from tests.protocol.certificates import (
    KEY_KINDS,
    ML_DSA_KINDS,
    SERVER_NAME,
    authority,
    credentials,
    private_key,
)
from tests.protocol.pair import Pair, client_config, server_config
from tests.protocol.providers import PROVIDERS
from tests.protocol.sessions import Resumable, resumed

RAW, X509 = CertificateType.RAW_PUBLIC_KEY, CertificateType.X509


def pinning(kind="secp256r1", owner="server", **changes):
    """A client that trusts one key and no CA."""
    trusted = (private_key(kind, owner).public_key(),)
    own = {"trust": (), "server_name": None, "trusted_keys": trusted}
    return client_config(**(own | changes))


def with_raw_key(kind="secp256r1", owner="server", **changes):
    """A server that has a raw key and no certificate."""
    own = {"credentials": None, "raw_key": raw_key(kind, owner)}
    return server_config(**(own | changes))


def public(kind="secp256r1", owner="server"):
    return private_key(kind, owner).public_key()


def raw_key(kind="secp256r1", owner="server"):
    return RawKey(private_key(kind, owner))


def hello_of(pair):
    """The ClientHello of a pair whose network takes hellos in one datagram."""
    return ClientHello.parse(pair.datagrams("client")[0][25:])


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_server_is_known_by_its_key(provider):
    common = {"provider": PROVIDERS[provider]()}
    pair = Pair.connected(pinning(**common), with_raw_key(**common))
    assert pair.result("client").peer_raw_key == public()
    assert pair.result("client").peer_certificate is None
    assert pair.result("server").peer_raw_key is None
    pair.client.send(b"hello")
    pair.run()
    assert pair.data("server") == [b"hello"]


@pytest.mark.parametrize("kind", [*KEY_KINDS, "secp384r1", "secp521r1", *ML_DSA_KINDS])
def test_every_kind_of_key_will_do_on_both_sides(kind):
    client = pinning(kind, raw_key=raw_key(kind, "client"))
    server = with_raw_key(kind, trusted_keys=(public(kind, "client"),))
    pair = Pair.connected(client, server)
    assert pair.result("client").peer_raw_key == public(kind, "server")
    assert pair.result("server").peer_raw_key == public(kind, "client")


def test_a_key_on_one_side_and_a_certificate_on_the_other():
    roots = (authority().certificate,)
    client = client_config(raw_key=raw_key("ed25519", "client"))
    pair = Pair.connected(client, server_config(trusted_keys=(public("ed25519", "client"),)))
    assert pair.result("client").peer_certificate == credentials().chain[0]
    assert pair.result("server").peer_raw_key == public("ed25519", "client")

    client = pinning(credentials=credentials("ed25519"))
    pair = Pair.connected(client, with_raw_key(trust=roots))
    assert pair.result("client").peer_raw_key == public()
    assert pair.result("server").peer_certificate == credentials("ed25519").chain[0]


def test_a_key_is_preferred_where_both_would_do():
    client = client_config(trusted_keys=(public(),), credentials=credentials("ed25519"))
    client = replace(client, raw_key=raw_key("rsa", "client"))
    server = server_config(
        raw_key=raw_key("secp256r1"),
        trust=(authority().certificate,),
        trusted_keys=(public("rsa", "client"),),
    )
    pair = Pair.connected(client, server)
    assert pair.result("client").peer_raw_key == public()
    assert pair.result("server").peer_raw_key == public("rsa", "client")


def test_a_server_with_both_gives_its_certificate_to_those_who_know_nothing_else():
    pair = Pair.connected(client_config(), server_config(raw_key=raw_key("secp256r1")))
    assert pair.result("client").peer_certificate == credentials().chain[0]
    assert pair.result("client").peer_raw_key is None


def test_a_client_whose_key_the_server_takes_no_signature_of_has_none():
    """RFC 8446, 4.4.2.3: an empty Certificate."""
    client = pinning(raw_key=raw_key("rsa", "client"))
    schemes = (SignatureScheme.ECDSA_SECP256R1_SHA256,)
    trusted = (public("rsa", "client"),)
    pair = Pair(client, with_raw_key(trusted_keys=trusted, signature_schemes=schemes))
    pair.run()
    assert pair.end("server").alert is AlertDescription.CERTIFICATE_REQUIRED


# Refusals


@pytest.mark.parametrize(
    ("client", "server", "who", "alert"),
    [
        (lambda: pinning(owner="other"), with_raw_key, "client", "CERTIFICATE_UNKNOWN"),
        (pinning, server_config, "server", "UNSUPPORTED_CERTIFICATE"),
        (client_config, with_raw_key, "server", "UNSUPPORTED_CERTIFICATE"),
        (
            lambda: client_config(credentials=credentials()),
            lambda: server_config(trusted_keys=(public(),)),
            "server",
            "UNSUPPORTED_CERTIFICATE",
        ),
        (
            lambda: pinning(raw_key=raw_key("secp256r1", "mallory")),
            lambda: with_raw_key(trusted_keys=(public(owner="client"),)),
            "server",
            "CERTIFICATE_UNKNOWN",
        ),
    ],
    ids=["other key", "only certificates", "only keys", "client's certificate", "other client"],
)
def test_who_is_not_known_is_refused(client, server, who, alert):
    pair = Pair(client(), server())
    pair.run()
    assert pair.end(who).alert is AlertDescription[alert]
    other = "server" if who == "client" else "client"
    assert pair.end(other).by_peer


def test_a_key_without_its_private_half_is_of_no_use():
    """The key is public: what counts is the signature."""

    class Stolen(RawKey):
        chain_der = (public_key_info(public()),)

    server = with_raw_key(raw_key=Stolen(private_key("secp256r1", "mallory")))
    pair = Pair(pinning(), server)
    pair.run()
    assert pair.end("client").alert is AlertDescription.DECRYPT_ERROR


@pytest.mark.parametrize("count", [0, 2])
def test_a_certificate_message_has_one_key(count, monkeypatch):
    """RFC 8446, 4.4.2."""
    keys = (public_key_info(public()),) * count
    of_chain = Certificate.of_chain
    monkeypatch.setattr(Certificate, "of_chain", lambda chain: of_chain(keys))
    pair = Pair(pinning(), with_raw_key())
    pair.run()
    expected = AlertDescription.ILLEGAL_PARAMETER if count else AlertDescription.DECODE_ERROR
    assert pair.end("client").alert is expected


def test_a_certificate_that_nobody_could_verify_is_refused(monkeypatch):
    """The server says nothing about types, so that it is X.509."""
    pair = Pair(pinning(), server_config(raw_key=raw_key("secp256r1")))
    monkeypatch.setattr(
        "protocol.server.ServerHandshake._choose_certificate_types", lambda *_, **__: None
    )
    pair.run()
    assert pair.end("client").alert is AlertDescription.UNSUPPORTED_CERTIFICATE


def test_trust_in_a_key_is_no_trust_in_a_name():
    """Mallory has a certificate that says the name, and not the key."""
    pair = Pair(pinning(server_name=SERVER_NAME), with_raw_key("ed25519", "mallory"))
    pair.run()
    assert pair.end("client").alert is AlertDescription.CERTIFICATE_UNKNOWN


# Negotiation


@pytest.mark.parametrize(
    ("client", "own", "accepted"),
    [
        (client_config, None, None),
        (lambda: client_config(credentials=credentials()), None, None),
        (pinning, None, (RAW,)),
        (lambda: client_config(trusted_keys=(public(),)), None, (RAW, X509)),
        (lambda: client_config(raw_key=raw_key("rsa")), (RAW,), None),
        (
            lambda: client_config(raw_key=raw_key("rsa"), credentials=credentials()),
            (RAW, X509),
            None,
        ),
    ],
)
def test_a_client_offers_what_goes_beyond_certificates(client, own, accepted):
    """RFC 7250, 4.1."""
    pair = Pair(client())
    pair.run(0.0)
    extensions = hello_of(pair).extensions
    assert CLIENT_CERTIFICATE_TYPES.read(extensions) == own
    assert SERVER_CERTIFICATE_TYPES.read(extensions) == accepted


def test_types_on_the_wire():
    """RFC 7250, 3: numbers 19 and 20."""
    assert CLIENT_CERTIFICATE_TYPES.make((RAW, X509)) == (19, bytes.fromhex("02 02 00"))
    assert SERVER_CERTIFICATE_TYPES.make((RAW,)) == (20, bytes.fromhex("01 02"))
    assert CLIENT_CERTIFICATE_TYPE.make(RAW) == (19, b"\2")
    assert SERVER_CERTIFICATE_TYPE.make(X509) == (20, b"\0")


def test_the_server_takes_the_first_type_that_it_has():
    assert select((1, RAW, X509), (X509, RAW)) is RAW
    assert select((1, X509), (X509, RAW)) is X509
    assert select(None, (RAW, X509)) is X509


def test_the_client_takes_no_type_that_it_has_not_offered():
    assert selected(None, (RAW,)) is X509
    assert selected(RAW, (RAW, X509)) is RAW
    with pytest.raises(Exception, match="not offered") as caught:
        selected(X509, (RAW,))
    assert caught.value.alert is AlertDescription.ILLEGAL_PARAMETER


def test_an_answer_that_was_not_asked_for_is_refused():
    """RFC 8446, 4.2."""
    pair = Pair()
    pair.server._handshake._certificate_types = [SERVER_CERTIFICATE_TYPE.make(X509)]
    pair.run()
    assert pair.end("client").alert is AlertDescription.UNSUPPORTED_EXTENSION


def test_the_server_answers_only_what_was_offered():
    pair = Pair.connected()
    assert pair.server._handshake._certificate_types == []
    pair = Pair.connected(client_config(trusted_keys=(public("rsa"),)))
    assert Extensions(pair.server._handshake._certificate_types) == Extensions(
        [SERVER_CERTIFICATE_TYPE.make(X509)]
    )


# Resumption


def world():
    client = {"trust": (), "server_name": None, "trusted_keys": (public(),)}
    own = {"credentials": None, "raw_key": raw_key("secp256r1")}
    both = Resumable()
    both.change_client(**client, raw_key=raw_key("ed25519", "client"))
    both.change_server(**own, trusted_keys=(public("ed25519", "client"),))
    return both


def test_a_resumed_session_is_with_the_same_keys():
    both = world()
    ticket = SessionTicket.from_bytes(both.ticket().to_bytes())
    pair = both.connect(ticket)
    assert resumed(pair)
    assert pair.result("client").peer_raw_key == public()
    assert pair.result("server").peer_raw_key == public("ed25519", "client")
    again = both.connect(pair.ticket())
    assert resumed(again)


def test_who_is_not_trusted_any_more_resumes_no_session():
    both = world()
    ticket = both.ticket()
    both.change_server(trusted_keys=(public("rsa", "client"), public("ed25519", "client")))
    assert resumed(both.connect(ticket))
    both.change_server(trusted_keys=(public("rsa", "client"),))
    pair = both.pair(ticket)
    pair.run()
    assert pair.end("server").alert is AlertDescription.CERTIFICATE_UNKNOWN


def test_a_client_offers_no_ticket_of_a_server_whose_key_it_trusts_no_more():
    both = world()
    ticket = both.ticket()
    both.change_client(trusted_keys=(public("rsa"),))
    pair = both.pair(ticket)
    pair.run()
    assert pair.end("client").alert is AlertDescription.CERTIFICATE_UNKNOWN


def test_a_ticket_without_a_key_is_not_taken_where_clients_need_one():
    both = Resumable()
    ticket = both.ticket()
    both.change_server(trusted_keys=(public(),))
    pair = both.pair(ticket)
    pair.run()
    assert pair.end("server").alert is AlertDescription.UNSUPPORTED_CERTIFICATE


# Configuration and files


def test_a_client_with_pinned_keys_needs_no_name_and_no_ca():
    config = ConnectionConfig(provider=SoftwareProvider(), trusted_keys=(public(),))
    config.check_client()
    with pytest.raises(UsageError, match="server_name"):
        replace(config, trust=(authority().certificate,)).check_client()
    with pytest.raises(UsageError, match="trust must be"):
        replace(config, trusted_keys=()).check_client()


def test_a_server_needs_a_key_or_a_certificate():
    config = ConnectionConfig(provider=SoftwareProvider(), raw_key=raw_key("rsa"))
    config.check_server()
    with pytest.raises(UsageError, match="raw_key or psks"):
        replace(config, raw_key=None).check_server()


def test_keys_that_no_scheme_takes_are_refused():
    odd = ec.generate_private_key(ec.SECP256K1())
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.raises(CredentialsError, match="secp256k1"):
        RawKey(odd)
    with pytest.raises(CredentialsError, match="1024 bits"):
        RawKey(short)
    with pytest.raises(UsageError, match=r"trusted_keys.*secp256k1"):
        client_config(trusted_keys=(odd.public_key(),))


def test_keys_come_from_files(tmp_path):
    key = private_key("ed25519")
    own, peer = tmp_path / "own.pem", tmp_path / "peer.pem"
    own.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    peer.write_bytes(public().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert RawKey.from_pem_file(own).kind == "ed25519"
    assert load_public_key(peer) == public()
    with pytest.raises(CredentialsError, match=r"own\.pem: no public key"):
        load_public_key(own)
    with pytest.raises(CredentialsError, match=r"absent\.pem: No such file"):
        load_public_key(tmp_path / "absent.pem")
    odd = ec.generate_private_key(ec.SECP256K1()).public_key()
    peer.write_bytes(odd.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(CredentialsError, match=r"peer\.pem: the public key is of a kind"):
        load_public_key(peer)


def test_the_private_key_is_in_no_repr():
    assert "private" not in repr(raw_key("ed25519"))
