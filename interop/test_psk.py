"""Pre-shared keys, resumption, early data, and what is exported."""

from interop.conversation import run, talk
from interop.endpoint import Endpoint
from interop.peer import Peer
from interop.session import Case, Meeting, meeting
from interop.stacks import named
from protocol.key_exchange import NamedGroup
from protocol.psk import ExternalPsk
from protocol.psk_extensions import PskMode
from protocol.session import SessionTicket
from protocol.tickets import TicketIssuer

PSK = ExternalPsk(b"sensor 7", bytes(range(32)))
#: The peer's options for it: it has to name the suite to use.
PEER_PSK = {"psk": f"{PSK.identity.decode()}:{PSK.key.hex()}", "suites": "TLS13-AES128-GCM-SHA256"}
EARLY_DATA = b"before all else"
MAX_EARLY_DATA = 4096


def with_tickets(case: Case, early: int = 0) -> dict[str, object]:
    """Fields of our configuration."""
    tickets = {} if case.role == "client" else {"tickets": TicketIssuer()}
    return {"max_early_data": early, **tickets}


async def next_ticket(case: Case, session: Endpoint, peer: Peer) -> SessionTicket | None:
    """The client's ticket, when it has come; a peer keeps its own."""
    if case.role == "client":
        await session.until(lambda: bool(session.tickets))
        return session.tickets[-1]
    await peer.expect_ticket()
    return None


async def end(session: Endpoint, peer: Peer) -> None:
    session.close()
    await peer.expect("closed")


async def first_session(case: Case, pair: Meeting) -> SessionTicket | None:
    """A full handshake, and its ticket."""
    session, agreed = await pair.meet()
    assert not session.handshake.resumed
    assert agreed["resumed"] == "0"
    await talk(session, pair.peer)
    ticket = await next_ticket(case, session, pair.peer)
    await end(session, pair.peer)
    return ticket


@run
async def test_exported_keying_material(case: Case):
    """RFC 8446, 7.5."""
    async with meeting(case) as pair:
        session, _ = await pair.meet()
        pair.peer.tell("export EXPORTER-interop 48")
        exported = await pair.peer.expect("exported")
        ours = session.connection.export_keying_material(b"EXPORTER-interop", b"", 48)
        assert exported == ours.hex()


@run
async def test_external_psk(case: Case):
    async with meeting(case, {"psks": (PSK,)}, **PEER_PSK) as pair:
        session, _ = await pair.meet()
        assert session.handshake.psk_identity == PSK.identity
        assert session.handshake.peer_certificate is None
        await talk(session, pair.peer)


@run
async def test_external_psk_without_key_exchange(case: Case):
    """psk_ke of RFC 8446, 4.2.9."""
    ours = {"psks": (PSK,), "psk_modes": (PskMode.PSK_KE,)}
    async with meeting(case, ours, dhe=0, **PEER_PSK) as pair:
        session, _ = await pair.meet()
        assert session.handshake.psk_identity == PSK.identity
        assert session.handshake.group is None
        await talk(session, pair.peer)


@run
async def test_external_psk_and_retry_for_another_group(case: Case):
    """Binders over both hellos (RFC 8446, 4.2.11.2)."""
    first, second = NamedGroup.X25519, NamedGroup.SECP256R1
    if case.role == "client":
        ours, theirs = (first, second), named(second)
    else:
        ours, theirs = (second,), named(first, second)
    fields = {"psks": (PSK,), "groups": ours}
    async with meeting(case, fields, groups=theirs, **PEER_PSK) as pair:
        session, _ = await pair.meet()
        assert session.handshake.psk_identity == PSK.identity
        assert session.handshake.group is second
        await talk(session, pair.peer)


@run
async def test_resumption(case: Case):
    """Each session brings a ticket for the next one."""
    async with meeting(case, with_tickets(case)) as pair:
        ticket = await first_session(case, pair)
        for _ in range(2):
            session, agreed = await pair.resume(ticket)
            assert session.handshake.resumed
            assert agreed["resumed"] == "1"
            await talk(session, pair.peer)
            ticket = await next_ticket(case, session, pair.peer)
            await end(session, pair.peer)


@run
async def test_early_data(case: Case):
    options = (
        {"early": MAX_EARLY_DATA, **case.stack.without_cookie} if case.role == "client" else {}
    )
    async with meeting(case, with_tickets(case, MAX_EARLY_DATA), **options) as pair:
        ticket = await first_session(case, pair)
        session, agreed = await pair.resume(ticket, EARLY_DATA)
        assert session.handshake.early_data
        if case.role == "client":
            assert pair.peer.early_data == [EARLY_DATA]
        else:
            assert agreed["early"] == "accepted"
            assert session.early_data == [EARLY_DATA]
        await talk(session, pair.peer)


@run
async def test_early_data_rejected_by_a_retry(case: Case):
    """RFC 8446, 4.2.10: the client has to send it again."""
    # For a cookie, or for a key share.
    options = {"early": MAX_EARLY_DATA} if case.role == "client" else {"shares": 0}
    async with meeting(case, with_tickets(case, MAX_EARLY_DATA), **options) as pair:
        ticket = await first_session(case, pair)
        session, agreed = await pair.resume(ticket, EARLY_DATA)
        assert session.handshake.resumed
        assert not session.handshake.early_data
        if case.role == "client":
            assert session.early_data_rejected
            assert pair.peer.early_data == []
        else:
            assert agreed["early"] == "rejected"
            assert session.early_data == []
        await talk(session, pair.peer)
