"""The handshake's states, and the one table of what may follow what (RFC 8446, A.1 and A.2).

Clients and servers begin in different states of the same table; everything else is the same. What
the table does not list is an unexpected_message.
"""

from collections.abc import Mapping
from enum import Enum, auto

from protocol.alerts import AlertDescription, ProtocolViolation
from protocol.handshake_framing import HandshakeType


class State(Enum):
    """What a side waits for."""

    # Of Python's own, since Enum's looks up the name, each time.
    __hash__ = object.__hash__

    WAIT_SERVER_HELLO = auto()
    #: After a HelloRetryRequest: a second one is a violation (RFC 8446, 4.1.4).
    WAIT_SECOND_SERVER_HELLO = auto()
    WAIT_ENCRYPTED_EXTENSIONS = auto()
    #: The server takes a PSK of ours: no certificates follow.
    WAIT_ENCRYPTED_EXTENSIONS_WITH_PSK = auto()
    WAIT_SERVER_CERTIFICATE = auto()
    #: The server wants a certificate of ours, and its own is still to come.
    WAIT_SERVER_CERTIFICATE_AFTER_REQUEST = auto()
    WAIT_SERVER_CERTIFICATE_VERIFY = auto()
    WAIT_SERVER_FINISHED = auto()
    CLIENT_CONNECTED = auto()

    WAIT_CLIENT_HELLO = auto()
    WAIT_SECOND_CLIENT_HELLO = auto()
    WAIT_CLIENT_CERTIFICATE = auto()
    WAIT_CLIENT_CERTIFICATE_VERIFY = auto()
    WAIT_CLIENT_FINISHED = auto()
    SERVER_CONNECTED = auto()


class Step(Enum):
    """A message that was received, told apart by what it means where its type leaves that open."""

    __hash__ = object.__hash__

    SERVER_HELLO = auto()
    #: One that takes a PSK of ours.
    SERVER_HELLO_WITH_PSK = auto()
    HELLO_RETRY_REQUEST = auto()
    ENCRYPTED_EXTENSIONS = auto()
    CERTIFICATE_REQUEST = auto()
    CERTIFICATE = auto()
    CERTIFICATE_VERIFY = auto()
    FINISHED = auto()
    #: A ClientHello that we accept,
    CLIENT_HELLO = auto()
    #: accept and answer with a CertificateRequest among the rest,
    CLIENT_HELLO_TO_AUTHENTICATE = auto()
    #: or answer with a HelloRetryRequest.
    CLIENT_HELLO_TO_RETRY = auto()
    KEY_UPDATE = auto()
    REQUEST_CONNECTION_ID = auto()
    NEW_CONNECTION_ID = auto()
    NEW_SESSION_TICKET = auto()


#: What a message of each type can turn out to be.
_STEPS = {
    HandshakeType.SERVER_HELLO: {
        Step.SERVER_HELLO,
        Step.SERVER_HELLO_WITH_PSK,
        Step.HELLO_RETRY_REQUEST,
    },
    # It comes in place of a ServerHello, and is refused for its version.
    HandshakeType.HELLO_VERIFY_REQUEST: {Step.HELLO_RETRY_REQUEST},
    HandshakeType.ENCRYPTED_EXTENSIONS: {Step.ENCRYPTED_EXTENSIONS},
    HandshakeType.CERTIFICATE_REQUEST: {Step.CERTIFICATE_REQUEST},
    HandshakeType.CERTIFICATE: {Step.CERTIFICATE},
    HandshakeType.CERTIFICATE_VERIFY: {Step.CERTIFICATE_VERIFY},
    HandshakeType.FINISHED: {Step.FINISHED},
    HandshakeType.CLIENT_HELLO: {
        Step.CLIENT_HELLO,
        Step.CLIENT_HELLO_TO_AUTHENTICATE,
        Step.CLIENT_HELLO_TO_RETRY,
    },
    HandshakeType.KEY_UPDATE: {Step.KEY_UPDATE},
    HandshakeType.REQUEST_CONNECTION_ID: {Step.REQUEST_CONNECTION_ID},
    HandshakeType.NEW_CONNECTION_ID: {Step.NEW_CONNECTION_ID},
    HandshakeType.NEW_SESSION_TICKET: {Step.NEW_SESSION_TICKET},
}

