"""`intaglio serve` and `intaglio connect` as processes, and what they tell."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager


def command(*arguments):
    return [sys.executable, "-m", "intaglio", *map(str, arguments)]


@contextmanager
def serving(root, *arguments):
    """The process of a server on a free port, and the port; ``root`` is for the clients' --ca."""
    with subprocess.Popen(
        command("serve", "--port", 0, "--self-signed", root, "--json", *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What runs in the background of a script inherits an interrupt that is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            yield process, json.loads(line)["port"]
        finally:
            process.kill()


def connect(root, port, *arguments, text="", **environment):
    """A client, to its end."""
    return subprocess.run(
        command("connect", "127.0.0.1", port, "--ca", root, *arguments),
        input=text,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )


def events(output, name=None):
    """The objects of --json, or those of one kind."""
    found = [json.loads(line) for line in output.splitlines()]
    return [each for each in found if name in (None, each["event"])]
