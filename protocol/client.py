"""The client's side of the handshake (RFC 9147, 5.7, figure 7; RFC 8446, 2).

::

    flight  sender
    1       client   ClientHello
    2       server   HelloRetryRequest                       only if the server wants
    3       client   ClientHello                             another key share or a cookie
    4       server   ServerHello {EncryptedExtensions} {CertificateRequest*} {Certificate}
                     {CertificateVerify} {Finished}
    5       client   {Certificate*} {CertificateVerify*} {Finished}
    6       server   [ACK] [NewSessionTicket*]
    7       client   [ACK*]

with a PSK of the client's, an external one or a ticket (figures 8 and 9):

    1       client   ClientHello (early data*)
    2, 3                                                     as above; ends early data
    4       server   ServerHello {EncryptedExtensions} {Finished}
    5       client   {Finished}
    6, 7                                                     as above

``()``: epoch 1, ``{}``: epoch 2, ``[]``: epoch 3, ``*``: only where asked for.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import ClassVar

from cryptography import x509

from protocol import certificate_types
from protocol.alerts import AlertDescription, ProtocolViolation
from protocol.authentication import client_credentials, signature_extensions
from protocol.certificate_types import (
    CLIENT_CERTIFICATE_TYPE,
    SERVER_CERTIFICATE_TYPE,
    CertificateType,
)
from protocol.certificates import Credentials
from protocol.config import ConnectionConfig
from protocol.crypto.suites import CipherSuite
from protocol.events import EarlyDataRejected, TicketReceived
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
    Handlers,
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
from protocol.psk import ExternalPsk, Psk, offer, same_hash
from protocol.psk_extensions import (
    EARLY_DATA,
    MAX_EARLY_DATA,
    PSK_MODES,
    SELECTED_PSK,
    PskMode,
)
from protocol.raw_keys import RawKey
from protocol.session import LONGEST_LIFETIME, SessionTicket
from protocol.signatures import Signer, fits
from protocol.state import State, Step


class ClientHandshake(Handshake):
    """Begins with flight 1 when `start` is called."""

    peer_hellos = (ServerHello, HelloVerifyRequest)
    _own_signer = Signer.CLIENT
    _peer_signer = Signer.SERVER

    def __init__(
        self, config: ConnectionConfig, channel: Channel, ticket: SessionTicket | None = None
    ) -> None:
        config.check_client()
        super().__init__(config, channel, State.WAIT_SERVER_HELLO)
        self._server_name = config.server_name
        #: What we offer: the PSKs of the last ClientHello, and what they come from.
        self._sources: Sequence[SessionTicket | ExternalPsk] = _sources(config, ticket)
        self._psks: Sequence[Psk] = ()
        self._psk_index: int | None = None
        self._early_data_offered = False
        self._request: CertificateRequest | None = None
        #: What the Certificate messages carry.
        self._client_certificate_type = self._server_certificate_type = CertificateType.X509
        self._retry_suite: int | None = None
        self._client_random = config.random(RANDOM_BYTES)
        self._share = generate(config.groups[0])
        self._negotiation: ClientNegotiation = ClientNegotiation(config, channel)

    def start(self) -> None:
        """Flight 1."""
        self.early_data_left = _early_data_limit(self._config, self._sources)
        self._early_data_offered = self.early_data_left > 0
        self._send_hello()
        if self._early_data_offered:
            psk = self._psks[0]
            self._channel.write_early_with(psk.suite, self._early_traffic(psk))

    def _send_hello(self, cookie: bytes | None = None) -> None:
        hello = ClientHello(
            self._client_random,
            self._negotiation.with_grease(self._config.suites),
            self._extensions(cookie),
        )
        now = self._config.verification_time()
        self._psks = [source.psk(now) for source in self._sources]
        self._hello = offer(self._psks, hello, self._transcript)
        self._record(self._hello)
        self._channel.send_flight([(PLAINTEXT_EPOCH, self._hello)])

    def _extensions(self, cookie: bytes | None) -> Extensions:
        share = KeyShareEntry(self._share.group, self._share.public)
        extensions = [
            *_offers(
                self._negotiation.with_grease((DTLS_1_3,)),
                self._negotiation.with_grease(self._config.groups),
                self._config.psk_modes,
            ),
            CLIENT_KEY_SHARES.make((share,)),
            *self._negotiation.offer(),
        ]
        accepted = self._config.peer_certificate_types
        if accepted:
            schemes = self._negotiation.with_grease(self._config.signature_schemes)
            extensions.extend(signature_extensions(schemes))
            own = self._config.own_certificate_types
            extensions.extend(certificate_types.offer(own, accepted))
        if self._server_name is not None:
            extensions.extend(_server_name(self._server_name))
        if self._early_data_offered:
            extensions.append(EARLY_DATA.make(True))
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
            self._psk_index = self._selected_psk(hello)
            without = self._psk_index is None
            self.machine.advance(Step.SERVER_HELLO if without else Step.SERVER_HELLO_WITH_PSK)
            self._on_accepted(hello, body)

    def _on_hello_verify_request(self, body: bytes) -> None:
        HelloVerifyRequest.parse(body)

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
        self._reject_early_data()
        fitting = zip(self._sources, self._psks, strict=True)
        self._sources = [source for source, psk in fitting if psk.fits(self._suite)]
        self._retry()
        self._transcript.add(HandshakeType.SERVER_HELLO, body)
        self._send_hello(cookie)

    def _selected_psk(self, hello: ServerHello) -> int | None:
        """The place of the PSK that the server takes, if it takes one (RFC 8446, 4.2.11)."""
        index = SELECTED_PSK.read(hello.extensions)
        if index is None:
            if not self._config.peer_certificate_types:
                raise ProtocolViolation(
                    AlertDescription.HANDSHAKE_FAILURE, "the server takes none of our PSKs"
                )
            return None
        require(index < len(self._psks), f"the server takes PSK {index} of {len(self._psks)}")
        require(
            self._psks[index].fits(self._suite), "the server's suite has not the hash of the PSK"
        )
        return index

    def _on_accepted(self, hello: ServerHello, body: bytes) -> None:
        psk = None if self._psk_index is None else self._psks[self._psk_index]
        if self._psk_index is not None:
            self._use_psk(self._sources[self._psk_index])
        shared_secret = self._shared_secret(hello)
        self._negotiation.on_server_hello(hello.extensions)
        if self._negotiation.send_id:  # no datagram goes without it from now on (RFC 9147, 4)
            self._end_early_data()
        self._transcript.add(HandshakeType.SERVER_HELLO, body)
        self._start_handshake_epoch(shared_secret, psk)
        self._channel.read_with(HANDSHAKE_EPOCH, self._suite, self._secrets.server)
        self._channel.write_with(HANDSHAKE_EPOCH, self._suite, self._secrets.client)

    def _shared_secret(self, hello: ServerHello) -> bytes | None:
        """The secret of the key exchange; None without one, which takes a PSK and psk_ke."""
        if self._psk_index is not None:
            has_share = SERVER_KEY_SHARE.type in hello.extensions
            mode = PskMode.PSK_DHE_KE if has_share else PskMode.PSK_KE
            require(mode in self._config.psk_modes, f"the server uses the PSK by {mode.name}")
            if not has_share:
                return None
        share = SERVER_KEY_SHARE.require(hello.extensions)
        require(
            share.group == self._share.group, f"the server's key share is of group {share.group:#x}"
        )
        self._group = NamedGroup(share.group)
        return self._share.exchange(share.key_exchange)

    def _on_encrypted_extensions(self, body: bytes) -> None:
        extensions = EncryptedExtensions.parse(body).extensions
        extensions.check_answers(self._hello.extensions)
        self._negotiation.on_encrypted_extensions(extensions)
        self._client_certificate_type = certificate_types.selected(
            CLIENT_CERTIFICATE_TYPE.read(extensions), self._config.own_certificate_types
        )
        self._server_certificate_type = certificate_types.selected(
            SERVER_CERTIFICATE_TYPE.read(extensions), self._config.peer_certificate_types
        )
        if EARLY_DATA.read(extensions):
            self._check_early_data_accepted()
        else:
            self._reject_early_data()
        self._transcript.add(HandshakeType.ENCRYPTED_EXTENSIONS, body)
        self.machine.advance(Step.ENCRYPTED_EXTENSIONS)

    def _check_early_data_accepted(self) -> None:
        """It is protected by the first PSK and its suite: the server must have taken both."""
        require(self._psk_index == 0, "the server takes early data, but not the first PSK")
        require(self._psks[0].suite == self._suite, "the server takes early data of another suite")
        ticket, alpn = self._sources[0], self._negotiation.alpn_protocol
        is_same = isinstance(ticket, SessionTicket) and ticket.session.alpn == alpn
        require(is_same, f"the server takes early data of another protocol than {alpn}")
        self._early_data_accepted = True

    def _reject_early_data(self) -> None:
        if self._early_data_offered:
            self._early_data_offered = False
            self.early_exporter = None
            self._end_early_data()
            self._channel.report(EarlyDataRejected())

    def _end_early_data(self) -> None:
        self.early_data_left = 0
        self._channel.end_early_writing()

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
        self._authenticate_peer(certificate.chain, self._server_certificate_type)
        self._transcript.add(HandshakeType.CERTIFICATE, body)
        self.machine.advance(Step.CERTIFICATE)

    def _verify_chain(self, chain: Sequence[bytes]) -> x509.Certificate:
        assert self._server_name  # check_client: there is trust
        return self._config.chain_verifier.verify_server(
            chain, self._server_name, self._config.verification_time()
        )

    def _on_finished(self, body: bytes) -> None:
        self._check_finished(body, self._secrets.server)
        self._end_early_data()
        application = self._application_secrets()
        flight = [*self._client_authentication(), self._finished(self._secrets.client)]
        self._channel.send_flight(flight)
        self._channel.read_with(APPLICATION_EPOCH, self._suite, application.server)
        self._channel.write_with(APPLICATION_EPOCH, self._suite, application.client)
        self._channel.complete(self._completed(), acknowledge=False)

    def _client_authentication(self) -> list[tuple[int, Encodable]]:
        if self._request is None:
            return []
        schemes = SIGNATURE_ALGORITHMS.require(self._request.extensions)
        own = self._own_credentials(self._request.extensions, schemes)
        if own is None:
            # RFC 8446, 4.4.2: an empty Certificate says that there is no suitable one.
            return [(HANDSHAKE_EPOCH, self._record(Certificate(())))]
        return self._authentication(own, schemes)

    def _own_credentials(
        self, request: Extensions, schemes: Sequence[int]
    ) -> Credentials | RawKey | None:
        if self._client_certificate_type is CertificateType.X509:
            return client_credentials(self._config.all_credentials, request)
        raw_key = self._config.raw_key
        assert raw_key is not None  # or it would not have been offered
        return raw_key if any(fits(raw_key.kind, scheme) for scheme in schemes) else None

    def _on_new_session_ticket(self, body: bytes) -> None:
        """A ticket of lifetime 0 is to be forgotten at once (RFC 8446, 4.6.1)."""
        message = NewSessionTicket.parse(body)
        self.machine.advance(Step.NEW_SESSION_TICKET)
        if message.lifetime:
            self._channel.report(TicketReceived(self._session_ticket(message)))

    def _session_ticket(self, message: NewSessionTicket) -> SessionTicket:
        return SessionTicket(
            self._session(
                message.nonce, message.age_add, MAX_EARLY_DATA.read(message.extensions) or 0
            ),
            message.ticket,
            received_at=self._config.verification_time(),
            lifetime=min(message.lifetime, LONGEST_LIFETIME),
        )

    _handlers: ClassVar[Handlers] = {
        **Handshake._handlers,
        HandshakeType.SERVER_HELLO: _on_server_hello,
        HandshakeType.HELLO_VERIFY_REQUEST: _on_hello_verify_request,
        HandshakeType.ENCRYPTED_EXTENSIONS: _on_encrypted_extensions,
        HandshakeType.CERTIFICATE_REQUEST: _on_certificate_request,
        HandshakeType.CERTIFICATE: _on_certificate,
        HandshakeType.FINISHED: _on_finished,
        HandshakeType.NEW_SESSION_TICKET: _on_new_session_ticket,
    }


def early_data_limit(config: ConnectionConfig, ticket: SessionTicket) -> int:
    """How many bytes of early data a client may send that begins with the ticket now."""
    return _early_data_limit(config, _sources(config, ticket))


def _early_data_limit(
    config: ConnectionConfig, sources: Sequence[SessionTicket | ExternalPsk]
) -> int:
    ticket = sources[0] if sources else None
    if not isinstance(ticket, SessionTicket) or ticket.session.suite not in config.suites:
        return 0
    return min(ticket.session.max_early_data, config.max_early_data)


def _sources(
    config: ConnectionConfig, ticket: SessionTicket | None
) -> list[SessionTicket | ExternalPsk]:
    """What a client offers: the ticket if it still fits, and the external PSKs."""
    usable = ticket is not None and _fits(ticket, config)
    return [*([ticket] if ticket is not None and usable else []), *config.psks]


def _fits(ticket: SessionTicket, config: ConnectionConfig) -> bool:
    """Whether it is of the server that we want, and we would still authenticate that so."""
    session = ticket.session
    if session.psk_identity is not None:
        authentic = config.external_psk(session.psk_identity) is not None
    elif session.peer_raw_key is not None:
        authentic = config.key_verifier.find(session.peer_raw_key) is not None
    else:
        authentic = session.peer_certificate is not None and bool(config.trust)
    return (
        authentic
        and session.server_name == config.server_name
        and any(same_hash(session.suite, suite) for suite in config.suites)
        and ticket.is_valid(config.verification_time())
    )


@lru_cache
def _offers(
    versions: tuple[int, ...], groups: tuple[int, ...], psk_modes: tuple[PskMode, ...]
) -> tuple[Extension, ...]:
    """What is the same in every hello of a config, but for GREASE."""
    return (
        CLIENT_VERSIONS.make(versions),
        SUPPORTED_GROUPS.make(groups),
        PSK_MODES.make(psk_modes),
    )


@lru_cache
def _server_name(name: str) -> tuple[Extension, ...]:
    """server_name carries DNS names only, no addresses (RFC 6066, 3)."""
    try:
        ip_address(name)
    except ValueError:
        return (SERVER_NAME.make(name),)
    return ()
