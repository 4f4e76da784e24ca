"""`intaglio connect`: a DTLS 1.3 client for the terminal and for scripts."""

import asyncio
import socket
from pathlib import Path
from typing import Annotated

import typer

from intaglio.conversation import Lines, Mode, converse, speak
from intaglio.endpoint import (
    SESSION_ERRORS,
    EndpointOptions,
    configuration,
    describe_end,
    ended,
    failure,
)
from intaglio.endpoint_options import (
    ALPNOption,
    CertOption,
    ConnectionIdOption,
    EchoOption,
    GroupOption,
    JsonOption,
    KeyLogOption,
    KeyOption,
    MTUOption,
    ProviderOption,
    PSKOption,
    QuietOption,
    ReceiveOption,
    RetransmitOption,
    SendOption,
    SuiteOption,
    TimeoutOption,
    VerboseOption,
    choose_conversation,
    choose_report,
    load_credentials,
    load_psks,
    load_trust,
)
from intaglio.failures import HANDSHAKE_FAILED, Failure, one_sentence
from intaglio.files import check_writable
from intaglio.providers import ProviderName
from intaglio.report import Connected
from intaglio.running import run
from protocol.asyncio import Session, SessionClosedError
from protocol.asyncio import connect as connect_session
from protocol.config import ConnectionConfig

__all__ = ["connect"]

#: There is one session, and this is its number.
_SESSION = 1


def connect(
    host: Annotated[str, typer.Argument(help="A name or an address.")],
    port: Annotated[int, typer.Argument(min=1, max=65_535)],
    echo: EchoOption = False,
    send: SendOption = None,
    receive: ReceiveOption = None,
    linger: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds to wait for answers after the end of the input.",
            rich_help_panel="What to do",
        ),
    ] = 1.0,
    ca: Annotated[
        Path | None,
        typer.Option(
            help="The roots that the server's certificate must lead to (PEM).",
            rich_help_panel="Handshake",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="The name in the server's certificate; by default HOST.",
            rich_help_panel="Handshake",
        ),
    ] = None,
    cert: CertOption = None,
    key: KeyOption = None,
    suite: SuiteOption = None,
    group: GroupOption = None,
    psk: PSKOption = None,
    alpn: ALPNOption = None,
    connection_id: ConnectionIdOption = None,
    mtu: MTUOption = 1200,
    timeout: TimeoutOption = 60.0,
    retransmit: RetransmitOption = 1.0,
    provider: ProviderOption = ProviderName.SOFTWARE,
    key_log: KeyLogOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Talk to a DTLS 1.3 server: lines of the input become records, and records become lines.

    Exit codes:
    0  the session ended in order
    1  something here is wrong, such as a file or the name of the host
    2  the command line is wrong
    3  the handshake failed
    4  the session or the transfer failed
    """
    with one_sentence():
        check_writable(key_log)
        if ca is None and psk is None:
            raise typer.BadParameter("--ca or --psk is missing: every server is verified")
        options = EndpointOptions(
            provider=provider,
            credentials=load_credentials(cert, key),
            trust=load_trust(ca),
            suites=tuple(suite or ()),
            groups=tuple(group or ()),
            psks=load_psks(psk),
            alpn=tuple(alpn or ()),
            connection_id=connection_id,
            mtu=mtu,
            handshake_timeout=timeout,
            retransmission_timeout=retransmit,
            key_log=key_log,
            conversation=choose_conversation(echo=echo, send=send, receive=receive),
            report=choose_report(json=json, quiet=quiet, verbose=verbose),
        )
        with configuration(options, name or host) as config:
            run(_visit(host, port, config, options, linger))


async def _visit(
    host: str, port: int, config: ConnectionConfig, options: EndpointOptions, linger: float
) -> None:
    session = await _handshake(host, port, config)
    options.report(Connected(_SESSION, session.handshake, session.max_payload))
    error: Exception | None = None
    try:
        await _converse(session, options, linger)
    except SESSION_ERRORS as caught:
        error = caught
    finally:
        await session.close()
        options.report(ended(_SESSION, session, error))
    if failed := failure(error):
        raise failed


async def _handshake(host: str, port: int, config: ConnectionConfig) -> Session:
    try:
        return await connect_session(host, port, config)
    except SessionClosedError as closed:
        reason = describe_end(closed.event)
        raise Failure(f"the handshake failed: {reason}", HANDSHAKE_FAILED) from None
    except socket.gaierror as error:
        raise Failure(f"{host}: {error.strerror}") from None
    except OSError as error:
        raise Failure(f"{host} port {port}: {error.strerror or error}") from None


async def _converse(session: Session, options: EndpointOptions, linger: float) -> None:
    """Until the peer closes, the file is through, or the input has ended ``linger`` seconds ago."""
    listening = asyncio.create_task(
        converse(options.conversation, session, _SESSION, options.report)
    )
    tasks = {listening}
    try:
        if options.conversation.mode is Mode.TALK:
            tasks.add(asyncio.create_task(speak(Lines(), {session})))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({listening}, timeout=linger)
            if not listening.done():
                return
        await listening
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
