"""The server's side of the handshake (RFC 9147, 5.7, figure 7; RFC 8446, 2).

::

    flight  sender
    1       client   ClientHello
    2       server   HelloRetryRequest                       only if there is no key share to use
    3       client   ClientHello                             with the key share asked for
    4       server   ServerHello {EncryptedExtensions} {CertificateRequest*} {Certificate}
                     {CertificateVerify} {Finished}
    5       client   {Certificate*} {CertificateVerify*} {Finished}
    6       server   [ACK]

``{}``: epoch 2, ``[]``: epoch 3, ``*``: only for client authentication.
"""

from collections.abc import Sequence
from typing import TypeVar

from protocol.alerts import AlertDescription, ProtocolViolation
from protocol.certificates import verify_client_chain
from protocol.config import ConnectionConfig
from protocol.extensions import (
    CLIENT_KEY_SHARES,
    COOKIE,
    DTLS_1_3,
    RETRY_GROUP,
    SERVER_KEY_SHARE,
    SERVER_NAME,
    SERVER_VERSION,
    SIGNATURE_ALGORITHMS,
    SUPPORTED_GROUPS,
    Extensions,
    KeyShareEntry,
)
from protocol.handshake import (
    APPLICATION_EPOCH,
    HANDSHAKE_EPOCH,
    PLAINTEXT_EPOCH,
    Channel,
    Encodable,
    Handshake,
    require,
)
from protocol.handshake_framing import HandshakeType
from protocol.handshake_messages import (
    RANDOM_BYTES,
    RETRY_RANDOM,
    Certificate,
    CertificateRequest,
    ClientHello,
    EncryptedExtensions,
    ServerHello,
)
from protocol.key_exchange import NamedGroup, generate
from protocol.key_schedule import TrafficSecrets
from protocol.negotiation import ServerNegotiation
from protocol.signatures import Signer
from protocol.state import State, Step

T = TypeVar("T", bound=int)


