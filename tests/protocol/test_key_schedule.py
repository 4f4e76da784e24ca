"""The shape of the schedule by RFC 8448; its labels for DTLS by the recorded sessions."""

import hashlib
import hmac
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from protocol import key_schedule
from protocol.alerts import UsageError
from protocol.crypto.suites import CipherSuite
from protocol.key_schedule import (
    Exporter,
    Hkdf,
    KeySchedule,
    Transcript,
    finished_mac,
    next_generation,
    resumption_key,
    traffic_keys,
)
from protocol.psk import RESUMPTION_BINDER

SUITE = CipherSuite.TLS_AES_128_GCM_SHA256
SUITES = list(CipherSuite)


@pytest.fixture
def tls_labels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """RFC 8446, 7.1: in this DTLS differs from TLS, and only TLS has published vectors."""
    remembered = key_schedule._info, key_schedule._early_secret_without_psk
    with monkeypatch.context() as patch:
        patch.setattr(key_schedule, "_LABEL_PREFIX", b"tls13 ")
        for function in remembered:
            function.cache_clear()
        yield
    for function in remembered:
        function.cache_clear()


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
    assert Hkdf(SUITE, secret).expand_label(b"key", b"", 16) == expected


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("length", [1, 31, 32, 33, 48, 49, 64, 65, 96, 97, 500])
def test_longer_output_is_that_of_hkdf_expand(suite: CipherSuite, length: int) -> None:
    """RFC 5869, 2.3, as pyca/cryptography has it."""
    secret, context = bytes(suite.parameters.hash_bytes), b"some context"
    info = length.to_bytes(2, "big") + b"\x0edtls13exporter" + bytes((len(context),)) + context
    expected = HKDFExpand(suite.parameters.hash, length, info).derive(secret)
    assert Hkdf(suite, secret).expand_label(b"exporter", context, length) == expected


def test_exported_material_depends_on_each_input() -> None:
    secret = bytes(32)
    outputs = {
        Exporter(SUITE, secret).export(label, context, 48)
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


@pytest.mark.usefixtures("tls_labels")
def test_the_psk_secrets_of_rfc_8448() -> None:
    """RFC 8448, 3 (the ticket) and 4: Resumed 0-RTT Handshake."""
    resumption = "7df235f2031d2a051287d02b0241b0bfdaf86cc856231f2d5aba46c434ec196c"
    truncated_hello = "63224b2e4573f2d3454ca84b9d009a04f6be9e05711a8396473aefa01e924a14"
    hello = bytes.fromhex("08ad0fa05d7c7233b1775ba2ff9f4c5b8b59276b7f227f13a976245f5d960913")

    psk = resumption_key(SUITE, bytes.fromhex(resumption), b"\0\0")
    schedule = KeySchedule(SUITE, psk)
    binder_key = schedule.binder_key(RESUMPTION_BINDER)

    assert psk.hex() == "4ecd0eb6ec3b4d87f5d6028f922ca4c5851a277fd41311c9e62d2c9492e1c4f3"
    assert binder_key.hex() == "69fe131a3bbad5d63c64eebcc30e395b9d8107726a13d074e389dbc8a4e47256"
    assert finished_mac(SUITE, binder_key, bytes.fromhex(truncated_hello)).hex() == (
        "3add4fb2d8fdf822a0ca3cf7678ef5e88dae990141c5924d57bb6fa31b9e5f9d"
    )
    assert schedule.early_traffic(hello).hex() == (
        "3fbbe6a60deb66c30a32795aba0eff7eaa10105586e7be5c09678d63b6caab62"
    )
    assert schedule.early_exporter_secret(hello).hex() == (
        "b2026866610937d7423e5be90862ccf24c0e6091186d34f812089ff5be2ef7df"
    )


def test_no_key_exchange_is_one_of_zeros() -> None:
    """RFC 8446, 7.1: the value that is not there has zeros in its place."""
    zeros = bytes(32)
    without = KeySchedule(SUITE, b"k" * 32).handshake_traffic(None, zeros)
    assert without == KeySchedule(SUITE, b"k" * 32).handshake_traffic(zeros, zeros)
    assert without != KeySchedule(SUITE).handshake_traffic(zeros, zeros)


@pytest.mark.parametrize("suite", SUITES)
def test_a_digest_with_the_start_of_a_message_leaves_the_transcript_alone(
    suite: CipherSuite,
) -> None:
    transcript = Transcript()
    transcript.add(1, b"abc")
    expected = hashlib.new(suite.parameters.hash.name, b"\x01\x00\x00\x03abc\x02\x00").digest()
    assert transcript.digest_with(suite, b"\x02\x00") == expected
    transcript.select(suite)
    assert transcript.digest_with(suite, b"\x02\x00") == expected
    assert transcript.digest_with(suite) == transcript.digest()


@pytest.mark.parametrize(
    ("label", "length"), [(b"", 32), (b"l" * 250, 32), (b"label", 0), (b"label", 255 * 32 + 1)]
)
def test_what_cannot_be_exported_is_refused(label: bytes, length: int) -> None:
    exporter = Exporter(SUITE, bytes(32))
    assert len(exporter.export(b"l" * 249, b"", 255 * 32)) == 255 * 32
    with pytest.raises(UsageError):
        exporter.export(label, b"", length)
    assert repr(exporter) == f"Exporter(suite={SUITE!r})"
