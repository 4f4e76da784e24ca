"""A client and a server without sockets: datagrams are values, and time is a number.

::

    python examples/two_connections.py
"""

from intaglio.certificates import make_demo_credentials
from protocol.config import ConnectionConfig
from protocol.connection import Connection
from protocol.crypto.openssl import SoftwareProvider
from protocol.events import ConnectionTerminated, DataReceived, HandshakeCompleted

NAME = "server.example"


def deliver(sender: Connection, receiver: Connection, now: float) -> bool:
    """Carry what ``sender`` has to send; whether there was anything."""
    datagrams = sender.datagrams_to_send(now)
    for datagram in datagrams:
        receiver.receive_datagram(datagram, now)
    return bool(datagrams)


def report(name: str, connection: Connection) -> None:
    """Print the events since the last call."""
    while (event := connection.next_event()) is not None:
        match event:
            case HandshakeCompleted():
                print(f"{name}: connected with {event.suite.name}, {event.group.name}")
            case DataReceived():
                print(f"{name}: received {event.data!r}")
            case ConnectionTerminated():
                print(f"{name}: {event.reason}")
            case other:
                print(f"{name}: {type(other).__name__}")


def main() -> None:
    """A handshake, one message, and the end."""
    root, credentials = make_demo_credentials(NAME)
    provider = SoftwareProvider()
    client = Connection.client(
        ConnectionConfig(provider=provider, trust=(root,), server_name=NAME), now=0.0
    )
    server = Connection.server(
        ConnectionConfig(provider=provider, credentials=credentials), now=0.0
    )
    sides = {"client": client, "server": server}

    now = 0.0
    while not (client.connected and server.connected):
        if not (deliver(client, server, now) | deliver(server, client, now)):
            # Nothing is on its way: go on to the next timer.
            now = min(side.timer() or now for side in sides.values())
            for side in sides.values():
                side.handle_timer(now)

    client.send(b"hello")
    client.close(now)
    deliver(client, server, now)
    for name, side in sides.items():
        report(name, side)


if __name__ == "__main__":
    main()
