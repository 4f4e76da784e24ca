"""The connection IDs of one connection, and their changes after the handshake (RFC 9147, 9).

Each side chooses what it wants to see in the records that it receives: one connection ID in its
hello, more in NewConnectionId messages, all of one length. What the peer may use from then on:

- ``cid_spare``: any of the IDs before, and the new ones;
- ``cid_immediate``: the new ones only. Those before are accepted until the next such set is
  acknowledged, since records that were sent with them may still be under way.
"""

from collections.abc import Callable

from protocol.alerts import AlertDescription, ProtocolViolation, UsageError
from protocol.handshake_messages import NewConnectionId, RequestConnectionId
from protocol.record import RecordLayer

#: How many connection IDs are kept in each direction, those in use included.
MAX_CONNECTION_IDS = 8
#: After so many requests in a row that got nothing, another one ends the connection.
_MAX_VAIN_REQUESTS = 4


class ConnectionIds:
    """``make`` yields each connection ID that we want to see; None: we want none.

    The messages that `next_message` yields have to be delivered reliably, one at a time.
    """

    def __init__(
        self, make: Callable[[], bytes] | None, longest: int, records: RecordLayer
    ) -> None:
        #: Those that records of the peer may come with now; empty if they come with none.
        self.receiving: frozenset[bytes] = frozenset()
        self._make = make
        self._longest = longest
        self._records = records
        #: What `receiving` holds, in the order in which the peer got them.
        self._ours: list[bytes] = []
        #: Those of them that an acknowledged ``cid_immediate`` has replaced.
        self._replaced: list[bytes] = []
        #: What else we may send with, in the order to use them in.
        self._spares: list[bytes] = []
        #: A request of ours that no NewConnectionId has answered yet.
        self._requested = False
        self._vain_requests = 0
        self._outgoing: list[RequestConnectionId | NewConnectionId] = []
        self._outstanding: RequestConnectionId | NewConnectionId | None = None

    @property
    def spares(self) -> int:
        """How many unused connection IDs there are to send with."""
        return len(self._spares)

    def negotiated(self, receive: bytes, send: bytes) -> None:
        """What the hellos agreed on, before there are keys; empty: none in that direction."""
        self._records.use_connection_ids(receive, send)
        self._ours = [receive] if receive else []
        self._publish()

    def issue(self, count: int, *, immediate: bool = False) -> None:
        """Offer the peer ``count`` more to send with; raises `UsageError`."""
        if not self._ours:
            raise UsageError("no connection IDs are negotiated for what the peer sends")
        if not 0 < count < MAX_CONNECTION_IDS:
            raise UsageError(f"{count} connection IDs are not in 1 .. {MAX_CONNECTION_IDS - 1}")
        if count > self._make_room(count):
            raise UsageError(
                f"{len(self._ours)} connection IDs are valid: there is no room for {count} more"
            )
        self._offer(count, immediate=immediate)

    def request(self, count: int) -> None:
        """Ask the peer for ``count`` more to send with; raises `UsageError`."""
        if not self._records.send_id:
            raise UsageError("no connection IDs are negotiated for what this side sends")
        if not 0 < count < MAX_CONNECTION_IDS:
            raise UsageError(f"{count} connection IDs are not in 1 .. {MAX_CONNECTION_IDS - 1}")
        if self._requested:
            raise UsageError("the peer has not answered the last request for connection IDs")
        self._requested = True
        self._outgoing.append(RequestConnectionId(count))

    def use_next(self) -> None:
        """Send with the next spare one from now on; raises `UsageError` if there is none."""
        if not self._spares:
            raise UsageError("there is no spare connection ID: request some")
        self._records.change_send_id(self._spares.pop(0))

    def on_request(self, message: RequestConnectionId) -> None:
        """Answer with what there is room for; raises `ProtocolViolation`."""
        if not self._ours:
            raise _unexpected("the peer requests connection IDs, and sends with none")
        count = min(message.num_cids, self._make_room(message.num_cids))
        self._vain_requests = 0 if count else self._vain_requests + 1
        if self._vain_requests > _MAX_VAIN_REQUESTS:
            raise ProtocolViolation(
                AlertDescription.TOO_MANY_CIDS_REQUESTED,
                "the peer requests connection IDs again and again",
            )
        self._offer(count, immediate=False)

    def on_new(self, message: NewConnectionId) -> None:
        """Keep what we may send with; raises `ProtocolViolation`."""
        if not self._records.send_id:
            raise _unexpected("the peer has new connection IDs, and wanted none before")
        usable = [cid for cid in message.cids if len(cid) <= self._longest]
        if message.immediate:
            if not usable:
                raise UsageError(f"the peer's connection IDs are all over {self._longest} bytes")
            self._spares.clear()
            self._records.change_send_id(usable.pop(0))
        else:
            self._requested = False
        room = MAX_CONNECTION_IDS - 1 - len(self._spares)
        self._spares.extend(usable[:room])

    def next_message(self) -> RequestConnectionId | NewConnectionId | None:
        """What is to be sent now, if anything."""
        if self._outgoing:
            self._outstanding = self._outgoing.pop(0)
            return self._outstanding
        return None

    def acknowledged(self) -> None:
        """The peer has the message that `next_message` yielded last."""
        message, self._outstanding = self._outstanding, None
        if isinstance(message, NewConnectionId) and message.immediate:
            self._forget(self._replaced)
            valid = [cid for cid in message.cids if cid in self._ours]
            self._replaced = self._ours[: self._ours.index(valid[0])] if valid else []
            if self._records.receive_id in self._replaced:
                self._records.receive_id = valid[0]

    def _offer(self, count: int, *, immediate: bool) -> None:
        assert self._make is not None
        new = tuple(self._make() for _ in range(count))
        for connection_id in new:
            if len(connection_id) != len(self._ours[0]) or connection_id in self._ours:
                raise UsageError(
                    f"connection ID {connection_id.hex()} is not new, or not as long as the first"
                )
            self._ours.append(connection_id)
            self._records.accept_id(connection_id)
        self._publish()
        self._outgoing.append(NewConnectionId(new, immediate))

    def _make_room(self, count: int) -> int:
        """How many more fit; the peer uses them in their order, so the earliest go if need be."""
        missing = len(self._ours) + count - MAX_CONNECTION_IDS
        used_up = self._ours[: self._ours.index(self._records.receive_id)]
        self._forget(used_up[: max(0, missing)])
        return MAX_CONNECTION_IDS - len(self._ours)

    def _forget(self, connection_ids: list[bytes]) -> None:
        for connection_id in connection_ids:
            if connection_id in self._ours:
                self._ours.remove(connection_id)
                self._records.forget_id(connection_id)
        if self._records.receive_id not in self._ours:
            self._records.receive_id = self._ours[-1]
        self._publish()

    def _publish(self) -> None:
        self.receiving = frozenset(self._ours)


def _unexpected(problem: str) -> ProtocolViolation:
    return ProtocolViolation(AlertDescription.UNEXPECTED_MESSAGE, problem)
