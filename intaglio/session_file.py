"""The file of `connect --session`: the ticket of one session, for the next one to begin with.

The keys of a session are in its ticket, so that the file is for the user's eyes only.
"""

from pathlib import Path

from intaglio.failures import Failure
from intaglio.files import write_privately
from protocol.alerts import UsageError
from protocol.session import SessionTicket

__all__ = ["keep_ticket", "take_ticket"]


def take_ticket(path: Path | None) -> SessionTicket | None:
    """The ticket that is there, if there is one. The file goes: a ticket is used once.

    Raises `Failure` for a file that is something else, and OSError.
    """
    if path is None or not path.exists():
        return None
    try:
        ticket = SessionTicket.from_bytes(path.read_bytes())
    except UsageError as error:
        raise Failure(f"{path}: {error}") from None
    path.unlink()
    return ticket


def keep_ticket(path: Path | None, ticket: SessionTicket | None) -> None:
    """Write it for the next session; raises OSError."""
    if path is not None and ticket is not None:
        write_privately(path, ticket.to_bytes())
