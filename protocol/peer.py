"""One association among those of a manager: its connection, and where the other side is."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence

from protocol.connection import Connection
from protocol.ending import LastAlert

#: RFC 9147, 5.1: so many times what came from an address that is not proven may go there.
_AMPLIFICATION = 3
#: Datagrams that are kept until they may go to an address that is not proven.
_MAX_HELD = 64
#: How many alerts are kept for peers that may go on.
_MAX_ALERTS = 256


class Allowance:
    """How much may be sent to an address before it is proven that the peer is there."""

    __slots__ = ("_left", "held")

    def __init__(self) -> None:
        self._left = 0
        #: Datagrams that wait until there is enough.
        self.held: list[bytes] = []

    def received(self, size: int) -> None:
        """So many bytes came from there."""
        self._left += _AMPLIFICATION * size

    def take(self, datagrams: Sequence[bytes]) -> list[bytes]:
        """What may be sent now: the first of those held and of these; the others are held.

        Those that there is no room for are lost, as if by the network.
        """
        waiting = [*self.held, *datagrams]
        count = 0
        while count < len(waiting) and len(waiting[count]) <= self._left:
            self._left -= len(waiting[count])
            count += 1
        self.held = waiting[count : count + _MAX_HELD]
        return waiting[:count]


class Candidate:
    """Where a peer may be now: a KeyUpdate was sent there, and its ACK from there will prove it."""

    __slots__ = ("address", "allowance", "attempts")

    def __init__(self, address: Hashable, received: int) -> None:
        self.address = address
        #: How often the KeyUpdate was sent again.
        self.attempts = 0
        self.allowance = Allowance()
        self.allowance.received(received)


class LastAlerts:
    """The alerts that associations have ended with, for peers that go on (RFC 9147, 5.10)."""

    def __init__(self) -> None:
        #: By the peer's address; the latest one is the last.
        self._alerts: OrderedDict[Hashable, LastAlert] = OrderedDict()

    def keep(self, address: Hashable, alert: LastAlert) -> None:
        """The association with ``address`` is over."""
        self._alerts[address] = alert
        self._alerts.move_to_end(address)
        if len(self._alerts) > _MAX_ALERTS:
            self._alerts.popitem(last=False)

    def forget(self, address: Hashable) -> None:
        """There is another association now."""
        self._alerts.pop(address, None)

    def answers(
        self, data: bytes, address: Hashable, now: float
    ) -> list[tuple[Hashable, list[bytes]]]:
        """What to send, now that a datagram came from there: at most the alert, now and then."""
        alert = self._alerts.get(address)
        if alert is None or not alert.answers(len(data), now):
            return []
        return [(address, [alert.record])]


class Peer:
    """What a `protocol.manager.Manager` knows of one association; to be read, not to be changed."""

    __slots__ = (
        "address",
        "allowance",
        "candidate",
        "connection",
        "connection_ids",
        "ended",
        "established",
        "random",
        "successor",
    )

    def __init__(
        self, connection: Connection, address: Hashable, random: bytes | None, *, proven: bool
    ) -> None:
        self.connection = connection
        #: Where we send to.
        self.address = address
        #: The random of the ClientHello that it began with, on a server.
        self.random = random
        #: Whether the handshake has been completed, and whether all is over.
        self.established = False
        self.ended = False
        #: The connection IDs under which it is known.
        self.connection_ids: frozenset[bytes] = frozenset()
        #: None once it is proven that the peer is where it says.
        self.allowance = None if proven else Allowance()
        self.candidate: Candidate | None = None
        #: What takes this one's place at its address once its handshake is complete (5.11).
        self.successor: Peer | None = None
