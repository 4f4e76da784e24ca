"""Tickets come back from strangers, and from files: nothing but a genuine one opens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.alerts import UsageError
from protocol.crypto.suites import CipherSuite
from protocol.session import Session, SessionTicket
from protocol.tickets import IssuedTicket, TicketIssuer
from tests.fuzz.campaign import examples
from tests.fuzz.shapes import Vec, damaged, scratched
from tests.protocol.certificates import NOW, credentials

SESSION = Session(
    suite=CipherSuite.TLS_AES_128_GCM_SHA256,
    key=bytes(32),
    age_add=7,
    server_name="server.example",
    peer_certificate=credentials().chain[0],
    psk_identity=b"me",
    peer_raw_key=b"its key",
)
#: `SessionTicket.to_bytes`, and `Session.encode` after the first three.
FILE = (8, 4, Vec(2), 2, 4, 4, Vec(1), Vec(1), Vec(1), Vec(3), Vec(2), Vec(2))
CHANCE = st.randoms(use_true_random=False)


@examples()
@given(CHANCE)
def test_a_damaged_ticket_is_none_of_ours(chance):
    issuer, now = TicketIssuer(), NOW.timestamp()
    ticket = issuer.seal(IssuedTicket(SESSION, now, now), b"context")
    changed = chance.choice([scratched(chance, ticket), chance.randbytes(chance.randrange(80))])
    opened = issuer.open(changed, b"context", now)
    assert (opened is None) == (changed != ticket)
    assert issuer.open(ticket, b"context", now) is not None


@examples()
@given(CHANCE)
def test_a_damaged_file_is_no_ticket_or_another_one(chance):
    ticket = SessionTicket(SESSION, b"ticket", NOW, 1_000).to_bytes()
    changed = damaged(chance, FILE, ticket)
    try:
        read = SessionTicket.from_bytes(changed)
    except UsageError:
        return
    assert read.to_bytes() == changed
    assert read.is_valid(NOW) in (True, False)


def test_the_shape_is_that_of_a_file():
    ticket = SessionTicket(SESSION, b"ticket", NOW, 1_000)
    assert SessionTicket.from_bytes(ticket.to_bytes()) == ticket
    with pytest.raises(UsageError):
        SessionTicket.from_bytes(ticket.to_bytes() + b"\0")
