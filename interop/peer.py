"""A DTLS 1.3 endpoint of another stack: `peers/peer.c` as a program that runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

from interop.patience import PATIENCE

#: The longest line that a peer says: a record in hex.
_LONGEST_LINE = 1 << 16

#: What a handshake agreed on, by the names of `peers/peer.c`.
Agreement: TypeAlias = dict[str, str]


class PeerError(Exception):
    """The peer did not do what it was expected to do; the text is what it said instead."""


class Peer:
    """One running program; `start` makes it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin
        assert process.stdout
        self._stdin, self._stdout = process.stdin, process.stdout
        #: What came as early data, so far as a call has waited for something later.
        self.early_data: list[bytes] = []
        self._tickets = 0

    def tell(self, command: str) -> None:
        """Give a command, such as ``send 6869``."""
        self._stdin.write(f"{command}\n".encode())

    async def expect(self, event: str) -> str:
        """What the next line says after the name of the event; `PeerError` if it is another.

        Tickets and early data are kept, whatever is waited for.
        """
        while True:
            name, _, rest = (await self._line()).partition(" ")
            if name == event:
                return rest
            if name == "ticket":
                self._tickets += 1
            elif name == "early":
                self.early_data.append(bytes.fromhex(rest))
            else:
                raise PeerError(f"{event} expected of the peer, which says: {name} {rest}")

    async def expect_ticket(self) -> None:
        """Wait until a client has got a ticket that no call waited for before."""
        if self._tickets:
            self._tickets -= 1
        else:
            await self.expect("ticket")

    async def expect_connected(self) -> Agreement:
        """What the peer's handshake agreed on."""
        return dict(part.split("=", 1) for part in (await self.expect("connected")).split())

    async def _line(self) -> str:
        async with asyncio.timeout(PATIENCE):
            return (await self._stdout.readline()).decode().strip()


@asynccontextmanager
async def start(program: Path, role: str, **options: object) -> AsyncIterator[Peer]:
    """A peer in a role, ``client`` or ``server``, with options of `peers/peer.h`; ends with it."""
    process = await asyncio.create_subprocess_exec(
        program,
        role,
        *(f"{name}={value}" for name, value in options.items()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    try:
        yield Peer(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
