"""Sessions to resume, and the wall clock by which their tickets age."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from protocol.config import ConnectionConfig
from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import CryptoProvider
from protocol.session import SessionTicket
from protocol.tickets import TicketIssuer
from tests.protocol.certificates import NOW
from tests.protocol.pair import Network, Pair, client_config, server_config


@dataclass
class Clock:
    """A wall clock that stands still until it is moved."""

    time: datetime = NOW

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class Resumable:
    """A client and a server with tickets, and as many connections of theirs as one likes.

    ``early``: how many bytes of early data both allow.
    """

    def __init__(
        self,
        make_provider: Callable[[], CryptoProvider] = SoftwareProvider,
        early: int = 0,
        lifetime: int = 86_400,
        **changes: object,
    ) -> None:
        self.clock = Clock()
        self.issuer = TicketIssuer(lifetime)
        common = {"verification_time": self.clock, "max_early_data": early, **changes}
        self.client: ConnectionConfig = client_config(provider=make_provider(), **common)
        self.server: ConnectionConfig = server_config(
            provider=make_provider(), tickets=self.issuer, **common
        )

    def ticket(self) -> SessionTicket:
        """That of a new full handshake."""
        pair = self.connect()
        assert not pair.result("client").resumed
        return pair.ticket()

    def pair(self, ticket: SessionTicket | None = None, network: Network | None = None) -> Pair:
        """Two sides that have not begun."""
        return Pair(self.client, self.server, network, ticket)

    def connect(self, ticket: SessionTicket | None = None, network: Network | None = None) -> Pair:
        """Two sides after their handshake."""
        pair = self.pair(ticket, network)
        pair.run()
        assert pair.client.connected, pair.events
        assert pair.server.connected, pair.events
        return pair

    def change_client(self, **changes: object) -> None:
        self.client = replace(self.client, **changes)  # type: ignore[arg-type]

    def change_server(self, **changes: object) -> None:
        self.server = replace(self.server, **changes)  # type: ignore[arg-type]


def resumed(pair: Pair) -> bool:
    """Whether the session was, as both sides see it."""
    seen = {pair.result(side).resumed for side in pair.sides}
    assert len(seen) == 1
    return seen.pop()
