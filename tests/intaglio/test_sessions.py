"""Sessions that go on, keys without certificates, and handshakes that fail: as processes."""

import subprocess

import pytest

from tests.intaglio.endpoints import command, connect, events, serving

#: What each of the two sides of a session protects its records with.
PROVIDERS = ("software", "accelerator")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root.pem"


def own_key(path):
    """What `intaglio key` prints."""
    run = subprocess.run(command("key", path), capture_output=True, text=True, check=True)
    return run.stdout.strip()


def handshake(run):
    return events(run.stdout, "connected")[0]["handshake"]


# Raw public keys


def test_a_new_key_is_for_the_user_only_and_printed_again(tmp_path):
    path = tmp_path / "own.pem"
    pin = own_key(path)
    assert own_key(path) == pin
    assert path.stat().st_mode & 0o777 == 0o600
    public = subprocess.run(
        ["openssl", "pkey", "-in", path, "-pubout"], capture_output=True, text=True, check=True
    ).stdout
    assert "".join(public.splitlines()[1:-1]) == pin


@pytest.mark.parametrize("path", ["/etc/hostname", "/nonexistent/own.pem"])
def test_where_no_key_can_be_is_told_in_one_sentence(path):
    run = subprocess.run(command("key", path), capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"intaglio: {path}: ")
    assert run.stderr.count("\n") == 1


def test_keys_take_the_place_of_certificates_on_both_sides(root, tmp_path):
    ours, theirs = tmp_path / "client.pem", tmp_path / "server.pem"
    pins = {path: own_key(path) for path in (ours, theirs)}
    with serving(root, "--echo", "--raw-key", theirs, "--pin", pins[ours]) as (server, port):
        options = ("connect", "127.0.0.1", port, "--pin", pins[theirs], "--raw-key", ours)
        shown = subprocess.run(command(*options), input="hi\n", capture_output=True, text=True)
        told = events(server.stdout.readline(), "connected")[0]
    assert (shown.returncode, shown.stdout) == (0, "hi\n")
    assert f"has the key {pins[theirs]}" in shown.stderr
    assert told["handshake"]["peer_raw_key"] == pins[ours]


def test_a_server_with_a_key_only_says_what_to_pin(tmp_path):
    own = tmp_path / "own.pem"
    pin = own_key(own)
    with subprocess.Popen(
        command("serve", "--port", 0, "--json", "--raw-key", own), stdout=subprocess.PIPE, text=True
    ) as server:
        listening = events(server.stdout.readline())[0]
        server.kill()
    assert listening["pin"] == pin


def test_a_key_that_is_not_pinned_is_refused(root, tmp_path):
    known, other = own_key(tmp_path / "known.pem"), own_key(tmp_path / "other.pem")
    with serving(root, "--raw-key", tmp_path / "known.pem", "--pin", known) as (server, port):
        options = ("connect", "127.0.0.1", port, "--pin", other)
        run = subprocess.run(command(*options), input="", capture_output=True, text=True)
        assert run.returncode == 3
        assert "unsupported_certificate" in run.stderr
        failed = events(server.stdout.readline(), "failed")[0]
        options = (*options, "--raw-key", tmp_path / "known.pem")
        run = subprocess.run(command(*options), input="", capture_output=True, text=True)
    assert failed["alert"] == "unsupported_certificate"
    assert run.returncode == 3
    assert "certificate_unknown" in run.stderr


def test_a_pin_may_be_a_file(root, tmp_path):
    own, public = tmp_path / "own.pem", tmp_path / "public.pem"
    own_key(own)
    subprocess.run(["openssl", "pkey", "-in", own, "-pubout", "-out", public], check=True)
    with serving(root, "--echo", "--raw-key", own) as (_, port):
        run = subprocess.run(
            command("connect", "127.0.0.1", port, "--pin", public, "--quiet"),
            input="hi\n",
            capture_output=True,
            text=True,
        )
    assert (run.returncode, run.stdout) == (0, "hi\n")


# Resumption and early data


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_session_goes_on_from_its_file(root, tmp_path, provider):
    file = tmp_path / "session"
    options = ("--session", file, "--json", "--provider", provider)
    tickets = []
    with serving(root, "--echo") as (_, port):
        for expected in (False, True, True):
            run = connect(root, port, *options, text="hello\n")
            assert run.returncode == 0, run.stderr
            assert handshake(run)["resumed"] is expected
            assert events(run.stdout, "received")[0]["text"] == "hello"
            assert file.stat().st_mode & 0o777 == 0o600
            tickets.append(file.read_bytes())
    assert len(set(tickets)) == 3


def test_a_ticket_that_others_could_read_is_replaced_by_one_that_they_cannot(root, tmp_path):
    file = tmp_path / "session"
    with serving(root, "--echo") as (_, port):
        connect(root, port, "--session", file)
        file.chmod(0o644)
        run = connect(root, port, "--session", file, "--json")
    assert handshake(run)["resumed"] is True
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_ticket_of_another_server_leads_to_a_full_handshake(root, tmp_path):
    """And is not offered again."""
    file = tmp_path / "session"
    for _ in range(2):
        with serving(root, "--echo") as (_, port):
            run = connect(root, port, "--session", file, "--json", text="hello\n")
        assert run.returncode == 0, run.stderr
        assert handshake(run)["resumed"] is False


def test_what_is_no_ticket_is_left_alone(root, tmp_path):
    file = tmp_path / "session"
    file.write_text("something of value")
    with serving(root) as (_, port):
        run = connect(root, port, "--session", file)
    assert run.returncode == 1
    assert f"{file}: not a session ticket" in run.stderr
    assert file.read_text() == "something of value"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_early_data_comes_before_all_else(root, tmp_path, provider):
    options = ("--session", tmp_path / "session", "--json", "--provider", provider)
    with serving(root, "--echo", "--early-data", 100, "--provider", provider) as (server, port):
        for early in (False, True):
            run = connect(root, port, *options, "--early-data", "first", text="second\n")
            assert run.returncode == 0, run.stderr
            assert handshake(run)["early_data"] is early
            assert [each["text"] for each in events(run.stdout, "received")] == ["first", "second"]
            told = [events(server.stdout.readline())[0] for _ in range(4)]
            assert [each["event"] for each in told] == ["connected", *["received"] * 2, "ended"]
            assert [each["early"] for each in told[1:3]] == [early, False]


def test_early_data_that_the_server_does_not_take_follows_the_handshake(root, tmp_path):
    """It has less room for it than there is, or none."""
    file = tmp_path / "session"
    for allowed in (("--early-data", 3), ()):
        with serving(root, "--echo", *allowed) as (_, port):
            for _ in range(2):
                options = ("--session", file, "--json", "--early-data", "first")
                run = connect(root, port, *options)
                assert handshake(run)["early_data"] is False
                assert [each["text"] for each in events(run.stdout, "received")] == ["first"]
    assert handshake(run)["resumed"] is True


# Handshakes that fail


def test_the_server_tells_of_clients_that_do_not_get_in(root, tmp_path):
    with serving(root, "--suite", "aes-128-gcm") as (server, port):
        connect(root, port, "--suite", "aes-256-gcm")
        refused = events(server.stdout.readline())[0]
        connect(root, port, "--name", "other.example")
        distrusted = events(server.stdout.readline())[0]
    for failed, alert, by_peer in (
        (refused, "handshake_failure", False),
        (distrusted, "bad_certificate", True),
    ):
        assert (failed["event"], failed["host"]) == ("failed", "127.0.0.1")
        assert (failed["alert"], failed["by_peer"]) == (alert, by_peer)
        assert failed["port"] > 0
        assert failed["reason"]
