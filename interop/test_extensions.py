"""What the sides agree on beside keys: connection IDs, protocols, versions."""

import pytest

from interop.conversation import hear, run, say_again, talk
from interop.endpoint import EndedError
from interop.session import Case, meeting
from protocol.alerts import AlertDescription

OUR_ID = bytes.fromhex("a1a2a3a4a5a6a7a8")
THEIR_ID = bytes.fromhex("b1b2b3")
#: Who wants the other one's records to begin with an ID (RFC 9146, 3).
WANTED = {"both": (OUR_ID, THEIR_ID), "ours": (OUR_ID, b""), "theirs": (b"", THEIR_ID)}


def with_ids(ours: bytes, theirs: bytes):
    """Fields of our configuration, and the peer's options; both negotiate in any case."""
    return {"connection_id": lambda: ours}, {"cid": theirs.hex()}


@run
@pytest.mark.parametrize("wanted", WANTED)
async def test_connection_ids(case: Case, wanted: str):
    ours, theirs = WANTED[wanted]
    fields, options = with_ids(ours, theirs)
    async with meeting(case, fields, **options) as pair:
        session, agreed = await pair.meet()
        assert session.handshake.receive_connection_id == ours
        assert session.handshake.send_connection_id == theirs
        assert agreed["cid"] == ours.hex()
        await talk(session, pair.peer)


@run
async def test_connection_ids_and_key_updates(case: Case):
    fields, options = with_ids(OUR_ID, THEIR_ID)
    async with meeting(case, fields, **options) as pair:
        session, _ = await pair.meet()
        for _ in range(3):
            session.update_keys(request_peer=True)
            await say_again(session, pair.peer, b"among the updates")
            await hear(session, pair.peer, b"and back")
        await talk(session, pair.peer)


@run
async def test_application_protocol(case: Case):
    ours, theirs = ("coap", "echo"), "echo,chat"
    async with meeting(case, {"alpn_protocols": ours}, alpn=theirs) as pair:
        session, agreed = await pair.meet()
        assert session.handshake.alpn_protocol == agreed["alpn"] == "echo"
        await talk(session, pair.peer)


@run
@pytest.mark.parametrize("role", ["client"], indirect=True)
async def test_grease(case: Case):
    """RFC 8701: what nobody knows is ignored."""
    async with meeting(case, {"grease": True}) as pair:
        session, _ = await pair.meet()
        await talk(session, pair.peer)


@run
@pytest.mark.parametrize("role", ["client"], indirect=True)
async def test_a_server_without_dtls_1_3_is_refused(case: Case):
    async with meeting(case, version="1.2") as pair:
        with pytest.raises(EndedError) as refused:
            await pair.meet()
    assert refused.value.end.alert == AlertDescription.PROTOCOL_VERSION


@run
@pytest.mark.parametrize("role", ["server"], indirect=True)
async def test_a_client_without_dtls_1_3_is_refused(case: Case):
    async with meeting(case, version="1.2") as pair:
        pair.peer.tell("connect")
        reason = await pair.peer.expect("failed")
    assert "alert 70" in reason or "ALERT_PROTOCOL_VERSION" in reason
