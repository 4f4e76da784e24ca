"""SIGTERM while tasks are at work: they are cancelled, and nothing is reported as failed."""

import asyncio
import os
import signal

import pytest

from intaglio.running import run


async def _terminated_in_a_task(ended: list[str]) -> None:
    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(60)
        finally:
            ended.append("task")

    task = asyncio.create_task(work())
    try:
        await asyncio.sleep(60)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        ended.append("main")


def test_a_signal_in_a_task_cancels_all_and_gives_the_exit_code():
    ended: list[str] = []
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as exit_:
        run(_terminated_in_a_task(ended))
    assert (exit_.value.code, ended) == (128 + signal.SIGTERM, ["task", "main"])
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_is_cancelled_otherwise_stays_cancelled():
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run(cancelled())


def test_the_result_comes_back():
    async def answer() -> int:
        return 42

    assert run(answer()) == 42
