"""The recorded sessions of other stacks: tests/protocol/data/traces."""

import json
from dataclasses import dataclass
from pathlib import Path

from protocol.crypto.suites import CipherSuite

SENDERS = ("client", "server")
GCM_TRACES = {
    "wolfssl-5.5.4-aes128-gcm-sha256": CipherSuite.TLS_AES_128_GCM_SHA256,
    "wolfssl-5.5.4-aes256-gcm-sha384": CipherSuite.TLS_AES_256_GCM_SHA384,
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

    def handshake_secret(self, sender: str) -> bytes:
        return self.secrets[f"{sender.upper()}_HANDSHAKE_TRAFFIC_SECRET"]

    def application_secret(self, sender: str) -> bytes:
        return self.secrets[f"{sender.upper()}_TRAFFIC_SECRET_0"]


def load(name: str) -> Trace:
    document = json.loads((_DIRECTORY / f"{name}.json").read_text())
    fields = [line.split() for line in document["keylog"]]
    return Trace(
        name,
        GCM_TRACES[name],
        {label: bytes.fromhex(secret) for label, _, secret in fields},
        [(entry["sender"], bytes.fromhex(entry["hex"])) for entry in document["datagrams"]],
    )
