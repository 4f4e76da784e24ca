"""The server's side of the handshake (RFC 9147, 5.7, figure 7; RFC 8446, 2).

::

    flight  sender
    1       client   ClientHello
    2       server   HelloRetryRequest                       for another key share, or a cookie
    3       client   ClientHello                             with what was asked for
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

Flights 1 and 2 may be another handshake's, which is forgotten as soon as it has asked for a cookie
(`protocol.front_door`). This one then begins with flight 3; see `ServerHandshake.after_retry`.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

from cryptography import x509

from protocol.alerts import AlertDescription, ProtocolViolation
from protocol.authentication import (
    authorities_extension,
    server_credentials,
    signature_extensions,
)
from protocol.certificate_types import (
    CLIENT_CERTIFICATE_TYPE,
    CLIENT_CERTIFICATE_TYPES,
    SERVER_CERTIFICATE_TYPE,
    SERVER_CERTIFICATE_TYPES,
    CertificateType,
    select,
)
from protocol.certificates import Credentials
from protocol.config import ConnectionConfig
from protocol.extensions import (
    CLIENT_KEY_SHARES,
    COOKIE,
    DTLS_1_3,
    SERVER_KEY_SHARE,
    SERVER_NAME,
    SERVER_VERSION,
    SIGNATURE_ALGORITHMS,
    SUPPORTED_GROUPS,
    Codec,
    Extension,
    Extensions,
    KeyShareEntry,
)
from protocol.handshake import (
    APPLICATION_EPOCH,
    EARLY_EPOCH,
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
    NewSessionTicket,
    ServerHello,
)
from protocol.key_exchange import NamedGroup, respond
from protocol.key_schedule import TrafficSecrets
from protocol.negotiation import ServerNegotiation
from protocol.psk import check_binder
from protocol.psk_extensions import (
    EARLY_DATA,
    MAX_EARLY_DATA,
    PSK_MODES,
    SELECTED_PSK,
    PskMode,
)
from protocol.psk_selection import SelectedPsk, common_mode, select_psk, ticket_context
from protocol.raw_keys import RawKey
from protocol.retry import Retry, retry_request
from protocol.signatures import Signer
from protocol.state import State, Step
from protocol.tickets import IssuedTicket, TicketIssuer

T = TypeVar("T", bound=int)


class ServerHandshake(Handshake):
    """Waits for flight 1."""

    peer_hellos = (ClientHello,)
    _own_signer = Signer.SERVER
    _peer_signer = Signer.CLIENT

    def __init__(
        self,
        config: ConnectionConfig,
        channel: Channel,
        make_cookie: Callable[[ClientHello, Retry], bytes] | None = None,
    ) -> None:
        """With ``make_cookie``, each first ClientHello is asked for the cookie that it makes."""
        config.check_server()
        super().__init__(config, channel, State.WAIT_CLIENT_HELLO)
        self._make_cookie = make_cookie
        self._negotiation: ServerNegotiation = ServerNegotiation(config, channel)
        #: The first ClientHello; None as well if all that is left of it is in the cookie.
        self._retried: ClientHello | None = None
        #: What the HelloRetryRequest asked for.
        self._asked_group: NamedGroup | None = None
        self._asked_cookie: bytes | None = None
        self._psk: SelectedPsk | None = None
        #: How the client wants to resume this session.
        self._psk_modes: Sequence[int] = ()
        self._application: TrafficSecrets
        self._request: CertificateRequest
        #: What the Certificate messages carry, and what the client hears of that.
        self._client_certificate_type = self._server_certificate_type = CertificateType.X509
        self._certificate_types: list[Extension] = []

    def _on_client_hello(self, body: bytes) -> None:
        hello = ClientHello.parse(body)
        self._check_second(hello)
        require(
            COOKIE.read(hello.extensions) == self._asked_cookie,
            "cookie has a value that was never given",
        )
        if self._is_second:
            require(EARLY_DATA.type not in hello.extensions, "early data after a retry request")
        self._client_random = hello.random
        self._server_name = SERVER_NAME.read(hello.extensions)
        self._psk_modes = PSK_MODES.read(hello.extensions) or ()
        self._choose_suite(hello, body)
        self._transcript.add(HandshakeType.CLIENT_HELLO, body)
        client_share, missing = None, None
        if self._psk is None or self._psk.mode is PskMode.PSK_DHE_KE:
            shares = CLIENT_KEY_SHARES.require(hello.extensions)
            group = self._choose_group(SUPPORTED_GROUPS.require(hello.extensions), shares)
            self._group = group
            client_share = next((share for share in shares if share.group == group), None)
            missing = group if client_share is None else None
        if missing is None and self._make_cookie is None:
            self._accept(hello, client_share)
        else:
            self._ask_again(hello, missing)

    def _choose_suite(self, hello: ClientHello, body: bytes) -> None:
        """The suite, after the PSK that it has to fit (RFC 8446, 4.2.11)."""
        ours = (self._suite,) if self._is_second else self._config.suites
        suites = [suite for suite in ours if suite in hello.cipher_suites]
        self._psk = select_psk(self._config, hello, suites)
        self._select_suite(self._psk.suite if self._psk else _choose(ours, suites, "cipher suite"))
        if self._psk is not None:
            size = self._psk.offered.binders_bytes
            check_binder(self._psk.psk, self._psk.binder, self._transcript, body, size)
        elif not self._config.own_certificate_types:
            raise ProtocolViolation(
                AlertDescription.UNKNOWN_PSK_IDENTITY, "the client has no PSK that this server has"
            )

    @property
    def _is_second(self) -> bool:
        """Whether the next ClientHello answers a HelloRetryRequest."""
        return self.machine.state is State.WAIT_SECOND_CLIENT_HELLO

    def after_retry(self, retry: Retry, cookie: bytes) -> None:
        """Wait for flight 3: it is verified already that it brings back our ``cookie``."""
        self.machine.advance(Step.CLIENT_HELLO_TO_RETRY)
        self._asked_group, self._asked_cookie = retry.group, cookie
        self._select_suite(retry.suite)
        self._transcript.restart(retry.hello_hash)
        self._record(retry_request(retry.suite, retry.group, cookie))

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
        if self._asked_group is not None:
            require(
                [share.group for share in shares] == [self._asked_group],
                "the second ClientHello has not the key share asked for",
            )
        with_share = {share.group for share in shares}.intersection(offered)
        ours = [group for group in self._config.groups if group in with_share]
        return ours[0] if ours else _choose(self._config.groups, offered, "group")

    def _ask_again(self, hello: ClientHello, group: NamedGroup | None) -> None:
        self.machine.advance(Step.CLIENT_HELLO_TO_RETRY)
        self._retried, self._asked_group = hello, group
        if self._make_cookie is not None:
            retry = Retry(self._suite, group, self._transcript.digest())
            self._asked_cookie = self._make_cookie(hello, retry)
        self._retry()
        request = self._record(retry_request(self._suite, group, self._asked_cookie))
        self._channel.send_flight([(PLAINTEXT_EPOCH, request)])

    def _accept(self, hello: ClientHello, client_share: KeyShareEntry | None) -> None:
        authenticate = bool(self._config.peer_certificate_types) and self._psk is None
        self.machine.advance(
            Step.CLIENT_HELLO_TO_AUTHENTICATE if authenticate else Step.CLIENT_HELLO
        )
        self._negotiation.accept(hello.extensions)
        if self._psk is not None:
            self._use_psk(self._psk.source)
        else:
            self._choose_certificate_types(hello.extensions, authenticate=authenticate)
        early_secret = self._accept_early_data(hello, self._psk) if self._psk else None
        flight = [
            (PLAINTEXT_EPOCH, self._server_hello(client_share)),
            (HANDSHAKE_EPOCH, self._encrypted_extensions()),
            *([self._certificate_request()] if authenticate else []),
            *(self._server_authentication(hello) if self._psk is None else []),
            self._finished(self._secrets.server),
        ]
        self._application = self._application_secrets()
        self._channel.write_with(HANDSHAKE_EPOCH, self._suite, self._secrets.server)
        self._channel.write_with(APPLICATION_EPOCH, self._suite, self._application.server)
        if early_secret is not None:
            self._channel.read_with(EARLY_EPOCH, self._suite, early_secret)
        self._channel.read_with(HANDSHAKE_EPOCH, self._suite, self._secrets.client)
        self._channel.send_flight(flight)

    def _choose_certificate_types(self, offers: Extensions, *, authenticate: bool) -> None:
        """RFC 7250, 4.2: an answer to each extension that concerns this handshake."""
        own, accepted = self._config.own_certificate_types, self._config.peer_certificate_types
        offered = SERVER_CERTIFICATE_TYPES.read(offers)
        self._server_certificate_type = select(offered, own)
        self._answer(SERVER_CERTIFICATE_TYPE, offered, self._server_certificate_type)
        if authenticate:
            offered = CLIENT_CERTIFICATE_TYPES.read(offers)
            self._client_certificate_type = select(offered, accepted)
            self._answer(CLIENT_CERTIFICATE_TYPE, offered, self._client_certificate_type)

    def _answer(self, codec: Codec[int], offered: object, kind: CertificateType) -> None:
        if offered is not None:
            self._certificate_types = [*self._certificate_types, codec.make(kind)]

    def _accept_early_data(self, hello: ClientHello, psk: SelectedPsk) -> bytes | None:
        """The secret of epoch 1, if all is as when the ticket was issued (RFC 8446, 4.2.10)."""
        issued, tickets = psk.source, self._config.tickets
        if not isinstance(issued, IssuedTicket) or tickets is None:
            return None
        session, limit = issued.session, issued.session.max_early_data
        is_wanted = EARLY_DATA.read(hello.extensions) and self._config.max_early_data and limit
        alpn = self._negotiation.alpn_protocol
        is_same = (session.suite, session.alpn) == (self._suite, alpn) and psk.index == 0
        if not is_wanted or not is_same:
            return None
        now = self._config.verification_time().timestamp()
        if not tickets.early_data.take(psk.binder, issued.sent_at(psk.obfuscated_age), now):
            return None
        self._early_data_accepted = True
        self.early_data_left = limit
        return self._early_traffic(psk.psk)

    def _server_hello(self, client_share: KeyShareEntry | None) -> Encodable:
        extensions, shared_secret = [SERVER_VERSION.make(DTLS_1_3)], None
        if client_share is not None:
            public, shared_secret = respond(client_share.group, client_share.key_exchange)
            extensions.append(SERVER_KEY_SHARE.make(KeyShareEntry(client_share.group, public)))
        if self._psk is not None:
            extensions.append(SELECTED_PSK.make(self._psk.index))
        extensions.extend(self._negotiation.server_hello())
        random = self._config.random(RANDOM_BYTES)
        hello = ServerHello(random, self._suite, Extensions(extensions))
        self._record(hello)
        self._start_handshake_epoch(shared_secret, self._psk.psk if self._psk else None)
        return hello

    def _encrypted_extensions(self) -> Encodable:
        early_data = [EARLY_DATA.make(True)] if self._early_data_accepted else []
        answers = self._negotiation.encrypted_extensions()
        extensions = Extensions([*answers, *self._certificate_types, *early_data])
        return self._record(EncryptedExtensions(extensions))

    def _certificate_request(self) -> tuple[int, Encodable]:
        schemes = signature_extensions(self._config.signature_schemes)
        authorities = authorities_extension(self._config.trust)
        self._request = CertificateRequest(Extensions([*schemes, *authorities]))
        return HANDSHAKE_EPOCH, self._record(self._request)

    def _server_authentication(self, hello: ClientHello) -> list[tuple[int, Encodable]]:
        own: Credentials | RawKey | None = self._config.raw_key
        if self._server_certificate_type is CertificateType.X509:
            own = server_credentials(self._config.all_credentials, hello.extensions)
        assert own is not None  # or its type would not have been selected
        return self._authentication(own, SIGNATURE_ALGORITHMS.require(hello.extensions))

    def _on_certificate(self, body: bytes) -> None:
        certificate = Certificate.parse(body)
        require(not certificate.context, "the client's Certificate.context is not empty")
        if not certificate.entries:  # RFC 8446, 4.4.2.4
            raise ProtocolViolation(
                AlertDescription.CERTIFICATE_REQUIRED, "the client has no certificate"
            )
        certificate.check_answers(self._request.extensions)
        self._authenticate_peer(certificate.chain, self._client_certificate_type)
        self._transcript.add(HandshakeType.CERTIFICATE, body)
        self.machine.advance(Step.CERTIFICATE)

    def _verify_chain(self, chain: Sequence[bytes]) -> x509.Certificate:
        return self._config.chain_verifier.verify_client(chain, self._config.verification_time())

    def _on_finished(self, body: bytes) -> None:
        self._check_finished(body, self._secrets.client)
        self._channel.read_with(APPLICATION_EPOCH, self._suite, self._application.client)
        self._channel.complete(self._completed(), acknowledge=True)
        tickets = self._config.tickets
        if tickets is not None and common_mode(self._config, self._psk_modes) is not None:
            self._send_ticket(tickets)

    def _send_ticket(self, tickets: TicketIssuer) -> None:
        """The only one of this connection, so that its nonce may be empty."""
        now = self._config.verification_time().timestamp()
        source = self._psk.source if self._psk else None
        authenticated_at = source.authenticated_at if isinstance(source, IssuedTicket) else now
        lifetime = int(tickets.remaining(authenticated_at, now))
        if not lifetime:
            return
        age_add, limit = int.from_bytes(tickets.random(4), "big"), self._config.max_early_data
        issued = IssuedTicket(self._session(b"", age_add, limit), now, authenticated_at)
        ticket = tickets.seal(issued, ticket_context(self._config))
        early_data = Extensions([MAX_EARLY_DATA.make(limit)] if limit else [])
        message = NewSessionTicket(lifetime, age_add, b"", ticket, early_data)
        self._channel.send_flight([(APPLICATION_EPOCH, message)])

    _handlers: ClassVar[Handlers] = {
        **Handshake._handlers,
        HandshakeType.CLIENT_HELLO: _on_client_hello,
        HandshakeType.CERTIFICATE: _on_certificate,
        HandshakeType.FINISHED: _on_finished,
    }


def _choose(ours: Sequence[T], offered: Sequence[int], what: str) -> T:
    """The first of ours that the client offers; handshake_failure when there is none."""
    for value in ours:
        if value in offered:
            return value
    raise ProtocolViolation(
        AlertDescription.HANDSHAKE_FAILURE, f"the client offers no {what} that this server has"
    )
