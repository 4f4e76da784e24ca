"""Raw public keys on the command line: made, printed for the peer, and pinned (RFC 7250).

A pin is the SubjectPublicKeyInfo in base64: the middle of a PEM file, on one line.
"""

from base64 import b64decode, b64encode
from pathlib import Path
from typing import Annotated, cast

import typer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)

from intaglio.failures import one_sentence
from intaglio.files import write_privately
from protocol.raw_keys import RawKey, load_public_key, public_key_info
from protocol.signatures import VerifyingKey

__all__ = ["key", "own_pin", "parse_pin", "pin_of"]


def key(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="The private key (PEM), for --raw-key.")
    ],
) -> None:
    """Print a public key as the peer's --pin takes it; a file that is not there gets a new key.

    The key can take the place of a certificate. New ones are Ed25519, and for the user's eyes only.
    """
    with one_sentence():
        if not path.exists():
            new = Ed25519PrivateKey.generate()
            pem = new.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_privately(path, pem)
        print(own_pin(RawKey.from_pem_file(path)))


def own_pin(raw_key: RawKey) -> str:
    """What peers know our key by."""
    return pin_of(raw_key.private_key.public_key())


def pin_of(public_key: VerifyingKey) -> str:
    """What says which public key this is."""
    return b64encode(public_key_info(public_key)).decode()


def parse_pin(pin: str) -> VerifyingKey:
    """The public key, also from a PEM file; raises `typer.BadParameter`, and `CredentialsError`."""
    if Path(pin).is_file():
        return load_public_key(Path(pin))
    try:
        return cast(VerifyingKey, load_der_public_key(b64decode(pin, validate=True)))
    except (ValueError, UnsupportedAlgorithm):
        raise typer.BadParameter(f"{pin!r} is neither a public key in base64 nor a file") from None
