"""Full handshakes a second of CPU time, in memory, beside the cost of the cryptography in them.

A client and a server in one process exchange their datagrams until both are connected and nothing
is outstanding; the client verifies the server's certificate. ``bare`` is what the same handshake
takes of key generation, key exchange, signature and its verification alone; ``times bare`` is how
often that fits the whole. Both are medians of runs that take turns. All times are CPU times of the
process, which is what they take on a machine that does nothing else: there is nothing to wait for.

    python -m benchmarks.handshakes [--runs 7] [--seconds 0.2] [--json FILE]

A client remembers chains that were good (`protocol.chains`). In the row ``many servers`` it meets
more of them in turn than it remembers, so each chain is verified anew.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import cycle
from pathlib import Path

from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from rich.console import Console
from rich.table import Table

from intaglio.certificates import Authority
from protocol.certificates import Credentials
from protocol.config import ConnectionConfig
from protocol.connection import Connection
from protocol.crypto.openssl import SoftwareProvider
from protocol.key_exchange import AVAILABLE_GROUPS, NamedGroup, generate, respond
from protocol.signatures import (
    AVAILABLE_SCHEMES,
    PrivateKey,
    PublicKey,
    Signer,
    choose_scheme,
    sign,
    verify,
)

SERVER_NAME = "server.example"
HASH = bytes(32)
#: More than a client remembers the chains of.
MANY = 300


@dataclass(frozen=True)
class Row:
    """One kind of handshake; these are the names in the JSON file."""

    name: str
    handshakes_per_second: float
    microseconds: float
    bare_microseconds: float

    @property
    def times_bare(self) -> float:
        """How much longer the whole takes than its cryptography."""
        return self.microseconds / self.bare_microseconds


@dataclass(frozen=True)
class Case:
    """What to measure: one handshake, and the cryptography in it."""

    name: str
    handshake: Callable[[], None]
    bare: Callable[[], None]
    servers: int = 1


def private_key(kind: str) -> PrivateKey:
    """A key of a kind that `protocol.signatures` names."""
    curves = {"secp256r1": ec.SECP256R1, "secp384r1": ec.SECP384R1, "secp521r1": ec.SECP521R1}
    if kind in curves:
        return ec.generate_private_key(curves[kind]())
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    from cryptography.hazmat.primitives.asymmetric import mldsa

    return getattr(mldsa, f"{kind.upper()}PrivateKey").generate()


def shake_hands(client_config: ConnectionConfig, server_config: ConnectionConfig) -> None:
    """A whole handshake, its last ACK included."""
    now = 0.0
    client = Connection.client(client_config, now)
    server = Connection.server(server_config, now)
    while client.timer() is not None or not client.connected:
        for datagram in client.datagrams_to_send(now):
            server.receive_datagram(datagram, now)
        for datagram in server.datagrams_to_send(now):
            client.receive_datagram(datagram, now)
        if not (client.connected or client.timer()):
            raise SystemExit(f"the handshake failed: {client.next_event()}")


def key_exchange(group: NamedGroup) -> None:
    """Both sides of an exchange."""
    share = generate(group)
    if share.exchange(respond(group, share.public).public) == b"":
        raise SystemExit("no secret")


def signature(key: PrivateKey) -> Callable[[], None]:
    """A signature of a CertificateVerify, and its verification."""
    certificate = authority().issue(SERVER_NAME, key, datetime.now(UTC))
    public = PublicKey.of_certificate(certificate)
    scheme = choose_scheme(public.kind, AVAILABLE_SCHEMES)

    def sign_and_verify() -> None:
        verify(public, scheme, Signer.SERVER, HASH, sign(key, scheme, Signer.SERVER, HASH))

    return sign_and_verify


def authority() -> Authority:
    """A CA with a P-256 key."""
    return Authority.create("Benchmark CA", private_key("secp256r1"), datetime.now(UTC))


def case(
    name: str, group: NamedGroup, kind: str, *, mutual: bool = False, servers: int = 1
) -> Case:
    """A case with a server key of that kind; ``mutual``: the client has the same."""
    ca, key, now = authority(), private_key(kind), datetime.now(UTC)
    every = [Credentials((ca.issue(SERVER_NAME, key, now),), key) for _ in range(servers)]
    common = {"provider": SoftwareProvider(), "groups": (group,)}
    client = ConnectionConfig(
        **common,
        trust=(ca.certificate,),
        server_name=SERVER_NAME,
        credentials=every[0] if mutual else None,
    )
    trust = (ca.certificate,) if mutual else ()
    server = cycle(ConnectionConfig(**common, credentials=own, trust=trust) for own in every)
    sign_and_verify = signature(key)

    def bare() -> None:
        key_exchange(group)
        for _ in range(1 + mutual):
            sign_and_verify()

    def handshake() -> None:
        shake_hands(client, next(server))

    return Case(name, handshake, bare, servers)


def cases() -> Iterator[Case]:
    """Every group with a P-256 key, every kind of key with X25519, and what is special."""
    x25519, p256 = NamedGroup.X25519, "secp256r1"
    for group in AVAILABLE_GROUPS:
        yield case(f"{group.name}, {p256}", group, p256)
    kinds = ["ed25519", "secp384r1", "secp521r1", "rsa"]
    kinds += [scheme.name.lower() for scheme in AVAILABLE_SCHEMES if "MLDSA" in scheme.name]
    for kind in kinds:
        yield case(f"X25519, {kind}", x25519, kind)
    yield case(f"X25519, {p256}, many servers", x25519, p256, servers=MANY)
    yield case(f"X25519, {p256}, client certificate", x25519, p256, mutual=True)


def seconds_each(function: Callable[[], None], seconds: float) -> float:
    """CPU time of one call: the mean of as many as fill that time."""
    calls, start = 0, time.process_time()
    while (elapsed := time.process_time() - start) < seconds:
        function()
        calls += 1
    return elapsed / calls


def measure(runs: int, seconds: float, report: Callable[[str], None]) -> list[Row]:
    """A row for each case; every run goes through all of them."""
    every = list(cases())
    for one in every:
        for _ in range(one.servers):  # what a server works out once belongs to no handshake
            one.handshake()
    whole: dict[str, list[float]] = {one.name: [] for one in every}
    bare: dict[str, list[float]] = {one.name: [] for one in every}
    for run in range(runs):
        for one in every:
            report(f"run {run + 1} of {runs}: {one.name}")
            whole[one.name].append(seconds_each(one.handshake, seconds))
            bare[one.name].append(seconds_each(one.bare, seconds / 4))
    return [
        Row(name, 1 / statistics.median(times), 1e6 * statistics.median(times),
            1e6 * statistics.median(bare[name]))
        for name, times in whole.items()
    ]  # fmt: skip


def show(console: Console, rows: list[Row]) -> None:
    """A table with a line for each kind of handshake."""
    table = Table(title="Full handshakes in memory, client and server in one process")
    table.add_column("Group, key of the certificate")
    for column in ("Handshakes/s", "µs", "Bare, µs", "Times bare"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row.name, f"{row.handshakes_per_second:,.0f}", f"{row.microseconds:,.0f}",
            f"{row.bare_microseconds:,.0f}", f"{row.times_bare:.1f}",
        )  # fmt: skip
    console.print(table)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.2, help="for each row of a run")
    parser.add_argument("--json", type=Path, help="where to write the rows")
    options = parser.parse_args()
    console = Console()
    with console.status("") as status:
        rows = measure(options.runs, options.seconds, status.update)
    show(console, rows)
    console.print(
        f"Medians of {options.runs} runs. Python {platform.python_version()}, "
        f"cryptography {version('cryptography')}, {backend.openssl_version_text()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}."
    )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
