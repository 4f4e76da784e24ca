"""The source text of other stacks, from where package managers have it.

wolfSSL comes with Debian 12's source package, since its binary packages are built without DTLS 1.3.
BoringSSL has no releases; PyPI's source package of grpcio contains all of it.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

_DEBIAN = "http://deb.debian.org/debian/"
_DEBIAN_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_DEBIAN_SUITE = "bookworm"
_GRPCIO = "grpcio==1.85.3"
#: wolfSSL 5.5.4 derives the PSK of a ticket with the prefix of TLS 1.3, "tls13 ", where DTLS 1.3
#: has "dtls13" (RFC 9147, 5.9); without this correction it resumes sessions with nobody else.
_RESUMPTION_LABEL = (
    "    const byte* protocol    = tls13ProtocolLabel;",
    "    const byte* protocol    = dtls13ProtocolLabel;",
)


class FetchError(Exception):
    """A source cannot be had; the text says which, and what its program said."""


def fetch_wolfssl(target: Path) -> None:
    """Unpack wolfSSL as Debian 12 has it, without Debian's patches, at ``target``.

    apt verifies it, with a configuration of its own below a temporary directory: nothing of the
    system changes, and no rights are needed. The mirror is the one that the system uses.
    """
    with tempfile.TemporaryDirectory(prefix="intaglio-") as name:
        folder = Path(name)
        options = _private_apt(folder)
        _run("wolfSSL", ["apt-get", *options, "update"], folder)
        _run("wolfSSL", ["apt-get", *options, "source", "--download-only", "wolfssl"], folder)
        (archive,) = folder.glob("wolfssl_*.orig.tar.gz")
        _unpack(archive, target)
        _correct(target / "src/tls13.c", *_RESUMPTION_LABEL)


def fetch_boringssl(target: Path) -> None:
    """Unpack BoringSSL as grpcio's source package has it, at ``target``.

    ``target/SOURCES`` lists what a library of it is compiled from.
    """
    with tempfile.TemporaryDirectory(prefix="intaglio-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        _run("BoringSSL", [*command, "--no-binary", "grpcio", _GRPCIO], folder)
        (archive,) = folder.glob("grpcio-*.tar.gz")
        _unpack(archive, folder / "grpcio")
        listing = (folder / "grpcio/src/python/grpcio/grpc_core_dependencies.py").read_text()
        sources = re.findall(r"third_party/boringssl-with-bazel/([^']*\.cc?)'", listing)
        shutil.move(folder / "grpcio/third_party/boringssl-with-bazel", target)
        (target / "SOURCES").write_text("\n".join(sources))


def _private_apt(folder: Path) -> list[str]:
    """The options of an apt-get that knows nothing but Debian 12's source packages."""
    signed_by = f"Signed-By: {_DEBIAN_KEYS}\n" if _DEBIAN_KEYS.exists() else ""
    (folder / "debian.sources").write_text(
        f"Types: deb-src\nURIs: {_mirror()}\nSuites: {_DEBIAN_SUITE}\nComponents: main\n{signed_by}"
    )
    for needed in ("lists/partial", "cache/archives/partial"):
        (folder / needed).mkdir(parents=True)
    settings = {
        "Dir::Etc::sourcelist": folder / "debian.sources",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",
    }
    return ["-qq", *(f"-o{name}={value}" for name, value in settings.items())]


def _mirror() -> str:
    """Where the system gets Debian's main archive from; Debian's own address if that is unknown."""
    fields = "$(REPO_URI) $(COMPONENT) $(RELEASE)"
    command = ["apt-get", "indextargets", "--no-release-info", "--format", fields]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    targets = (line.split() for line in found.splitlines())
    mirrors = [uri for uri, *rest in targets if rest == ["main", _DEBIAN_SUITE]]
    return next(iter(mirrors), _DEBIAN)


def _run(stack: str, command: list[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise FetchError(f"{stack} cannot be fetched: there is no {command[0]}") from None
    except subprocess.CalledProcessError as error:
        raise FetchError(f"{stack} cannot be fetched: {error.stderr.strip()}") from None


def _unpack(archive: Path, target: Path) -> None:
    """Unpack the one folder that an archive contains."""
    with tarfile.open(archive) as tar, tempfile.TemporaryDirectory(dir=archive.parent) as name:
        tar.extractall(name, filter="data")
        (folder,) = Path(name).iterdir()
        shutil.move(folder, target)


def _correct(path: Path, wrong: str, right: str) -> None:
    """Correct one line of a source."""
    before, after = path.read_text().split(wrong)
    path.write_text(before + right + after)
