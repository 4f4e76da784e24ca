"""What the endpoints learn about the path from the system (RFC 9147, 4.4)."""

import errno
import json
import os
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from shutil import which

import pytest

from protocol.asyncio import connect, path_mtu
from tests.protocol.endpoints import PATIENCE, run, serving, until
from tests.protocol.pair import client_config, server_config
from tests.protocol.test_asyncio_udp import End, Wire, two_ends

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a path takes")
HERE = Path(__file__).parent
#: Bytes that the network's path takes, and the headers of IP and UDP in them.
NARROW = 1300
HEADERS = {"10.0.1.1": 28, "fd01::1": 48}
WIDE_PAYLOAD = 1400 - 22
REFUSED = OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))


@cache
def has_namespaces() -> bool:
    if sys.platform != "linux" or which("unshare") is None or which("ip") is None:
        return False
    return subprocess.run(["unshare", "-rnm", "true"], check=False).returncode == 0


def over_narrow_path(address: str, provider: str, mode: str) -> dict[str, object]:
    program = [sys.executable, "-m", "tests.protocol.narrow_path", address, provider, mode]
    network = ["unshare", "-rnm", "sh", str(HERE / "narrow_path.sh"), str(NARROW)]
    done = subprocess.run(
        [*network, *program], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, object] = json.loads(done.stdout)
    return seen


@pytest.mark.parametrize(
    ("address", "provider"),
    [("10.0.1.1", "software"), ("10.0.1.1", "accelerator_model"), ("fd01::1", "software")],
)
def test_a_session_follows_what_routers_report_without_a_time_out(
    address: str, provider: str
) -> None:
    """A real router: both hellos and both flights of certificates are too large for its link."""
    if not has_namespaces():
        pytest.skip("no network namespaces here")
    assert over_narrow_path(address, provider, "refused") == {
        "path_mtu": NARROW - HEADERS[address],
        "max_payload": NARROW - HEADERS[address] - 22,
        "refused": True,  # The user is told.
        "whole": True,
    }


@pytest.mark.parametrize("address", HEADERS)
def test_datagrams_may_be_cut_where_the_user_says_so(address: str) -> None:
    """By the router (IPv4), or by the system once it knows how much the path takes (IPv6)."""
    if not has_namespaces():
        pytest.skip("no network namespaces here")
    seen = over_narrow_path(address, "software", "fragments")
    assert seen["max_payload"] == WIDE_PAYLOAD
    assert seen["whole"]
    assert not seen["refused"]


def loopback_mtu(headers: int = 28) -> int:
    """IPv4 has packets of 65,535 bytes at most."""
    mtu = int(Path("/sys/class/net/lo/mtu").read_text())
    return min(mtu, 65_535 if headers == 28 else mtu)


@linux
@pytest.mark.parametrize(
    ("host", "headers"), [("127.0.0.1", 28), ("::ffff:127.0.0.1", 28), ("::1", 48)]
)
def test_the_estimate_is_of_a_datagram_without_headers(host: str, headers: int) -> None:
    if ":" in host and not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 here")
    assert path_mtu.estimate((host, 4433)) == loopback_mtu(headers) - headers


@linux
def test_a_session_tells_what_the_system_thinks() -> None:
    async def test() -> None:
        async with serving() as (_, port):
            session = await connect("127.0.0.1", port, client_config())
            assert session.path_mtu == loopback_mtu() - 28
            await session.close()

    run(test())


@linux
def test_there_is_no_estimate_for_a_path_that_may_not_be_taken() -> None:
    """To broadcast takes an option of the socket."""
    assert path_mtu.estimate(("255.255.255.255", 4433)) is None


def test_there_is_no_estimate_where_the_system_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "other")
    assert path_mtu.estimate(("127.0.0.1", 4433)) is None