TRANSITIONS: Mapping[State, Mapping[Step, State]] = {
    State.WAIT_SERVER_HELLO: {
        Step.SERVER_HELLO: State.WAIT_ENCRYPTED_EXTENSIONS,
        Step.SERVER_HELLO_WITH_PSK: State.WAIT_ENCRYPTED_EXTENSIONS_WITH_PSK,
        Step.HELLO_RETRY_REQUEST: State.WAIT_SECOND_SERVER_HELLO,
    },
    State.WAIT_SECOND_SERVER_HELLO: {
        Step.SERVER_HELLO: State.WAIT_ENCRYPTED_EXTENSIONS,
        Step.SERVER_HELLO_WITH_PSK: State.WAIT_ENCRYPTED_EXTENSIONS_WITH_PSK,
    },
    State.WAIT_ENCRYPTED_EXTENSIONS: {Step.ENCRYPTED_EXTENSIONS: State.WAIT_SERVER_CERTIFICATE},
    State.WAIT_ENCRYPTED_EXTENSIONS_WITH_PSK: {
        Step.ENCRYPTED_EXTENSIONS: State.WAIT_SERVER_FINISHED
    },
    State.WAIT_SERVER_CERTIFICATE: {
        Step.CERTIFICATE_REQUEST: State.WAIT_SERVER_CERTIFICATE_AFTER_REQUEST,
        Step.CERTIFICATE: State.WAIT_SERVER_CERTIFICATE_VERIFY,
    },
    State.WAIT_SERVER_CERTIFICATE_AFTER_REQUEST: {
        Step.CERTIFICATE: State.WAIT_SERVER_CERTIFICATE_VERIFY
    },
    State.WAIT_SERVER_CERTIFICATE_VERIFY: {Step.CERTIFICATE_VERIFY: State.WAIT_SERVER_FINISHED},
    State.WAIT_SERVER_FINISHED: {Step.FINISHED: State.CLIENT_CONNECTED},
    State.CLIENT_CONNECTED: {
        Step.KEY_UPDATE: State.CLIENT_CONNECTED,
        Step.REQUEST_CONNECTION_ID: State.CLIENT_CONNECTED,
        Step.NEW_CONNECTION_ID: State.CLIENT_CONNECTED,
        Step.NEW_SESSION_TICKET: State.CLIENT_CONNECTED,
    },
    State.WAIT_CLIENT_HELLO: {
        Step.CLIENT_HELLO: State.WAIT_CLIENT_FINISHED,
        Step.CLIENT_HELLO_TO_AUTHENTICATE: State.WAIT_CLIENT_CERTIFICATE,
        Step.CLIENT_HELLO_TO_RETRY: State.WAIT_SECOND_CLIENT_HELLO,
    },
    State.WAIT_SECOND_CLIENT_HELLO: {
        Step.CLIENT_HELLO: State.WAIT_CLIENT_FINISHED,
        Step.CLIENT_HELLO_TO_AUTHENTICATE: State.WAIT_CLIENT_CERTIFICATE,
    },
    State.WAIT_CLIENT_CERTIFICATE: {Step.CERTIFICATE: State.WAIT_CLIENT_CERTIFICATE_VERIFY},
    State.WAIT_CLIENT_CERTIFICATE_VERIFY: {Step.CERTIFICATE_VERIFY: State.WAIT_CLIENT_FINISHED},
    State.WAIT_CLIENT_FINISHED: {Step.FINISHED: State.SERVER_CONNECTED},
    State.SERVER_CONNECTED: {
        Step.KEY_UPDATE: State.SERVER_CONNECTED,
        Step.REQUEST_CONNECTION_ID: State.SERVER_CONNECTED,
        Step.NEW_CONNECTION_ID: State.SERVER_CONNECTED,
    },
}


#: The message types that may come in each state.
_EXPECTED = {
    state: frozenset(kind for kind, steps in _STEPS.items() if not steps.isdisjoint(transitions))
    for state, transitions in TRANSITIONS.items()
}


class StateMachine:
    """Where one side is in the table."""

    def __init__(self, state: State) -> None:
        self.state = state

    @property
    def connected(self) -> bool:
        """Whether the handshake is over."""
        return self.state in (State.CLIENT_CONNECTED, State.SERVER_CONNECTED)

    def check(self, msg_type: int) -> None:
        """Raises `ProtocolViolation` (unexpected_message) for a type that may not come now."""
        if msg_type not in _EXPECTED[self.state]:
            raise ProtocolViolation(
                AlertDescription.UNEXPECTED_MESSAGE,
                f"handshake message {_name(msg_type)} while in state {self.state.name}",
            )

    def advance(self, step: Step) -> None:
        """Take a step; raises `ProtocolViolation` (unexpected_message) if the table has it not."""
        following = TRANSITIONS[self.state].get(step)
        if following is None:
            raise ProtocolViolation(
                AlertDescription.UNEXPECTED_MESSAGE,
                f"{step.name} while in state {self.state.name}",
            )
        self.state = following


def _name(msg_type: int) -> str:
    return HandshakeType(msg_type).name if msg_type in set(HandshakeType) else str(msg_type)
