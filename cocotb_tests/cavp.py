"""NIST's CAVP test vectors for AES-GCM, as the package cryptography-vectors carries them.

Their format is that of "The Galois/Counter Mode (GCM) and GMAC Validation System (GCMVS)", NIST,
2012: sections that begin with lengths in bits, and in them one paragraph of fields a vector.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

__all__ = ["GCMVector", "gcm_vectors"]

_FILES = (
    "gcmEncryptExtIV128.rsp",
    "gcmEncryptExtIV256.rsp",
    "gcmDecrypt128.rsp",
    "gcmDecrypt256.rsp",
)


@dataclass(frozen=True)
class GCMVector:
    """One message; ``plaintext`` is None where decryption must fail."""

    #: File, section's lengths and number, to be found again.
    name: str
    #: Position within the vectors of the same lengths.
    count: int
    key: bytes
    nonce: bytes
    associated_data: bytes
    plaintext: bytes | None
    ciphertext: bytes
    tag: bytes


def gcm_vectors(per_section: int | None = None) -> Iterator[GCMVector]:
    """All vectors with a 96-bit IV and a 128-bit tag, or the first few of each section."""
    folder = resources.files("cryptography_vectors") / "ciphers" / "AES" / "GCM"
    for file in _FILES:
        for vector in _parse(file, (folder / file).read_text(encoding="ascii")):
            if per_section is None or vector.count < per_section:
                yield vector


def _parse(file: str, text: str) -> Iterator[GCMVector]:
    section: dict[str, int] = {}
    for paragraph in text.split("\n\n"):
        lines = [line.strip() for line in paragraph.splitlines() if line.strip()]
        fields = dict(line.split(" =") for line in lines if " =" in line)
        if "[Keylen" in fields:
            section = {name[1:]: int(value.strip(" ]")) for name, value in fields.items()}
        elif "Count" in fields and (section["IVlen"], section["Taglen"]) == (96, 128):
            yield _vector(file, section, fields)


def _vector(file: str, section: dict[str, int], fields: dict[str, str]) -> GCMVector:
    def value(name: str) -> bytes:
        return bytes.fromhex(fields[name])

    lengths = f"PTlen {section['PTlen']}, AADlen {section['AADlen']}"
    count = int(fields["Count"])
    return GCMVector(
        name=f"{file}, {lengths}, count {count}",
        count=count,
        key=value("Key"),
        nonce=value("IV"),
        associated_data=value("AAD"),
        plaintext=value("PT") if "PT" in fields else None,
        ciphertext=value("CT"),
        tag=value("Tag"),
    )
