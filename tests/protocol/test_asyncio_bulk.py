"""Sessions that send and receive many records at a time."""

import asyncio

import pytest

import protocol.asyncio
from protocol.alerts import UsageError
from protocol.asyncio import Session, SessionClosedError, connect
from protocol.events import PeerClosed
from protocol.stats import Drop
from tests.protocol.endpoints import HOST, run, serving, until
from tests.protocol.pair import client_config, server_config
from tests.protocol.providers import PROVIDERS
from tests.protocol.test_asyncio_failures import FailingProvider

CONTENTS = [b"%04d" % number * 200 for number in range(300)]


async def receive(session: Session, count: int) -> list[bytes]:
    received: list[bytes] = []
    while len(received) < count:
        received += await session.receive_many()
    return received


async def echo_many(session: Session) -> None:
    while True:
        await session.send_many(await session.receive_many())


@pytest.mark.parametrize("provider", ["software", "accelerator_model"])
def test_many_records_go_both_ways(provider: str) -> None:
    own = [PROVIDERS[provider]() for _ in range(2)]
    contents = CONTENTS if provider == "software" else CONTENTS[:20]

    async def test() -> None:
        async with serving(echo_many, server_config(provider=own[0])) as (_, port):
            session = await connect(HOST, port, client_config(provider=own[1]))
            await session.send_many(contents)
            assert await receive(session, len(contents)) == contents
            await session.send_many([])
            await session.send_many([b"first", bytearray(b"second")])
            assert await receive(session, 2) == [b"first", b"second"]
            await session.close()

    run(test())


def test_all_that_was_sent_goes_before_what_follows() -> None:
    """New keys, and the end of the session."""

    async def talk(session: Session) -> None:
        await session.send(b"old keys")
        await session.update_keys()
        for content in CONTENTS[:10]:
            await session.send(content)

    async def test() -> None:
        async with serving(talk) as (_, port):
            session = await connect(HOST, port, client_config())
            assert await receive(session, 11) == [b"old keys", *CONTENTS[:10]]
            with pytest.raises(SessionClosedError) as caught:
                await session.receive_many()
            assert caught.value.event == PeerClosed()
            await session.close()

    run(test())


def test_a_buffer_may_change_as_soon_as_it_was_sent() -> None:
    async def test() -> None:
        async with serving() as (_, port):
            session = await connect(HOST, port, client_config())
            buffer = bytearray(b"before")
            await session.send(buffer)
            buffer[:] = b"behind"
            assert await session.receive() == b"before"
            await session.close()

    run(test())


def test_other_tasks_run_while_many_records_are_sent() -> None:
    async def test() -> None:
        async with serving() as (_, port):
            session = await connect(HOST, port, client_config())
            turns = 0

            async def count() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            counting = asyncio.create_task(count())
            await session.send_many(CONTENTS)
            in_one_go = turns
            for content in CONTENTS:
                await session.send(content)
            assert in_one_go > 1
            assert turns > in_one_go + 1
            counting.cancel()
            await session.close()

    run(test())


def test_the_receive_queue_has_room_for_part_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol.asyncio.session, "RECEIVE_QUEUE", 7)

    async def flood(session: Session) -> None:
        await session.send_many(CONTENTS[:5])
        await session.send_many(CONTENTS[5:15])
        await session.receive()

    async def test() -> None:
        async with serving(flood) as (_, port):
            session = await connect(HOST, port, client_config())
            await until(lambda: session.stats.drops[Drop.QUEUE_FULL] == 8)
            assert await session.receive_many() == CONTENTS[:7]
            await session.close()

    run(test())


def test_one_that_is_too_long_keeps_all_back() -> None:
    async def test() -> None:
        async with serving() as (_, port):
            session = await connect(HOST, port, client_config())
            with pytest.raises(UsageError, match="largest payload"):
                await session.send_many([b"short", bytes(session.max_payload + 1)])
            await session.send(b"hello")
            assert await session.receive_many() == [b"hello"]
            await session.close()

    run(test())


def test_a_provider_that_fails_ends_the_session() -> None:
    async def test() -> None:
        async with serving() as (_, port):
            session = await connect(HOST, port, client_config(provider=FailingProvider("seal")))
            with pytest.raises(SessionClosedError, match="OSError: the device is unplugged"):
                await session.send_many(CONTENTS)
            with pytest.raises(SessionClosedError):
                await session.send_many(CONTENTS)
            await session.close()

    run(test())
