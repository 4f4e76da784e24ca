"""The recorded sessions of other stacks: tests/protocol/data/traces."""

import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from protocol.crypto.provider import CryptoProvider, OpenedRecord
from protocol.crypto.suites import CipherSuite
from protocol.key_schedule import next_generation, traffic_keys
from protocol.record import ContentType, RecordLayer

SENDERS = ("client", "server")
TRACES = {
    "wolfssl-5.5.4-aes128-gcm-sha256": CipherSuite.TLS_AES_128_GCM_SHA256,
    "wolfssl-5.5.4-aes256-gcm-sha384": CipherSuite.TLS_AES_256_GCM_SHA384,
    "wolfssl-5.5.4-chacha20-poly1305-sha256": CipherSuite.TLS_CHACHA20_POLY1305_SHA256,
    "wolfssl-5.5.4-aes128-ccm-sha256": CipherSuite.TLS_AES_128_CCM_SHA256,
    "wolfssl-5.5.4-cid-keyupdate": CipherSuite.TLS_AES_128_GCM_SHA256,
    "boringssl-x25519": CipherSuite.TLS_AES_128_GCM_SHA256,
    "boringssl-x25519-keyupdate": CipherSuite.TLS_AES_128_GCM_SHA256,
    "boringssl-x25519mlkem768": CipherSuite.TLS_AES_128_GCM_SHA256,
}

_DIRECTORY = Path(__file__).parent / "data" / "traces"


@dataclass(frozen=True)
class Trace:
    name: str
    suite: CipherSuite
    #: By the labels of the key log.
    secrets: dict[str, bytes]
    #: Sender and bytes, in order.
    datagrams: list[tuple[str, bytes]]

    def sent_by(self, sender: str) -> list[bytes]:
        return [data for who, data in self.datagrams if who == sender]

    def connection_id(self, asker: str) -> bytes:
        """What the asker wants to see in records: extension 54 of its hello (RFC 9146, 3)."""
        hello = b"".join(data for data in self.sent_by(asker) if data[0] == ContentType.HANDSHAKE)
        # The one trace that has them has connection IDs of 4 bytes.
        extension = hello.find(bytes.fromhex("0036000504"))
        return b"" if extension < 0 else hello[extension + 5 : extension + 9]

    def handshake_secret(self, sender: str) -> bytes:
        return self.secrets[f"{sender.upper()}_HANDSHAKE_TRAFFIC_SECRET"]

    def application_secret(self, sender: str) -> bytes:
        return self.secrets[f"{sender.upper()}_TRAFFIC_SECRET_0"]


def load(name: str) -> Trace:
    document = json.loads((_DIRECTORY / f"{name}.json").read_text())
    fields = [line.split() for line in document["keylog"]]
    trace = Trace(
        name,
        TRACES[name],
        {label: bytes.fromhex(secret) for label, _, secret in fields},
        [(entry["sender"], bytes.fromhex(entry["hex"])) for entry in document["datagrams"]],
    )
    if trace.suite == CipherSuite.TLS_CHACHA20_POLY1305_SHA256:
        corrected = [(sender, _remask(trace, sender, data)) for sender, data in trace.datagrams]
        trace = replace(trace, datagrams=corrected)
    return trace


def _remask(trace: Trace, sender: str, datagram: bytes) -> bytes:
    """The datagram with its record numbers masked as RFC 9147, 4.2.3 has it.

    wolfSSL 5.5.4 takes the block counter of ChaCha20 from the sample with its bytes in reverse,
    which its pull request 6641 has mended since. In all else its records are as they were sent.
    """
    secrets = {2: trace.handshake_secret(sender), 3: trace.application_secret(sender)}
    corrected, at = bytearray(datagram), 0
    while at < len(datagram):
        if datagram[at] & 0xE0 != 0x20:
            at += 13 + int.from_bytes(datagram[at + 11 : at + 13], "big")
            continue
        assert datagram[at] & 0x1C == 0x0C  # a number of 16 bits and a length
        key = traffic_keys(trace.suite, secrets[datagram[at] & 3]).record_number_key
        sample = datagram[at + 5 : at + 21]
        for counter in (sample[3::-1], sample[:4]):
            stream = Cipher(ChaCha20(key, counter + sample[4:]), None).encryptor()
            corrected[at + 1 : at + 3] = stream.update(bytes(corrected[at + 1 : at + 3]))
        at += 5 + int.from_bytes(datagram[at + 3 : at + 5], "big")
    return bytes(corrected)


def record_layer(trace: Trace, sender: str, provider: CryptoProvider) -> RecordLayer:
    """What ``sender``'s peer has, with the keys of epochs 2, 3 and 4 installed."""
    receiver = "server" if sender == "client" else "client"
    layer = RecordLayer(provider)
    layer.use_connection_ids(trace.connection_id(receiver), trace.connection_id(sender))
    first = trace.application_secret(sender)
    secrets = (trace.handshake_secret(sender), first, next_generation(trace.suite, first))
    for epoch, secret in enumerate(secrets, start=2):
        layer.install_opener(epoch, traffic_keys(trace.suite, secret))
    return layer


def opened(trace: Trace, sender: str, provider: CryptoProvider) -> list[OpenedRecord]:
    """All records of one direction; none may be dropped."""
    layer = record_layer(trace, sender, provider)
    records = [r for data in trace.sent_by(sender) for r in layer.open_datagram(data)]
    layer.close()
    assert layer.statistics.drops == Counter()
    return records


def messages(records: list[OpenedRecord]) -> list[tuple[int, bytes]]:
    """Type and body of the handshake messages in the order of message_seq."""
    bodies: dict[int, tuple[int, bytearray]] = {}
    for record in records:
        rest = record.content if record.content_type == ContentType.HANDSHAKE else b""
        while rest:
            length, sequence, offset, size = (
                int.from_bytes(rest[a:b], "big") for a, b in ((1, 4), (4, 6), (6, 9), (9, 12))
            )
            _, body = bodies.setdefault(sequence, (rest[0], bytearray(length)))
            body[offset : offset + size] = rest[12 : 12 + size]
            rest = rest[12 + size :]
    return [(kind, bytes(body)) for _, (kind, body) in sorted(bodies.items())]
