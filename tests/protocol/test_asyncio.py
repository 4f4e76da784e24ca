"""Sessions over real sockets on 127.0.0.1, and how they begin and end."""

import asyncio
import socket

import pytest

import protocol.asyncio
from protocol.alerts import AlertDescription, UsageError
from protocol.asyncio import Session, SessionClosedError, connect
from protocol.crypto.openssl import SoftwareProvider
from protocol.events import ConnectionTerminated, PeerClosed
from protocol.manager import ManagerLimits
from protocol.stats import Drop
from tests.protocol.certificates import authority
from tests.protocol.endpoints import HOST, PATIENCE, run, serving, until
from tests.protocol.pair import client_config, server_config
from tests.protocol.providers import PROVIDERS


def test_the_standard_library_keeps_its_name() -> None:
    assert asyncio is not protocol.asyncio
    assert protocol.asyncio.asyncio is asyncio


@pytest.mark.parametrize("provider", PROVIDERS)
def test_data_goes_both_ways(provider: str) -> None:
    own = [PROVIDERS[provider]() for _ in range(2)]

    async def test() -> None:
        async with serving(config=server_config(provider=own[0])) as (_, port):
            session = await connect(HOST, port, client_config(provider=own[1]))
            assert session.handshake.peer_certificate is not None
            for data in (b"hello", b"", bytes(session.max_payload)):
                await session.send(data)
                assert await session.receive() == data
            await session.close()

    run(test())


def test_many_clients_at_once() -> None:
    async def client(port: int, number: int) -> bytes:
        session = await connect(HOST, port, client_config())
        await session.send(b"%d" % number)
        answer = await session.receive()
        await session.close()
        return answer

    async def test() -> None:
        async with serving() as (server, port):
            answers = await asyncio.gather(*(client(port, n) for n in range(8)))
            assert answers == [b"%d" % n for n in range(8)]
            await until(lambda: server.sessions == 0)

    run(test())


def test_new_keys_in_both_directions() -> None:
    async def test() -> None:
        async with serving() as (_, port):
            session = await connect(HOST, port, client_config())
            for _ in range(3):
                await session.update_keys(request_peer=True)
                await session.send(b"hello")
                assert await session.receive() == b"hello"
            await session.close()

    run(test())


def test_closing_ends_the_other_side_after_its_data() -> None:
    async def farewell(session: Session) -> None:
        await session.send(b"a")
        await session.send(b"b")

    async def test() -> None:
        async with serving(farewell) as (_, port):
            session = await connect(HOST, port, client_config())
            assert [await session.receive(), await session.receive()] == [b"a", b"b"]
            for _ in range(2):
                with pytest.raises(SessionClosedError, match="closed by the peer") as caught:
                    await session.receive()
                assert caught.value.event == PeerClosed()
            await session.close()
            await session.close()
            with pytest.raises(SessionClosedError, match="closed"):
                await session.send(b"x")

    run(test())


def test_closing_a_server_closes_its_sessions() -> None:
    async def test() -> None:
        async with serving() as (server, port):
            session = await connect(HOST, port, client_config())
            await server.close()
            with pytest.raises(SessionClosedError, match="closed by the peer"):
                await session.receive()
            await session.close()

    run(test())


def test_a_server_can_be_closed_in_the_middle_of_a_handshake() -> None:
    async def visit(port: int) -> None:
        session = await connect(HOST, port, client_config())
        try:
            await session.receive()
        finally:
            await session.close()

    async def test() -> None:
        async with serving() as (server, port):
            visiting = asyncio.create_task(visit(port))
            await until(lambda: server.sessions > 0)
            await server.close()
            assert server.sessions == 0
            with pytest.raises(SessionClosedError):
                await visiting

    run(test())


def test_a_server_that_waits_for_its_handlers_to_end_takes_no_new_client() -> None:
    async def test() -> None:
        handling, release = asyncio.Event(), asyncio.Event()

        async def slow_to_end(session: Session) -> None:
            handling.set()
            try:
                await session.receive()
            finally:
                await release.wait()

        async with serving(slow_to_end) as (server, port):
            first = await connect(HOST, port, client_config())
            await handling.wait()
            closing = asyncio.create_task(server.close())
            late = asyncio.create_task(connect(HOST, port, client_config()))
            await until(lambda: server.datagrams_dropped > 0 or server.sessions > 1)
            assert server.sessions == 1
            release.set()
            await closing
            late.cancel()
            await asyncio.gather(late, return_exceptions=True)
            await first.close()

    run(test())


def test_a_server_whose_close_is_cancelled_is_closed_all_the_same() -> None:
    async def test() -> None:
        handling, ending = asyncio.Event(), asyncio.Event()

        async def slow_to_end(session: Session) -> None:
            handling.set()
            try:
                await session.receive()
            finally:
                ending.set()
                await asyncio.Event().wait()

        async with serving(slow_to_end) as (server, port):
            session = await connect(HOST, port, client_config())
            await handling.wait()
            closing = asyncio.create_task(server.close())
            await ending.wait()
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)
            assert server._socket.closed
            assert server.sessions == 0
            await session.close()

    run(test())


def test_giving_up_a_connect_leaves_nothing_behind() -> None:
    async def test() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind((HOST, 0))
            connecting = asyncio.create_task(
                connect(HOST, silent.getsockname()[1], client_config())
            )
            silent.setblocking(False)
            await asyncio.get_running_loop().sock_recv(silent, 2048)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting

    run(test())


