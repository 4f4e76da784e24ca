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
from hdl.aes.key_schedule import KeyRequest
from hdl.block import BLOCK_BYTES, from_bytes, to_bytes
from hdl.gcm import TextBlock, command_layout


def test_gcm():
    run(GCMTop(), __name__, "gcm")


class GCMBench(Bench):
    """Loads keys and passes messages through `GCMTop`, one at a time."""

    def __init__(self, dut):
        self._h, self._key_index = dut.h, dut.key_index
        self._keys, self._commands, self._blocks = (
            _port(Source, dut, name) for name in ("keys", "commands", "blocks")
        )
        self._text, self._tag = (_port(Sink, dut, name) for name in ("text", "tag"))
        super().__init__(
            dut, [self._keys, self._commands, self._blocks, self._text, self._tag], SEED
        )
        self._index = 0
        self._aes256 = False

    async def load(self, key: bytes) -> None:
        """Make ``key`` the one of the messages that follow; the other key's place stays."""
        self._index = (self._index + 1) % KEYS
        self._aes256 = len(key) == 32
        self._key_index.value = self._index
        self._keys.queue.append(_bits(KeyRequest, key=from_bytes(key), aes256=self._aes256))
        await self.run_until(lambda: self._keys.is_empty, 1000)
        h = Cipher(AES(key), ECB()).encryptor().update(bytes(BLOCK_BYTES))
        self._h.value = from_bytes(h)
        await self.run_for(16)

    async def seal(self, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
        """Ciphertext and tag."""
        return b"".join(await self._message(False, nonce, plaintext, associated_data))

    async def open(self, nonce: bytes, sealed: bytes, associated_data: bytes) -> bytes | None:
        """The plaintext, None if the tag is not what it should be."""
        ciphertext, received = sealed[:-BLOCK_BYTES], sealed[-BLOCK_BYTES:]
        plaintext, tag = await self._message(True, nonce, ciphertext, associated_data)
        return plaintext if tag == received else None

    async def _message(self, opens, nonce, text, associated_data) -> tuple[bytes, bytes]:
        self._commands.queue.append(
            _bits(
                command_layout(KEYS),
                key=self._index,
                aes256=self._aes256,
                open=opens,
                nonce=from_bytes(nonce),
                associated_data_bytes=len(associated_data),
                text_bytes=len(text),
            )
        )
        # What follows the last byte of a section must not matter: let it be ones.
        for section in (associated_data, text):
            for start in range(0, len(section), BLOCK_BYTES):
                block = section[start : start + BLOCK_BYTES].ljust(BLOCK_BYTES, b"\xff")
                self._blocks.queue.append((from_bytes(block),))
        blocks = len(self._blocks.queue)
        await self.run_until(lambda: self._tag.items, 1000 * (blocks + 1))
        assert self._blocks.is_empty
        ((tag,),) = self._tag.take()
        return b"".join(_text_bytes(item) for (item,) in self._text.take()), to_bytes(tag)


def _port(kind, dut, name):
    valid, ready, payload = (
        getattr(dut, f"{name}__{end}") for end in ("valid", "ready", "payload")
    )
    return kind(valid, ready, [payload])


def _bits(layout, **fields) -> tuple[int]:
    return (layout.const(fields).as_bits(),)


def _text_bytes(item: int) -> bytes:
    text = TextBlock.from_bits(item)
    block = to_bytes(text.block)
    assert not any(block[text.bytes :]), "what follows the last byte is not zero"
    return block[: text.bytes]


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
