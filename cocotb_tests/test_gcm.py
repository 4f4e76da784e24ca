"""AES-GCM seals and opens as NIST's vectors and OpenSSL do, whatever the pauses on its streams."""

from random import Random

import cocotb
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from cocotb_tests.cavp import gcm_vectors
from cocotb_tests.gcm_top import KEYS, GCMTop
from cocotb_tests.runner import FULL, SEED, run
from cocotb_tests.streams import PACES, Bench, Sink, Source
from hdl.aes.key_schedule import KeyWord
from hdl.block import BLOCK_BYTES, from_bytes
from hdl.gcm import command_layout


def test_gcm():
    run(GCMTop(), __name__, "gcm")


class GCMBench(Bench):
    """Loads keys and passes messages through `GCMTop`, one at a time."""

    def __init__(self, dut):
        self._h, self._key_index = dut.h, dut.key_index
        self._keys, self._commands, self._bytes = (
            _port(Source, dut, name) for name in ("keys", "commands", "bytes")
        )
        self._text, self._verdicts = (_port(Sink, dut, name) for name in ("text", "verdicts"))
        super().__init__(
            dut, [self._keys, self._commands, self._bytes, self._text, self._verdicts], SEED
        )
        self._index = 0
        self._aes256 = False

    async def load(self, key: bytes) -> None:
        """Make ``key`` the one of the messages that follow; the other key's place stays."""
        self._index = (self._index + 1) % KEYS
        self._aes256 = len(key) == 32
        self._key_index.value = self._index
        for i in range(0, len(key), 4):
            word = from_bytes(key[i : i + 4])
            self._keys.queue.append(_bits(KeyWord, word=word, aes256=self._aes256))
        await self.run_until(lambda: self._keys.is_empty, 1000)
        h = Cipher(AES(key), ECB()).encryptor().update(bytes(BLOCK_BYTES))
        self._h.value = from_bytes(h)
        await self.run_for(180)

    async def seal(self, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
        """Ciphertext and tag."""
        sealed, _ = await self._message(False, nonce, plaintext, associated_data)
        return sealed

    async def open(self, nonce: bytes, sealed: bytes, associated_data: bytes) -> bytes | None:
        """The plaintext, None if the tag is not what it should be."""
        plaintext, genuine = await self._message(True, nonce, sealed, associated_data)
        return plaintext if genuine else None

    async def _message(self, opens, nonce, text, associated_data) -> tuple[bytes, bool]:
        tag_bytes = BLOCK_BYTES if opens else 0
        self._commands.queue.append(
            _bits(
                command_layout(KEYS),
                key=self._index,
                aes256=self._aes256,
                open=opens,
                nonce=from_bytes(nonce),
                associated_data_bytes=len(associated_data),
                text_bytes=len(text) - tag_bytes,
            )
        )
        self._bytes.queue.extend((byte,) for byte in associated_data + text)
        written = len(text) - tag_bytes if opens else len(text) + BLOCK_BYTES
        await self.run_until(
            lambda: self._verdicts.items and len(self._text.items) == written,
            200 * (len(associated_data) + len(text) + BLOCK_BYTES),
        )
        assert self._bytes.is_empty
        ((genuine,),) = self._verdicts.take()
        return bytes(byte for (byte,) in self._text.take()), bool(genuine)


def _port(kind, dut, name):
    valid, ready, payload = (
        getattr(dut, f"{name}__{end}") for end in ("valid", "ready", "payload")
    )
    return kind(valid, ready, [payload])


def _bits(layout, **fields) -> tuple[int]:
    return (layout.const(fields).as_bits(),)


@cocotb.test()
async def nist_vectors(dut):
    bench = GCMBench(dut)
    await bench.reset()
    for vector in gcm_vectors(None if FULL else 3):
        await bench.load(vector.key)
        sealed = vector.ciphertext + vector.tag
        opened = await bench.open(vector.nonce, sealed, vector.associated_data)
        assert opened == vector.plaintext, vector.name
        if vector.plaintext is not None:
            result = await bench.seal(vector.nonce, vector.plaintext, vector.associated_data)
            assert result == sealed, vector.name


@cocotb.test()
@cocotb.parametrize(pace=PACES)
async def random_messages(dut, pace):
    rng = Random(f"{SEED} {pace}")
    bench = GCMBench(dut)
    await bench.reset()
    bench.pace(*pace)
    for _ in range(400 if FULL else 40):
        key, nonce = rng.randbytes(rng.choice((16, 32))), rng.randbytes(12)
        await bench.load(key)
        for _ in range(2):
            plaintext = rng.randbytes(rng.choice((0, 1, 16, rng.randint(0, 160))))
            associated_data = rng.randbytes(rng.choice((0, 1, 16, rng.randint(0, 80))))
            sealed = AESGCM(key).encrypt(nonce, plaintext, associated_data)
            assert await bench.seal(nonce, plaintext, associated_data) == sealed
            assert await bench.open(nonce, sealed, associated_data) == plaintext
            damaged = bytearray(sealed)
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
            assert await bench.open(nonce, bytes(damaged), associated_data) is None
