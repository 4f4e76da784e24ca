"""What the handshakes of a client and of a server have in common (RFC 8446, 4; RFC 9147, 5)."""

import hmac
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, Self, TypeAlias, TypeVar

from cryptography import x509

from protocol.alerts import AlertDescription, ProtocolViolation
from protocol.certificate_types import CertificateType
from protocol.certificates import Credentials
from protocol.config import ConnectionConfig
from protocol.crypto.fallback import protector
from protocol.crypto.suites import CipherSuite
from protocol.events import Event, HandshakeCompleted
from protocol.fragments import Message
from protocol.handshake_framing import HandshakeType
from protocol.handshake_messages import (
    Certificate,
    CertificateVerify,
    ClientHello,
    Finished,
    HelloVerifyRequest,
    KeyUpdate,
    NewConnectionId,
    RequestConnectionId,
    ServerHello,
)
from protocol.key_exchange import NamedGroup
from protocol.key_schedule import (
    Exporter,
    KeySchedule,
    TrafficSecrets,
    Transcript,
    finished_mac,
    resumption_key,
)
from protocol.keylog import (
    log_application_traffic,
    log_early,
    log_exporter,
    log_handshake_traffic,
)
from protocol.negotiation import Negotiation, NegotiationChannel
from protocol.psk import ExternalPsk, Psk
from protocol.raw_keys import RawKey, public_key_info
from protocol.session import Session, SessionTicket
from protocol.signatures import (
    PublicKey,
    Signer,
    VerifyingKey,
    choose_scheme,
    sign,
    verify,
)
from protocol.state import State, StateMachine, Step
from protocol.tickets import IssuedTicket

#: RFC 9147, 6.1.
PLAINTEXT_EPOCH, EARLY_EPOCH, HANDSHAKE_EPOCH, APPLICATION_EPOCH = 0, 1, 2, 3


PeerHello: TypeAlias = type[ClientHello] | type[ServerHello] | type[HelloVerifyRequest]

T = TypeVar("T")

Handlers: TypeAlias = Mapping[int, Callable[[Any, bytes], None]]


class Encodable(Protocol):
    """A handshake message to be sent."""

    @property
    def msg_type(self) -> HandshakeType:
        """Its type."""

    def encode(self) -> bytes:
        """The body."""


class Encoded(NamedTuple):
    """A message with its body made."""

    msg_type: HandshakeType
    body: bytes

    def encode(self) -> bytes:
        """The body."""
        return self.body


class Channel(NegotiationChannel, Protocol):
    """What a handshake asks of the connection that it belongs to."""

    def read_with(self, epoch: int, suite: CipherSuite, secret: bytes) -> None:
        """Open the records of ``epoch`` with this traffic secret from now on."""

    def write_with(self, epoch: int, suite: CipherSuite, secret: bytes) -> None:
        """Seal the records of ``epoch`` with this traffic secret from now on."""

    def write_early_with(self, suite: CipherSuite, secret: bytes) -> None:
        """Seal early data with this traffic secret; all else stays in epoch 0."""

    def end_early_writing(self) -> None:
        """No more early data is sent."""

    def send_flight(self, messages: Sequence[tuple[int, Encodable]]) -> None:
        """Send messages, each in its epoch, until they are acknowledged or answered."""

    def complete(self, result: HandshakeCompleted, *, acknowledge: bool) -> None:
        """Both sides have proved who they are; data may flow.

        ``acknowledge``: the peer's last flight needs an ACK, since no flight of ours answers it.
        """

    def report(self, event: Event) -> None:
        """Tell the user."""

    def peer_updated_keys(self, *, update_requested: bool) -> None:
        """The peer sends with its next keys from now on, and may want the same of us."""

    def peer_requests_connection_ids(self, message: RequestConnectionId) -> None:
        """The peer wants more connection IDs to send with."""

    def peer_has_new_connection_ids(self, message: NewConnectionId) -> None:
        """The peer has connection IDs for us to send with."""