def test_a_failing_handler_harms_nobody_else() -> None:
    problems = []

    async def fragile(session: Session) -> None:
        data = await session.receive()
        if data == b"die":
            raise ArithmeticError("as you wish")
        await session.send(data)

    async def test() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: problems.append(context["exception"]))
        async with serving(fragile) as (_, port):
            first, second = [await connect(HOST, port, client_config()) for _ in range(2)]
            await first.send(b"die")
            with pytest.raises(SessionClosedError):
                await first.receive()
            await second.send(b"live")
            assert await second.receive() == b"live"
            for session in (first, second):
                await session.close()

    run(test())
    assert [str(problem) for problem in problems] == ["as you wish"]


def test_a_wrong_certificate_is_refused_with_a_reason() -> None:
    async def test() -> None:
        async with serving() as (server, port):
            stranger = client_config(trust=(authority("Another CA").certificate,))
            with pytest.raises(SessionClosedError) as caught:
                await connect(HOST, port, stranger)
            event = caught.value.event
            assert isinstance(event, ConnectionTerminated)
            assert event.alert in (AlertDescription.UNKNOWN_CA, AlertDescription.BAD_CERTIFICATE)
            assert str(caught.value) == event.reason != ""
            await until(lambda: server.sessions == 0)
            session = await connect(HOST, port, client_config())
            await session.close()

    run(test())


def test_noise_is_dropped_and_the_server_goes_on() -> None:
    async def test() -> None:
        async with serving() as (server, port):
            session = await connect(HOST, port, client_config())
            noise = [b"", b"\x16", b"\x17\xfe\xfd" + bytes(40), b"\x2f" + bytes(60), bytes(1400)]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                for data in noise:
                    stranger.sendto(data, (HOST, port))
            await session.send(b"hello")
            assert await session.receive() == b"hello"
            assert server.datagrams_dropped == len(noise)
            await session.close()

    run(test())


def test_there_is_a_limit_to_sessions() -> None:
    async def test() -> None:
        async with serving(limits=ManagerLimits(connections=1)) as (server, port):
            session = await connect(HOST, port, client_config())
            with pytest.raises(SessionClosedError, match="in time"):
                await connect(HOST, port, client_config(handshake_timeout=0.05))
            assert server.sessions == 1
            assert server.datagrams_dropped > 0
            await session.close()

    run(test())


def test_an_unreachable_port_is_only_a_time_out() -> None:
    async def test() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind((HOST, 0))
            port = closed.getsockname()[1]
        with pytest.raises(SessionClosedError, match="in time"):
            await connect(HOST, port, client_config(handshake_timeout=0.05))

    run(test())


def test_the_receive_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol.asyncio.session, "RECEIVE_QUEUE", 2)

    async def flood(session: Session) -> None:
        for number in range(5):
            await session.send(b"%d" % number)

    async def test() -> None:
        async with serving(flood) as (_, port):
            session = await connect(HOST, port, client_config())
            await until(lambda: session.stats.drops[Drop.QUEUE_FULL] == 3)
            assert [await session.receive(), await session.receive()] == [b"0", b"1"]
            await session.close()

    run(test())


def test_too_much_data_is_an_error_of_the_caller() -> None:
    async def test() -> None:
        async with serving() as (_, port):
            session = await connect(HOST, port, client_config())
            with pytest.raises(UsageError, match="largest payload"):
                await session.send(bytes(session.max_payload + 1))
            await session.send(b"hello")
            assert await session.receive() == b"hello"
            await session.close()

    run(test())


def test_a_session_is_an_asynchronous_iterator_of_its_records() -> None:
    async def count(session: Session) -> None:
        for number in range(3):
            await session.send(b"%d" % number)

    async def test() -> None:
        async with serving(count) as (_, port):
            session = await connect(HOST, port, client_config())
            assert [data async for data in session] == [b"0", b"1", b"2"]
            await session.close()

    run(test())


def test_the_iterator_tells_a_failure_from_the_end() -> None:
    async def test() -> None:
        async with serving(config=server_config(provider=SoftwareProvider())) as (_, port):
            session = await connect(HOST, port, client_config())
            session.handle([ConnectionTerminated("unplugged")])
            with pytest.raises(SessionClosedError, match="unplugged"):
                async for _ in session:
                    pass
            await session.close()

    run(test())


def test_a_server_asks_for_a_cookie_before_it_keeps_anything() -> None:
    async def test() -> None:
        async with serving() as (server, port):
            session = await connect(HOST, port, client_config())
            assert server.stats.retries_sent >= 1
            assert session.stats.flights_sent == 3
            await session.close()

    run(test())


def test_a_server_may_do_without_cookies() -> None:
    async def test() -> None:
        async with serving(limits=ManagerLimits(handshakes_without_cookie=8)) as (server, port):
            session = await connect(HOST, port, client_config())
            assert server.stats.retries_sent == 0
            await session.close()

    run(test())


def test_closing_a_server_with_grace_lets_its_handlers_end() -> None:
    async def test() -> None:
        ended = []

        async def slow(session: Session) -> None:
            ended.append(await session.receive())

        async with serving(slow) as (server, port):
            session = await connect(HOST, port, client_config())
            await until(lambda: len(server._tasks) == 1)
            closing = asyncio.create_task(server.close(grace=PATIENCE))
            await asyncio.sleep(0)
            await session.send(b"goodbye")
            await closing
            assert ended == [b"goodbye"]
            await session.close()

    run(test())


def test_statistics_of_a_server_outlive_its_sessions() -> None:
    async def test() -> None:
        async with serving() as (server, port):
            for _ in range(2):
                session = await connect(HOST, port, client_config())
                await session.send(b"hello")
                await session.receive()
                await session.close()
            await until(lambda: server.sessions == 0)
            assert server.stats.handshakes_completed == server.stats.connections_ended == 2
            assert server.totals.flights_sent == 2

    run(test())
