"""Compiled models on disk, one shared library a key, shared by all processes of a user."""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from sim.errors import SimulationError

__all__ = ["cache_directory", "cached_library"]


def cache_directory() -> Path:
    """$INTAGLIO_CACHE, else the user's cache directory of this platform."""
    chosen = os.environ.get("INTAGLIO_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("intaglio")


def cached_library(key: str, build: Callable[[Path, Path], None]) -> Path:
    """The library of ``key``, built first if it is not there.

    ``build(scratch, library)`` writes the file ``library``; ``scratch`` is a directory to work in.
    The library appears under its final name only when it is complete. Of several processes that
    want the same one, the first builds and the others wait. Raises `SimulationError` if the
    directory cannot be written to.
    """
    directory = cache_directory()
    library = directory / f"{key}.so"
    if library.exists():
        return library
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _exclusive(directory / f"{key}.lock"):
            if not library.exists():
                with tempfile.TemporaryDirectory(dir=directory) as scratch:
                    unfinished = Path(scratch) / library.name
                    build(Path(scratch), unfinished)
                    unfinished.replace(library)
    except OSError as error:
        raise SimulationError(
            f"Cannot keep compiled models in {directory}: {error.strerror or error}. "
            "INTAGLIO_CACHE names another directory."
        ) from error
    return library


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
