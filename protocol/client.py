"""The client's side of the handshake (RFC 9147, 5.7, figure 7; RFC 8446, 2).

::

    flight  sender
    1       client   ClientHello
    2       server   HelloRetryRequest                       only if the server wants
    3       client   ClientHello                             another key share or a cookie
    4       server   ServerHello {EncryptedExtensions} {CertificateRequest*} {Certificate}
                     {CertificateVerify} {Finished}
    5       client   {Certificate*} {CertificateVerify*} {Finished}
    6       server   [ACK]

``{}``: epoch 2, ``[]``: epoch 3, ``*``: only for client authentication.
"""

from ipaddress import ip_address

from protocol.alerts import AlertDescription, ProtocolViolation
from protocol.certificates import verify_chain
from protocol.config import ConnectionConfig
from protocol.crypto.suites import CipherSuite
from protocol.extensions import (
    CLIENT_KEY_SHARES,
    CLIENT_VERSIONS,
    COOKIE,
    DTLS_1_3,
    RETRY_GROUP,
    SERVER_KEY_SHARE,
    SERVER_NAME,
    SIGNATURE_ALGORITHMS,
    SUPPORTED_GROUPS,
    Extension,
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
    Certificate,
    CertificateRequest,
    ClientHello,
    EncryptedExtensions,
    HelloVerifyRequest,
    NewSessionTicket,
    ServerHello,
)
from protocol.key_exchange import NamedGroup, generate
from protocol.negotiation import ClientNegotiation
from protocol.signatures import Signer, fits
from protocol.state import State, Step


