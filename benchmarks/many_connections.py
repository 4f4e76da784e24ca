"""What one server pays for each connection: memory while it is idle, and time for each record.

    python -m benchmarks.many_connections [--connections 5000] [--sockets] [--json FILE]

Memory is what the process of the server has grown by (RSS), over the number of connections, when
all have shaken hands and nothing is going on. Each client is forgotten as soon as it has sealed
some records. Time is that of a manager to open those records, and to seal as many, while it has 1,
100 or all connections, taking turns among them: nothing in it may depend on their number but the
caches of the processor. What those do is shown beside it: ``bare`` is the time of the two calls of
pyca/cryptography that opening takes, the mask of the number and the AEAD's decrypt, on as many keys
in turn, which are nearly as cold.

With ``--sockets`` the server is one of `protocol.asyncio`, with a handler for each session, and the
clients are UDP sockets of another process; then there is only the memory to be measured.
"""

import argparse
import asyncio
import ctypes
import gc
import itertools
import json
import multiprocessing
import resource
import socket
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from platform import python_version
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from rich.console import Console
from rich.table import Table

from intaglio.certificates import make_demo_credentials
from protocol.asyncio import Session, serve
from protocol.config import ConnectionConfig
from protocol.connection import Connection
from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.suites import CipherSuite
from protocol.manager import Manager, ManagerLimits
from protocol.peer import Peer

HOST, NAME = "127.0.0.1", "many.example"
SUITES = (CipherSuite.TLS_AES_128_GCM_SHA256,)
#: Bytes of a record.
SIZE = 1200
#: Records in each measurement of time, taken in turns from so many connections.
SAMPLE, ROUNDS = 2000, 5
#: Records that come or go before the manager is asked for datagrams and events.
TURN = 64
ROOT, CREDENTIALS = make_demo_credentials(NAME)
PAGE = resource.getpagesize()


@dataclass(frozen=True)
class Cost:
    """What so many connections cost; these are the names in the JSON file."""

    connections: int
    #: Memory, in bytes; None where it was not measured.
    bytes_per_connection: float | None
    #: Seconds for a record of 1,200 bytes.
    open_seconds: float | None = None
    seal_seconds: float | None = None
    #: Seconds for the bare cryptography of opening one.
    bare_seconds: float | None = None


def resident() -> int:
    """Bytes of this process that are in memory, without what the allocator could give back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def server_config() -> ConnectionConfig:
    """The server's."""
    return ConnectionConfig(
        provider=SoftwareProvider(), credentials=CREDENTIALS, suites=SUITES, mtu=SIZE + 64
    )


def client_config() -> ConnectionConfig:
    """All clients'."""
    return ConnectionConfig(
        provider=SoftwareProvider(), trust=(ROOT,), server_name=NAME, suites=SUITES, mtu=SIZE + 64
    )


def shake_hands(manager: Manager, config: ConnectionConfig, address: tuple[str, int]) -> Connection:
    """A client whose handshake is complete, on both sides."""
    client = Connection.client(config, 0.0)
    while datagrams := client.datagrams_to_send(0.0):
        manager.receive_datagrams(datagrams, address, 0.0)
        for _, answers in manager.datagrams_to_send(0.0):
            for data in answers:
                client.receive_datagram(data, 0.0)
        manager.events()
    return client


def measure_memory(connections: int, pipe: Pipe) -> None:
    """The memory of a manager; in a process of its own."""
    manager = Manager(0.0, server_config(), ManagerLimits(connections=connections))
    config = client_config()
    for number in range(connections):
        shake_hands(manager, config, ("192.0.2.1", number))
        if number == 0:  # What is there once for all is not counted.
            before = resident()
    pipe.send((resident() - before) / (connections - 1))


