"""Sessions once they are there: new keys, and their end."""

from interop.conversation import hear, run, say, say_again, talk
from interop.session import Case, meeting


@run
async def test_key_update_by_us(case: Case):
    """The epochs of the two sides drift apart and wrap around their two bits.

    wolfSSL 5.5.4 then forgets the epoch before too early: records of it are lost, until it has sent
    its own KeyUpdate again and got an ACK that it can open.
    """
    async with meeting(case) as pair:
        session, _ = await pair.meet()
        for request_peer in (False, True, False, False, True, True):
            session.update_keys(request_peer=request_peer)
            await say_again(session, pair.peer, b"among the updates")
            await talk(session, pair.peer)


@run
async def test_key_update_by_the_peer(case: Case):
    async with meeting(case) as pair:
        session, _ = await pair.meet()
        for _ in range(4):
            pair.peer.tell("update")
            await talk(session, pair.peer)


@run
async def test_key_update_by_both_at_once(case: Case):
    async with meeting(case) as pair:
        session, _ = await pair.meet()
        pair.peer.tell("update")
        session.update_keys(request_peer=True)
        await talk(session, pair.peer)


@run
async def test_much_data(case: Case):
    """More records than a replay window is wide, in both directions."""
    async with meeting(case) as pair:
        session, _ = await pair.meet()
        for number in range(100):
            await say(session, pair.peer, b"%d from us" % number)
            await hear(session, pair.peer, b"%d from the peer" % number)


@run
async def test_close_by_us(case: Case):
    async with meeting(case) as pair:
        session, _ = await pair.meet()
        await say(session, pair.peer, b"the last words")
        session.close()
        await pair.peer.expect("closed")


@run
async def test_close_by_the_peer(case: Case):
    async with meeting(case) as pair:
        session, _ = await pair.meet()
        await hear(session, pair.peer, b"the last words")
        pair.peer.tell("close")
        await pair.peer.expect("closed")
        await session.until(lambda: session.closed_by_peer)
