"""What hellos and EncryptedExtensions agree on besides keys and identities.

::

    extension          client          server               agreed
    connection_id      ClientHello     ServerHello          what each side sees in records to it
    alpn               ClientHello     EncryptedExtensions  the application protocol (RFC 7301)
    record_size_limit  ClientHello     EncryptedExtensions  how large records may be (RFC 8449)
    server_name        ClientHello     EncryptedExtensions  that the server heeds it (RFC 6066, 3)

A server answers an extension only where the client offers it.
"""

from collections.abc import Sequence
from typing import Protocol

from protocol.alerts import AlertDescription, ProtocolViolation, UsageError
from protocol.config import ConnectionConfig
from protocol.extensions import (
    ALPN_PROTOCOLS,
    CONNECTION_ID,
    GREASE,
    RECORD_SIZE_LIMIT,
    SERVER_NAME,
    SERVER_NAME_USED,
    Extension,
    Extensions,
)


class NegotiationChannel(Protocol):
    """Who has to heed the results."""

    def use_connection_ids(self, receive: bytes, send: bytes) -> None:
        """Records have these from the first keys on; empty: none in that direction."""

    def limit_records(self, limit: int) -> None:
        """The peer takes so many bytes of content, content type and padding in a record."""


class Negotiation:
    """The results; as before the handshake until they are there."""

    def __init__(self, config: ConnectionConfig, channel: NegotiationChannel) -> None:
        #: The application protocol; None if the sides did not agree on one.
        self.alpn_protocol: str | None = None
        #: The connection ID that the peer sees in our records, and the one in its records to us.
        self.send_id = b""
        self.receive_id = b""
        self._config = config
        self._channel = channel

    def _new_id(self) -> bytes:
        """The one that we want to see; raises `UsageError` if it is too long."""
        if self._config.connection_id is None:
            return b""
        connection_id = self._config.connection_id()
        longest = self._config.provider.longest_connection_id
        if len(connection_id) > longest:
            raise UsageError(
                f"connection ID of {len(connection_id)} bytes is over {longest}, the longest that "
                f"provider {self._config.provider.name} has"
            )
        return connection_id

    def _use_ids(self, receive: bytes, send: bytes) -> None:
        self.receive_id, self.send_id = receive, send
        self._channel.use_connection_ids(receive, send)

    def _own_limit(self) -> Extension:
        return RECORD_SIZE_LIMIT.make(self._config.provider.largest_content + 1)

    def _heed_limit(self, extensions: Extensions) -> bool:
        limit = RECORD_SIZE_LIMIT.read(extensions)
        if limit is not None:
            self._channel.limit_records(limit)
        return limit is not None


class ClientNegotiation(Negotiation):
    """Offers, then takes the server's answers."""

    def __init__(self, config: ConnectionConfig, channel: NegotiationChannel) -> None:
        super().__init__(config, channel)
        self._own_id = self._new_id()
        self._grease = (GREASE[config.random(1)[0] % len(GREASE)],) if config.grease else ()

    def offer(self) -> list[Extension]:
        """The same in every ClientHello of a handshake.

        An empty connection_id says that we can send with one, in case the server wants that
        (RFC 9147bis, 5.1).
        """
        extensions = [Extension(number, b"") for number in self._grease]
        extensions += [CONNECTION_ID.make(self._own_id), self._own_limit()]
        if self._config.alpn_protocols:
            names = [name.encode() for name in self._config.alpn_protocols]
            extensions.append(ALPN_PROTOCOLS.make(names))
        return extensions

    def with_grease(self, values: Sequence[int]) -> tuple[int, ...]:
        """A list of 16-bit numbers, the preferred first, with GREASE if configured (RFC 8701)."""
        return (*self._grease, *values)

    def on_server_hello(self, extensions: Extensions) -> None:
        """Before there are keys."""
        send = CONNECTION_ID.read(extensions)
        if send is None:
            return
        if len(send) > self._config.longest_connection_id:
            raise UsageError(
                f"the server wants a connection ID of {len(send)} bytes; the provider and the mtu "
                f"have room for {self._config.longest_connection_id}"
            )
        self._use_ids(self._own_id, send)

    def on_encrypted_extensions(self, extensions: Extensions) -> None:
        """Raises `ProtocolViolation` for an answer that the offer does not allow."""
        self._heed_limit(extensions)
        selected = ALPN_PROTOCOLS.read(extensions)
        if selected is None:
            return
        offered = {name.encode(): name for name in self._config.alpn_protocols}
        if len(selected) != 1 or selected[0] not in offered:
            raise ProtocolViolation(
                AlertDescription.ILLEGAL_PARAMETER, "the server selects no protocol that we offered"
            )
        self.alpn_protocol = offered[selected[0]]


class ServerNegotiation(Negotiation):
    """Takes the client's offers, then answers."""

    def __init__(self, config: ConnectionConfig, channel: NegotiationChannel) -> None:
        super().__init__(config, channel)
        self._hello: list[Extension] = []
        self._encrypted: list[Extension] = []

    def accept(self, extensions: Extensions) -> None:
        """Decide on the offers of the ClientHello that is not answered by a HelloRetryRequest.

        Raises `ProtocolViolation` if none of the application protocols will do.
        """
        self._hello, self._encrypted = [], []
        self._accept_connection_id(extensions)
        self._accept_protocol(extensions)
        if SERVER_NAME.read(extensions) is not None:
            self._encrypted.append(SERVER_NAME_USED.make(True))
        if self._heed_limit(extensions):
            self._encrypted.append(self._own_limit())

    def server_hello(self) -> list[Extension]:
        """The answers in the ServerHello."""
        return self._hello

    def encrypted_extensions(self) -> list[Extension]:
        """The answers in the EncryptedExtensions."""
        return self._encrypted

    def _accept_connection_id(self, extensions: Extensions) -> None:
        send = CONNECTION_ID.read(extensions)
        if send is None or len(send) > self._config.longest_connection_id:
            return
        receive = self._new_id()
        if receive or send:
            self._use_ids(receive, send)
            self._hello.append(CONNECTION_ID.make(receive))

    def _accept_protocol(self, extensions: Extensions) -> None:
        offered = ALPN_PROTOCOLS.read(extensions)
        if offered is None or not self._config.alpn_protocols:
            return
        for name in self._config.alpn_protocols:
            if name.encode() in offered:
                self.alpn_protocol = name
                self._encrypted.append(ALPN_PROTOCOLS.make([name.encode()]))
                return
        raise ProtocolViolation(
            AlertDescription.NO_APPLICATION_PROTOCOL,
            "the client offers no application protocol that this server has",
        )
