"""The benchmark measures what works; its figures are for whoever runs it."""

import json

import pytest

from benchmarks import dtls_records
from protocol.crypto.suites import CipherSuite


@pytest.mark.parametrize("suite", CipherSuite, ids=lambda suite: suite.name)
def test_each_suite_has_a_row_for_each_part(suite):
    rows = dtls_records.measure(suite, 100, rounds=1)
    assert [row.name for row in rows] == ["encrypt", "provider", "connection", "batches"]
    assert rows[0].ratio == 1
    assert all(row.nanoseconds > 0 for row in rows)


def test_the_table_and_the_file_have_the_rows(monkeypatch, tmp_path, capsys):
    path = tmp_path / "build" / "rows.json"
    arguments = ["--suite", "TLS_AES_128_CCM_SHA256", "--rounds", "1", "--json", str(path)]
    monkeypatch.setattr("sys.argv", ["dtls_records", *arguments])
    dtls_records.main()
    printed = capsys.readouterr().out
    rows = json.loads(path.read_text())
    assert [row["name"] for row in rows] == ["encrypt", "provider", "connection", "batches"]
    for text in ("TLS_AES_128_CCM_SHA256", "1,200 bytes", "cryptography", "OpenSSL"):
        assert text in printed


def test_records_that_do_not_arrive_are_not_measured(monkeypatch):
    monkeypatch.setattr("protocol.outbox.Outbox.take", lambda outbox: [])
    with pytest.raises(SystemExit, match="did not arrive"):
        dtls_records.measure(CipherSuite.TLS_AES_128_GCM_SHA256, 100, rounds=1)
