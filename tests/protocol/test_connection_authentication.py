"""Handshakes with every kind of group, key and certificate that there is."""

import subprocess
import sys

import pytest

from intaglio.certificates import Authority
from protocol.alerts import AlertDescription, UsageError
from protocol.certificates import Credentials
from protocol.extensions import CERTIFICATE_AUTHORITIES, SIGNATURE_ALGORITHMS_CERT
from protocol.handshake_messages import CertificateRequest
from protocol.key_exchange import AVAILABLE_GROUPS, NamedGroup
from protocol.signatures import AVAILABLE_SCHEMES, SignatureScheme
from tests.protocol.certificates import (
    ML_DSA_KINDS,
    NOW,
    SERVER_NAME,
    authority,
    credentials,
    private_key,
    rsa_pss_credentials,
)
from tests.protocol.pair import Network, Pair, client_config, server_config
from tests.protocol.providers import PROVIDERS

HYBRID = NamedGroup.X25519MLKEM768
needs_hybrid = pytest.mark.skipif(HYBRID not in AVAILABLE_GROUPS, reason="no ML-KEM here")
on_both_providers = pytest.mark.parametrize("provider", ["software", "accelerator_model"])

TRUST = (authority().certificate,)


@needs_hybrid
@on_both_providers
def test_a_hello_with_a_hybrid_share_spans_datagrams(provider):
    changes = {"groups": (HYBRID,), "mtu": 600}
    pair = Pair.connected(
        client_config(provider=PROVIDERS[provider](), **changes),
        server_config(provider=PROVIDERS[provider](), **changes),
    )
    assert pair.result("client").group is pair.result("server").group is HYBRID
    hello = [data for time, who, data in pair.sent if (who, time) == ("client", 0.0)]
    assert len(hello) == 3
    pair.client.send(b"hello")
    pair.run()
    assert pair.data("server") == [b"hello"]


@needs_hybrid
@on_both_providers
@pytest.mark.parametrize("seed", range(20))
def test_a_hybrid_handshake_succeeds_whatever_the_network_does(provider, seed):
    changes = {"groups": (HYBRID,), "mtu": 300, "handshake_timeout": 300.0}
    pair = Pair(
        client_config(provider=PROVIDERS[provider](), **changes),
        server_config(provider=PROVIDERS[provider](), **changes),
        Network(seed, loss=0.2, duplication=0.2, reordering=0.3),
    )
    pair.run()
    for side in (pair.client, pair.server):
        assert side.connected
        assert side.timer() is None


@needs_hybrid
@pytest.mark.parametrize("seed", range(10))
def test_a_server_may_ask_for_a_hybrid_share_over_a_bad_network(seed):
    server = server_config(groups=(HYBRID,), mtu=300, handshake_timeout=300.0)
    client = client_config(mtu=300, handshake_timeout=300.0)
    pair = Pair(client, server, Network(seed, loss=0.2, duplication=0.2, reordering=0.3))
    pair.run()
    assert pair.result("client").group is pair.result("server").group is HYBRID


@pytest.mark.parametrize("kind", ["secp384r1", "secp521r1", *ML_DSA_KINDS])
def test_both_sides_may_have_keys_of_other_kinds(kind):
    client, server = credentials(kind, "client.example"), credentials(kind)
    pair = Pair.connected(client_config(credentials=client), server_config(server, trust=TRUST))
    assert pair.result("client").peer_certificate == server.chain[0]
    assert pair.result("server").peer_certificate == client.chain[0]


@pytest.mark.parametrize(
    "scheme", [scheme for scheme in AVAILABLE_SCHEMES if scheme.name.startswith("RSA_PSS_PSS")]
)
def test_a_key_for_pss_alone_signs_with_the_schemes_that_are_for_it(scheme):
    own, root = rsa_pss_credentials()
    client = client_config(trust=(root,), signature_schemes=(scheme,))
    pair = Pair.connected(client, server_config(own))
    assert pair.result("client").peer_certificate == own.chain[0]


def test_a_key_for_pss_alone_signs_with_no_other_scheme():
    own, root = rsa_pss_credentials()
    schemes = (SignatureScheme.RSA_PSS_RSAE_SHA256,)
    pair = Pair(client_config(trust=(root,), signature_schemes=schemes), server_config(own))
    pair.run()
    assert pair.end("client").alert is AlertDescription.HANDSHAKE_FAILURE


