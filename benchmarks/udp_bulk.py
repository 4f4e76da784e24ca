"""Bulk transfer over UDP on this machine: a DTLS session beside a plain sendto/recv loop.

    python -m benchmarks.udp_bulk [--size 1200] [--seconds 1] [--rounds 5] [--json FILE]

One process sends as fast as it can, another receives; what counts is what arrives, in records a
second. The plain loop is `sendto` and `recv` of blocking sockets, with as many bytes a datagram as
the records have content. The DTLS endpoints are `protocol.asyncio`'s, with AES-128-GCM in software.
Both receivers ask for the same socket buffer. The kinds take turns, and medians are compared.

The time of the processor that a record takes at each end is printed as well: it depends less on
what else the machine does.
"""

import argparse
import asyncio
import json
import multiprocessing
import socket
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from platform import python_version

from rich.console import Console
from rich.table import Table

from intaglio.certificates import make_demo_credentials
from protocol.asyncio import Session, connect, serve
from protocol.config import ConnectionConfig
from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.suites import CipherSuite

HOST, NAME = "127.0.0.1", "bulk.example"
#: Room for the header and the tag around the content of a record.
OVERHEAD = 64
RECEIVE_BUFFER = 1 << 22
#: Datagrams that a loop sends before it looks at the clock.
BURST = 64
#: Says that this was all; it is sent again every few milliseconds, since it may be lost.
STOP, STOP_INTERVAL = b"stop", 0.005
SUITES = (CipherSuite.TLS_AES_128_GCM_SHA256,)
ROOT, CREDENTIALS = make_demo_credentials(NAME)


@dataclass(frozen=True)
class Run:
    """What one transfer came to; these are the names in the JSON file."""

    kind: str
    sent: int
    received: int
    #: Records that arrived, a second, from the first to the end.
    rate: float
    #: Seconds of the processor for a record, at each end.
    sender_seconds: float
    receiver_seconds: float


class Stopwatch:
    """Seconds that have passed, and those that the processor worked for this process."""

    def __init__(self) -> None:
        self._start = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """Both, since it was made."""
        return time.perf_counter() - self._start[0], time.process_time() - self._start[1]


def plain_receiver(pipe: Pipe, size: int) -> None:
    """Count datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.bind((HOST, 0))
        pipe.send(sock.getsockname()[1])
        sock.recv(size)
        watch, count = Stopwatch(), 0
        while len(sock.recv(size)) == size:
            count += 1
        pipe.send((count, *watch.read()))


def plain_sender(port: int, pipe: Pipe, size: int, seconds: float) -> int:
    """Send for so long; returns how many datagrams went out."""
    data, sent, target = bytes(size), 0, (HOST, port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for _ in range(BURST):
                sock.sendto(data, target)
            sent += BURST
        while not pipe.poll(STOP_INTERVAL):
            sock.sendto(STOP, target)
    return sent


def dtls_receiver(pipe: Pipe, size: int) -> None:
    """Count records."""

    async def handle(session: Session) -> None:
        await session.receive()
        watch, count = Stopwatch(), 0
        while len(await session.receive()) == size:
            count += 1
        pipe.send((count, *watch.read()))
        over.set()

    async def main() -> None:
        config = ConnectionConfig(
            provider=SoftwareProvider(), credentials=CREDENTIALS, suites=SUITES, mtu=size + OVERHEAD
        )
        server = await serve(HOST, 0, config, handle)
        pipe.send(server.address[1])
        await over.wait()
        await server.close()

    over = asyncio.Event()
    asyncio.run(main())


def dtls_sender(port: int, pipe: Pipe, size: int, seconds: float) -> int:
    """Send for so long; returns how many records went out."""

    async def main() -> int:
        config = ConnectionConfig(
            provider=SoftwareProvider(),
            trust=(ROOT,),
            server_name=NAME,
            suites=SUITES,
            mtu=size + OVERHEAD,
        )
        session = await connect(HOST, port, config)
        data, sent = bytes(size), 0
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for _ in range(BURST):
                await session.send(data)
            sent += BURST
        while not pipe.poll():
            await session.send(STOP)
            await asyncio.sleep(STOP_INTERVAL)
        await session.close()
        return sent

    return asyncio.run(main())


KINDS: dict[str, tuple[Callable[..., None], Callable[..., int]]] = {
    "plain": (plain_receiver, plain_sender),
    "DTLS": (dtls_receiver, dtls_sender),
}


def transfer(kind: str, size: int, seconds: float) -> Run:
    """One transfer, the receiver in a process of its own."""
    receiver, sender = KINDS[kind]
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=receiver, args=(theirs, size))
    process.start()
    port, watch = ours.recv(), Stopwatch()
    sent = sender(port, ours, size, seconds)
    _, sending = watch.read()
    received, taken, receiving = ours.recv()
    process.join()
    return Run(kind, sent, received, received / taken, sending / sent, receiving / received)


def show(console: Console, runs: list[Run], size: int) -> float:
    """A table of the medians; returns the ratio of the rates."""
    table = Table(title=f"Records of {size:,} bytes over UDP on {HOST}")
    for column in ("", "Records/s", "MB/s", "Lost", "µs to send", "µs to receive"):
        table.add_column(column, justify="right" if column else "left")
    rates = {}
    for kind in KINDS:
        mine = [run for run in runs if run.kind == kind]
        rates[kind] = statistics.median(run.rate for run in mine)
        lost = statistics.median(1 - run.received / run.sent for run in mine)
        sending = statistics.median(run.sender_seconds for run in mine)
        receiving = statistics.median(run.receiver_seconds for run in mine)
        table.add_row(
            kind, f"{rates[kind]:,.0f}", f"{rates[kind] * size / 1e6:,.1f}", f"{lost:.1%}",
            f"{sending * 1e6:.2f}", f"{receiving * 1e6:.2f}",
        )  # fmt: skip
    console.print(table)
    return rates["DTLS"] / rates["plain"]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=1200, help="bytes of a record's content")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each transfer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="where to write the runs")
    options = parser.parse_args()
    console = Console()
    runs = [
        transfer(kind, options.size, options.seconds)
        for _ in range(options.rounds)
        for kind in KINDS
    ]
    ratio = show(console, runs, options.size)
    console.print(
        f"DTLS at {ratio:.0%} of the plain loop; medians of {options.rounds} transfers of "
        f"{options.seconds} s each. Python {python_version()}, "
        f"cryptography {version('cryptography')}."
    )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(run) for run in runs], indent=2) + "\n")


if __name__ == "__main__":
    main()
