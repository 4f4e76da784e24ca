"""A file over datagrams: the smallest protocol that loses nothing.

Each datagram of the sender is an offset (32 bits, big-endian) and the bytes that stand there; none
behind the offset means that the file ends there. The receiver returns each offset as its
acknowledgement. A `Pace` says how many datagrams are unacknowledged at a time, after which silence
all of them are sent again, and after which either side gives up. Datagrams of another form are
ignored.
"""

import asyncio
import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from protocol.ranges import RangeSet

__all__ = [
    "LARGEST_FILE",
    "Datagrams",
    "Pace",
    "Progress",
    "TransferError",
    "receive_file",
    "send_file",
]

#: So many time-outs of the sender pass before a receiver that has all takes silence for the end.
_FAREWELL = 8

_OFFSET = struct.Struct(">I")
#: What a file may have at most, in bytes: offsets are 32 bits.
LARGEST_FILE = (1 << 32) - 1
#: Separate parts of a file that a receiver holds; a sender's window of up to this leaves fewer.
_MOST_RANGES = 64


class TransferError(Exception):
    """The file cannot be sent, or did not arrive whole."""


class Datagrams(Protocol):
    """What carries the file: a DTLS session, for one."""

    @property
    def max_payload(self) -> int:
        """Largest datagram, in bytes."""

    async def send(self, data: bytes) -> None:
        """Send one datagram."""

    async def receive(self) -> bytes:
        """The next datagram that arrives."""


#: Is told how many bytes of the file are through.
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Pace:
    """What is expected of the way; a window's round trip must take less than ``timeout``."""

    #: Datagrams that may be unacknowledged.
    window: int = 16
    #: Seconds of silence after which they are sent again.
    timeout: float = 2.0
    #: Seconds of silence after which either side gives up.
    patience: float = 30.0


async def send_file(
    datagrams: Datagrams, path: Path, progress: Progress = lambda done: None, pace: Pace = Pace()
) -> None:
    """Send a file and wait until all of it is acknowledged.

    ``progress`` is told how many bytes have been. Raises `TransferError` for 4 GiB or more, for a
    file that becomes shorter meanwhile, and when the receiver is silent.
    """
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise TransferError(f"{path} has {size} bytes, over {LARGEST_FILE}")
    step = datagrams.max_payload - _OFFSET.size
    waiting = _Unacknowledged(datagrams, pace)
    with path.open("rb") as file:
        following, done = 0, 0
        while following <= size or waiting.pieces:
            while following <= size and len(waiting.pieces) < pace.window:
                piece = file.read(min(step, size - following))
                if not piece and following < size:
                    raise TransferError(f"{path} became shorter while it was sent")
                await waiting.send(following, piece)
                # Behind the last byte, one empty piece says that this was all.
                following += len(piece) or 1
            done += await waiting.acknowledgement()
            progress(done)


class _Unacknowledged:
    """The sender's pieces that are on their way, by offset."""

    def __init__(self, datagrams: Datagrams, pace: Pace) -> None:
        self.pieces: dict[int, bytes] = {}
        self._datagrams = datagrams
        self._pace = pace
        self._heard = time.monotonic()

    async def send(self, offset: int, piece: bytes) -> None:
        self.pieces[offset] = piece
        await self._datagrams.send(_OFFSET.pack(offset) + piece)

    async def acknowledgement(self) -> int:
        """Wait for one that is new; return how many bytes it was for."""
        while True:
            try:
                async with asyncio.timeout(self._pace.timeout):
                    piece = await self._next_acknowledged()
            except TimeoutError:
                await self._send_again()
            else:
                self._heard = time.monotonic()
                return len(piece)

    async def _next_acknowledged(self) -> bytes:
        while (offset := _offset(await self._datagrams.receive())) not in self.pieces:
            pass
        return self.pieces.pop(offset)

    async def _send_again(self) -> None:
        patience = self._pace.patience
        if time.monotonic() > self._heard + patience:
            raise TransferError(f"the receiver has acknowledged nothing for {patience:g} s")
        for offset, piece in self.pieces.items():
            await self._datagrams.send(_OFFSET.pack(offset) + piece)


async def receive_file(
    datagrams: Datagrams, path: Path, progress: Progress = lambda done: None, pace: Pace = Pace()
) -> None:
    """Write what arrives, and acknowledge it, until the file is whole and the sender knows.

    Only the sender knows when its last acknowledgement has arrived, and it then ends the session,
    which ``datagrams`` raises; or, if that is lost too, it is silent, and this returns.
    ``progress`` is told how many bytes have come. Raises `TransferError` for a file that is not
    whole when the session ends or the sender falls silent.
    """
    arrived = _Arrived()
    farewell = _FAREWELL * pace.timeout
    with path.open("wb", buffering=0) as file:
        while True:
            try:
                async with asyncio.timeout(farewell if arrived.whole else pace.patience):
                    datagram = await datagrams.receive()
            except TimeoutError:
                if arrived.whole:
                    return
                raise TransferError(f"nothing has come for {pace.patience:g} s") from None
            except Exception as error:
                if arrived.whole:
                    raise
                raise TransferError(f"the file did not arrive whole: {error}") from error
            offset, piece = _offset(datagram), datagram[_OFFSET.size :]
            if offset is not None and arrived.add(offset, piece):
                os.pwrite(file.fileno(), piece, offset)
                await datagrams.send(_OFFSET.pack(offset))
                progress(arrived.bytes)


class _Arrived:
    """Which bytes of a file are there, and where it ends."""

    def __init__(self) -> None:
        #: From the first byte on, without a gap.
        self.bytes = 0
        self._ranges = RangeSet()
        self._end: int | None = None

    @property
    def whole(self) -> bool:
        return self._end is not None and self.bytes >= self._end

    def add(self, offset: int, piece: bytes) -> bool:
        """Note a piece; False for what no sender of this protocol sends."""
        if len(self._ranges) >= _MOST_RANGES and offset > self.bytes:
            return False
        if piece:
            self._ranges.add(offset, offset + len(piece))
            self.bytes = self._ranges.prefix()
        else:
            self._end = offset
        return True


def _offset(datagram: bytes) -> int | None:
    """The offset at the start of a datagram, if there is one."""
    return int(_OFFSET.unpack_from(datagram)[0]) if len(datagram) >= _OFFSET.size else None