@pytest.mark.parametrize(
    ("scheme", "kind"),
    [
        (SignatureScheme.ED25519, "ed25519"),
        (SignatureScheme.ECDSA_SECP256R1_SHA256, "secp256r1"),
        (SignatureScheme.RSA_PSS_RSAE_SHA384, "rsa"),
    ],
)
def test_a_server_with_several_keys_uses_one_that_the_client_takes(scheme, kind):
    own = tuple(map(credentials, ("secp256r1", "rsa", "ed25519")))
    pair = Pair.connected(client_config(signature_schemes=(scheme,)), server_config(own))
    assert pair.result("client").peer_certificate == credentials(kind).chain[0]


@pytest.mark.parametrize("name", ["a.example", "b.example"])
def test_a_server_with_several_names_is_the_one_that_the_client_asks_for(name):
    own = tuple(credentials(name=each) for each in ("a.example", "b.example"))
    pair = Pair.connected(client_config(server_name=name), server_config(own))
    assert pair.result("client").peer_certificate == credentials(name=name).chain[0]


def test_a_client_with_several_certificates_sends_one_of_a_ca_that_the_server_trusts():
    names = ("One CA", "Two CA", "Three CA")
    own = tuple(credentials(name="client.example", ca=name) for name in names)
    for name, expected in zip(names, own, strict=True):
        pair = Pair.connected(
            client_config(credentials=own), server_config(trust=(authority(name).certificate,))
        )
        assert pair.result("server").peer_certificate == expected.chain[0]


def test_a_server_says_which_signatures_and_cas_it_takes(monkeypatch):
    """RFC 8446, 4.3.2."""
    seen = []
    parse = CertificateRequest.parse
    monkeypatch.setattr(
        CertificateRequest, "parse", lambda body: seen.append(parse(body)) or seen[-1]
    )
    Pair.connected(
        client_config(credentials=credentials(name="client.example")), server_config(trust=TRUST)
    )
    (request,) = seen
    assert SIGNATURE_ALGORITHMS_CERT.read(request.extensions)
    names = (TRUST[0].subject.public_bytes(),)
    assert CERTIFICATE_AUTHORITIES.read(request.extensions) == names


def test_a_chain_may_have_signatures_that_no_handshake_has():
    """RSASSA-PKCS1-v1_5, by the CA."""
    ca, key = Authority.create("RSA CA", private_key("rsa", "ca"), NOW), private_key("secp256r1")
    server = Credentials((ca.issue(SERVER_NAME, key, NOW),), key)
    client = Credentials((ca.issue("client.example", key, NOW),), key)
    pair = Pair.connected(
        client_config(trust=(ca.certificate,), credentials=client),
        server_config(server, trust=(ca.certificate,)),
    )
    assert pair.result("server").peer_certificate == client.chain[0]


def test_a_group_or_scheme_that_is_not_available_is_our_own_mistake(monkeypatch):
    """As with a pyca/cryptography that has neither ML-KEM nor ML-DSA."""
    monkeypatch.setattr("protocol.config.AVAILABLE_GROUPS", (NamedGroup.X25519,))
    monkeypatch.setattr("protocol.config.AVAILABLE_SCHEMES", (SignatureScheme.ED25519,))
    fitting = {"groups": (NamedGroup.X25519,), "signature_schemes": (SignatureScheme.ED25519,)}
    client_config(**fitting)
    with pytest.raises(UsageError, match=r"groups must be what .* has, not .*X25519MLKEM768"):
        client_config(**fitting | {"groups": (HYBRID,)})
    with pytest.raises(UsageError, match=r"signature_schemes must be what .* has, not .*MLDSA44"):
        client_config(**fitting | {"signature_schemes": (SignatureScheme.MLDSA44,)})


OLD_CRYPTOGRAPHY = """
import sys
from cryptography import x509
from cryptography.hazmat.primitives import asymmetric
for name in ("mlkem", "mldsa"):
    sys.modules[f"{asymmetric.__name__}.{name}"] = None
    vars(asymmetric).pop(name, None)
from protocol.key_exchange import NamedGroup, generate, respond
from protocol.alerts import UsageError
from tests.protocol.pair import Pair, client_config
pair = Pair.connected()
assert NamedGroup.X25519MLKEM768 not in client_config().groups
assert not any("MLDSA" in scheme.name for scheme in client_config().signature_schemes)
for call in (generate, lambda group: respond(group, bytes(1216))):
    try:
        call(NamedGroup.X25519MLKEM768)
    except UsageError:
        print("not available")
"""


def test_an_older_cryptography_lacks_ml_kem_and_ml_dsa_only():
    run = subprocess.run(
        [sys.executable, "-c", OLD_CRYPTOGRAPHY], capture_output=True, text=True, check=False
    )
    assert (run.stderr, run.stdout) == ("", "not available\n" * 2)
