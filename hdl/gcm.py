"""AES-GCM with 96-bit IVs and 128-bit tags (SP 800-38D, 7)."""

import hmac

from hdl.aes.core import encrypt_block
from hdl.block import BLOCK_BYTES
from hdl.ghash import ghash

__all__ = ["open_", "seal"]

TAG_BYTES = 16


def seal(key: bytes, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
    """Model of authenticated encryption (SP 800-38D, 7.1): ciphertext and 16-byte tag.

    ``key`` has 16 or 32 bytes, ``nonce`` 12.
    """
    ciphertext = _apply_keystream(key, nonce, plaintext)
    return ciphertext + _tag(key, nonce, ciphertext, associated_data)


def open_(key: bytes, nonce: bytes, data: bytes, associated_data: bytes) -> bytes | None:
    """Model of authenticated decryption (SP 800-38D, 7.2): the plaintext, None if not genuine."""
    if len(data) < TAG_BYTES:
        return None
    ciphertext, tag = data[:-TAG_BYTES], data[-TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(key, nonce, ciphertext, associated_data)):
        return None
    return _apply_keystream(key, nonce, ciphertext)


def _apply_keystream(key: bytes, nonce: bytes, text: bytes) -> bytes:
    """GCTR from inc32(J0) (SP 800-38D, 6.5)."""
    counters = range(2, 2 + -(-len(text) // BLOCK_BYTES))
    keystream = b"".join(_encrypt_counter(key, nonce, counter) for counter in counters)
    return bytes(a ^ b for a, b in zip(text, keystream, strict=False))


def _tag(key: bytes, nonce: bytes, ciphertext: bytes, associated_data: bytes) -> bytes:
    h = encrypt_block(key, bytes(BLOCK_BYTES))
    lengths = (8 * len(part) for part in (associated_data, ciphertext))
    padded = _pad(associated_data) + _pad(ciphertext)
    digest = ghash(h, padded + b"".join(bits.to_bytes(8, "big") for bits in lengths))
    mask = _encrypt_counter(key, nonce, 1)
    return bytes(a ^ b for a, b in zip(digest, mask, strict=True))


def _encrypt_counter(key: bytes, nonce: bytes, counter: int) -> bytes:
    if len(nonce) != 12:
        raise ValueError(f"nonce has {len(nonce)} bytes, not 12")
    return encrypt_block(key, nonce + counter.to_bytes(4, "big"))


def _pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK_BYTES)
