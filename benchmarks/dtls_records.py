"""What a record costs in software, beside one call of the AEAD.

    python -m benchmarks.dtls_records [--suite NAME] [--size 1200] [--rounds 1000] [--json FILE]

A client sends to a server in the same process, in memory:

    encrypt         the AEAD's encrypt of pyca/cryptography alone, the same nonce each time
    provider        seal and open of the software provider
    connection      send, datagrams_to_send, receive_datagram and next_event, a record at a time
    batches         the same, but `BATCH` records are sent before their datagrams are taken

Each round runs `RECORDS` records of all four in turn, so that they have the same machine, and few
enough that other programs seldom get the processor meanwhile. The figures are medians of the
rounds, each ratio that to the round's own encrypt.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from cryptography.hazmat.backends.openssl.backend import backend
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from rich.console import Console
from rich.table import Table

from intaglio.certificates import make_demo_credentials
from protocol.config import ConnectionConfig
from protocol.connection import Connection
from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import OpenedRecord, TrafficKeys
from protocol.crypto.suites import Aead, CipherSuite
from protocol.events import DataReceived, HandshakeCompleted

RECORDS = 64
BATCH = 32
APPLICATION_DATA = 23
EPOCH = 3
SERVER_NAME = "benchmark.intaglio.example"
#: The handshake takes no time here.
NOW = 0.0


@dataclass(frozen=True)
class Row:
    """What one of the four took; these are the names in the JSON file."""

    name: str
    nanoseconds: float
    #: How many times what encrypt took.
    ratio: float

    @property
    def per_second(self) -> float:
        """Calls or records a second."""
        return 1e9 / self.nanoseconds


def encrypt_alone(suite: CipherSuite, content: bytes) -> Callable[[], None]:
    """`RECORDS` calls of encrypt, on what a record of this content has to encrypt."""
    key = bytes(suite.parameters.key_bytes)
    match suite.parameters.aead:
        case Aead.AES_GCM:
            encrypt = AESGCM(key).encrypt
        case Aead.AES_CCM:
            encrypt = AESCCM(key, suite.parameters.tag_bytes).encrypt
        case Aead.CHACHA20_POLY1305:
            encrypt = ChaCha20Poly1305(key).encrypt
    nonce, inner, header = bytes(12), content + bytes(1), bytes(5)

    def run() -> None:
        for _ in range(RECORDS):
            encrypt(nonce, inner, header)

    return run


def through_provider(suite: CipherSuite, content: bytes) -> Callable[[], None]:
    """`RECORDS` records sealed and opened."""
    size = suite.parameters.key_bytes
    keys = TrafficKeys(suite, bytes(size), bytes(12), bytes(size))
    provider = SoftwareProvider()
    seal, open_ = provider.sealer(keys, EPOCH).seal, provider.opener(keys, EPOCH).open

    def run() -> None:
        for _ in range(RECORDS):
            opened = open_(seal(APPLICATION_DATA, content))
        require(isinstance(opened, OpenedRecord) and opened.content == content)

    return run


def through_connections(suite: CipherSuite, content: bytes, batch: int) -> Callable[[], None]:
    """`RECORDS` records from one connection to another."""
    client, server = connected_pair(suite, len(content))

    def run() -> None:
        for _ in range(RECORDS // batch):
            for _ in range(batch):
                client.send(content)
            for datagram in client.datagrams_to_send(NOW):
                server.receive_datagram(datagram, NOW)
            while (event := server.next_event()) is not None:
                last = event
        require(isinstance(last, DataReceived) and last.data == content)

    def run_singly() -> None:
        for _ in range(RECORDS):
            client.send(content)
            for datagram in client.datagrams_to_send(NOW):
                server.receive_datagram(datagram, NOW)
            event = server.next_event()
        require(isinstance(event, DataReceived) and event.data == content)

    return run if batch > 1 else run_singly


def connected_pair(suite: CipherSuite, size: int) -> tuple[Connection, Connection]:
    """A client and a server after their handshake, for contents of that size."""
    root, credentials = make_demo_credentials(SERVER_NAME)
    provider, mtu = SoftwareProvider(), max(size + 100, 1200)
    client = Connection.client(
        ConnectionConfig(
            provider=provider, trust=(root,), server_name=SERVER_NAME, suites=(suite,), mtu=mtu
        ),
        NOW,
    )
    server = Connection.server(
        ConnectionConfig(provider=provider, credentials=credentials, suites=(suite,), mtu=mtu), NOW
    )
    for _ in range(3):
        for sender, receiver in ((client, server), (server, client)):
            for datagram in sender.datagrams_to_send(NOW):
                receiver.receive_datagram(datagram, NOW)
    for side in (client, server):
        require(isinstance(side.next_event(), HandshakeCompleted))
    return client, server


def require(holds: bool) -> None:
    """A benchmark of something that does not work measures nothing."""
    if not holds:
        raise SystemExit("the records did not arrive as they were sent")


def measure(suite: CipherSuite, size: int, rounds: int) -> list[Row]:
    """A row for each of the four."""
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    runs = {
        "encrypt": encrypt_alone(suite, content),
        "provider": through_provider(suite, content),
        "connection": through_connections(suite, content, 1),
        "batches": through_connections(suite, content, BATCH),
    }
    for run in runs.values():  # Python specialises what has run a few times.
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) / RECORDS * 1e9)
    return [
        Row(
            name,
            statistics.median(taken),
            statistics.median(a / b for a, b in zip(taken, times["encrypt"], strict=True)),
        )
        for name, taken in times.items()
    ]


def show(console: Console, rows: list[Row], title: str) -> None:
    """A table with a line for each row."""
    table = Table(title=title)
    table.add_column("")
    for column in ("Nanoseconds", "A second", "Ratio"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row.name, f"{row.nanoseconds:,.0f}", f"{row.per_second:,.0f}", f"{row.ratio:.1f}"
        )
    console.print(table)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = [suite.name for suite in CipherSuite]
    parser.add_argument("--suite", choices=names, default=names[0])
    parser.add_argument("--size", type=int, default=1200, help="bytes of content in each record")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    options = parser.parse_args()
    rows = measure(CipherSuite[options.suite], options.size, options.rounds)
    console = Console()
    show(console, rows, f"{options.suite}, {options.size:,} bytes, a record")
    console.print(
        f"Medians of {options.rounds} rounds of {RECORDS} records. Python "
        f"{platform.python_version()}, cryptography {version('cryptography')}, "
        f"{backend.openssl_version_text()}."
    )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
