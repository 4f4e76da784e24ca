"""The options of `intaglio connect` and `intaglio serve`, and what they turn into."""

from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from cryptography import x509

from intaglio.conversation import Conversation, Mode
from intaglio.failures import Failure
from intaglio.files import check_readable, check_writable
from intaglio.providers import ProviderName
from intaglio.raw_keys import parse_pin
from intaglio.report import JsonReport, Report
from intaglio.terminal import TextReport
from protocol.alerts import UsageError
from protocol.certificates import Credentials, load_certificates
from protocol.crypto.suites import CipherSuite
from protocol.key_exchange import AVAILABLE_GROUPS, NamedGroup
from protocol.psk import ExternalPsk
from protocol.raw_keys import RawKey
from protocol.signatures import VerifyingKey

_Choice = TypeVar("_Choice", bound=IntEnum)


def _choice(names: dict[str, _Choice]) -> Callable[[str], _Choice]:
    def parse(name: str) -> _Choice:
        if name.lower() not in names:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(names)}")
        return names[name.lower()]

    return parse


def _suite_name(suite: CipherSuite) -> str:
    """``aes-128-gcm`` of TLS_AES_128_GCM_SHA256."""
    return suite.name.removeprefix("TLS_").rpartition("_SHA")[0].lower().replace("_", "-")


_SUITES = {_suite_name(suite): suite for suite in CipherSuite}
_GROUPS = {group.name.lower(): group for group in AVAILABLE_GROUPS}

_TALK, _HANDSHAKE, _OUTPUT = "What to do", "Handshake", "Output"

ProviderOption = Annotated[ProviderName, typer.Option(help="Who protects the records.")]
CertOption = Annotated[
    Path | None,
    typer.Option(help="Our certificate and its issuers (PEM).", rich_help_panel=_HANDSHAKE),
]
KeyOption = Annotated[
    Path | None, typer.Option(help="The private key for it (PEM).", rich_help_panel=_HANDSHAKE)
]
SuiteOption = Annotated[
    list[CipherSuite] | None,
    typer.Option(
        parser=_choice(_SUITES),
        metavar="SUITE",
        help=f"A cipher suite; again for more, preferred first: {', '.join(_SUITES)}.",
        rich_help_panel=_HANDSHAKE,
    ),
]
GroupOption = Annotated[
    list[NamedGroup] | None,
    typer.Option(
        parser=_choice(_GROUPS),
        metavar="GROUP",
        help=f"A key exchange; again for more, preferred first: {', '.join(_GROUPS)}.",
        rich_help_panel=_HANDSHAKE,
    ),
]
PSKOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Pre-shared keys, one a line: the identity, a colon, the key in hexadecimal.",
        rich_help_panel=_HANDSHAKE,
    ),
]
ALPNOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PROTOCOL",
        help="An application protocol (ALPN); again for more, preferred first.",
        rich_help_panel=_HANDSHAKE,
    ),
]
ConnectionIdOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=20,
        metavar="BYTES",
        help="Ask the peer to send with random connection IDs of so many bytes.",
        rich_help_panel=_HANDSHAKE,
    ),
]
RawKeyOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Our key, which a peer may know without a certificate (PEM; see intaglio key).",
        rich_help_panel=_HANDSHAKE,
    ),
]
PinOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY",
        help="The public key of such a peer: as intaglio key prints it, or a file (PEM); again "
        "for more. A server then asks for one.",
        rich_help_panel=_HANDSHAKE,
    ),
]
MTUOption = Annotated[
    int, typer.Option(help="Largest datagram to send, in bytes.", rich_help_panel=_HANDSHAKE)
]
TimeoutOption = Annotated[
    float,
    typer.Option(help="Seconds that a handshake may take.", rich_help_panel=_HANDSHAKE),
]
RetransmitOption = Annotated[
    float,
    typer.Option(
        help="Seconds before the first retransmission; they double.", rich_help_panel=_HANDSHAKE
    ),
]
EchoOption = Annotated[
    bool, typer.Option("--echo", help="Send back what comes.", rich_help_panel=_TALK)
]
SendOption = Annotated[Path | None, typer.Option(help="Send this file.", rich_help_panel=_TALK)]
ReceiveOption = Annotated[
    Path | None, typer.Option(help="Write the peer's file here.", rich_help_panel=_TALK)
]
KeyLogOption = Annotated[
    Path | None,
    typer.Option(
        help="Append the secrets of all sessions here (SSLKEYLOGFILE).", rich_help_panel=_OUTPUT
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="One JSON object a line for each event.", rich_help_panel=_OUTPUT),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only what the peer says.", rich_help_panel=_OUTPUT)
]
VerboseOption = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Also why records were dropped.", rich_help_panel=_OUTPUT),
]


def choose_conversation(*, echo: bool, send: Path | None, receive: Path | None) -> Conversation:
    """One of the modes; raises `typer.BadParameter` for two, OSError for a file that is no use."""
    chosen = [
        *([Conversation(Mode.ECHO)] if echo else []),
        *([Conversation(Mode.SEND, send)] if send else []),
        *([Conversation(Mode.RECEIVE, receive)] if receive else []),
    ]
    if len(chosen) > 1:
        raise typer.BadParameter("--echo, --send and --receive exclude each other")
    check_readable(send)
    check_writable(receive)
    return chosen[0] if chosen else Conversation(Mode.TALK)


def choose_report(*, json: bool, quiet: bool, verbose: bool) -> Report:
    """JSON lines, or text; raises `typer.BadParameter` for what excludes each other."""
    if json + quiet + verbose > 1:
        raise typer.BadParameter("--json, --quiet and --verbose exclude each other")
    return JsonReport() if json else TextReport(quiet=quiet, verbose=verbose)


def load_credentials(cert: Path | None, key: Path | None) -> Credentials | None:
    """From PEM files; raises `CredentialsError`, and `typer.BadParameter` for one without other."""
    if (cert is None) != (key is None):
        raise typer.BadParameter("--cert and --key go together")
    return Credentials.from_pem_files(cert, key) if cert and key else None


def load_trust(path: Path | None) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file; raises `CredentialsError`."""
    return load_certificates(path) if path else ()


def load_raw_key(path: Path | None) -> RawKey | None:
    """The private key of a PEM file; raises `CredentialsError`."""
    return RawKey.from_pem_file(path) if path else None


def load_pins(pins: list[str] | None) -> tuple[VerifyingKey, ...]:
    """The public keys; raises `typer.BadParameter`, and `CredentialsError` for a file."""
    return tuple(map(parse_pin, pins or ()))


def load_psks(path: Path | None) -> tuple[ExternalPsk, ...]:
    """The keys of a file; raises `Failure` naming the line that is none, and OSError."""
    if path is None:
        return ()
    lines = enumerate(path.read_bytes().splitlines(), start=1)
    return tuple(_psk(line, f"{path}, line {number}") for number, line in lines if line.strip())


def _psk(line: bytes, place: str) -> ExternalPsk:
    identity, _, key = line.rpartition(b":")
    try:
        return ExternalPsk(identity, bytes.fromhex(key.decode("ascii")))
    except UsageError as error:
        raise Failure(f"{place}: {error}") from None
    except ValueError:
        raise Failure(f"{place}: not an identity, a colon and a hexadecimal key") from None
