"""An echo server and a client on a UDP socket of this machine, with asyncio.

::

    python examples/dtls_echo.py
"""

import asyncio

from intaglio.certificates import make_demo_credentials
from protocol.asyncio import Session, connect, serve
from protocol.config import ConnectionConfig
from protocol.crypto.openssl import SoftwareProvider

HOST, NAME = "127.0.0.1", "server.example"


async def echo(session: Session) -> None:
    """Until `receive` raises SessionClosedError, which the server expects of a handler."""
    while True:
        await session.send(await session.receive())


async def main() -> None:
    """One session, one message there and back."""
    root, credentials = make_demo_credentials(NAME)
    provider = SoftwareProvider()
    server = await serve(
        HOST, 0, ConnectionConfig(provider=provider, credentials=credentials), echo
    )
    session = await connect(
        HOST,
        server.address[1],
        ConnectionConfig(provider=provider, trust=(root,), server_name=NAME),
    )
    await session.send(b"hello")
    print(await session.receive())
    await session.close()
    await server.close()


if __name__ == "__main__":
    asyncio.run(main())
