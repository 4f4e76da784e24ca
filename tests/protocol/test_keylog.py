"""A key log opens a captured session, with nothing of the stack but the log's lines.

What opens the records here is written on pyca/cryptography alone, from RFC 9147 and RFC 8446.
"""

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from protocol.crypto.suites import CipherSuite
from tests.protocol.pair import Pair, client_config, server_config
from tests.protocol.providers import PROVIDERS

SUITES = {
    CipherSuite.TLS_AES_128_GCM_SHA256: (hashes.SHA256(), 16),
    CipherSuite.TLS_AES_256_GCM_SHA384: (hashes.SHA384(), 32),
}
HANDSHAKE, APPLICATION_DATA = 22, 23
SIDES = ("client", "server")


class Reader:
    """Opens the records of one direction in their order."""

    def __init__(self, suite: CipherSuite, handshake: bytes, application: bytes) -> None:
        self.hash, self.key_bytes = SUITES[suite]
        updated = self.expand(application, b"traffic upd", self.hash.digest_size)
        self.secrets = {2: handshake, 3: application, 0: updated}
        self.expected = dict.fromkeys(self.secrets, 0)

    def expand(self, secret: bytes, label: bytes, length: int) -> bytes:
        label = b"dtls13" + label
        info = length.to_bytes(2, "big") + bytes((len(label),)) + label + b"\0"
        return HKDFExpand(self.hash, length, info).derive(secret)

    def open(self, header: bytes, ciphertext: bytes) -> tuple[int, bytes]:
        """Content type and content; raises InvalidTag."""
        secret = self.secrets[header[0] & 3]
        cipher = Cipher(algorithms.AES(self.expand(secret, b"sn", self.key_bytes)), modes.ECB())
        mask = cipher.encryptor().update(ciphertext[:16])
        low = bytes(a ^ b for a, b in zip(header[1:3], mask[:2], strict=True))
        number = int.from_bytes(low, "big")
        assert number == self.expected[header[0] & 3]
        self.expected[header[0] & 3] += 1
        iv = int.from_bytes(self.expand(secret, b"iv", 12), "big")
        inner = AESGCM(self.expand(secret, b"key", self.key_bytes)).decrypt(
            (iv ^ number).to_bytes(12, "big"), ciphertext, header[:1] + low + header[3:]
        )
        return inner[-1], inner[:-1]


def protected_records(datagram: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Header and ciphertext of each; the stack writes 16-bit numbers and lengths."""
    while datagram:
        if datagram[0] == HANDSHAKE:
            size = 13 + int.from_bytes(datagram[11:13], "big")
        else:
            assert datagram[0] & 0xFC == 0x2C
            size = 5 + int.from_bytes(datagram[3:5], "big")
            yield datagram[:5], datagram[5:size]
        datagram = datagram[size:]


@pytest.mark.parametrize("logging_side", SIDES)
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_key_log_opens_every_record(provider: str, suite: CipherSuite, logging_side: str) -> None:
    lines: list[str] = []
    own: dict[str, dict[str, object]] = {
        side: {"provider": PROVIDERS[provider](), "suites": (suite,)} for side in SIDES
    }
    own[logging_side]["key_log"] = lines.append
    pair = Pair.connected(client_config(**own["client"]), server_config(**own["server"]))
    pair.client.send(b"before")
    pair.run()
    pair.client.update_keys(pair.now, request_peer=True)
    pair.run()
    pair.client.send(b"to the server")
    pair.server.send(b"to the client")
    pair.run()
    pair.client.close(pair.now)
    pair.run()

    secrets = {label: bytes.fromhex(secret) for label, _, secret in map(str.split, lines)}
    assert {random for _, random, _ in map(str.split, lines)} == {client_random(pair)}
    data: dict[str, list[bytes]] = {}
    for side in SIDES:
        reader = Reader(
            suite,
            secrets[f"{side.upper()}_HANDSHAKE_TRAFFIC_SECRET"],
            secrets[f"{side.upper()}_TRAFFIC_SECRET_0"],
        )
        opened = [
            reader.open(*record)
            for datagram in pair.datagrams(side)
            for record in protected_records(datagram)
        ]
        assert opened
        assert min(reader.expected.values()) > 0
        data[side] = [content for kind, content in opened if kind == APPLICATION_DATA]
    assert data == {"client": [b"before", b"to the server"], "server": [b"to the client"]}


def client_random(pair: Pair) -> str:
    """In the first ClientHello: after record header, handshake header and legacy_version."""
    return pair.datagrams("client")[0][13 + 12 + 2 :][:32].hex()


def test_nobody_gets_the_secrets_unasked() -> None:
    assert client_config().key_log is None
    assert server_config().key_log is None
