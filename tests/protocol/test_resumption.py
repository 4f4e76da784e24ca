"""Sessions resumed with tickets (RFC 8446, 2.2 and 4.6.1; RFC 9147, 5.7, figures 8 and 10)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from protocol.alerts import UsageError
from protocol.crypto.suites import CipherSuite
from protocol.events import ConnectionTerminated, TicketReceived
from protocol.handshake_messages import NewSessionTicket
from protocol.key_exchange import NamedGroup
from protocol.psk import ExternalPsk
from protocol.psk_extensions import PskMode
from protocol.session import SessionTicket
from protocol.tickets import TicketIssuer
from tests.protocol.certificates import (
    SERVER_NAME,
    authority,
    credentials,
)
from tests.protocol.pair import Network, Pair
from tests.protocol.providers import PROVIDERS, PROVIDERS_AND_SUITES
from tests.protocol.sessions import Resumable, resumed

TRUST = (authority().certificate,)
CLIENT = credentials("ed25519", "client.example")
WEEK = 7 * 86_400


@pytest.mark.parametrize("mode", PskMode)
@pytest.mark.parametrize(("provider", "suite"), PROVIDERS_AND_SUITES)
def test_a_session_is_resumed_again_and_again_with_the_identity_of_the_first(provider, suite, mode):
    world = Resumable(PROVIDERS[provider], suites=(suite,), psk_modes=(mode,))
    ticket, tickets = world.ticket(), set()
    for _ in range(3):
        pair = world.connect(ticket)
        assert resumed(pair)
        assert pair.result("client").peer_certificate == credentials().chain[0]
        assert pair.result("client").suite is suite
        assert bool(pair.result("client").group) == (mode is PskMode.PSK_DHE_KE)
        pair.client.send(b"to the server")
        pair.server.send(b"to the client")
        pair.run()
        assert pair.data("server") == [b"to the server"]
        assert pair.data("client") == [b"to the client"]
        ticket = pair.ticket()
        tickets.add(ticket.ticket)
    assert len(tickets) == 3


def test_a_resumed_handshake_has_no_certificates():
    world = Resumable()
    full = world.connect()
    pair = world.connect(full.ticket())
    # ServerHello; EncryptedExtensions and Finished; ticket; ACK.
    assert pair.server.stats.records_sent == 4
    saved = full.server.stats.bytes_sent - pair.server.stats.bytes_sent
    assert saved > sum(map(len, credentials().chain_der))


@pytest.mark.parametrize("seed", range(40))
def test_a_session_is_resumed_whatever_the_network_does(seed):
    world = Resumable(mtu=200, handshake_timeout=300.0)
    network = Network(seed, loss=0.2, duplication=0.2, reordering=0.3)
    first = world.connect(network=network)
    pair = world.connect(first.ticket(), Network(seed + 100, 0.2, 0.2, 0.3))
    assert resumed(pair)
    assert len([e for e in pair.events["client"] if isinstance(e, TicketReceived)]) == 1
    assert pair.client.timer() is None
    assert pair.server.timer() is None


def test_the_client_of_a_resumed_session_is_the_one_of_the_first():
    world = Resumable()
    world.change_server(trust=TRUST)
    world.change_client(credentials=CLIENT)
    ticket = world.ticket()
    world.change_client(credentials=None)
    pair = world.connect(ticket)
    assert resumed(pair)
    assert pair.result("server").peer_certificate == CLIENT.chain[0]


def test_a_session_that_an_external_psk_authenticated_is_resumed_while_both_have_that():
    psk = ExternalPsk(b"sensor", bytes(32))
    world = Resumable(psks=(psk,))
    world.change_client(trust=())
    world.change_server(credentials=None)
    ticket = world.connect().ticket()
    pair = world.connect(ticket)
    assert resumed(pair)
    assert pair.result("client").psk_identity == pair.result("server").psk_identity == b"sensor"

    other = ExternalPsk(b"other", bytes(32))
    world.change_server(psks=(other,))
    world.change_client(psks=(psk, other))
    assert not resumed(world.connect(ticket))
    world.change_server(psks=(psk, other))
    world.change_client(psks=(other,))
    assert not resumed(world.connect(ticket))


def test_a_retry_for_a_group_does_not_keep_a_session_from_being_resumed():
    world = Resumable()
    ticket = world.ticket()
    world.change_server(groups=(NamedGroup.SECP256R1,))
    pair = world.connect(ticket)
    assert resumed(pair)
    assert pair.result("client").group is NamedGroup.SECP256R1


# What makes the handshake a full one


def moved_on(seconds):
    return lambda world: world.clock.advance(seconds)


@pytest.mark.parametrize(
    "change",
    [
        moved_on(86_400),
        moved_on(-1),
        lambda world: world.change_client(server_name="other.example"),
        lambda world: world.change_server(tickets=TicketIssuer()),
        lambda world: world.change_server(tickets=None),
        lambda world: world.change_server(psk_modes=(PskMode.PSK_KE,)),
        lambda world: world.change_client(psk_modes=(PskMode.PSK_KE,)),
        lambda world: world.change_client(suites=(CipherSuite.TLS_AES_256_GCM_SHA384,)),
        lambda world: world.change_server(suites=(CipherSuite.TLS_AES_256_GCM_SHA384,)),
    ],
    ids=[
        "expired",
        "a clock that went back",
        "another name",
        "another server's key",
        "a server without tickets",
        "a mode that the client has not",
        "a mode that the server has not",
        "a hash that the client gave up",
        "a hash that the server gave up",
    ],
)
def test_a_ticket_that_does_not_fit_any_more_leads_to_a_full_handshake(change):
    world = Resumable()
    both = (CipherSuite.TLS_AES_128_GCM_SHA256, CipherSuite.TLS_AES_256_GCM_SHA384)
    world.change_client(suites=both)
    ticket = world.ticket()
    assert resumed(world.connect(ticket))
    other = (credentials(name=SERVER_NAME), credentials(name="other.example"))
    change(world)
    if world.client.server_name != SERVER_NAME:
        world.change_server(credentials=other[1])
    pair = world.connect(ticket)
    assert not resumed(pair)
    assert pair.result("client").peer_certificate is not None


def test_a_server_does_not_resume_sessions_of_another_name():
    """The client does not offer them, so it has to be made to."""
    world = Resumable()
    ticket = world.ticket()
    world.change_client(server_name="other.example")
    world.change_server(credentials=credentials(name="other.example"))
    renamed = replace(ticket.session, server_name="other.example")
    assert not resumed(world.connect(replace(ticket, session=renamed)))


def test_a_server_that_now_wants_to_know_the_client_asks_it():
    world = Resumable()
    ticket = world.ticket()
    world.change_server(trust=TRUST)
    world.change_client(credentials=CLIENT)
    pair = world.connect(ticket)
    assert not resumed(pair)
    assert pair.result("server").peer_certificate == CLIENT.chain[0]


def test_a_client_that_one_server_trusts_is_not_known_to_another_with_the_same_tickets():
    world = Resumable()
    world.change_server(trust=TRUST)
    world.change_client(credentials=CLIENT)
    ticket = world.ticket()
    world.change_server(trust=(authority("Other CA").certificate,))
    pair = world.pair(ticket)
    pair.run()
    assert not pair.server.connected


def test_a_session_ends_with_the_certificate_that_stands_behind_it():
    world = Resumable(lifetime=WEEK)
    certificate = credentials().chain[0]
    world.clock.time = certificate.not_valid_after_utc - timedelta(seconds=60)
    ticket = world.ticket()
    assert ticket.is_valid(world.clock())
    world.clock.advance(61)
    assert not ticket.is_valid(world.clock())


def test_a_session_is_not_resumed_for_longer_than_the_lifetime_in_all():
    """RFC 8446, 4.6.1: tickets must not extend each other without end."""
    world = Resumable(lifetime=1000)
    ticket = world.ticket()
    assert ticket.lifetime == 1000
    for expected in (600, 200):
        world.clock.advance(400)
        pair = world.connect(ticket)
        assert resumed(pair)
        ticket = pair.ticket()
        assert ticket.lifetime == expected
    world.clock.advance(199.5)
    pair = world.connect(ticket)
    assert resumed(pair)
    assert not [e for e in pair.events["client"] if isinstance(e, TicketReceived)]
    world.clock.advance(0.5)
    assert not resumed(world.connect(ticket))


# Tickets on their way


def test_no_ticket_is_sent_to_a_client_that_cannot_use_it():
    """RFC 8446, 4.2.9."""
    world = Resumable()
    world.change_client(psk_modes=(PskMode.PSK_KE,))
    pair = world.connect()
    assert not [e for e in pair.events["client"] if isinstance(e, TicketReceived)]


def test_a_server_sends_tickets_only_if_it_has_a_key_for_them():
    assert [type(e).__name__ for e in Pair.connected().events["client"]] == ["HandshakeCompleted"]


def test_a_lost_ticket_is_sent_again():
    world = Resumable()
    pair = world.connect(network=Network(lose=lambda who, index: (who, index) == ("server", 1)))
    assert resumed(world.connect(pair.ticket()))


def test_keys_can_be_updated_after_a_ticket():
    world = Resumable()
    pair = world.connect()
    for side in pair.sides.values():
        side.update_keys(pair.now, request_peer=True)
    pair.run()
    pair.client.send(b"data")
    pair.run()
    assert pair.data("server") == [b"data"]


def test_a_server_gives_up_on_a_client_that_never_acknowledges_its_ticket():
    world = Resumable()
    pair = world.pair(network=Network(lose=lambda who, index: who == "client" and index >= 2))
    pair.run(59)
    assert pair.server.connected
    pair.run(3)
    assert isinstance(pair.end("server"), ConnectionTerminated)


def new_ticket(monkeypatch, **changes):
    """A server whose tickets have other fields."""
    original = NewSessionTicket.encode
    monkeypatch.setattr(NewSessionTicket, "encode", lambda self: original(replace(self, **changes)))


def test_a_ticket_without_a_lifetime_is_forgotten(monkeypatch):
    """RFC 8446, 4.6.1."""
    world = Resumable()
    new_ticket(monkeypatch, lifetime=0)
    pair = world.connect()
    assert not [e for e in pair.events["client"] if isinstance(e, TicketReceived)]


def test_no_ticket_is_kept_for_longer_than_a_week(monkeypatch):
    """RFC 8446, 4.6.1."""
    world = Resumable()
    new_ticket(monkeypatch, lifetime=(1 << 32) - 1)
    ticket = world.ticket()
    ticket = replace(ticket, session=replace(ticket.session, peer_certificate=None))
    assert ticket.lifetime == WEEK
    world.clock.advance(WEEK - 1)
    assert ticket.is_valid(world.clock())
    world.clock.advance(1)
    assert not ticket.is_valid(world.clock())


def test_the_age_of_a_ticket_is_disguised():
    """RFC 8446, 4.2.11.1: milliseconds plus ticket_age_add, modulo 2^32."""
    world = Resumable()
    ticket = world.ticket()
    ticket = replace(ticket, session=replace(ticket.session, age_add=(1 << 32) - 1000))
    later = world.clock() + timedelta(seconds=1.5)
    assert ticket.psk(later).obfuscated_age == 500


def test_nothing_secret_is_in_a_repr():
    world = Resumable()
    ticket = world.ticket()
    for secret in (ticket.session.key, ticket.ticket):
        assert repr(secret)[2:-1] not in repr(ticket)
    assert "age_add" not in repr(ticket)


def test_a_lifetime_of_over_a_week_is_refused():
    for lifetime in (0, WEEK + 1):
        with pytest.raises(UsageError, match=f"not {lifetime}"):
            TicketIssuer(lifetime)


# Kept in a file


@pytest.mark.parametrize("changes", [{}, {"psk_identity": b"sensor", "peer_certificate": None}])
def test_a_ticket_comes_back_from_a_file_and_resumes_the_session(changes):
    world = Resumable(early=100)
    ticket = world.ticket()
    ticket = replace(ticket, session=replace(ticket.session, alpn="coap", **changes))
    assert SessionTicket.from_bytes(ticket.to_bytes()) == ticket
    assert resumed(world.connect(SessionTicket.from_bytes(world.ticket().to_bytes())))


def test_what_is_no_ticket_is_refused():
    data = Resumable().ticket().to_bytes()
    for wrong in (data + b"\0", b"\xff" * 8 + data[8:], *(data[:n] for n in range(len(data)))):
        with pytest.raises(UsageError, match="not a session ticket"):
            SessionTicket.from_bytes(wrong)
