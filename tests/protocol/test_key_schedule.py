"""The shape of the schedule by RFC 8448; its labels for DTLS by the recorded sessions."""

import hashlib
import hmac

import pytest

from protocol import key_schedule
from protocol.crypto.suites import CipherSuite
from protocol.key_schedule import (
    KeySchedule,
    Transcript,
    expand_label,
    export_keying_material,
    finished_mac,
    next_generation,
    traffic_keys,
)

SUITE = CipherSuite.TLS_AES_128_GCM_SHA256
SUITES = list(CipherSuite)


@pytest.fixture
def tls_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8446, 7.1: in this DTLS differs from TLS, and only TLS has published vectors."""
    monkeypatch.setattr(key_schedule, "_LABEL_PREFIX", b"tls13 ")


@pytest.mark.usefixtures("tls_labels")
def test_the_secrets_of_rfc_8448() -> None:
    """RFC 8448, 3: Simple 1-RTT Handshake."""
    shared = "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d"
    server_hello = "860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8"
    server_finished = "9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13"
    schedule = KeySchedule(SUITE)

    handshake = schedule.handshake_traffic(bytes.fromhex(shared), bytes.fromhex(server_hello))
    application = schedule.application_traffic(bytes.fromhex(server_finished))
    exporter = schedule.exporter_secret(bytes.fromhex(server_finished))

    assert [s.hex() for s in (handshake.client, handshake.server)] == [
        "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21",
        "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38",
    ]
    assert [s.hex() for s in (application.client, application.server)] == [
        "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
        "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
    ]
    assert exporter.hex() == "fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50"
    keys = traffic_keys(SUITE, handshake.server)
    assert keys.key.hex() == "3fce516009c21727d0f2e4e86ee403bc"
    assert keys.iv.hex() == "5d313eb2671276ee13000b30"


@pytest.mark.parametrize("suite", SUITES)
def test_keys_are_as_long_as_the_suite_wants(suite: CipherSuite) -> None:
    secret = bytes(suite.parameters.hash_bytes)
    keys = traffic_keys(suite, secret)
    assert len(keys.key) == len(keys.record_number_key) == suite.parameters.key_bytes
    assert len(keys.iv) == 12
    assert len(next_generation(suite, secret)) == suite.parameters.hash_bytes
    assert len(finished_mac(suite, secret, secret)) == suite.parameters.hash_bytes


def test_the_label_is_dtls13_without_a_space() -> None:
    """RFC 9147, 5.9; the HKDF is written out: RFC 5869, 2.3 for one block of output."""
    secret = bytes(range(32))
    info = b"\x00\x10" + b"\x09dtls13key" + b"\x00"
    expected = hmac.digest(secret, info + b"\x01", "sha256")[:16]
    assert expand_label(SUITE, secret, b"key", b"", 16) == expected


def test_exported_material_depends_on_each_input() -> None:
    secret = bytes(32)
    outputs = {
        export_keying_material(SUITE, secret, label, context, 48)
        for label in (b"EXPORTER-a", b"EXPORTER-b")
        for context in (b"", b"context")
    }
    assert len(outputs) == 4
    assert {len(output) for output in outputs} == {48}


@pytest.mark.parametrize("suite", SUITES)
def test_the_transcript_hashes_messages_as_tls_has_them(suite: CipherSuite) -> None:
    messages = b"\x01\x00\x00\x03abc" + b"\x02\x00\x01\x00" + bytes(256)
    transcript = Transcript()
    transcript.add(1, b"abc")
    transcript.select(suite)
    transcript.select(suite)
    transcript.add(2, bytes(256))
    assert transcript.digest() == hashlib.new(suite.parameters.hash.name, messages).digest()
    assert transcript.digest() == transcript.digest()


def test_a_message_hash_replaces_the_first_client_hello() -> None:
    """RFC 8446, 4.4.1."""
    transcript = Transcript()
    transcript.select(SUITE)
    transcript.add(1, b"hello")
    first = transcript.digest()
    transcript.restart(first)
    transcript.add(2, b"retry")
    expected = b"\xfe\x00\x00\x20" + first + b"\x02\x00\x00\x05retry"
    assert transcript.digest() == hashlib.sha256(expected).digest()


def test_a_transcript_without_a_suite_has_no_digest() -> None:
    with pytest.raises(ValueError, match="cipher suite"):
        Transcript().digest()


def test_secrets_do_not_show() -> None:
    secrets = key_schedule.TrafficSecrets(b"\x5a" * 32, b"\xa5" * 32)
    assert repr(secrets) == "TrafficSecrets()"
