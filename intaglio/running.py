"""How a command runs what is asynchronous."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` to its end. SIGTERM cancels it, as Ctrl-C does; exit code 143 follows.

    An exception that a signal handler raises would end whichever task is at work, and that task
    would be reported as one that failed.
    """
    terminated = False

    async def supervised() -> T:
        task = asyncio.current_task()

        def terminate() -> None:
            nonlocal terminated
            terminated = True
            assert task is not None
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
        return await main

    before = signal.getsignal(signal.SIGTERM)
    try:
        return asyncio.run(supervised())
    except asyncio.CancelledError:
        if terminated:
            raise SystemExit(128 + signal.SIGTERM) from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
