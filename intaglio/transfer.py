"""A file over datagrams: the smallest protocol that loses nothing.

Each datagram of the sender is an offset (32 bits, big-endian) and the bytes that stand there; none
behind the offset means that the file ends there. The receiver returns each offset as its
acknowledgement. At most `WINDOW` datagrams are unacknowledged at a time, and all of them are sent
again when nothing has come back for `TIMEOUT` seconds.
"""

import asyncio
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

__all__ = ["LARGEST_FILE", "Datagrams", "FileTooLargeError", "receive_file", "send_file"]

WINDOW = 16
TIMEOUT = 2.0

_OFFSET = struct.Struct(">I")
#: What a file may have at most, in bytes: offsets are 32 bits.
LARGEST_FILE = (1 << 32) - 1


class FileTooLargeError(Exception):
    """Offsets are 32 bits."""


class Datagrams(Protocol):
    """What carries the file: a DTLS session, for one."""

    @property
    def max_payload(self) -> int:
        """Largest datagram, in bytes."""

    async def send(self, data: bytes) -> None:
        """Send one datagram."""

    async def receive(self) -> bytes:
        """The next datagram that arrives."""


async def send_file(
    datagrams: Datagrams, path: Path, progress: Callable[[int], None] = lambda done: None
) -> None:
    """Send a file and wait until all of it is acknowledged.

    ``progress`` is told how many bytes have been. Raises `FileTooLargeError` for 4 GiB or more.
    """
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise FileTooLargeError(f"{path} has {size} bytes, over {LARGEST_FILE}")
    step = datagrams.max_payload - _OFFSET.size
    waiting: dict[int, bytes] = {}
    with path.open("rb") as file:
        following, done = 0, 0
        while following <= size or waiting:
            while following <= size and len(waiting) < WINDOW:
                piece = file.read(step)
                waiting[following] = piece
                await datagrams.send(_OFFSET.pack(following) + piece)
                # Behind the last byte, one empty piece says that this was all.
                following += len(piece) or 1
            done += await _acknowledgement(datagrams, waiting)
            progress(done)


async def _acknowledgement(datagrams: Datagrams, waiting: dict[int, bytes]) -> int:
    """Wait for one acknowledgement and return how many bytes it was for."""
    try:
        async with asyncio.timeout(TIMEOUT):
            answer = await datagrams.receive()
    except TimeoutError:
        for offset, piece in waiting.items():
            await datagrams.send(_OFFSET.pack(offset) + piece)
        return 0
    return len(waiting.pop(_OFFSET.unpack(answer)[0], b""))


async def receive_file(datagrams: Datagrams, path: Path) -> None:
    """Write what arrives, and acknowledge it, for as long as ``datagrams`` lasts.

    It does not return: only the sender knows when its last acknowledgement has arrived, and it
    then ends the session, which ``receive`` raises.
    """
    with path.open("wb", buffering=0) as file:
        while True:
            datagram = await datagrams.receive()
            (offset,) = _OFFSET.unpack_from(datagram)
            os.pwrite(file.fileno(), datagram[_OFFSET.size :], offset)
            await datagrams.send(_OFFSET.pack(offset))