def measure_time(connections: int, pipe: Pipe) -> None:
    """In a process of its own."""
    manager = Manager(0.0, server_config(), ManagerLimits(connections=connections))
    config = client_config()
    # A list for each turn of the connections in each round.
    turns = -(-SAMPLE // connections)
    rounds = [[[] for _ in range(turns)] for _ in range(ROUNDS)]
    for number in range(connections):
        address = ("192.0.2.1", number)
        client = shake_hands(manager, config, address)
        for turn in itertools.chain(*rounds):
            client.send(bytes(SIZE))
            turn += [(data, address) for data in client.datagrams_to_send(0.0)]
    opening = [time_opening(manager, list(itertools.chain(*turns))) for turns in rounds]
    sealing = [time_sealing(manager, list(manager)) for _ in range(ROUNDS)]
    pipe.send((statistics.median(opening), statistics.median(sealing)))


def measure_bare(connections: int, pipe: Pipe) -> None:
    """The cryptography alone; in a process of its own."""
    nonce, header = bytes(12), bytes(5)
    keys = [
        (AESGCM(key), Cipher(AES(key), ECB()).encryptor())
        for key in (number.to_bytes(16, "big") for number in range(connections))
    ]
    records = [aead.encrypt(nonce, bytes(SIZE + 1), header) for aead, _ in keys]
    turns, taken = -(-SAMPLE // connections), []
    for _ in range(ROUNDS):
        seconds = 0.0
        for first in range(0, turns * connections, TURN):
            numbers = [n % connections for n in range(first, first + TURN)]
            arrived = [(*keys[number], bytes(bytearray(records[number]))) for number in numbers]
            start = time.thread_time()
            for aead, mask, record in arrived:
                mask.update(record[:16])
                aead.decrypt(nonce, record, header)
            seconds += time.thread_time() - start
        taken.append(seconds / (first + TURN))
    pipe.send(statistics.median(taken))


def time_opening(manager: Manager, records: list[tuple[bytes, tuple[str, int]]]) -> float:
    """Seconds of this thread's for a record, which is in the caches as if it had just come."""
    received = manager.totals.records_received
    taken = 0.0
    for first in range(0, len(records), TURN):
        arrived = [(bytes(bytearray(data)), who) for data, who in records[first : first + TURN]]
        start = time.thread_time()
        for data, address in arrived:
            manager.receive_datagrams((data,), address, 0.0)
        manager.datagrams_to_send(0.0)
        manager.events()
        taken += time.thread_time() - start
    if manager.totals.records_received != received + len(records):
        raise SystemExit("records were not opened")
    return taken / len(records)


def time_sealing(manager: Manager, peers: list[Peer]) -> float:
    """Seconds of this thread's for a record."""
    data, count = bytes(SIZE), max(SAMPLE, len(peers)) // TURN * TURN
    start = time.thread_time()
    for first in range(0, count, TURN):
        for number in range(first, first + TURN):
            manager.send(peers[number % len(peers)], data)
        manager.datagrams_to_send(0.0)
    return (time.thread_time() - start) / count


def measure_sockets(connections: int, pipe: Pipe) -> None:
    """The memory of a server with sockets; in a process of its own."""
    asyncio.run(_measure_sockets(connections, pipe))


async def _measure_sockets(connections: int, pipe: Pipe) -> None:
    async def wait(session: Session) -> None:
        await session.receive()

    server = await serve(
        HOST, 0, server_config(), wait, limits=ManagerLimits(connections=connections)
    )
    pipe.send(server.address[1])
    before = 0
    while server.stats.handshakes_completed < connections:
        await asyncio.sleep(0.01)
        if not before and server.stats.handshakes_completed:
            before = resident()
            pipe.send("next")
    pipe.send((resident() - before) / (connections - 1))
    await server.close()


def visit(connections: int, pipe: Pipe) -> None:
    """The clients of `measure_sockets`; they keep their sockets, so that no address comes twice."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, connections + 100), most))
    server, config, sockets = (HOST, pipe.recv()), client_config(), []
    for number in range(connections):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sockets.append(sock)
        sock.connect(server)
        client = Connection.client(config, time.monotonic())
        while datagrams := client.datagrams_to_send(time.monotonic()):
            for data in datagrams:
                sock.send(data)
            client.receive_datagram(sock.recv(1 << 16), time.monotonic())
        if number == 0:
            pipe.recv()


def in_a_process(measure: Callable[[int, Pipe], None], connections: int) -> Any:
    """What a measurement yields in a process that nothing else has used."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    process = context.Process(target=measure, args=(connections, theirs))
    process.start()
    theirs.close()  # If the process fails, `recv` does so too.
    if measure is measure_sockets:
        visit(connections, ours)
    result = ours.recv()
    process.join()
    return result


def measure(connections: int, sockets: bool) -> list[Cost]:
    """All that was asked for."""
    if sockets:
        return [Cost(connections, in_a_process(measure_sockets, connections))]
    costs = []
    for count in sorted({1, min(100, connections), connections}):
        opening, sealing = in_a_process(measure_time, count)
        memory = in_a_process(measure_memory, count) if count > 1 else None
        bare = in_a_process(measure_bare, count)
        costs.append(Cost(count, memory, opening, sealing, bare))
    return costs


def show(console: Console, costs: list[Cost]) -> None:
    """A table with a line for each number of connections."""
    table = Table(title=f"One server, records of {SIZE:,} bytes")
    for column in ("Connections", "KiB each", "µs to open", "bare, µs", "µs to seal"):
        table.add_column(column, justify="right")
    for cost in costs:
        memory, seconds = (
            cost.bytes_per_connection,
            (cost.open_seconds, cost.bare_seconds, cost.seal_seconds),
        )
        table.add_row(
            f"{cost.connections:,}",
            "" if memory is None else f"{memory / 1024:.1f}",
            *("" if each is None else f"{each * 1e6:.2f}" for each in seconds),
        )
    console.print(table)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--sockets", action="store_true", help="memory only, over UDP")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    console = Console()
    costs = measure(options.connections, options.sockets)
    show(console, costs)
    console.print(f"Python {python_version()}, cryptography {version('cryptography')}.")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(cost) for cost in costs], indent=2) + "\n")


if __name__ == "__main__":
    main()
