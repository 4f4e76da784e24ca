"""`intaglio connect`: a DTLS 1.3 client for the terminal and for scripts."""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import typer

from intaglio.conversation import Lines, Mode, converse, say, speak
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
    PinOption,
    ProviderOption,
    PSKOption,
    QuietOption,
    RawKeyOption,
    ReceiveOption,
    RetransmitOption,
    SendOption,
    SuiteOption,
    TimeoutOption,
    VerboseOption,
    choose_conversation,
    choose_report,
    load_credentials,
    load_pins,
    load_psks,
    load_raw_key,
    load_trust,
)
from intaglio.failures import HANDSHAKE_FAILED, Failure, one_sentence
from intaglio.files import check_writable
from intaglio.providers import ProviderName
from intaglio.report import Connected, Connecting
from intaglio.running import run
from intaglio.session_file import keep_ticket, take_ticket
from protocol.asyncio import Session, SessionClosedError
from protocol.asyncio import connect as connect_session
from protocol.client import early_data_limit
from protocol.config import ConnectionConfig
from protocol.session import SessionTicket

__all__ = ["connect"]

#: There is one session, and this is its number.
_SESSION = 1


def connect(
    host: Annotated[str, typer.Argument(metavar="HOST", help="A name or an address.")],
    port: Annotated[int, typer.Argument(metavar="PORT", min=1, max=65_535)],
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
    raw_key: RawKeyOption = None,
    pin: PinOption = None,
    psk: PSKOption = None,
    session: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Resume the session whose ticket is in this file, and keep the next one's there: "
            "it is a secret.",
            rich_help_panel="Handshake",
        ),
    ] = None,
    early_data: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Send this line at once with the first flight (0-RTT) if --session has a ticket "
            "that allows it, and else after the handshake. Anyone on the way may send it again.",
            rich_help_panel="Handshake",
        ),
    ] = None,
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
        if not (ca or pin or psk):
            raise typer.BadParameter("--ca, --pin or --psk is missing: every server is verified")
        if early_data is not None and (send or receive):
            raise typer.BadParameter("--early-data is for lines, not for files")
        check_writable(session)
        early = early_data.encode() if early_data else None
        options = EndpointOptions(
            provider=provider,
            credentials=load_credentials(cert, key),
            trust=load_trust(ca),
            raw_key=load_raw_key(raw_key),
            pins=load_pins(pin),
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
            early_data=len(early or b""),
        )
        visit = _Visit(host, port, linger, session, early)
        with configuration(options, name or host) as config:
            run(visit.pay(config, options))


@dataclass(frozen=True)
class _Visit:
    """To whom, and how it begins and ends."""

    host: str
    port: int
    linger: float
    session_file: Path | None
    #: The line that is sent as early data if that is possible.
    early: bytes | None = field(repr=False)

    async def pay(self, config: ConnectionConfig, options: EndpointOptions) -> None:
        """One session; raises `Failure`."""
        options.report(Connecting(self.host, self.port))
        session = await self._handshake(config)
        options.report(Connected.of(_SESSION, session))
        error: Exception | None = None
        try:
            if self.early and not session.handshake.early_data:
                await say(session, self.early)
            await _converse(session, options, self.linger)
        except SESSION_ERRORS as caught:
            error = caught
        finally:
            await session.close()
            options.report(ended(_SESSION, session, error))
            keep_ticket(self.session_file, session.ticket)
        if failed := failure(error):
            raise failed

    async def _handshake(self, config: ConnectionConfig) -> Session:
        ticket = take_ticket(self.session_file)
        early_data = self._early_data(config, ticket)
        if not early_data:  # Else it could be offered, and taken, without the line.
            config = replace(config, max_early_data=0)
        try:
            return await connect_session(
                self.host, self.port, config, ticket=ticket, early_data=early_data
            )
        except SessionClosedError as closed:
            reason = describe_end(closed.event)
            raise Failure(f"the handshake failed: {reason}", HANDSHAKE_FAILED) from None
        except socket.gaierror as error:
            raise Failure(f"{self.host}: {error.strerror}") from None
        except OSError as error:
            raise Failure(f"{self.host} port {self.port}: {error.strerror or error}") from None

    def _early_data(
        self, config: ConnectionConfig, ticket: SessionTicket | None
    ) -> Sequence[bytes]:
        if not self.early or ticket is None:
            return ()
        return (self.early,) if len(self.early) <= early_data_limit(config, ticket) else ()


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
