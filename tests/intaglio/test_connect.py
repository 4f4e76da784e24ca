"""`intaglio connect` and `intaglio serve` with each other, over UDP on this machine."""

import hashlib
import os
import signal
import socket
import subprocess
from contextlib import contextmanager

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from intaglio.certificates import make_demo_credentials
from tests.intaglio.endpoints import command, connect, events, serving

#: A public key, as `intaglio key` prints it.
PIN = "MCowBQYDK2VwAyEAa05VYsvZDRHBKCev8rEZf0j6rdE6oEgyo+x1cFyaScA="


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root.pem"


def test_lines_become_records_and_records_become_lines(root):
    with serving(root, "--echo") as (_, port):
        run = connect(root, port, text="hello\n\nworld")
    assert run.returncode == 0, run.stderr
    assert run.stdout == "hello\n\nworld\n"
    assert "TLS_AES_128_GCM_SHA256" in run.stderr


def test_a_line_over_a_record_becomes_several(root):
    with serving(root, "--echo") as (_, port):
        run = connect(root, port, "--mtu", 228, "--json", text="x" * 300)
    sizes = [event["bytes"] for event in events(run.stdout, "received")]
    assert sizes == [206, 94]


def test_the_server_talks_to_its_clients(root):
    with serving(root, "--sessions", 1) as (server, port):
        client = subprocess.Popen(
            command("connect", "127.0.0.1", port, "--ca", root, "--quiet"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert events(server.stdout.readline())[0]["event"] == "connected"
        server.stdin.write("good morning\n")
        server.stdin.flush()
        assert client.stdout.readline() == "good morning\n"
        rest, _ = client.communicate("good night\n")
        heard, _ = server.communicate()
    assert (client.returncode, server.returncode, rest) == (0, 0, "")
    assert events(heard, "received") == [
        {"event": "received", "session": 1, "bytes": 10, "text": "good night", "early": False}
    ]
    assert events(heard, "ended")[0]["reason"] == "closed by the peer"


def test_json_has_one_object_a_line_for_what_happens(root):
    with serving(root, "--echo") as (_, port):
        options = ("--json", "--suite", "aes-256-gcm", "--group", "secp256r1", "--linger", 0.3)
        run = connect(root, port, *options, text="hello\n")
    connecting, connected, received, ended = events(run.stdout)
    assert connecting == {"event": "connecting", "host": "127.0.0.1", "port": port}
    assert connected["handshake"]["suite"] == "TLS_AES_256_GCM_SHA384"
    assert connected["handshake"]["group"] == "SECP256R1"
    assert connected["handshake"]["peer_certificate"]["subject"] == "CN=127.0.0.1"
    assert (received["bytes"], received["text"]) == (5, "hello")
    assert ended["statistics"]["records_received"] > 3
    assert run.stderr == ""


def test_an_application_protocol_and_connection_ids_are_negotiated(root):
    extended = ("--alpn", "chat/2", "--alpn", "chat/1", "--connection-id", 6)
    with serving(root, "--echo", "--alpn", "chat/1", "--connection-id", 3) as (_, port):
        run = connect(root, port, *extended, "--json", text="hello\n")
        shown = connect(root, port, *extended)
    handshake = events(run.stdout, "connected")[0]["handshake"]
    assert handshake["alpn_protocol"] == "chat/1"
    assert len(bytes.fromhex(handshake["receive_connection_id"])) == 6
    assert len(bytes.fromhex(handshake["send_connection_id"])) == 3
    assert events(run.stdout, "received")[0]["text"] == "hello"
    assert "chat/1" in shown.stderr


@pytest.mark.parametrize("provider", ["software", "accelerator"])
def test_a_file_is_sent_whole(root, tmp_path, provider):
    content = os.urandom(20_000)
    (tmp_path / "sent").write_bytes(content)
    with serving(root, "--receive", tmp_path / "received", "--provider", provider) as (
        server,
        port,
    ):
        run = connect(root, port, "--send", tmp_path / "sent", "--json", "--provider", provider)
        told, _ = server.communicate(timeout=120)
    assert (run.returncode, server.returncode) == (0, 0), run.stderr
    assert (tmp_path / "received").read_bytes() == content
    for output, direction in ((run.stdout, "sent"), (told, "received")):
        (transferred,) = events(output, "transferred")
        assert transferred["direction"] == direction
        assert transferred["bytes"] == 20_000
        assert transferred["sha256"] == hashlib.sha256(content).hexdigest()
        assert provider in events(output, "connected")[0]["handshake"]["provider"]


def test_a_suite_that_the_device_lacks_falls_back_to_software(root):
    options = ("--provider", "accelerator", "--suite", "chacha20-poly1305")
    with serving(root, "--echo") as (_, port):
        run = connect(root, port, *options, "--json", text="hello\n")
    assert run.returncode == 0, run.stderr
    handshake = events(run.stdout, "connected")[0]["handshake"]
    assert handshake["suite"] == "TLS_CHACHA20_POLY1305_SHA256"
    assert handshake["provider"] == "software"


def test_a_file_can_be_fetched_again_and_again(root, tmp_path):
    (tmp_path / "offered").write_bytes(b"the same for all")
    with serving(root, "--send", tmp_path / "offered", "--sessions", 2) as (server, port):
        for name in ("first", "second"):
            assert connect(root, port, "--receive", tmp_path / name).returncode == 0
            assert (tmp_path / name).read_bytes() == b"the same for all"
        assert server.wait(timeout=30) == 0


def test_a_transfer_that_is_cut_short_is_a_failure(root, tmp_path):
    """The peer talks instead, and closes."""
    with serving(root, "--receive", tmp_path / "received") as (server, port):
        assert connect(root, port, text="hello\n").returncode == 0
        _, errors = server.communicate(timeout=30)
    assert server.returncode == 4
    assert errors == "intaglio: 1 of the sessions failed\n"


def write_credentials(folder, name):
    """A root, a certificate that it issued for this name and its key, as PEM files."""
    trusted, own = make_demo_credentials(name)
    paths = [folder / f"{name}-{part}.pem" for part in ("root", "cert", "key")]
    key = own.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for path, pem in zip(
        paths,
        (trusted.public_bytes(Encoding.PEM), own.chain[0].public_bytes(Encoding.PEM), key),
        strict=True,
    ):
        path.write_bytes(pem)
    return paths


def test_certificates_come_from_files_and_clients_are_asked_for_theirs(root, tmp_path):
    trusted, cert, key = write_credentials(tmp_path, "client.example")
    with serving(root, "--echo", "--ca", trusted) as (server, port):
        known = connect(root, port, "--cert", cert, "--key", key, text="hello\n")
        stranger = connect(root, port, text="hello\n")
        told = events(server.stdout.readline(), "connected")
    assert (known.returncode, known.stdout) == (0, "hello\n")
    assert told[0]["handshake"]["peer_certificate"]["subject"] == "CN=client.example"
    assert stranger.returncode == 4
    assert "certificate_required" in stranger.stderr


@contextmanager
def serving_without_root(*arguments):
    """A server that has no certificate made; its port."""
    with subprocess.Popen(
        command("serve", "--port", 0, "--json", "--echo", *arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        yield events(server.stdout.readline())[0]["port"]
        server.kill()


def test_a_pre_shared_key_takes_the_place_of_certificates(tmp_path):
    keys, others = tmp_path / "keys", tmp_path / "others"
    keys.write_text(f"first:{'00' * 32}\n\nurn:sensor:7:{'17' * 32}\n")
    others.write_text(f"urn:sensor:7:{'18' * 32}\n")
    with serving_without_root("--psk", keys) as port:
        arguments = [
            command("connect", "127.0.0.1", port, "--psk", file) for file in (keys, others)
        ]
        known, stranger = (
            subprocess.run(each, input="hello\n", capture_output=True, text=True)
            for each in arguments
        )
    assert (known.returncode, known.stdout) == (0, "hello\n")
    assert "has the pre-shared key first" in known.stderr
    assert stranger.returncode == 3


def test_a_server_has_its_certificate_from_files(root, tmp_path):
    trusted, cert, key = write_credentials(tmp_path, "127.0.0.1")
    with serving_without_root("--cert", cert, "--key", key) as port:
        run = connect(trusted, port, text="hello\n")
    assert (run.returncode, run.stdout) == (0, "hello\n")


def test_the_key_log_is_for_the_user_only(root, tmp_path):
    log = tmp_path / "keys"
    with serving(root, "--echo") as (_, port):
        assert connect(root, port, "--key-log", log).returncode == 0
    labels = {line.split()[0] for line in log.read_text().splitlines()}
    assert {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"} <= labels
    assert log.stat().st_mode & 0o777 == 0o600


def test_quiet_tells_only_what_the_peer_says(root):
    with serving(root, "--echo") as (_, port):
        run = connect(root, port, "--quiet", text="hello\n")
    assert (run.stdout, run.stderr) == ("hello\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_server_says_farewell(root, number):
    with serving(root, "--echo") as (server, port):
        client = subprocess.Popen(
            command("connect", "127.0.0.1", port, "--ca", root, "--json"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        client.stdout.readline()
        assert events(client.stdout.readline(), "connected")
        server.send_signal(number)
        told, _ = client.communicate("")
        _, errors = server.communicate(timeout=30)
    assert server.returncode == 128 + number
    assert "Traceback" not in errors
    assert events(told, "ended")[0]["reason"] == "closed by the peer"
    assert client.returncode == 0


# What goes wrong: one sentence, and an exit code


def test_a_refused_handshake_names_the_alert(root, tmp_path):
    with serving(root, "--echo", "--suite", "aes-128-gcm") as (_, port):
        refused = connect(root, port, "--suite", "aes-256-gcm")
        wrong_name = connect(root, port, "--name", "other.example")
    for run, alert in ((refused, "handshake_failure"), (wrong_name, "bad_certificate")):
        assert run.returncode == 3
        said, reason = run.stderr.splitlines()
        assert "Connecting to 127.0.0.1" in said
        assert reason.startswith("intaglio: the handshake failed: ")
        assert alert in reason


def test_a_server_that_is_not_there_is_a_time_out(root):
    with serving(root):
        pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        run = connect(root, silent.getsockname()[1], "--timeout", 0.2)
    assert run.returncode == 3
    assert "in time" in run.stderr


def test_an_unknown_host_is_one_sentence(root):
    with serving(root):
        pass
    run = subprocess.run(
        command("connect", "host.invalid", 4433, "--ca", root), capture_output=True, text=True
    )
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("intaglio: host.invalid: ")


def test_a_busy_port_is_one_sentence(root, tmp_path):
    with serving(root) as (_, port):
        arguments = ("--port", port, "--self-signed", tmp_path / "other.pem")
        run = subprocess.run(command("serve", *arguments), capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr == f"intaglio: 127.0.0.1 port {port}: Address already in use\n"


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("connect", "127.0.0.1", 4433), 2, "--ca"),
        (("connect", "127.0.0.1", 4433, "--ca", "/nonexistent"), 1, "/nonexistent"),
        (("connect", "127.0.0.1", 4433, "--ca", "/etc/hostname"), 1, "/etc/hostname"),
        (("connect", "127.0.0.1", 4433, "--suite", "rot13"), 2, "rot13"),
        (("connect", "127.0.0.1", 4433, "--group", "x448"), 2, "x448"),
        (("connect", "127.0.0.1", 0), 2, "PORT"),
        (("connect", "127.0.0.1", 4433, "--pin", "AAAA"), 2, "'AAAA'"),
        (("connect", "127.0.0.1", 4433, "--pin", "/etc/hostname"), 1, "/etc/hostname"),
        (("connect", "127.0.0.1", 4433, "--pin", PIN, "--raw-key", "/nonexistent"), 1, "/none"),
        (("serve", "--raw-key", "/nonexistent"), 1, "/nonexistent"),
        (("serve", "--self-signed", "ROOT", "--early-data", 0), 2, "early-data"),
        (("serve", "--self-signed", "ROOT", "--early-data", 9, "--send", "f"), 2, "--early-data"),
        (("connect", "127.0.0.1", 1, "--pin", "A", "--early-data", "a", "--send", "f"), 2, "early"),
        (("serve", "--cert", "/nonexistent", "--key", "/nonexistent"), 1, "/nonexistent"),
        (("serve", "--cert", "/nonexistent"), 2, "--key"),
        (("serve",), 2, "--self-signed"),
        (("serve", "--psk", "/nonexistent"), 1, "/nonexistent"),
        (("serve", "--psk", "/etc/hostname"), 1, "/etc/hostname, line 1"),
        (("serve", "--self-signed", "/nonexistent/root.pem"), 1, "/nonexistent/root.pem"),
        (("serve", "--self-signed", "ROOT", "--echo", "--receive", "file"), 2, "exclude"),
        (("serve", "--self-signed", "ROOT", "--receive", "file", "--sessions", 2), 2, "--receive"),
        (("serve", "--self-signed", "ROOT", "--send", "/nonexistent"), 1, "/nonexistent"),
        (("serve", "--self-signed", "ROOT", "--mtu", 10), 1, "mtu"),
        (("serve", "--self-signed", "ROOT", "--host", "host.invalid"), 1, "host.invalid"),
        (("serve", "--self-signed", "ROOT", "--json", "--quiet"), 2, "--quiet"),
    ],
)
def test_the_value_that_is_wrong_is_named(root, arguments, code, named):
    chosen = [root if argument == "ROOT" else argument for argument in arguments]
    run = subprocess.run(command(*chosen), capture_output=True, text=True, timeout=60)
    assert run.returncode == code, run.stderr
    assert named in run.stderr
    assert "Traceback" not in run.stderr