class ClientHandshake(Handshake):
    """Begins with flight 1 when `start` is called."""

    peer_hellos = (ServerHello, HelloVerifyRequest)
    _own_signer = Signer.CLIENT
    _peer_signer = Signer.SERVER

    def __init__(self, config: ConnectionConfig, channel: Channel) -> None:
        config.check_client()
        super().__init__(config, channel, State.WAIT_SERVER_HELLO)
        assert config.server_name  # check_client
        self._server_name = config.server_name
        self._request: CertificateRequest | None = None
        self._retry_suite: int | None = None
        self._client_random = config.random(RANDOM_BYTES)
        self._share = generate(config.groups[0])
        self._negotiation: ClientNegotiation = ClientNegotiation(config, channel)
        self._handlers |= {
            HandshakeType.SERVER_HELLO: self._on_server_hello,
            HandshakeType.HELLO_VERIFY_REQUEST: HelloVerifyRequest.parse,
            HandshakeType.ENCRYPTED_EXTENSIONS: self._on_encrypted_extensions,
            HandshakeType.CERTIFICATE_REQUEST: self._on_certificate_request,
            HandshakeType.CERTIFICATE: self._on_certificate,
            HandshakeType.FINISHED: self._on_finished,
            HandshakeType.NEW_SESSION_TICKET: self._on_new_session_ticket,
        }

    def start(self) -> None:
        """Flight 1."""
        self._send_hello()

    def _send_hello(self, cookie: bytes | None = None) -> None:
        self._hello = ClientHello(
            self._client_random,
            self._negotiation.with_grease(self._config.suites),
            self._extensions(cookie),
        )
        self._record(self._hello)
        self._channel.send_flight([(PLAINTEXT_EPOCH, self._hello)])

    def _extensions(self, cookie: bytes | None) -> Extensions:
        share = KeyShareEntry(self._share.group, self._share.public)
        extensions = [
            CLIENT_VERSIONS.make(self._negotiation.with_grease((DTLS_1_3,))),
            SUPPORTED_GROUPS.make(self._negotiation.with_grease(self._config.groups)),
            SIGNATURE_ALGORITHMS.make(
                self._negotiation.with_grease(self._config.signature_schemes)
            ),
            CLIENT_KEY_SHARES.make((share,)),
            *_server_name(self._server_name),
            *self._negotiation.offer(),
        ]
        if cookie is not None:
            extensions.append(COOKIE.make(cookie))
        return Extensions(extensions)

    def _on_server_hello(self, body: bytes) -> None:
        hello = ServerHello.parse(body)
        hello.check_answers(self._hello)
        require(
            self._retry_suite in (None, hello.cipher_suite),
            "the server changed the cipher suite after its HelloRetryRequest",
        )
        self._select_suite(CipherSuite(hello.cipher_suite))
        if hello.is_hello_retry_request:
            self.machine.advance(Step.HELLO_RETRY_REQUEST)
            self._on_hello_retry_request(hello, body)
        else:
            self.machine.advance(Step.SERVER_HELLO)
            self._on_accepted(hello, body)

    def _on_hello_retry_request(self, hello: ServerHello, body: bytes) -> None:
        self._retry_suite = hello.cipher_suite
        group, cookie = RETRY_GROUP.read(hello.extensions), COOKIE.read(hello.extensions)
        require(group is not None or cookie is not None, "the HelloRetryRequest changes nothing")
        if group is not None:
            require(
                group in self._config.groups and group != self._share.group,
                f"the HelloRetryRequest asks for group {group:#06x}",
            )
            self._share = generate(group)
        self._retry()
        self._transcript.add(HandshakeType.SERVER_HELLO, body)
        self._send_hello(cookie)

    def _on_accepted(self, hello: ServerHello, body: bytes) -> None:
        share = SERVER_KEY_SHARE.require(hello.extensions)
        require(
            share.group == self._share.group, f"the server's key share is of group {share.group:#x}"
        )
        self._group = NamedGroup(share.group)
        self._negotiation.on_server_hello(hello.extensions)
        self._transcript.add(HandshakeType.SERVER_HELLO, body)
        self._start_handshake_epoch(self._share.exchange(share.key_exchange))
        self._channel.read_with(HANDSHAKE_EPOCH, self._suite, self._secrets.server)
        self._channel.write_with(HANDSHAKE_EPOCH, self._suite, self._secrets.client)

    def _on_encrypted_extensions(self, body: bytes) -> None:
        extensions = EncryptedExtensions.parse(body).extensions
        extensions.check_answers(self._hello.extensions)
        self._negotiation.on_encrypted_extensions(extensions)
        self._transcript.add(HandshakeType.ENCRYPTED_EXTENSIONS, body)
        self.machine.advance(Step.ENCRYPTED_EXTENSIONS)

    def _on_certificate_request(self, body: bytes) -> None:
        self._request = CertificateRequest.parse(body)
        require(not self._request.context, "CertificateRequest.context is not empty")
        self._transcript.add(HandshakeType.CERTIFICATE_REQUEST, body)
        self.machine.advance(Step.CERTIFICATE_REQUEST)

    def _on_certificate(self, body: bytes) -> None:
        certificate = Certificate.parse(body)
        require(not certificate.context, "the server's Certificate.context is not empty")
        if not certificate.entries:  # RFC 8446, 4.4.2.4
            raise ProtocolViolation(AlertDescription.DECODE_ERROR, "the server has no certificate")
        certificate.check_answers(self._hello.extensions)
        self._peer_certificate = verify_chain(
            certificate.chain,
            self._server_name,
            self._config.trust,
            self._config.verification_time(),
        )
        self._transcript.add(HandshakeType.CERTIFICATE, body)
        self.machine.advance(Step.CERTIFICATE)

    def _on_finished(self, body: bytes) -> None:
        self._check_finished(body, self._secrets.server)
        application = self._application_secrets()
        flight = [*self._client_authentication(), self._finished(self._secrets.client)]
        self._channel.send_flight(flight)
        self._channel.read_with(APPLICATION_EPOCH, self._suite, application.server)
        self._channel.write_with(APPLICATION_EPOCH, self._suite, application.client)
        self._channel.complete(self._completed(self._server_name), acknowledge=False)

    def _client_authentication(self) -> list[tuple[int, Encodable]]:
        if self._request is None:
            return []
        own = self._config.credentials
        schemes = SIGNATURE_ALGORITHMS.require(self._request.extensions)
        if own is None or not any(fits(own.private_key, scheme) for scheme in schemes):
            # RFC 8446, 4.4.2: an empty Certificate says that there is no suitable one.
            return [(HANDSHAKE_EPOCH, self._record(Certificate(())))]
        return self._authentication(own, schemes)

    def _on_new_session_ticket(self, body: bytes) -> None:
        """Sessions are not resumed; a ticket has to be well-formed, and to be acknowledged."""
        NewSessionTicket.parse(body)
        self.machine.advance(Step.NEW_SESSION_TICKET)


def _server_name(name: str) -> list[Extension]:
    """server_name carries DNS names only, no addresses (RFC 6066, 3)."""
    try:
        ip_address(name)
    except ValueError:
        return [SERVER_NAME.make(name)]
    return []