class ServerHandshake(Handshake):
    """Waits for flight 1."""

    peer_hellos = (ClientHello,)
    _own_signer = Signer.SERVER
    _peer_signer = Signer.CLIENT

    def __init__(self, config: ConnectionConfig, channel: Channel) -> None:
        config.check_server()
        super().__init__(config, channel, State.WAIT_CLIENT_HELLO)
        self._server_name: str | None = None
        self._negotiation: ServerNegotiation = ServerNegotiation(config, channel)
        self._retried: ClientHello | None = None
        self._application: TrafficSecrets
        self._request: CertificateRequest
        self._handlers |= {
            HandshakeType.CLIENT_HELLO: self._on_client_hello,
            HandshakeType.CERTIFICATE: self._on_certificate,
            HandshakeType.FINISHED: self._on_finished,
        }

    def _on_client_hello(self, body: bytes) -> None:
        hello = ClientHello.parse(body)
        self._check_second(hello)
        require(COOKIE.read(hello.extensions) is None, "cookie has a value that was never given")
        self._client_random = hello.random
        self._server_name = SERVER_NAME.read(hello.extensions)
        self._select_suite(_choose(self._config.suites, hello.cipher_suites, "cipher suite"))
        self._transcript.add(HandshakeType.CLIENT_HELLO, body)
        shares = CLIENT_KEY_SHARES.require(hello.extensions)
        self._group = self._choose_group(SUPPORTED_GROUPS.require(hello.extensions), shares)
        public_keys = {share.group: share.key_exchange for share in shares}
        if self._group in public_keys:
            self._accept(hello, public_keys[self._group])
        else:
            self._ask_again(hello)

    def _check_second(self, hello: ClientHello) -> None:
        """A second ClientHello repeats the first, but for the key share (RFC 8446, 4.1.2)."""
        first = self._retried
        if first is not None:
            require(
                (hello.random, hello.cipher_suites) == (first.random, first.cipher_suites),
                "the second ClientHello is not the first one again",
            )

    def _choose_group(self, offered: Sequence[int], shares: Sequence[KeyShareEntry]) -> NamedGroup:
        """The first of our groups that the client has, rather one with a key share."""
        if self._retried is not None:
            require(
                [share.group for share in shares] == [self._group],
                "the second ClientHello has not the key share asked for",
            )
        with_share = {share.group for share in shares}.intersection(offered)
        ours = [group for group in self._config.groups if group in with_share]
        return ours[0] if ours else _choose(self._config.groups, offered, "group")

    def _ask_again(self, hello: ClientHello) -> None:
        self.machine.advance(Step.CLIENT_HELLO_TO_RETRY)
        self._retried = hello
        self._retry()
        extensions = Extensions([SERVER_VERSION.make(DTLS_1_3), RETRY_GROUP.make(self._group)])
        request = self._record(ServerHello(RETRY_RANDOM, self._suite, extensions))
        self._channel.send_flight([(PLAINTEXT_EPOCH, request)])

    def _accept(self, hello: ClientHello, client_public: bytes) -> None:
        authenticate = bool(self._config.trust)
        self.machine.advance(
            Step.CLIENT_HELLO_TO_AUTHENTICATE if authenticate else Step.CLIENT_HELLO
        )
        schemes = SIGNATURE_ALGORITHMS.require(hello.extensions)
        self._negotiation.accept(hello.extensions)
        answers = Extensions(self._negotiation.encrypted_extensions())
        flight = [
            (PLAINTEXT_EPOCH, self._server_hello(client_public)),
            (HANDSHAKE_EPOCH, self._record(EncryptedExtensions(answers))),
            *([self._certificate_request()] if authenticate else []),
            *self._server_authentication(schemes),
            self._finished(self._secrets.server),
        ]
        self._application = self._application_secrets()
        self._channel.write_with(HANDSHAKE_EPOCH, self._suite, self._secrets.server)
        self._channel.write_with(APPLICATION_EPOCH, self._suite, self._application.server)
        self._channel.read_with(HANDSHAKE_EPOCH, self._suite, self._secrets.client)
        self._channel.send_flight(flight)

    def _server_hello(self, client_public: bytes) -> Encodable:
        share = generate(self._group)
        shared_secret = share.exchange(client_public)
        extensions = Extensions(
            [
                SERVER_VERSION.make(DTLS_1_3),
                SERVER_KEY_SHARE.make(KeyShareEntry(share.group, share.public)),
                *self._negotiation.server_hello(),
            ]
        )
        hello = ServerHello(self._config.random(RANDOM_BYTES), self._suite, extensions)
        self._record(hello)
        self._start_handshake_epoch(shared_secret)
        return hello

    def _certificate_request(self) -> tuple[int, Encodable]:
        schemes = SIGNATURE_ALGORITHMS.make(self._config.signature_schemes)
        self._request = CertificateRequest(Extensions([schemes]))
        return HANDSHAKE_EPOCH, self._record(self._request)

    def _server_authentication(self, schemes: Sequence[int]) -> list[tuple[int, Encodable]]:
        assert self._config.credentials is not None  # check_server
        return self._authentication(self._config.credentials, schemes)

    def _on_certificate(self, body: bytes) -> None:
        certificate = Certificate.parse(body)
        require(not certificate.context, "the client's Certificate.context is not empty")
        if not certificate.entries:  # RFC 8446, 4.4.2.4
            raise ProtocolViolation(
                AlertDescription.CERTIFICATE_REQUIRED, "the client has no certificate"
            )
        certificate.check_answers(self._request.extensions)
        self._peer_certificate = verify_client_chain(
            certificate.chain, self._config.trust, self._config.verification_time()
        )
        self._transcript.add(HandshakeType.CERTIFICATE, body)
        self.machine.advance(Step.CERTIFICATE)

    def _on_finished(self, body: bytes) -> None:
        self._check_finished(body, self._secrets.client)
        self._channel.read_with(APPLICATION_EPOCH, self._suite, self._application.client)
        self._channel.complete(self._completed(self._server_name), acknowledge=True)


def _choose(ours: Sequence[T], offered: Sequence[int], what: str) -> T:
    """The first of ours that the client offers; handshake_failure when there is none."""
    for value in ours:
        if value in offered:
            return value
    raise ProtocolViolation(
        AlertDescription.HANDSHAKE_FAILURE, f"the client offers no {what} that this server has"
    )