class Handshake(ABC):
    """One side of one handshake: takes the peer's messages in order, whole, one by one."""

    #: What the peer may send in epoch 0.
    peer_hellos: ClassVar[tuple[PeerHello, ...]]
    _own_signer: ClassVar[Signer]
    _peer_signer: ClassVar[Signer]

    def __init__(self, config: ConnectionConfig, channel: Channel, start: State) -> None:
        self.machine = StateMachine(start)
        self._config = config
        self._channel = channel
        self._transcript = Transcript()
        self._client_random = b""
        self._suite: CipherSuite
        #: None while, or where, there is no key exchange (psk_ke).
        self._group: NamedGroup | None = None
        self._schedule: KeySchedule
        #: The secrets of epoch 2, which also key the Finished messages.
        self._secrets: TrafficSecrets
        self._peer_certificate: x509.Certificate | None = None
        self._peer_raw_key: VerifyingKey | None = None
        #: What CertificateVerify has to be signed with.
        self._peer_key: PublicKey
        self._negotiation: Negotiation
        self._resumed = False
        #: Whom the client wants to talk to.
        self._server_name: str | None = None
        self._psk_identity: bytes | None = None
        #: How many bytes of early data may be sent, by a client, or may still come, at a server.
        self.early_data_left = 0
        self._early_data_accepted = False
        #: Known from the server's Finished on, and where early data is offered or accepted.
        self.exporter: Exporter | None = None
        self.early_exporter: Exporter | None = None

    def copy(self) -> Self:
        """What this one is now; what it becomes by one more hello does not change the copy."""
        other = _copy(self)
        other.machine, other._negotiation = _copy(self.machine), _copy(self._negotiation)
        other._transcript = self._transcript.copy()
        return other

    def handle(self, message: Message) -> None:
        """Process the next message; raises `ProtocolViolation` for what the peer did wrong."""
        self.machine.check(message.msg_type)
        self._handlers[message.msg_type](self, message.body)

    def _select_suite(self, suite: CipherSuite) -> None:
        self._suite = suite
        self._transcript.select(suite)

    def _use_psk(self, source: ExternalPsk | SessionTicket | IssuedTicket) -> None:
        """Who has the PSK is who the peer was when it got it."""
        if isinstance(source, ExternalPsk):
            self._psk_identity = source.identity
        else:
            self._resumed = True
            self._peer_certificate = source.session.peer_certificate
            if source.session.peer_raw_key is not None:
                self._peer_raw_key = self._config.key_verifier.find(source.session.peer_raw_key)
            self._psk_identity = source.session.psk_identity

    def _session(self, nonce: bytes, age_add: int, max_early_data: int) -> Session:
        """What a ticket resumes: this connection (RFC 8446, 4.6.1).

        The transcript ends with the client's Finished.
        """
        secret = self._schedule.resumption_secret(self._transcript.digest())
        return Session(
            suite=self._suite,
            key=resumption_key(self._suite, secret, nonce),
            age_add=age_add,
            max_early_data=max_early_data,
            server_name=self._server_name,
            alpn=self._negotiation.alpn_protocol,
            peer_certificate=self._peer_certificate,
            psk_identity=self._psk_identity,
            peer_raw_key=public_key_info(self._peer_raw_key) if self._peer_raw_key else None,
        )

    def _early_traffic(self, psk: Psk) -> bytes:
        """The secret of epoch 1; the transcript ends with the ClientHello."""
        schedule, digest = KeySchedule(psk.suite, psk.key), self._transcript.digest_with(psk.suite)
        secret, exporter = schedule.early_traffic(digest), schedule.early_exporter_secret(digest)
        self.early_exporter = Exporter(psk.suite, exporter)
        if self._config.key_log:
            log_early(self._config.key_log, self._client_random, secret, exporter)
        return secret

    def _start_handshake_epoch(self, shared_secret: bytes | None, psk: Psk | None) -> None:
        """The transcript ends with the ServerHello; ``shared_secret``: None for psk_ke."""
        self._schedule = KeySchedule(self._suite, psk.key if psk else None)
        self._secrets = self._schedule.handshake_traffic(shared_secret, self._transcript.digest())
        if self._config.key_log:
            log_handshake_traffic(self._config.key_log, self._client_random, self._secrets)

    def _application_secrets(self) -> TrafficSecrets:
        """The transcript ends with the server's Finished."""
        digest = self._transcript.digest()
        secrets = self._schedule.application_traffic(digest)
        exporter = self._schedule.exporter_secret(digest)
        self.exporter = Exporter(self._suite, exporter)
        if self._config.key_log:
            log_application_traffic(self._config.key_log, self._client_random, secrets)
            log_exporter(self._config.key_log, self._client_random, exporter)
        return secrets

    def _retry(self) -> None:
        """A HelloRetryRequest follows: a hash stands for the ClientHello (RFC 8446, 4.4.1)."""
        self._transcript.restart(self._transcript.digest())

    def _record(self, message: Encodable) -> Encodable:
        """Add a message of ours to the transcript; returns it with its body, ready to be sent."""
        body = message.encode()
        self._transcript.add(message.msg_type, body)
        return Encoded(message.msg_type, body)

    def _authentication(
        self, credentials: Credentials | RawKey, peer_schemes: Sequence[int]
    ) -> list[tuple[int, Encodable]]:
        """Our Certificate and CertificateVerify."""
        scheme = choose_scheme(credentials.kind, peer_schemes)
        certificate = self._record(Certificate.of_chain(credentials.chain_der))
        signature = sign(
            credentials.private_key, scheme, self._own_signer, self._transcript.digest()
        )
        verification = self._record(CertificateVerify(scheme, signature))
        return [(HANDSHAKE_EPOCH, certificate), (HANDSHAKE_EPOCH, verification)]

    def _finished(self, secret: bytes) -> tuple[int, Encodable]:
        """Our Finished, under our own handshake traffic secret."""
        mac = finished_mac(self._suite, secret, self._transcript.digest())
        return HANDSHAKE_EPOCH, self._record(Finished(mac))

    @abstractmethod
    def _verify_chain(self, chain: Sequence[bytes]) -> x509.Certificate:
        """The peer's own certificate; raises `ProtocolViolation`."""

    def _authenticate_peer(self, chain: Sequence[bytes], kind: CertificateType) -> None:
        """Find out whose key this is: what a Certificate carries, at least one entry.

        Raises `ProtocolViolation` if we do not trust it.
        """
        if kind is CertificateType.RAW_PUBLIC_KEY:
            self._peer_raw_key = self._config.key_verifier.verify(chain)
            self._peer_key = PublicKey.raw(self._peer_raw_key)
        elif not self._config.trust:
            raise ProtocolViolation(
                AlertDescription.UNSUPPORTED_CERTIFICATE,
                "the peer has a certificate, and we take raw public keys only",
            )
        else:
            self._peer_certificate = self._verify_chain(chain)
            self._peer_key = PublicKey.of_certificate(self._peer_certificate)

    def _on_certificate_verify(self, body: bytes) -> None:
        message = CertificateVerify.parse(body)
        verify(
            self._peer_key,
            message.scheme,
            self._peer_signer,
            self._transcript.digest(),
            message.signature,
            self._config.signature_schemes,
        )
        self._transcript.add(HandshakeType.CERTIFICATE_VERIFY, body)
        self.machine.advance(Step.CERTIFICATE_VERIFY)

    def _on_key_update(self, body: bytes) -> None:
        message = KeyUpdate.parse(body)
        self.machine.advance(Step.KEY_UPDATE)
        self._channel.peer_updated_keys(update_requested=message.update_requested)

    def _on_request_connection_id(self, body: bytes) -> None:
        message = RequestConnectionId.parse(body)
        self.machine.advance(Step.REQUEST_CONNECTION_ID)
        self._channel.peer_requests_connection_ids(message)

    def _on_new_connection_id(self, body: bytes) -> None:
        message = NewConnectionId.parse(body)
        self.machine.advance(Step.NEW_CONNECTION_ID)
        self._channel.peer_has_new_connection_ids(message)

    def _check_finished(self, body: bytes, peer_secret: bytes) -> None:
        expected = finished_mac(self._suite, peer_secret, self._transcript.digest())
        if not hmac.compare_digest(Finished.parse(body).verify_data, expected):
            raise ProtocolViolation(
                AlertDescription.DECRYPT_ERROR, "the peer's Finished does not match the handshake"
            )
        self._transcript.add(HandshakeType.FINISHED, body)
        self.machine.advance(Step.FINISHED)

    def _completed(self) -> HandshakeCompleted:
        return HandshakeCompleted(
            self._suite,
            self._group,
            self._peer_certificate,
            self._server_name,
            protector(self._config.provider, self._suite).name,
            self._negotiation.alpn_protocol,
            self._negotiation.receive_id,
            self._negotiation.send_id,
            self._resumed,
            self._psk_identity,
            self._early_data_accepted,
            self._peer_raw_key,
        )

    #: What takes the body of each type of message. These are functions: an instance with a table of
    #: bound methods would refer to itself, and only the garbage collector could free it.
    _handlers: ClassVar[Handlers] = {
        HandshakeType.CERTIFICATE_VERIFY: _on_certificate_verify,
        HandshakeType.KEY_UPDATE: _on_key_update,
        HandshakeType.REQUEST_CONNECTION_ID: _on_request_connection_id,
        HandshakeType.NEW_CONNECTION_ID: _on_new_connection_id,
    }


def _copy(original: T) -> T:
    """As `copy.copy`, only faster."""
    other = object.__new__(type(original))
    other.__dict__.update(original.__dict__)
    return other


def require(holds: bool, problem: str) -> None:
    """Raises `ProtocolViolation` with illegal_parameter unless it holds."""
    if not holds:
        raise ProtocolViolation(AlertDescription.ILLEGAL_PARAMETER, problem)
