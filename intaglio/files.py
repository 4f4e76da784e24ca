"""Files that the user names: refused before minutes of work rather than after them, and by name."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["append_privately", "check_readable", "check_writable", "naming", "write_privately"]


def check_readable(path: Path | None) -> None:
    """Raise OSError unless this is a regular file that can be read, or None."""
    if path is None:
        return
    path.open("rb").close()
    if not path.is_file():
        raise OSError(errno.EINVAL, "Not a regular file", str(path))


def check_writable(*paths: Path | None) -> None:
    """Raise OSError for a path that cannot be written to; None and - can always be.

    It leaves no file behind, and does not touch pipes: who reads one would take this for its end.
    """
    for path in paths:
        if path is None or path == Path("-") or path.is_fifo():
            continue
        existed = path.exists()
        path.open("ab").close()
        if not existed:
            path.unlink()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of writing get the file's name, which otherwise only those of opening have."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def write_privately(path: Path, data: bytes) -> None:
    """Make a file, or replace it as a whole, for the user's eyes only."""
    try:
        # Such files are for the user only from the beginning, whoever may read the one before.
        descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
            os.replace(new, path)
        except BaseException:
            os.unlink(new)
            raise
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # the user has named no other
        raise


@contextmanager
def append_privately(path: Path) -> Iterator[Callable[[str], None]]:
    """A function that appends a line to a file, which is made for the user's eyes only.

    It never fails, as it is called in the middle of a session; the first line that could not be
    written is an OSError at the end. There is no buffer: the lines are there when the session is.
    """
    failures: list[OSError] = []

    def private(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600)

    with open(path, "ab", buffering=0, opener=private) as file:

        def append(line: str) -> None:
            try:
                file.write(f"{line}\n".encode())
            except OSError as error:
                failures.append(error)

        yield append
    if failures:
        with naming(path):
            raise failures[0]
