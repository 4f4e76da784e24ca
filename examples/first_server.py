"""A first DTLS 1.3 server, which answers in capitals; docs/protocol.md has the story.

::

    python examples/first_server.py
    intaglio connect 127.0.0.1 4433 --ca root.pem
"""

import asyncio
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from intaglio.certificates import make_demo_credentials
from protocol.asyncio import Session, serve
from protocol.config import ConnectionConfig
from protocol.crypto.openssl import SoftwareProvider


async def shout(session: Session) -> None:
    """Each client has its own; it ends with the session, which `receive` raises."""
    while True:
        await session.send((await session.receive()).upper())


async def main(port: int = 4433) -> None:
    """Serve until it is cancelled."""
    root, credentials = make_demo_credentials("127.0.0.1")
    Path("root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    config = ConnectionConfig(provider=SoftwareProvider(), credentials=credentials)
    server = await serve("127.0.0.1", port, config, shout)
    print("listening on port", server.address[1], flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await server.close()


if __name__ == "__main__":
    asyncio.run(main())
