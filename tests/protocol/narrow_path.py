"""A session over a path that is narrower than it seems, in the network of narrow_path.sh.

    unshare -rnm sh tests/protocol/narrow_path.sh 1300 \\
        python -m tests.protocol.narrow_path 10.0.1.1 software refused

Prints what the client saw as JSON.
"""

import asyncio
import ctypes
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from protocol.asyncio import connect, serve
from tests.protocol.certificates import authority, credentials
from tests.protocol.endpoints import PATIENCE, echo
from tests.protocol.pair import client_config, server_config
from tests.protocol.providers import PROVIDERS

#: What all datagrams would have without the narrow link.
MTU = 1400
#: So long a list that the ClientHello does not fit the path.
PROTOCOLS = tuple(f"{number:03} of a long list of protocols" for number in range(30))


class Host(threading.Thread):
    """A server in the network namespace ``server``; a thread can be in another one than others."""

    def __init__(self, address: str, provider: str, *, fragments: bool) -> None:
        super().__init__(daemon=True)
        self._address, self._provider, self._fragments = address, provider, fragments
        self._over = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop
        self.port = 0
        self.ready = threading.Event()

    def run(self) -> None:
        namespace = os.open(Path("/run/netns/server"), os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(namespace, 0):
            raise OSError(ctypes.get_errno(), "setns")
        asyncio.run(self._serve())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self.join()

    async def _serve(self) -> None:
        config = server_config(
            credentials("rsa"),
            provider=PROVIDERS[self._provider](),
            mtu=MTU,
            retransmission_timeout=PATIENCE,
            trust=(authority().certificate,),
            alpn_protocols=PROTOCOLS,
        )
        self._loop = asyncio.get_running_loop()
        server = await serve(self._address, 0, config, echo, fragments=self._fragments)
        self.port = server.address[1]
        self.ready.set()
        await self._over.wait()
        await server.close()


@contextmanager
def serving(address: str, provider: str, *, fragments: bool) -> Iterator[int]:
    host = Host(address, provider, fragments=fragments)
    host.start()
    if not host.ready.wait(PATIENCE):
        raise SystemExit("no server")
    try:
        yield host.port
    finally:
        host.stop()


async def talk(address: str, port: int, provider: str, *, fragments: bool) -> dict[str, object]:
    config = client_config(
        provider=PROVIDERS[provider](),
        credentials=credentials("rsa", "client.example"),
        mtu=MTU,
        retransmission_timeout=PATIENCE,
        alpn_protocols=PROTOCOLS,
    )
    async with asyncio.timeout(PATIENCE / 2):  # No retransmission timer runs out.
        session = await connect(address, port, config, fragments=fragments)
        try:
            refused = False
            try:
                await session.send(b"")
            except OSError:
                refused = True
                await session.send(b"")
            assert await session.receive() == b""
            data = bytes(range(250)) * 8
            await session.send(data[: session.max_payload])
            whole = await session.receive() == data[: session.max_payload]
            return {
                "path_mtu": session.path_mtu,
                "max_payload": session.max_payload,
                "refused": refused,
                "whole": whole,
            }
        finally:
            await session.close()


def main(address: str, provider: str, mode: str) -> None:
    fragments = mode == "fragments"
    with serving(address, provider, fragments=fragments) as port:
        print(json.dumps(asyncio.run(talk(address, port, provider, fragments=fragments))))


if __name__ == "__main__":
    main(*sys.argv[1:])
