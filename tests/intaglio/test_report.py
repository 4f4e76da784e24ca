import json
import os
import pty
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from intaglio.printable import printable
from intaglio.report import Ended, Failed, JsonReport, Listening, Received, Transferred
from intaglio.terminal import TextReport
from protocol.crypto.provider import Refusal
from protocol.stats import Drop, Statistics


def told(capsys, *happenings):
    for happening in happenings:
        JsonReport()(happening)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_data_is_text_if_it_can_be_and_else_hexadecimal(capsys):
    assert told(capsys, Received(1, "ä\n".encode()), Received(2, b"\xff\0")) == [
        {"event": "received", "session": 1, "bytes": 3, "text": "ä\n", "early": False},
        {"event": "received", "session": 2, "bytes": 2, "hex": "ff00", "early": False},
    ]


def test_counters_keep_their_names(capsys):
    statistics = Statistics(records_sent=7)
    statistics.drops[Drop.NOT_DTLS] += 2
    statistics.drops[Refusal.REPLAYED] += 1
    (ended,) = told(capsys, Ended(1, "closed", None, statistics))
    assert ended["statistics"]["records_sent"] == 7
    assert ended["statistics"]["drops"] == {"not DTLS": 2, Refusal.REPLAYED.value: 1}


def test_verbose_says_why_records_were_dropped(capsys):
    statistics = Statistics()
    statistics.drops[Drop.NOT_DTLS] += 2
    ended = Ended(1, "closed", None, statistics)
    TextReport()(ended)
    assert "not DTLS" not in capsys.readouterr().err
    TextReport(verbose=True)(ended)
    assert "2 dropped: not DTLS" in capsys.readouterr().err


def test_an_alert_is_named_once(capsys):
    """Also where it stands in the reason, and not where the end was in order."""
    report = TextReport()
    report(Failed("::1", 4433, "an invalid cookie", "illegal_parameter", False))
    report(Failed("::1", 4433, "the peer sent bad_certificate", "bad_certificate", True))
    report(Failed("::1", 4433, "the peer did not answer in time", None, False))
    report(Ended(1, "closed by the peer", "close_notify", Statistics()))
    told = capsys.readouterr().err.splitlines()
    assert told[0].endswith(
        "No session with ::1 port 4433: an invalid cookie (alert illegal_parameter)"
    )
    assert told[1].endswith("No session with ::1 port 4433: the peer sent bad_certificate")
    assert told[2].endswith("No session with ::1 port 4433: the peer did not answer in time")
    assert "Session 1 is over: closed by the peer. Records" in told[3]


def test_a_server_without_certificates_says_what_to_pin(capsys):
    TextReport()(Listening("::1", 4433, "software", "MCow"))
    assert "The key of this server: MCow" in capsys.readouterr().err


def test_what_others_wrote_cannot_control_the_terminal(capsys):
    assert printable("a\x1b[2Jb\x07\nä\t") == "a\ufffd[2Jb\ufffd\nä\t"
    TextReport()(Ended(1, "a\x1b[2Jb [red]c", None, Statistics()))
    assert "a\ufffd[2Jb [red]c" in capsys.readouterr().err


def read_all(descriptor):
    """Until its other end, which is closed, has nothing left."""
    data = b""
    with suppress(OSError):  # That is how a terminal says so.
        while chunk := os.read(descriptor, 4096):
            data += chunk
    os.close(descriptor)
    return data


def test_a_terminal_gets_no_control_characters_and_a_pipe_gets_every_byte(monkeypatch):
    data, shown = b"\x1b[2J\xff", {}
    # What a terminal has not been read of is lost when it is closed.
    for name, (reader, writer) in (("terminal", pty.openpty()), ("pipe", os.pipe())):
        with os.fdopen(writer, "w") as out, ThreadPoolExecutor() as threads:
            reading = threads.submit(read_all, reader)
            monkeypatch.setattr("sys.stdout", out)
            TextReport(quiet=True)(Received(1, data))
            out.close()
            shown[name] = reading.result()
    assert shown["pipe"] == data + b"\n"
    assert b"\x1b" not in shown["terminal"]
    assert b"[2J" in shown["terminal"]


def test_a_terminal_shows_how_far_a_file_is(monkeypatch, capsys):
    TextReport().progress(1, 512, 1024)
    assert capsys.readouterr().err == ""
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w") as err, ThreadPoolExecutor() as threads:
        reading = threads.submit(read_all, reader)
        monkeypatch.setattr("sys.stderr", err)
        report = TextReport()
        report.progress(3, 512, 1024)
        report(Transferred(3, "sent", "file", 1024, "00", 1.0))
        monkeypatch.undo()
        err.close()
        shown = reading.result().decode()
    assert "Session 3" in shown
    assert "file sent: 1,024 bytes in 1.00 s, 1 KiB/s" in shown
