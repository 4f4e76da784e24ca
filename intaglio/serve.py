"""`intaglio serve`: a DTLS 1.3 server for the terminal and for scripts."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.serialization import Encoding

from intaglio.certificates import make_demo_credentials
from intaglio.conversation import Lines, Mode, converse, speak
from intaglio.endpoint import (
    SESSION_ERRORS,
    EndpointOptions,
    configuration,
    ended,
    failed,
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
from intaglio.failures import SESSION_FAILED, Failure, one_sentence
from intaglio.files import check_writable, naming
from intaglio.providers import ProviderName
from intaglio.raw_keys import own_pin
from intaglio.report import Connected, Listening
from intaglio.running import run
from protocol.asyncio import Server, Session
from protocol.asyncio import serve as serve_sessions
from protocol.certificates import Credentials
from protocol.config import ConnectionConfig
from protocol.manager import ManagerLimits
from protocol.tickets import TicketIssuer

__all__ = ["serve"]

#: While fewer handshakes than this are under way, clients are let in without a cookie.
_WITHOUT_COOKIE = 100


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port; 0 for a free one.")
    ] = 4433,
    echo: EchoOption = False,
    send: SendOption = None,
    receive: ReceiveOption = None,
    sessions: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="End after so many sessions; with --receive it is one.",
            rich_help_panel="What to do",
        ),
    ] = None,
    cert: CertOption = None,
    key: KeyOption = None,
    self_signed: Annotated[
        Path | None,
        typer.Option(
            metavar="ROOT",
            help="Instead: a certificate for trying out, valid for a day, whose root is written "
            "here for the clients' --ca.",
            rich_help_panel="Handshake",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="The name in that certificate; by default the address.",
            rich_help_panel="Handshake",
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            help="Ask clients for a certificate that leads to these roots (PEM).",
            rich_help_panel="Handshake",
        ),
    ] = None,
    suite: SuiteOption = None,
    group: GroupOption = None,
    raw_key: RawKeyOption = None,
    pin: PinOption = None,
    psk: PSKOption = None,
    early_data: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="BYTES",
            help="Take so much early data (0-RTT) of a client that resumes a session. Clients then "
            "do not have to prove where they are before their handshake is complete.",
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
    """Serve DTLS 1.3 clients: lines of the input go to all of them, their records become lines.

    It ends with --sessions or an interrupt.

    Exit codes:
    0  all sessions ended in order
    1  something here is wrong, such as a file or the address
    2  the command line is wrong
    4  a session or a transfer failed
    """
    with one_sentence():
        check_writable(key_log)
        if receive is not None and sessions not in (None, 1):
            raise typer.BadParameter("--receive takes one file, and so one session")
        if early_data is not None and (send or receive):
            raise typer.BadParameter("--early-data is for lines, not for files")
        options = EndpointOptions(
            provider=provider,
            credentials=_credentials(
                load_credentials(cert, key), self_signed, name or host, needed=not (psk or raw_key)
            ),
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
            early_data=early_data or 0,
        )
        limit = 1 if receive is not None else sessions
        with configuration(options, tickets=TicketIssuer()) as config:
            run(_serve(host, port, config, _Reception(options, limit)))


def _credentials(
    loaded: Credentials | None, self_signed: Path | None, name: str, *, needed: bool
) -> Credentials | None:
    """Those of the files, or new ones whose root is written to ``self_signed``."""
    if loaded is not None and self_signed is not None:
        raise typer.BadParameter("--cert and --self-signed exclude each other")
    if self_signed is None:
        if needed and loaded is None:
            raise typer.BadParameter(
                "--cert with --key, --self-signed, --raw-key or --psk has to be there"
            )
        return loaded
    root, credentials = make_demo_credentials(name)
    with naming(self_signed):
        self_signed.write_bytes(root.public_bytes(Encoding.PEM))
    return credentials


class _Reception:
    """Numbers the sessions, converses with each, and counts those that are over."""

    def __init__(self, options: EndpointOptions, limit: int | None) -> None:
        self.options = options
        self.sessions: set[Session] = set()
        self.failed = 0
        self.done = asyncio.Event()
        self._limit = limit
        self._admitted = 0
        self._over = 0

    async def handle(self, session: Session) -> None:
        """The handler of the server; whoever comes after the last one is not admitted."""
        if self._admitted == self._limit:
            return
        self._admitted += 1
        number, report, error = self._admitted, self.options.report, None
        report(Connected.of(number, session))
        self.sessions.add(session)
        try:
            await converse(self.options.conversation, session, number, report)
        except SESSION_ERRORS as caught:
            error = caught
        finally:
            self.sessions.discard(session)
            report(ended(number, session, error))
        self.failed += failure(error) is not None
        self._over += 1
        if self._over == self._limit:
            self.done.set()


async def _serve(host: str, port: int, config: ConnectionConfig, reception: _Reception) -> None:
    server = await _listen(host, port, config, reception)
    options = reception.options
    address, bound_port, *_ = server.address
    pin = own_pin(options.raw_key) if options.raw_key else None
    options.report(Listening(address, bound_port, config.provider.name, pin))
    tasks = []
    if options.conversation.mode is Mode.TALK:
        tasks.append(asyncio.create_task(speak(Lines(), reception.sessions)))
    try:
        await reception.done.wait()
    finally:
        for task in tasks:
            task.cancel()
        await server.close()
    if reception.failed:
        raise Failure(f"{reception.failed} of the sessions failed", SESSION_FAILED)


async def _listen(host: str, port: int, config: ConnectionConfig, reception: _Reception) -> Server:
    report = reception.options.report
    # A cookie is asked for by a HelloRetryRequest, and that rejects early data.
    eager = _WITHOUT_COOKIE if config.max_early_data else 0
    try:
        return await serve_sessions(
            host,
            port,
            config,
            reception.handle,
            limits=ManagerLimits(handshakes_without_cookie=eager),
            on_failure=lambda address, end: report(failed(address, end)),
        )
    except OSError as error:
        raise Failure(f"{host} port {port}: {error.strerror or error}") from None
