"""Bulk transfer over UDP on this machine: a DTLS session beside a plain sendto/recv loop.

    python -m benchmarks.udp_bulk [--size 1200] [--records 100000] [--rounds 5] [--json FILE]

One process sends so many records as fast as it can, another receives them. Three kinds take turns:

    plain       `sendto` and `recv` of blocking sockets, with as many bytes a datagram
    DTLS        `send` and `receive` of a session of `protocol.asyncio`, AES-128-GCM in software
    DTLS many   its `send_many` and `receive_many`

The receiver says now and then how many records have come, and the sender keeps no more than
`WINDOW` under way, so that none gets lost for want of room and all kinds do the same work; what is
lost nevertheless is counted.

Two measures: records a second, and the time of the processor that a record takes at the end that
takes longer. The second depends less on what else the machine does; where both ends have a
processor of their own, and nothing else runs, they say the same. Medians are compared.
"""

import argparse
import asyncio
import json
import multiprocessing
import socket
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from platform import python_version
from typing import Any

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
#: Records that a loop sends before it looks whether it may go on.
BURST = 128
#: Records under way, at most; the receiver says what has come after each `GRANT` of them.
WINDOW, GRANT = 512, 128
#: Seconds without news after which what is under way is lost.
PATIENCE = 0.2
#: Says that this was all; it is sent again, since it may be lost.
STOP = b"stop"
SUITES = (CipherSuite.TLS_AES_128_GCM_SHA256,)
ROOT, CREDENTIALS = make_demo_credentials(NAME)


@dataclass(frozen=True)
class Run:
    """What one transfer came to; these are the names in the JSON file."""

    kind: str
    sent: int
    received: int
    #: Records that arrived, a second, from the first to the last.
    rate: float
    #: Seconds of the processor for a record, at each end.
    sender_seconds: float
    receiver_seconds: float

    @property
    def busier(self) -> float:
        """Seconds of the processor for a record, at the end that needs more."""
        return max(self.sender_seconds, self.receiver_seconds)


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
        _, sender = sock.recvfrom(size)
        watch, count = Stopwatch(), 1
        while len(sock.recv(size)) == size:
            count += 1
            if count % GRANT == 0:
                sock.sendto(count.to_bytes(4, "big"), sender)
        pipe.send((count, *watch.read()))


