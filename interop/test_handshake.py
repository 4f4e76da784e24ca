"""Handshakes: suites, groups, HelloRetryRequests, certificates, datagrams of little size."""

import pytest

from interop.conversation import run, talk
from interop.credentials import (
    CLIENT_NAME,
    RSA_PSS,
    SERVER_NAME,
    credentials,
    root,
    write_credentials,
    write_trust,
)
from interop.session import Case, meeting
from interop.stacks import named
from protocol.crypto.suites import CipherSuite
from protocol.key_exchange import AVAILABLE_GROUPS, NamedGroup
from tests.protocol.certificates import ML_DSA_KINDS

KINDS = ("secp256r1", "secp384r1", "secp521r1", "ed25519", "rsa", RSA_PSS, *ML_DSA_KINDS)


@run
@pytest.mark.parametrize("suite", CipherSuite)
async def test_suite(case: Case, suite: CipherSuite):
    async with meeting(case, {"suites": (suite,)}) as pair:
        session, _ = await pair.meet()
        assert session.handshake.suite is suite
        # wolfSSL does not pad what is too short for a mask (RFC 9147, 4.2.3), and sends nothing.
        is_short = suite is CipherSuite.TLS_AES_128_CCM_8_SHA256
        await talk(session, pair.peer, shortest=16 if is_short else 1)


@run
@pytest.mark.parametrize("group", AVAILABLE_GROUPS)
async def test_group(case: Case, group: NamedGroup):
    async with meeting(case, {"groups": (group,)}, groups=named(group)) as pair:
        session, _ = await pair.meet()
        assert session.handshake.group is group
        await talk(session, pair.peer)


@run
async def test_retry_for_another_group(case: Case):
    """RFC 8446, 4.1.4: without a cookie where the stack lets that be."""
    first, second = NamedGroup.X25519, NamedGroup.SECP256R1
    if case.role == "client":
        ours, theirs = (first, second), {"groups": named(second), **case.stack.without_cookie}
    else:
        ours, theirs = (second,), {"groups": named(first, second)}
    async with meeting(case, {"groups": ours}, **theirs) as pair:
        session, _ = await pair.meet()
        assert session.handshake.group is second
        await talk(session, pair.peer)


@run
@pytest.mark.parametrize("role", ["server"], indirect=True)
async def test_retry_for_want_of_a_key_share(case: Case):
    """RFC 8446, 4.2.8: a client may leave it to the server which group it is."""
    async with meeting(case, shares=0) as pair:
        session, _ = await pair.meet()
        await talk(session, pair.peer)


@run
@pytest.mark.parametrize("role", ["client"], indirect=True)
async def test_retry_for_a_cookie(case: Case):
    """RFC 9147, 5.1."""
    async with meeting(case) as pair:
        session, _ = await pair.meet()
        assert session.connection.stats.flights_sent == 3
        await talk(session, pair.peer)


@run
@pytest.mark.parametrize("role", ["client"], indirect=True)
async def test_retry_for_a_cookie_and_another_group(case: Case):
    groups = {"groups": (NamedGroup.X25519, NamedGroup.SECP256R1)}
    async with meeting(case, groups, groups=named(NamedGroup.SECP256R1)) as pair:
        session, _ = await pair.meet()
        assert session.handshake.group is NamedGroup.SECP256R1
        await talk(session, pair.peer)


@run
@pytest.mark.parametrize("role", ["client"], indirect=True)
async def test_no_retry(case: Case):
    async with meeting(case, **case.stack.without_cookie) as pair:
        session, _ = await pair.meet()
        assert session.connection.stats.flights_sent == 2
        await talk(session, pair.peer)


@run
@pytest.mark.parametrize("kind", KINDS)
async def test_server_certificate(case: Case, kind: str):
    own = credentials(kind, SERVER_NAME)
    if case.role == "client":
        ours, theirs = {"trust": (root(kind),)}, write_credentials(case.folder, own)
    else:
        ours, theirs = {"credentials": own}, {"ca": write_trust(case.folder, kind)}
    async with meeting(case, ours, **theirs) as pair:
        session, _ = await pair.meet()
        if case.role == "client":
            assert session.handshake.peer_certificate == own.chain[0]
        await talk(session, pair.peer)


@run
@pytest.mark.parametrize("kind", KINDS)
async def test_client_certificate(case: Case, kind: str):
    own = credentials(kind, CLIENT_NAME)
    if case.role == "client":
        ours, theirs = {"credentials": own}, {"ca": write_trust(case.folder, kind)}
    else:
        ours = {"trust": (root(kind),)}
        theirs = write_credentials(case.folder, own)
    async with meeting(case, ours, **theirs) as pair:
        session, _ = await pair.meet()
        if case.role == "server":
            assert session.handshake.peer_certificate == own.chain[0]
        await talk(session, pair.peer)


@run
@pytest.mark.parametrize("mtu", [400, 1200])
async def test_small_datagrams(case: Case, mtu: int):
    """A long certificate in datagrams of 400 bytes: flights of many records.

    With 300 the second ClientHello would come in pieces, which servers of wolfSSL do not take.
    """
    own = credentials("rsa", SERVER_NAME)
    theirs = write_credentials(case.folder, own) if case.role == "client" else {}
    ours = {} if case.role == "client" else {"credentials": own}
    async with meeting(case, {"mtu": mtu, **ours}, mtu=mtu, **theirs) as pair:
        session, _ = await pair.meet()
        await talk(session, pair.peer)
