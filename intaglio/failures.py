"""What ends a command before its time: one sentence on standard error, and an exit code."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import typer

from boards.tools import SynthesisError
from driver import DriverError
from intaglio.printable import printable
from intaglio.transfer import TransferError
from protocol.alerts import LocalError
from protocol.asyncio import SessionClosedError

__all__ = ["HANDSHAKE_FAILED", "SESSION_FAILED", "Failure", "fail", "one_sentence", "refusing"]

#: Exit codes beside 0, 1 (something here is wrong), 2 (the command line is) and 128 + a signal.
HANDSHAKE_FAILED = 3
SESSION_FAILED = 4


class Failure(Exception):  # noqa: N818 - it is how a command ends, not an error of the program
    """A sentence for the user, and the exit code."""

    def __init__(self, sentence: str, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code


@contextmanager
def one_sentence() -> Iterator[None]:
    """What a user can mend is told in one sentence, without a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        fail("interrupted", 128 + signal.SIGINT)
    except Failure as failure:
        fail(str(failure), failure.code)
    except ModuleNotFoundError as error:
        fail(f"the package {error.name} is missing: pip install 'intaglio[hdl]' brings it")
    except _expected_errors() as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or 'the system'}: {error.strerror or error}")


@contextmanager
def refusing() -> Iterator[None]:
    """A value that is out of its range is told as one of the command line."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def fail(sentence: str, code: int = 1) -> NoReturn:
    """Say why, and exit."""
    print(f"intaglio: {printable(sentence)}", file=sys.stderr)
    raise typer.Exit(code)


def _expected_errors() -> tuple[type[Exception], ...]:
    expected: list[type[Exception]] = [
        DriverError,
        LocalError,
        SessionClosedError,
        TransferError,
        SynthesisError,
    ]
    with suppress(ModuleNotFoundError):  # The simulator is part of an extra.
        from sim import SimulationError

        expected.append(SimulationError)
    return tuple(expected)
