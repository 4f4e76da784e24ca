"""Sealed tickets: whose they are, and for how long they open."""

import pytest

from protocol.crypto.suites import CipherSuite
from protocol.session import Session
from protocol.tickets import IssuedTicket, TicketIssuer
from tests.protocol.certificates import credentials

NOW = 1_750_000_000.25
FULL = IssuedTicket(
    Session(
        suite=CipherSuite.TLS_AES_256_GCM_SHA384,
        key=bytes(range(48)),
        age_add=0xFFFFFF00,
        max_early_data=4096,
        server_name="server.example",
        alpn="coap",
        peer_certificate=credentials().chain[0],
        psk_identity=b"\xff\0",
    ),
    issued_at=NOW,
    authenticated_at=NOW - 10,
)
BARE = Session(suite=CipherSuite.TLS_AES_128_GCM_SHA256, key=bytes(32), age_add=0)
EMPTY = IssuedTicket(BARE, NOW, NOW)


@pytest.mark.parametrize("issued", [FULL, EMPTY])
def test_a_session_comes_back_from_its_ticket(issued):
    issuer = TicketIssuer()
    assert issuer.open(issuer.seal(issued, b""), b"", NOW) == issued


def test_two_tickets_of_a_session_have_nothing_in_common_but_the_name_of_the_key():
    issuer = TicketIssuer()
    one, other = issuer.seal(FULL, b""), issuer.seal(FULL, b"")
    assert one[:4] == other[:4]
    assert all(one[at : at + 4] != other[at : at + 4] for at in range(4, len(one) - 4))


def test_a_ticket_that_was_changed_anywhere_does_not_open():
    issuer = TicketIssuer()
    ticket = issuer.seal(EMPTY, b"")
    for at in range(len(ticket)):
        changed = ticket[:at] + bytes((ticket[at] ^ 1,)) + ticket[at + 1 :]
        assert issuer.open(changed, b"", NOW) is None
        assert issuer.open(ticket[:at], b"", NOW) is None
    assert issuer.open(ticket, b"", NOW) == EMPTY


def test_a_ticket_opens_in_its_context_only():
    issuer = TicketIssuer()
    assert issuer.open(issuer.seal(EMPTY, b"one"), b"other", NOW) is None


def test_a_ticket_of_another_server_does_not_open():
    assert TicketIssuer().open(TicketIssuer().seal(EMPTY, b""), b"", NOW) is None


def test_a_ticket_opens_until_the_session_is_over():
    issuer = TicketIssuer(lifetime=100)
    ticket = issuer.seal(FULL, b"")
    assert issuer.open(ticket, b"", NOW + 89) == FULL
    assert issuer.open(ticket, b"", NOW + 90) is None


def test_keys_change_and_old_ones_open_for_as_long_as_their_tickets_live():
    issuer = TicketIssuer(lifetime=100)
    old = issuer.seal(EMPTY, b"")
    late = IssuedTicket(BARE, NOW + 99, NOW + 99)
    last_of_the_key = issuer.seal(late, b"")
    new = IssuedTicket(BARE, NOW + 100, NOW + 100)
    first_of_the_next = issuer.seal(new, b"")
    assert old[:4] == last_of_the_key[:4] != first_of_the_next[:4]
    assert issuer.open(last_of_the_key, b"", NOW + 198) == late
    assert issuer.open(first_of_the_next, b"", NOW + 198) == new


def test_keys_that_open_nothing_any_more_are_forgotten():
    issuer = TicketIssuer(lifetime=100)
    for step in range(50):
        now = NOW + 30 * step
        issuer.seal(IssuedTicket(BARE, now, now), b"")
        assert len(issuer._keys) <= 2


def test_no_key_is_in_a_repr():
    issuer = TicketIssuer(random=lambda count: b"\x5a" * count if count == 32 else bytes(count))
    issuer.seal(FULL, b"")
    assert "ZZZ" not in repr(issuer) + repr(issuer._keys) + repr(FULL)
    assert "\\x01\\x02" not in repr(FULL)
