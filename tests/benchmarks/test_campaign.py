"""A sample of the campaign over a bad network, and that it would notice what must not happen."""

import json

import pytest

from benchmarks.bad_network import main as bad_network_main
from benchmarks.bad_network import percentiles, summary, totals
from benchmarks.campaign import Scenario, Session, Side, bad_network
from protocol.connection import Connection
from protocol.events import DataReceived
from sim.network import Conditions
from tests.protocol.providers import PROVIDERS


def outcome(seed, conditions, provider="software"):
    return Session(Scenario(seed, conditions, PROVIDERS[provider])).run()


@pytest.mark.parametrize("seed", range(50))
def test_a_session_over_a_bad_network_comes_through(seed):
    result = outcome(seed, bad_network(0.2))
    assert result.problems == []
    assert result.records_sent == 80
    assert 0 < result.records_received < 80


def test_few_sessions_need_a_second_attempt():
    """Nineteen in twenty do not; damage to a hello that led to a HelloRetryRequest is for good."""
    outcomes = [outcome(seed, bad_network(0.2)) for seed in range(100, 200)]
    assert sum(each.attempts == 1 for each in outcomes) >= 88


@pytest.mark.parametrize("seed", range(20))
def test_nothing_but_corruption_makes_a_second_attempt_necessary(seed):
    result = outcome(seed, bad_network(0.2, corrupts=False))
    assert result.problems == []
    assert result.attempts == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_session_on_the_accelerator_comes_through(seed):
    assert outcome(seed, bad_network(0.2), "accelerator_model").problems == []


@pytest.mark.parametrize("seed", range(5))
def test_a_good_network_delivers_all(seed):
    result = outcome(seed, Conditions())
    assert result.problems == []
    assert result.records_received == result.records_sent == 80
    assert result.handshake_seconds < 0.1


def test_data_that_is_accepted_twice_is_noticed(monkeypatch):
    def see_double(side):
        for event in iter(side.connection.next_event, None):
            if isinstance(event, DataReceived):
                side.received += [event.data] * 2

    monkeypatch.setattr(Side, "_take_events", see_double)
    assert outcome(1, Conditions()).problems == ["data was accepted twice"] * 2


def test_data_that_nobody_sent_is_noticed(monkeypatch):
    genuine = Connection.next_event

    def next_event(connection):
        event = genuine(connection)
        return DataReceived(event.data + b"!") if isinstance(event, DataReceived) else event

    monkeypatch.setattr(Connection, "next_event", next_event)
    assert outcome(1, Conditions()).problems == ["data was accepted that nobody sent"] * 2


def test_a_connection_that_is_stuck_is_noticed(monkeypatch):
    monkeypatch.setattr(Connection, "timer", lambda connection: None)
    conditions = Conditions(loss=1.0)
    assert "the handshake has stopped without an end" in outcome(1, conditions).problems


def test_a_connection_that_never_rests_is_noticed(monkeypatch):
    genuine = Connection.timer
    monkeypatch.setattr(
        Connection, "timer", lambda connection: genuine(connection) or connection._now + 1.0
    )
    assert "the session does not come to rest" in outcome(1, Conditions()).problems


def test_a_connection_that_ends_is_noticed(monkeypatch):
    genuine = Side.start_talking

    def start_talking(side, now):
        genuine(side, now)
        side.connection.close(now)

    monkeypatch.setattr(Side, "start_talking", start_talking)
    assert "a connection ended: closed" in outcome(1, Conditions()).problems


def test_percentiles_are_values_of_the_sample():
    assert percentiles([3.0, 1.0, 2.0]) == [2.0, 3.0, 3.0, 3.0]
    assert percentiles(range(1, 201)) == [100, 180, 198, 200]


def test_the_summary_counts_all_sessions():
    outcomes = [outcome(seed, Conditions()) for seed in range(3)]
    assert summary("A campaign", outcomes).row_count == 4
    assert "240 of 240 records" in totals(outcomes)[1]


def test_all_outcomes_can_be_written(monkeypatch, tmp_path):
    """Counters too, which are no dictionaries to `dataclasses.asdict`."""
    path = tmp_path / "report.json"
    options = ("--sessions", "1", "--accelerated", "0", "--jobs", "1", "--json", str(path))
    monkeypatch.setattr("sys.argv", ["bad_network", *options])
    with pytest.raises(SystemExit, match="0"):
        bad_network_main()
    (written,) = json.loads(path.read_text())["Software"]
    assert written["problems"] == []
    assert written["fates"]["lost"] > 0
