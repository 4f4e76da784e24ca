"""The examples run, and print what the pages under docs/ say."""

import asyncio
import re
import runpy
from pathlib import Path

import pytest

from protocol.asyncio import connect
from protocol.certificates import load_certificates
from protocol.config import ConnectionConfig
from protocol.crypto.openssl import SoftwareProvider

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
DOCS = ROOT / "docs"


def test_seal_and_open(capsys):
    runpy.run_path(str(EXAMPLES / "seal_and_open.py"))["main"]("amaranth")
    assert capsys.readouterr().out in (DOCS / "simulation.md").read_text()


def test_two_connections(capsys):
    runpy.run_path(str(EXAMPLES / "two_connections.py"))["main"]()
    assert capsys.readouterr().out.splitlines() == [
        "client: connected with TLS_AES_128_GCM_SHA256, X25519",
        "client: closed",
        "server: connected with TLS_AES_128_GCM_SHA256, X25519",
        "server: received b'hello'",
        "server: PeerClosed",
    ]


def test_dtls_echo(capsys):
    asyncio.run(runpy.run_path(str(EXAMPLES / "dtls_echo.py"))["main"]())
    assert capsys.readouterr().out == "b'hello'\n"


def test_first_server(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main = runpy.run_path(str(EXAMPLES / "first_server.py"))["main"]

    async def visit():
        serving = asyncio.create_task(main(0))
        while not (said := capsys.readouterr().out):
            await asyncio.sleep(0)
        config = ConnectionConfig(
            provider=SoftwareProvider(),
            trust=load_certificates(tmp_path / "root.pem"),
            server_name="127.0.0.1",
        )
        session = await connect("127.0.0.1", int(said.split()[-1]), config)
        await session.send(b"hello")
        assert await session.receive() == b"HELLO"
        await session.close()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(visit())


def test_record_cycles(capsys):
    runpy.run_path(str(EXAMPLES / "record_cycles.py"))["main"]("amaranth", sizes=[16])
    title, *lines = capsys.readouterr().out.splitlines()
    documented = (DOCS / "design.md").read_text()
    assert title in documented
    assert len(lines) == 2
    for suite, content, *cycles in map(str.split, lines):
        (line,) = re.findall(rf"^{suite} +{content} +(\d+) +(\d+)$", documented, re.M)
        # The places of the ring come by in turn.
        assert list(map(int, cycles)) == pytest.approx(list(map(int, line)), abs=10)


def test_packets(capsys):
    runpy.run_path(str(EXAMPLES / "packets.py"))["main"]()
    assert capsys.readouterr().out in (DOCS / "contract.md").read_text()
