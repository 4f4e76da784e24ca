"""Keying material for the protocols above (RFC 8446, 7.5)."""

import pytest

from protocol.alerts import UsageError
from protocol.crypto.suites import DEFAULT_SUITES
from tests.protocol.pair import Pair, client_config
from tests.protocol.sessions import Resumable

LABEL = b"EXPORTER-test"


@pytest.mark.parametrize("suite", DEFAULT_SUITES)
def test_both_sides_export_the_same_and_each_input_matters(suite):
    pair = Pair.connected(client_config(suites=(suite,)))
    inputs = [(LABEL, b"", 48), (LABEL, b"context", 48), (b"EXPORTER-other", b"", 48)]
    ours, theirs = (
        [side.export_keying_material(*each) for each in inputs] for side in pair.sides.values()
    )
    assert ours == theirs
    assert len(set(ours)) == 3
    assert {len(value) for value in ours} == {48}


def test_another_connection_exports_something_else():
    values = {Pair.connected().client.export_keying_material(LABEL, b"", 32) for _ in range(3)}
    assert len(values) == 3


def test_key_updates_and_the_end_leave_the_exporter_as_it_was():
    """RFC 8446, 7.5: the exporter secret is that of the handshake."""
    pair = Pair.connected()
    before = pair.client.export_keying_material(LABEL, b"", 32)
    pair.client.update_keys(pair.now, request_peer=True)
    pair.run()
    assert pair.client.export_keying_material(LABEL, b"", 32) == before
    pair.client.close(pair.now)
    assert pair.client.export_keying_material(LABEL, b"", 32) == before


def test_nothing_is_exported_before_the_handshake_is_complete():
    """A server has the secret when it has sent its Finished, but knows of no client yet."""
    pair = Pair()
    for datagram in pair.client.datagrams_to_send(0.0):
        pair.server.receive_datagram(datagram, 0.0)
    for side in pair.sides.values():
        with pytest.raises(UsageError, match="not complete"):
            side.export_keying_material(LABEL, b"", 32)


def test_lengths_that_are_not_possible_are_refused_and_change_nothing():
    pair = Pair.connected()
    with pytest.raises(UsageError, match="not 8161"):
        pair.client.export_keying_material(LABEL, b"", 8161)
    assert pair.client.connected


def test_the_early_exporter_is_another_one_and_both_sides_have_it():
    world = Resumable(early=100)
    pair = world.pair(world.ticket())
    ours = pair.client.export_early_keying_material(LABEL, b"", 32)
    pair.run()
    assert pair.server.export_early_keying_material(LABEL, b"", 32) == ours
    assert pair.server.export_keying_material(LABEL, b"", 32) != ours


def test_there_is_no_early_exporter_without_early_data_that_is_taken():
    world = Resumable(early=100)
    ticket = world.ticket()
    world.change_server(max_early_data=0)
    for pair in (world.connect(ticket), Pair.connected()):
        for side in pair.sides.values():
            with pytest.raises(UsageError, match="no early data"):
                side.export_early_keying_material(LABEL, b"", 32)
