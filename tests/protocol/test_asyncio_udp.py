"""Sockets that take and send many datagrams at a time."""

import asyncio
import errno
import os
import random
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from protocol.asyncio import connect, udp
from protocol.asyncio.udp import Address, DatagramSocket
from tests.protocol.certificates import credentials
from tests.protocol.endpoints import HOST, PATIENCE, run, serving, until
from tests.protocol.pair import client_config, server_config


class Wire(socket.socket):
    """A socket whose ``sendmsg`` raises what is in ``errors``, once each, and else sends."""

    def __init__(self) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_DGRAM)
        self.bind((HOST, 0))
        self.errors: list[OSError] = []
        #: How many datagrams each call was for, and whether it failed.
        self.calls: list[tuple[int, bool]] = []
        self.sends_segments = True

    def sendmsg(self, buffers: Sequence[bytes], control: Any = (), *rest: Any) -> int:  # type: ignore[override]
        error = self.errors.pop(0) if self.errors else None
        if control and not self.sends_segments:
            error = OSError(errno.EIO, os.strerror(errno.EIO))
        self.calls.append((len(buffers), error is not None))
        if error is not None:
            raise error
        return super().sendmsg(buffers, control, *rest)


class End:
    """A `DatagramSocket`, and what came to it."""

    def __init__(self, wire: Wire | None = None) -> None:
        self.wire = wire or Wire()
        self.arrived: list[tuple[bytes, Address]] = []
        self.receipts: list[int] = []
        self.turns = 0
        self.too_large: list[tuple[Address, int]] = []
        self.socket = DatagramSocket(
            self.wire,
            self._received,
            self._turn_over,
            lambda address, mtu: self.too_large.append((address, mtu)),
        )

    @property
    def data(self) -> list[bytes]:
        return [data for data, _ in self.arrived]

    def _received(self, data: bytes, size: int, address: Address) -> None:
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        self.receipts.append(len(pieces))
        self.arrived += [(piece, address) for piece in pieces]

    def _turn_over(self) -> None:
        self.turns += 1


@asynccontextmanager
async def two_ends() -> AsyncIterator[tuple[End, End]]:
    ends = End(), End()
    try:
        yield ends
    finally:
        for end in ends:
            end.socket.close()


def datagrams(*sizes: int) -> list[bytes]:
    source = random.Random(len(sizes))
    return [source.randbytes(size) for size in sizes]


MIXED = datagrams(*[1200] * 60, 300, *[1200] * 3, 5, 5, 1300, 1200, *[1] * 70, 60_000, 9_000)


@pytest.mark.parametrize("offers", [(True, True), (True, False), (False, True), (False, False)])
def test_all_datagrams_arrive_as_they_were_sent(
    offers: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    has_option, (sends, receives) = udp._has_option, offers
    offered = {udp._UDP_SEGMENT: sends, udp._UDP_GRO: receives}
    monkeypatch.setattr(
        udp, "_has_option", lambda sock, opt: offered[opt] and has_option(sock, opt)
    )

    async def test() -> None:
        async with two_ends() as (here, there):
            here.socket.send(MIXED, there.socket.address)
            await until(lambda: len(there.arrived) == len(MIXED))
            assert there.data == MIXED
            assert {address for _, address in there.arrived} == {here.socket.address}

    run(test())


def supports_segments() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return udp._has_option(sock, udp._UDP_SEGMENT) and udp._has_option(sock, udp._UDP_GRO)


@pytest.mark.skipif(not supports_segments(), reason="the system has no UDP segmentation offload")
def test_datagrams_of_one_size_go_and_come_in_one_piece() -> None:
    async def test() -> None:
        async with two_ends() as (here, there):
            here.socket.send(datagrams(*[1200] * 50), there.socket.address)
            await until(lambda: len(there.arrived) == 50)
            assert here.wire.calls == [(50, False)]
            assert there.receipts == [50]

    run(test())


@pytest.mark.parametrize(
    ("sizes", "runs"),
    [
        ([], []),
        ([1200], [1]),
        ([1200, 1200, 800], [3]),
        ([800, 1200, 1200], [1, 2]),
        ([1200, 800, 1200], [2, 1]),
        ([1200] * 54, [54]),
        ([1200] * 55, [54, 1]),
        ([10] * 130, [64, 64, 2]),
        ([1200, 0, 0], [1, 2]),
        ([40_000, 40_000], [1, 1]),
    ],
)
def test_what_fits_one_call(sizes: list[int], runs: list[int]) -> None:
    data = datagrams(*sizes)
    found = list(udp._runs(data))
    assert [len(each) for each in found] == runs
    assert [datagram for each in found for datagram in each] == data


def test_a_network_that_takes_no_pieces_gets_single_datagrams() -> None:
    async def test() -> None:
        async with two_ends() as (here, there):
            here.wire.sends_segments = False
            sent = datagrams(*[500] * 8)
            for start in (0, 4):
                here.socket.send(sent[start : start + 4], there.socket.address)
            await until(lambda: len(there.arrived) == 8)
            assert there.data == sent
            tries = [size for size, failed in here.wire.calls if failed]
            assert tries in ([4], [])  # It is tried once, if at all.
            assert here.socket.network_errors == 0

    run(test())


def test_what_a_full_socket_does_not_take_follows_in_order() -> None:
    async def test() -> None:
        async with two_ends() as (here, there):
            here.wire.errors = [BlockingIOError(errno.EAGAIN, "full")] * 2
            sent = datagrams(1, 2, 3, 4, 5)
            here.socket.send(sent[:3], there.socket.address)
            here.socket.send(sent[3:], there.socket.address)
            assert not here.socket.writable.is_set()
            await here.socket.writable.wait()
            await until(lambda: len(there.arrived) == 5)
            assert there.data == sent
            assert here.socket.network_errors == 0

    run(test())


def test_a_backlog_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "_MAX_BACKLOG", 3)

    async def test() -> None:
        async with two_ends() as (here, there):
            here.wire.errors = [BlockingIOError(errno.EAGAIN, "full")]
            sent = datagrams(1, 2, 3, 4, 5)
            for datagram in sent:
                here.socket.send([datagram], there.socket.address)
            await until(lambda: len(there.arrived) == 3)
            assert there.data == sent[:3]
            assert here.socket.network_errors == 2

    run(test())


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.ENETUNREACH])
def test_errors_are_counted_and_ignored(number: int) -> None:
    async def test() -> None:
        async with two_ends() as (here, there):
            here.wire.errors = [OSError(number, os.strerror(number))]
            here.socket.send([b"lost"], there.socket.address)
            here.socket.send([b"hello"], there.socket.address)
            await until(lambda: bool(there.arrived))
            assert there.data == [b"hello"]
            assert here.socket.network_errors == 1
            assert here.too_large == []

    run(test())


