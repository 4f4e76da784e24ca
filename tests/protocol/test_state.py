import pytest

from protocol.alerts import AlertDescription, ProtocolViolation
from protocol.handshake_framing import HandshakeType
from protocol.state import TRANSITIONS, State, StateMachine, Step
from tests.protocol.pair import Pair

CLIENT = [
    Step.SERVER_HELLO,
    Step.ENCRYPTED_EXTENSIONS,
    Step.CERTIFICATE,
    Step.CERTIFICATE_VERIFY,
    Step.FINISHED,
]
WITH_PSK = [Step.SERVER_HELLO_WITH_PSK, Step.ENCRYPTED_EXTENSIONS, Step.FINISHED]


def walk(start, steps):
    machine = StateMachine(start)
    for step in steps:
        machine.advance(step)
    return machine


@pytest.mark.parametrize(
    ("start", "steps"),
    [
        (State.WAIT_SERVER_HELLO, CLIENT),
        (State.WAIT_SERVER_HELLO, [Step.HELLO_RETRY_REQUEST, *CLIENT]),
        (State.WAIT_SERVER_HELLO, [*CLIENT[:2], Step.CERTIFICATE_REQUEST, *CLIENT[2:]]),
        (State.WAIT_SERVER_HELLO, WITH_PSK),
        (State.WAIT_SERVER_HELLO, [Step.HELLO_RETRY_REQUEST, *WITH_PSK]),
        (State.WAIT_CLIENT_HELLO, [Step.CLIENT_HELLO, Step.FINISHED]),
        (
            State.WAIT_CLIENT_HELLO,
            [Step.CLIENT_HELLO_TO_RETRY, Step.CLIENT_HELLO, Step.FINISHED],
        ),
        (State.WAIT_CLIENT_HELLO, [Step.CLIENT_HELLO_TO_AUTHENTICATE, *CLIENT[2:]]),
    ],
)
def test_every_handshake_of_the_rfc_leads_to_connected(start, steps):
    assert not walk(start, steps[:-1]).connected
    assert walk(start, steps).connected


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("step", Step)
def test_a_step_that_the_table_lacks_is_unexpected(state, step):
    machine = StateMachine(state)
    if step in TRANSITIONS[state]:
        machine.advance(step)
        assert machine.state is TRANSITIONS[state][step]
        return
    with pytest.raises(ProtocolViolation, match=state.name) as violation:
        machine.advance(step)
    assert violation.value.alert is AlertDescription.UNEXPECTED_MESSAGE
    assert machine.state is state


def test_a_second_hello_retry_request_is_unexpected():
    """RFC 8446, 4.1.4."""
    machine = walk(State.WAIT_SERVER_HELLO, [Step.HELLO_RETRY_REQUEST])
    with pytest.raises(ProtocolViolation):
        machine.advance(Step.HELLO_RETRY_REQUEST)


@pytest.mark.parametrize("msg_type", [HandshakeType.FINISHED, HandshakeType.END_OF_EARLY_DATA, 99])
def test_a_type_that_may_not_come_is_unexpected_before_it_is_parsed(msg_type):
    with pytest.raises(ProtocolViolation, match="WAIT_SERVER_HELLO") as violation:
        StateMachine(State.WAIT_SERVER_HELLO).check(msg_type)
    assert violation.value.alert is AlertDescription.UNEXPECTED_MESSAGE


def test_tickets_are_for_clients_only():
    StateMachine(State.CLIENT_CONNECTED).check(HandshakeType.NEW_SESSION_TICKET)
    with pytest.raises(ProtocolViolation):
        StateMachine(State.SERVER_CONNECTED).check(HandshakeType.NEW_SESSION_TICKET)


def test_every_state_can_be_reached_and_left():
    reached = {state for steps in TRANSITIONS.values() for state in steps.values()}
    starts = {State.WAIT_SERVER_HELLO, State.WAIT_CLIENT_HELLO}
    assert reached | starts == set(State) == set(TRANSITIONS)


@pytest.mark.parametrize("side", ["client", "server"])
def test_every_message_that_the_table_accepts_has_a_handler(side):
    handshake = getattr(Pair(), side)._handshake
    reached, new = set(), {handshake.machine.state}
    while new:
        reached |= new
        new = {after for state in new for after in TRANSITIONS[state].values()} - reached
    accepted = {
        msg_type for state in reached for msg_type in HandshakeType if _accepts(state, msg_type)
    }
    assert accepted == set(handshake._handlers)


def _accepts(state, msg_type):
    try:
        StateMachine(state).check(msg_type)
    except ProtocolViolation:
        return False
    return True