def discovery(sock: socket.socket) -> list[int]:
    options = [(path_mtu._IPV4.level, path_mtu._IPV4.discover)]
    if sock.family == socket.AF_INET6:
        options.append((path_mtu._IPV6.level, path_mtu._IPV6.discover))
    return [sock.getsockopt(*option) for option in options]


@linux
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_socket_refuses_or_cuts_what_is_too_large(family: socket.AddressFamily) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        for allow, value in ((False, 2), (True, 0)):
            path_mtu.allow_fragments(sock, allow=allow)
            assert set(discovery(sock)) == {value}


@linux
def test_endpoints_forbid_fragments_unless_they_are_told_not_to() -> None:
    async def test() -> None:
        async with serving() as (server, port):
            assert discovery(server._socket._socket) == [2]
            for fragments, value in ((False, 2), (True, 0)):
                session = await connect("127.0.0.1", port, client_config(), fragments=fragments)
                assert discovery(session._endpoint._socket._socket) == [value]
                await session.close()

    run(test())


def estimating(monkeypatch: pytest.MonkeyPatch, known: int | None) -> None:
    monkeypatch.setattr(path_mtu, "estimate", lambda address: known)


@pytest.mark.parametrize(
    ("known", "reported"),
    [(900, 900), (1199, 1199), (None, 548), (1200, 548), (9000, 548)],
    ids=["less", "one less", "unknown", "no less", "more"],
)
def test_a_datagram_that_is_refused_tells_what_the_path_takes(
    known: int | None, reported: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the estimate would allow what is refused again, only what all paths take is sure."""
    estimating(monkeypatch, known)

    async def test() -> None:
        async with two_ends() as (here, there):
            here.wire.errors = [REFUSED, REFUSED]
            target = there.socket.address
            here.socket.send([bytes(1200)], target)
            assert here.too_large[-1] == (target, reported)
            assert there.arrived == []

    run(test())


def test_the_report_on_an_earlier_datagram_does_not_stop_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Linux reports what ICMP said at the next call, whatever that is."""
    estimating(monkeypatch, 900)

    async def test() -> None:
        async with two_ends() as (here, there):
            here.wire.errors = [REFUSED]
            here.socket.send([b"small"], there.socket.address)
            await until(lambda: bool(there.arrived))
            assert there.data == [b"small"]
            assert here.too_large == [(there.socket.address, 900)]

    run(test())


@linux
def test_what_the_system_thinks_too_large_for_no_reason_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 9147, 4.4: anyone can forge such a report. All paths take 576 bytes."""
    estimating(monkeypatch, 524)

    async def test() -> None:
        async with two_ends() as (here, there):
            path_mtu.allow_fragments(here.wire, allow=False)
            here.wire.errors = [REFUSED]
            here.socket.send([bytes(548)], there.socket.address)
            assert here.too_large == [(there.socket.address, 548)]
            assert discovery(here.wire) == [0]

    run(test())


def test_what_icmp_says_is_heard_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    estimating(monkeypatch, 900)

    class Reporting(Wire):
        reports = 1

        def recvmsg(self, *args: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, object]:  # type: ignore[override]
            if self.reports:
                self.reports -= 1
                raise REFUSED
            return super().recvmsg(*args)

    async def test() -> None:
        async with two_ends() as (other, _):
            wire = Reporting()
            wire.connect(other.socket.address)
            end = End(wire)
            other.socket.send([b"hello"], end.socket.address)
            await until(lambda: bool(end.arrived))
            assert end.too_large == [(other.socket.address, 900)]
            assert end.socket.network_errors == 1
            end.socket.close()

    run(test())


def test_datagrams_that_the_path_takes_are_sent_as_they_are() -> None:
    async def test() -> None:
        async with serving(config=server_config(mtu=9000)) as (_, port):
            session = await connect("127.0.0.1", port, client_config(mtu=9000), fragments=True)
            await session.send(bytes(session.max_payload))
            assert await session.receive() == bytes(session.max_payload)
            await session.close()

    run(test())
