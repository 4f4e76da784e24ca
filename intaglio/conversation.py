"""What the two ends of a session do with it: talk, echo, send a file or receive one."""

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from intaglio.report import Received, Report, Transferred
from intaglio.transfer import Progress, TransferError, receive_file, send_file
from protocol.asyncio import Session, SessionClosedError
from protocol.events import PeerClosed

__all__ = ["Conversation", "Lines", "Mode", "converse", "listen", "say", "speak"]

#: Lines that wait for the network; who writes them faster has to wait.
_LINES = 64
#: What has more bytes is cut, so that input without lines does not fill the memory.
_LONGEST_LINE = 1 << 16


class Mode(StrEnum):
    """What a session is for."""

    TALK = "talk"
    ECHO = "echo"
    SEND = "send"
    RECEIVE = "receive"


@dataclass(frozen=True)
class Conversation:
    """``path``: the file to send, or to write what comes to."""

    mode: Mode
    path: Path = Path()


class Lines:
    """The lines of standard input, without their ends.

    A thread reads them, because a file cannot be waited for; it ends with the process.
    """

    def __init__(self, file_descriptor: int = 0) -> None:
        self._descriptor = file_descriptor
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(_LINES)
        threading.Thread(target=self._read, daemon=True).start()

    async def next(self) -> bytes | None:
        """The next line; None at the end."""
        return await self._queue.get()

    def _read(self) -> None:
        rest = b""
        with suppress(OSError):  # There may be no standard input.
            # Not sys.stdin: the lock of its buffer would hold up the end of the process.
            while chunk := os.read(self._descriptor, 1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _LONGEST_LINE:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    self._put(line)
        if rest:
            self._put(rest)
        self._put(None)

    def _put(self, line: bytes | None) -> None:
        if not self._loop.is_closed():
            with suppress(RuntimeError, CancelledError):  # The session is over.
                asyncio.run_coroutine_threadsafe(self._queue.put(line), self._loop).result()


async def speak(lines: Lines, sessions: set[Session]) -> None:
    """Send each line to all sessions, until they end."""
    while (line := await lines.next()) is not None:
        for session in tuple(sessions):
            with suppress(SessionClosedError):  # Who listens to it is told.
                await say(session, line)


async def say(session: Session, line: bytes) -> None:
    """Send a line, one record, or more for a long one; raises `SessionClosedError`."""
    for start in range(0, len(line) or 1, session.max_payload):
        await session.send(line[start : start + session.max_payload])


async def listen(session: Session, number: int, report: Report, *, echo: bool = False) -> None:
    """Report what comes, and send it back if wanted, until `SessionClosedError`."""
    for data in session.early_data:
        report(Received(number, data, early=True))
        if echo:
            await session.send(data)
    while True:
        data = await session.receive()
        report(Received(number, data))
        if echo:
            await session.send(data)


async def converse(
    conversation: Conversation, session: Session, number: int, report: Report
) -> None:
    """Do what the conversation is for; a TALK only listens here.

    Returns when a file is through. Raises `SessionClosedError`, also when the peer ends a TALK or
    an ECHO in order, `TransferError`, and OSError for the file.
    """
    match conversation.mode:
        case Mode.TALK | Mode.ECHO:
            await listen(session, number, report, echo=conversation.mode is Mode.ECHO)
        case Mode.SEND:
            began = time.monotonic()
            size = conversation.path.stat().st_size
            await _send(
                session, conversation.path, lambda done: report.progress(number, done, size)
            )
            report(_transferred(number, "sent", conversation.path, began))
        case Mode.RECEIVE:
            began = time.monotonic()
            with _until_closed():
                await receive_file(
                    session, conversation.path, lambda done: report.progress(number, done, None)
                )
            report(_transferred(number, "received", conversation.path, began))


async def _send(session: Session, path: Path, progress: Progress) -> None:
    try:
        await send_file(session, path, progress)
    except SessionClosedError as closed:
        raise TransferError(f"the session ended before the file was through: {closed}") from None


@contextmanager
def _until_closed() -> Iterator[None]:
    """That the peer closes the session in order is no error."""
    try:
        yield
    except SessionClosedError as closed:
        if not isinstance(closed.event, PeerClosed):
            raise


def _transferred(number: int, direction: str, path: Path, began: float) -> Transferred:
    seconds = time.monotonic() - began
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Transferred(number, direction, str(path), path.stat().st_size, digest, seconds)
