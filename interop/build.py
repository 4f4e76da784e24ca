"""Builds the peers: `python -m interop.build`. What is up to date is not built again.

Each is a library of the stack's source, and a program: `peers/peer.c` on the stack's half of
`peers/peer.h`. It needs a C compiler, for BoringSSL a C++ compiler, and no other tool.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from interop.sources import FetchError, fetch_boringssl, fetch_wolfssl

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "interop"
_PEERS = Path(__file__).parent / "peers"
_CC = os.environ.get("CC", "cc")
_CXX = os.environ.get("CXX", "c++")


@dataclass(frozen=True)
class Recipe:
    """How the peer of one stack is built, in a folder of its own below `BUILD`."""

    name: str
    fetch: Callable[[Path], None]
    #: The library's sources, of all the source text at this path.
    sources: Callable[[Path], Iterable[Path]]
    #: For the library and the program; paths are below the source text.
    includes: tuple[str, ...]
    flags: tuple[str, ...]
    linker: str
    #: Files of ours that the library depends on.
    settings: tuple[Path, ...] = ()

    @property
    def folder(self) -> Path:
        """Where all of it is built."""
        return BUILD / self.name

    @property
    def program(self) -> Path:
        """The peer."""
        return self.folder / "peer"


def _wolfssl_sources(source: Path) -> Iterable[Path]:
    return [*source.glob("src/*.c"), *source.glob("wolfcrypt/src/*.c")]


def _boringssl_sources(source: Path) -> Iterable[Path]:
    return [source / line for line in (source / "SOURCES").read_text().splitlines()]


WOLFSSL = Recipe(
    name="wolfssl",
    fetch=fetch_wolfssl,
    sources=_wolfssl_sources,
    includes=(".",),
    flags=("-DWOLFSSL_USER_SETTINGS", f"-I{_PEERS}"),
    linker=_CC,
    settings=(_PEERS / "user_settings.h",),
)
BORINGSSL = Recipe(
    name="boringssl",
    fetch=fetch_boringssl,
    sources=_boringssl_sources,
    includes=("include",),
    # Without assembly there is one way to build it, and it is fast enough.
    flags=("-DOPENSSL_NO_ASM",),
    linker=_CXX,
)


def build(recipe: Recipe, say: Callable[[str], None]) -> Path:
    """The peer's program, built unless it is up to date; ``say`` gets what it does meanwhile.

    Raises `FetchError`, and `CalledProcessError` for what does not compile.
    """
    source, library = recipe.folder / "source", recipe.folder / "library.a"
    if not source.exists():
        say("fetching the source")
        recipe.folder.mkdir(parents=True, exist_ok=True)
        recipe.fetch(source)
    if not _is_newer(library, recipe.settings):
        sources = sorted(recipe.sources(source))
        say(f"compiling {len(sources)} files (minutes)")
        _compile_library(recipe, source, sources, library)
    ours = [_PEERS / "peer.c", _PEERS / f"{recipe.name}.c"]
    if not _is_newer(recipe.program, [*ours, _PEERS / "peer.h", library]):
        say("compiling the peer")
        _compile_program(recipe, source, ours, library)
    return recipe.program


def _is_newer(target: Path, inputs: Iterable[Path]) -> bool:
    return target.exists() and all(target.stat().st_mtime > path.stat().st_mtime for path in inputs)


def _compile_library(recipe: Recipe, source: Path, sources: Sequence[Path], library: Path) -> None:
    objects = recipe.folder / "objects"
    shutil.rmtree(objects, ignore_errors=True)
    objects.mkdir()

    def compile_one(path: Path) -> Path:
        target = objects / (str(path.relative_to(source)).replace("/", "-") + ".o")
        _run([*_compiler(path), *_options(recipe, source), "-w", "-c", path, "-o", target])
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        compiled = list(pool.map(compile_one, sources))
    library.unlink(missing_ok=True)
    _run(["ar", "rcs", library, *compiled])


def _compile_program(recipe: Recipe, source: Path, ours: Sequence[Path], library: Path) -> None:
    compiled = []
    for path in ours:
        compiled.append(recipe.folder / f"{path.stem}.o")
        warnings = ("-Wall", "-Wextra")
        _run([_CC, *_options(recipe, source), *warnings, "-c", path, "-o", compiled[-1]])
    _run([recipe.linker, *compiled, library, "-lm", "-lpthread", "-o", recipe.program])


def _compiler(path: Path) -> list[str]:
    return [_CC] if path.suffix == ".c" else [_CXX, "-std=c++17", "-fno-exceptions", "-fno-rtti"]


def _options(recipe: Recipe, source: Path) -> list[str]:
    # -isystem: their headers' warnings are not ours.
    includes = [f"-isystem{source / path}" for path in recipe.includes]
    return ["-O1", *recipe.flags, *includes]


def _run(command: Sequence[str | Path]) -> None:
    subprocess.run(command, check=True)


def main() -> None:
    """The entry point."""
    for recipe in (WOLFSSL, BORINGSSL):
        try:
            build(recipe, lambda what, name=recipe.name: print(f"{name}: {what}", flush=True))  # type: ignore[misc]
        except FetchError as error:
            sys.exit(f"interop: {error}")
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            sys.exit(f"interop: {recipe.name} does not compile: {error}")


if __name__ == "__main__":
    main()
