"""The 128-bit block, in the one bit and byte order that the whole gateware uses.

Byte n of a block, counted from the first on the wire (in_n of FIPS 197, 3.4), lies in bits 8n to
8n + 7, the byte's most significant bit uppermost. Keys, nonces and tags of other widths likewise.
"""

__all__ = ["BLOCK_BYTES", "from_bytes", "to_bytes"]

BLOCK_BYTES = 16


def from_bytes(value: bytes) -> int:
    """The integer that stands for ``value`` in a signal: byte n in bits 8n to 8n + 7."""
    return int.from_bytes(value, "little")


def to_bytes(value: int, length: int = BLOCK_BYTES) -> bytes:
    """The reverse of `from_bytes`."""
    return value.to_bytes(length, "little")
