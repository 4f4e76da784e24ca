"""What a server does with a ClientHello before it has a connection for it (RFC 9147, 5.1 and 11).

A client has to show that it can receive at its address before anything of it is kept: it is sent a
HelloRetryRequest with a cookie, and has to bring that back. The HelloRetryRequest comes from a
`ServerHandshake` like any other, which is then forgotten; all that is needed of it to go on is in
the cookie. The record number of the client's is used for the answer too, as in RFC 6347, 4.2.1, so
that answers to repeated hellos, and the records of the connection, have different ones.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import cast

from protocol.alerts import Alert, AlertDescription, DecodeError, ProtocolViolation
from protocol.config import ConnectionConfig
from protocol.connection import Connection
from protocol.extensions import COOKIE
from protocol.fragments import Message
from protocol.handshake import Channel, Encodable, require
from protocol.handshake_framing import Fragment, HandshakeType
from protocol.handshake_messages import ClientHello
from protocol.hellos import Hello
from protocol.record import ContentType, build_plaintext
from protocol.retry import Cookies, Retry
from protocol.server import ServerHandshake


@dataclass(frozen=True)
class Admitted:
    """A connection that waits for the hello."""

    connection: Connection
    #: Whether the hello came with a cookie: the client is where it says.
    proven: bool


@dataclass(frozen=True)
class Answered:
    """The answer for one datagram, at most three times as long as what was received."""

    datagram: bytes
    #: What the hello is refused for; None if it is a HelloRetryRequest.
    refusal: ProtocolViolation | None = None


class FrontDoor:
    """Admits clients, or answers them, and keeps nothing but the keys of its cookies."""

    def __init__(self, config: ConnectionConfig, now: float) -> None:
        config.check_server()
        self._config = config
        self._cookies = Cookies(config.random, now)

    def knock(
        self, hello: Hello, address: Hashable, now: float, *, cookie_required: bool
    ) -> Admitted | Answered | None:
        """What becomes of ``hello``; None if it is no ClientHello at all."""
        try:
            parsed = ClientHello.parse(hello.body)
            cookie = COOKIE.read(parsed.extensions)
            if cookie is not None:
                return self._check(hello, parsed, cookie, address, now)
            require(hello.message_seq == 0, "a second ClientHello without a cookie")
            if cookie_required:
                return self._ask_again(hello, address, now)
        except DecodeError:
            return None
        except ProtocolViolation as violation:
            alert = Alert(violation.alert).encode()
            return Answered(
                build_plaintext(ContentType.ALERT, hello.record_number, alert), violation
            )
        return Admitted(Connection.server(self._config, now), proven=False)

    def _check(
        self, hello: Hello, parsed: ClientHello, cookie: bytes, address: Hashable, now: float
    ) -> Admitted:
        retry = self._cookies.open(cookie, address, parsed, now) if hello.message_seq == 1 else None
        if retry is None:  # RFC 9147, 5.1: the client may begin from scratch
            raise ProtocolViolation(AlertDescription.ILLEGAL_PARAMETER, "an invalid cookie")
        connection = Connection.server_after_retry(
            self._config, now, retry, cookie, hello.record_number
        )
        return Admitted(connection, proven=True)

    def _ask_again(self, hello: Hello, address: Hashable, now: float) -> Answered:
        def make_cookie(first: ClientHello, retry: Retry) -> bytes:
            return self._cookies.make(address, first, retry, now)

        answer = _Answer()
        # It asks nothing else of its channel before flight 3.
        handshake = ServerHandshake(self._config, cast(Channel, answer), make_cookie)
        handshake.handle(Message(HandshakeType.CLIENT_HELLO, hello.message_seq, hello.body))
        return Answered(
            build_plaintext(ContentType.HANDSHAKE, hello.record_number, answer.fragment)
        )


class _Answer:
    """The channel of a handshake that gets no further than its HelloRetryRequest."""

    def __init__(self) -> None:
        self.fragment = b""

    def send_flight(self, messages: Sequence[tuple[int, Encodable]]) -> None:
        ((_, request),) = messages
        body = request.encode()
        self.fragment = Fragment(request.msg_type, len(body), 0, 0, body).encode()
