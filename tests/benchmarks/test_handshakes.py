"""That the benchmark shakes hands; how fast, only `python -m benchmarks.handshakes` asks."""

import pytest

from benchmarks import handshakes
from benchmarks.handshakes import cases, measure, shake_hands
from protocol.key_exchange import AVAILABLE_GROUPS
from tests.protocol.pair import client_config, server_config


def test_a_handshake_that_fails_is_no_measurement():
    with pytest.raises(SystemExit, match="failed"):
        shake_hands(client_config(server_name="other.example"), server_config())


@pytest.mark.parametrize("one", list(cases()), ids=lambda one: one.name)
def test_every_case_shakes_hands(one):
    """With ML-DSA-87 a flight has over 10 records: it goes on with an ACK."""
    one.handshake()


def test_there_is_a_row_for_each_group_and_each_has_both_times(monkeypatch):
    wanted = [one for one in cases() if "secp256r1" in one.name]
    monkeypatch.setattr(handshakes, "cases", lambda: iter(wanted))
    rows = measure(1, 0.001, lambda line: None)

    assert [row.name for row in rows] == [one.name for one in wanted]
    assert {row.name for row in rows} >= {f"{group.name}, secp256r1" for group in AVAILABLE_GROUPS}
    for row in rows:
        assert row.times_bare == row.microseconds / row.bare_microseconds
        assert row.handshakes_per_second == pytest.approx(1e6 / row.microseconds)
