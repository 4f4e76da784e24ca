"""The model of AES encryption against FIPS 197 and pyca/cryptography."""

import random

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hdl.aes import encrypt_block

PLAINTEXT = bytes.fromhex("00112233445566778899aabbccddeeff")
# FIPS 197, C.1 and C.3: key and ciphertext of the example vectors.
VECTORS = [
    (bytes(range(16)), "69c4e0d86a7b0430d8cdb78070b4c55a"),
    (bytes(range(32)), "8ea2b7ca516745bfeafc49904b496089"),
]
AES_128, AES_256 = (key for key, _ in VECTORS)


@pytest.mark.parametrize(("key", "ciphertext"), VECTORS, ids=["AES-128", "AES-256"])
def test_model_gives_the_vectors_of_fips_197(key, ciphertext):
    assert encrypt_block(key, PLAINTEXT).hex() == ciphertext


@pytest.mark.parametrize("key_bytes", [16, 32])
def test_model_agrees_with_pyca_cryptography(key_bytes):
    source = random.Random(key_bytes)
    for _ in range(100):
        key, block = source.randbytes(key_bytes), source.randbytes(16)
        encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        assert encrypt_block(key, block) == encryptor.update(block)


def test_model_refuses_other_block_lengths():
    with pytest.raises(ValueError, match="15 bytes"):
        encrypt_block(AES_128, bytes(15))
