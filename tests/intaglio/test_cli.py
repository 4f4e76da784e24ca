"""The command line as its users see it: as a process, with its output and its exit code."""

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version

import pytest
import typer

from intaglio.failures import one_sentence
from protocol.asyncio import SessionClosedError
from protocol.events import ConnectionTerminated

ONE_MEBIBYTE = 1 << 20


def intaglio(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "intaglio", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100", **environment},
    )


def sealed_and_opened(side):
    return {name: side[name] for name in side if name.endswith(("_by_device", "_by_software"))}


@pytest.mark.parametrize("suite", ["aes-128-gcm", "aes-256-gcm"])
def test_the_demo_protects_every_record_on_the_device(tmp_path, suite):
    """The records of the handshake too, sealed and opened, on both sides."""
    source = tmp_path / "file"
    source.write_bytes(os.urandom(30_000))
    run = intaglio("demo", "--file", source, "--suite", suite, "--json", tmp_path / "result.json")
    assert run.returncode == 0, run.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["file_bytes"] == 30_000
    assert result["sha256_sent"] == result["sha256_received"]
    assert result["records_differing"] == 0
    for side in (result["client"], result["server"]):
        assert side["sealed_by_software"] == side["opened_by_software"] == 0
        assert side["sealed_by_device"] > 20
        assert side["opened_by_device"] > 20
        assert side["device"]["busy_cycles"] > 30_000
    assert "Sealed by the device" in run.stdout


def test_the_demo_runs_the_same_session_in_software(tmp_path):
    run = intaglio("demo", "--provider", "software", "--json", tmp_path / "result.json")
    assert run.returncode == 0, run.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["file_bytes"] == ONE_MEBIBYTE
    assert result["sha256_sent"] == result["sha256_received"]
    for side in (result["client"], result["server"]):
        assert side["sealed_by_device"] == side["opened_by_device"] == 0
        assert side["sealed_by_software"] > 800
        assert side["device"] is None


def test_the_key_log_is_for_the_user_only(tmp_path):
    log = tmp_path / "keys"
    run = intaglio("demo", "--provider", "software", "--size", 10, "--keylog", log)
    assert run.returncode == 0, run.stderr
    labels = {line.split()[0] for line in log.read_text().splitlines()}
    assert {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"} <= labels
    assert log.stat().st_mode & 0o777 == 0o600


def test_json_goes_to_the_terminal_on_request():
    run = intaglio("demo", "--provider", "software", "--size", 0, "--json", "-")
    assert json.loads(run.stdout[run.stdout.index("\n{") :])["file_bytes"] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--file", "/nonexistent"], "/nonexistent: No such file or directory"),
        (["--file", "/"], "/: Is a directory"),
        (["--file", "/dev/zero"], "/dev/zero: Not a regular file"),
        (["--json", "/dev/full"], "/dev/full: No space left on device"),
        (["--keylog", "/dev/full"], "/dev/full: No space left on device"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(arguments, sentence):
    run = intaglio("demo", "--provider", "software", *arguments)
    assert run.returncode == 1
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("intaglio: ")
    assert sentence in last
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("option", ["--json", "--keylog", "--waves"])
def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path, option):
    cache = tmp_path / "cache"
    run = intaglio("demo", option, tmp_path / "no" / "file", INTAGLIO_CACHE=str(cache))
    assert run.returncode == 1
    assert run.stderr == f"intaglio: {tmp_path}/no/file: No such file or directory\n"
    assert not cache.exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--size", -1], "--size"),
        (["--size", 1 << 32], "--size"),
        (["--size", 10, "--file", "/etc/hostname"], "--file"),
        (["--suite", "wrong"], "wrong"),
    ],
)
def test_the_demo_names_the_value_that_it_refuses(arguments, named):
    run = intaglio("demo", "--provider", "software", *arguments)
    assert run.returncode == 2
    assert named in run.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_behind(tmp_path, number):
    with subprocess.Popen(
        [sys.executable, "-m", "intaglio", "demo", "--provider", "software", "--size", "300000000"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        # What runs in the background of a script inherits an interrupt that is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stderr is not None
        assert "DTLS 1.3" in process.stderr.readline()
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == 128 + number
    assert "Traceback" not in rest
    assert ("intaglio: interrupted" in rest) == (number == signal.SIGINT)
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_without_the_characters_shows_others():
    run = intaglio("demo", "--provider", "software", "--size", 10, PYTHONIOENCODING="ascii")
    assert run.returncode == 0, run.stderr
    assert "arrived byte for byte" in run.stdout


def test_the_version():
    assert intaglio("--version").stdout == f"intaglio {version('intaglio')}\n"


def test_a_session_that_fails_is_one_sentence_with_its_reason(capsys):
    """Though its error is an OSError too, which would be told as one of files."""
    closed = SessionClosedError(ConnectionTerminated("the certificate has expired"))
    with pytest.raises(typer.Exit), one_sentence():
        raise closed
    assert capsys.readouterr().err == "intaglio: the certificate has expired\n"


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"CXX": "no-such-compiler"}, "no-such-compiler"),
        ({"CXX": "false"}, "false"),
        ({"INTAGLIO_CACHE": "/proc/nowhere"}, "/proc/nowhere"),
    ],
)
def test_a_model_that_cannot_be_built_is_one_sentence(tmp_path, environment, sentence):
    run = intaglio("demo", "--size", 10, **{"INTAGLIO_CACHE": str(tmp_path), **environment})
    assert run.returncode == 1
    assert sentence in run.stderr
    assert "intaglio: " in run.stderr
    assert "Traceback" not in run.stderr


def test_waves_need_a_device():
    run = intaglio("demo", "--provider", "software", "--waves", "waves.vcd")
    assert run.returncode == 2
    assert "no device" in run.stderr


def test_generate_writes_verilog_with_axi4_stream_ports(tmp_path):
    output, report = tmp_path / "core.v", tmp_path / "core.json"
    run = intaglio(
        "generate", "--slots", 4, "--module", "sealer", "--output", output, "--json", report
    )
    assert run.returncode == 0, run.stderr
    verilog = output.read_text()
    for port in ("s_axis_tdata", "s_axis_tvalid", "s_axis_tready", "s_axis_tlast"):
        assert f" {port};" in verilog
        assert f" {port.replace('s_', 'm_', 1)};" in verilog
    assert "module sealer(" in verilog
    assert json.loads(report.read_text())["profile"]["slots"] == 4


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--profile", "huge"], "'huge'"),
        (["--slots", 0], "slots is 0"),
        (["--sbox", "magic"], "'magic'"),
        (["--window", 1], "window is 1"),
        (["--module", "1st"], "'1st'"),
    ],
)
def test_generate_names_the_value_that_it_refuses(tmp_path, arguments, named):
    run = intaglio("generate", *arguments, "--output", tmp_path / "core.v")
    assert run.returncode == 2
    assert named in run.stderr
    assert not (tmp_path / "core.v").exists()