def test_an_error_on_receipt_is_counted_and_ignored() -> None:
    """A port that is unreachable, say: the system reports it at the next call."""

    async def test() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind((HOST, 0))
            target = closed.getsockname()
        wire = Wire()
        wire.connect(target)
        end = End(wire)
        end.socket.send([b"hello"], target)
        await until(lambda: end.socket.network_errors > 0)
        end.socket.close()

    run(test())


def test_a_socket_may_be_closed_while_it_reads_and_closed_twice() -> None:
    async def test() -> None:
        async with two_ends() as (here, there):
            there.socket._received = lambda data, size, address: there.socket.close()
            for _ in range(3):
                here.socket.send([b"x"], there.socket.address)
            await until(lambda: there.socket.closed)
            there.socket.close()
            there.socket.send([b"x"], here.socket.address)
            assert there.turns == 1

    run(test())


def test_others_have_their_turn_while_datagrams_keep_coming(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(udp, "_MAX_TURN", 4)

    async def test() -> None:
        async with two_ends() as (here, there):
            for datagram in datagrams(*range(1, 13)):
                here.socket.send([datagram], there.socket.address)
            await until(lambda: len(there.arrived) == 12)
            assert there.turns >= 3

    run(test())


def test_a_session_hears_of_a_record_that_is_too_large_for_the_path() -> None:
    """RFC 9147, 4.4."""

    async def test() -> None:
        async with serving() as (_, port):
            session = await connect(HOST, port, client_config(mtu=2000))
            socket_ = session._endpoint._socket
            send_now, limit = socket_._send_now, 1000

            def narrow(each: Sequence[bytes], address: Address) -> None:
                if len(each[0]) > limit:
                    raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
                send_now(each, address)

            socket_._send_now = narrow  # type: ignore[method-assign]
            await session.send(bytes(1500))
            await asyncio.sleep(0)
            with pytest.raises(OSError, match="too long") as caught:
                await session.send(bytes(1500))
            assert caught.value.errno == errno.EMSGSIZE
            await session.send(b"small")
            assert await session.receive() == b"small"
            await session.close()

    run(test())


def test_sending_waits_for_a_full_socket() -> None:
    async def test() -> None:
        async with serving() as (_, port):
            session = await connect(HOST, port, client_config())
            writable = session._endpoint._socket.writable
            writable.clear()
            sending = asyncio.create_task(session.send(b"hello"))
            for _ in range(5):
                await asyncio.sleep(0)
            assert not sending.done()
            writable.set()
            await sending
            assert await session.receive() == b"hello"
            await session.close()

    run(test())


def test_many_records_in_a_row_arrive() -> None:
    count = 200

    async def test() -> None:
        async with serving() as (_, port):
            session = await connect(HOST, port, client_config())
            for number in range(count):
                await session.send(number.to_bytes(2, "big") * 500)
            arrived = {(await session.receive())[:2] for _ in range(count)}
            assert arrived == {number.to_bytes(2, "big") for number in range(count)}
            await session.close()

    run(test())


def test_a_handshake_gets_through_although_its_datagrams_were_too_large_for_the_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 9147, 4.4: what the system refuses is cut anew at once, and not after a time-out."""
    send_now = DatagramSocket._send_now

    def narrow(self: DatagramSocket, run: Sequence[bytes], address: Address) -> None:
        if max(map(len, run)) > 600:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        send_now(self, run, address)

    async def test() -> None:
        monkeypatch.setattr(DatagramSocket, "_send_now", narrow)
        config = server_config(credentials("rsa"), retransmission_timeout=PATIENCE)
        async with serving(config=config) as (_, port):
            session = await connect(HOST, port, client_config(retransmission_timeout=PATIENCE))
            await session.send(b"hello")
            assert await session.receive() == b"hello"
            await session.close()

    run(test())
