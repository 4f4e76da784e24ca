"""Whoever protects the records, the bytes and the refusals are the same."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import CryptoProvider, OpenedRecord, Refusal, TrafficKeys
from protocol.crypto.suites import CipherSuite
from tests.protocol.providers import GCM_SUITES, PROVIDERS

EPOCH = 3
CONNECTION_IDS = [b"", b"\xaa\xbb"]
OTHERS = [name for name in PROVIDERS if name != "software"]


def make_keys(suite: CipherSuite) -> TrafficKeys:
    size = suite.parameters.key_bytes
    return TrafficKeys(suite, bytes(range(size)), bytes(range(12)), bytes(range(size, 2 * size)))


@pytest.fixture(scope="module", params=OTHERS)
def other(request: pytest.FixtureRequest) -> CryptoProvider:
    return PROVIDERS[request.param]()


@pytest.mark.parametrize("connection_id", CONNECTION_IDS)
@pytest.mark.parametrize("suite", GCM_SUITES)
def test_they_seal_the_same_records(
    other: CryptoProvider, suite: CipherSuite, connection_id: bytes
) -> None:
    sealers = [
        provider.sealer(make_keys(suite), EPOCH, connection_id)
        for provider in (SoftwareProvider(), other)
    ]
    for size, padding in product((0, 1, 14, 15, 16, 31, 100), (0, 1, 17)):
        first, second = (sealer.seal(23, bytes(range(size)), padding) for sealer in sealers)
        assert first == second
        assert len(first) == 5 + len(connection_id) + size + 1 + padding + 16
    for sealer in sealers:
        sealer.close()


@given(
    suite=st.sampled_from(GCM_SUITES),
    connection_id=st.sampled_from(CONNECTION_IDS),
    actions=st.lists(
        st.tuples(st.sampled_from((0, 1, 2, 70, 71, 139)), st.integers(0, 400), st.booleans()),
        max_size=20,
    ),
)
def test_they_open_and_refuse_the_same_records(
    other: CryptoProvider,
    suite: CipherSuite,
    connection_id: bytes,
    actions: list[tuple[int, int, bool]],
) -> None:
    """Each action is a record, a bit of it to flip if it is so long, and whether to truncate."""
    software = SoftwareProvider()
    keys = make_keys(suite)
    sealer = software.sealer(keys, EPOCH, connection_id)
    records = [sealer.seal(23, b"%d" % number) for number in range(140)]
    openers = [p.opener(keys, EPOCH, connection_id) for p in (software, other)]
    for index, bit, truncate in actions:
        record = bytearray(records[index])
        if bit < 8 * len(record):
            record[bit // 8] ^= 1 << bit % 8
        if truncate:
            del record[-1 - bit % 8 :]
        first, second = (opener.open(bytes(record)) for opener in openers)
        assert first == second
        assert not isinstance(first, OpenedRecord) or bytes(record) == records[index]
    for opener in openers:
        opener.close()


@pytest.mark.parametrize("first", [0, 1, 70_000, 1 << 24])
def test_they_begin_where_others_have_ended(other: CryptoProvider, first: int) -> None:
    """The sealer with ``first``; the opener takes nothing below it, and then counts on."""
    for provider in (SoftwareProvider(), other):
        keys = make_keys(GCM_SUITES[0])
        sealer, opener = (
            provider.sealer(keys, EPOCH, b"new", first),
            provider.opener(keys, EPOCH, b"new", first + 1),
        )
        assert (sealer.next_number, opener.next_number) == (first, first + 1)
        below, *records = (sealer.seal(23, b"%d" % number) for number in range(3))
        assert opener.open(below) is Refusal.REPLAYED
        for number in (first + 2, first + 1):
            assert opener.open(records.pop()).number == (EPOCH, number)
        assert (sealer.next_number, opener.next_number) == (first + 3, first + 3)
        sealer.close()
        opener.close()