def plain_sender(port: int, pipe: Pipe, size: int, records: int) -> tuple[int, float]:
    """Send so many; returns how many went out, and the time of the processor."""
    data, sent, arrived, target = bytes(size), 0, 0, (HOST, port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        watch = Stopwatch()
        while sent < records:
            for _ in range(BURST):
                sock.sendto(data, target)
            sent += BURST
            while sent - arrived > WINDOW - BURST:
                try:
                    arrived = int.from_bytes(sock.recv(4), "big")
                except TimeoutError:
                    arrived = sent
        _, seconds = watch.read()
        while True:
            sock.sendto(STOP, target)
            if pipe.poll(PATIENCE):
                return sent, seconds


def dtls_config(size: int, **more: Any) -> ConnectionConfig:
    """Of either side."""
    return ConnectionConfig(provider=SoftwareProvider(), suites=SUITES, mtu=size + OVERHEAD, **more)


async def receive_singly(session: Session, size: int) -> int:
    """Count records."""
    count = 1
    while len(await session.receive()) == size:
        count += 1
        if count % GRANT == 0:
            await session.send(count.to_bytes(4, "big"))
    return count


async def receive_many(session: Session, size: int) -> int:
    """Count records, as many at a time as have come."""
    count, granted = 1, 0
    while True:
        records = await session.receive_many()
        count += len(records)
        if len(records[-1]) != size:
            return count - sum(len(record) != size for record in records)
        if count - granted >= GRANT:
            granted = count
            await session.send(count.to_bytes(4, "big"))


async def send_singly(session: Session, data: bytes) -> None:
    """A burst."""
    for _ in range(BURST):
        await session.send(data)


async def send_many(session: Session, data: bytes) -> None:
    """A burst."""
    await session.send_many([data] * BURST)


def dtls_receiver(receive: Callable[[Session, int], Awaitable[int]], pipe: Pipe, size: int) -> None:
    """Count records with ``receive``."""

    async def handle(session: Session) -> None:
        await session.receive()
        watch = Stopwatch()
        count = await receive(session, size)
        pipe.send((count, *watch.read()))
        over.set()

    async def main() -> None:
        server = await serve(HOST, 0, dtls_config(size, credentials=CREDENTIALS), handle)
        pipe.send(server.address[1])
        await over.wait()
        await server.close()

    over = asyncio.Event()
    asyncio.run(main())


def dtls_sender(
    send: Callable[[Session, bytes], Awaitable[None]],
    port: int,
    pipe: Pipe,
    size: int,
    records: int,
) -> tuple[int, float]:
    """Send so many with ``send``; returns how many went out, and the time of the processor."""

    async def main() -> tuple[int, float]:
        config = dtls_config(size, trust=(ROOT,), server_name=NAME)
        session = await connect(HOST, port, config)
        data, sent, arrived, watch = bytes(size), 0, 0, Stopwatch()
        while sent < records:
            await send(session, data)
            sent += BURST
            while sent - arrived > WINDOW - BURST:
                try:
                    async with asyncio.timeout(PATIENCE):
                        arrived = int.from_bytes((await session.receive_many())[-1], "big")
                except TimeoutError:
                    arrived = sent
        _, seconds = watch.read()
        while not pipe.poll():
            await session.send(STOP)
            await asyncio.sleep(PATIENCE)
        await session.close()
        return sent, seconds

    return asyncio.run(main())


KINDS: dict[str, tuple[Callable[..., None], Callable[..., tuple[int, float]]]] = {
    "plain": (plain_receiver, plain_sender),
    "DTLS": (partial(dtls_receiver, receive_singly), partial(dtls_sender, send_singly)),
    "DTLS many": (partial(dtls_receiver, receive_many), partial(dtls_sender, send_many)),
}


def transfer(kind: str, size: int, records: int) -> Run:
    """One transfer, the receiver in a process of its own."""
    receiver, sender = KINDS[kind]
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=receiver, args=(theirs, size))
    process.start()
    sent, sending = sender(ours.recv(), ours, size, records)
    received, taken, receiving = ours.recv()
    process.join()
    return Run(kind, sent, received, received / taken, sending / sent, receiving / received)


def show(console: Console, runs: list[Run], size: int) -> None:
    """A table of the medians."""
    table = Table(title=f"Records of {size:,} bytes over UDP on {HOST}")
    for column in ("", "Records/s", "MB/s", "Lost", "µs to send", "µs to receive", "Rate", "Work"):
        table.add_column(column, justify="right" if column else "left")
    plain = [run for run in runs if run.kind == "plain"]
    rate, work = (
        statistics.median(run.rate for run in plain),
        statistics.median(run.busier for run in plain),
    )
    for kind in KINDS:
        mine = [run for run in runs if run.kind == kind]
        own_rate = statistics.median(run.rate for run in mine)
        own_work = statistics.median(run.busier for run in mine)
        table.add_row(
            kind,
            f"{own_rate:,.0f}",
            f"{own_rate * size / 1e6:,.1f}",
            f"{sum(run.sent - run.received for run in mine):,}",
            f"{statistics.median(run.sender_seconds for run in mine) * 1e6:.2f}",
            f"{statistics.median(run.receiver_seconds for run in mine) * 1e6:.2f}",
            f"{own_rate / rate:.0%}",
            f"{work / own_work:.0%}",
        )
    console.print(table)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=1200, help="bytes of a record's content")
    parser.add_argument("--records", type=int, default=100_000, help="in each transfer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="where to write the runs")
    options = parser.parse_args()
    console = Console()
    runs = [
        transfer(kind, options.size, options.records)
        for _ in range(options.rounds)
        for kind in KINDS
    ]
    show(console, runs, options.size)
    console.print(
        f"Medians of {options.rounds} transfers of {options.records:,} records; the rate beside "
        "that of the plain loop, and how much more can be sent and received with the time of the "
        f"busier processor. Python {python_version()}, cryptography {version('cryptography')}."
    )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(run) for run in runs], indent=2) + "\n")


if __name__ == "__main__":
    main()
