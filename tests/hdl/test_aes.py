"""AES encryption: the model against FIPS 197 and pyca/cryptography, the core against its model."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import memory, wiring
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hdl.aes import IterativeAES, SBoxForm, encrypt_block, expand_key
from hdl.block import from_bytes, to_bytes
from tests.hdl.streams import (
    get_all,
    pauses,
    put_all,
    simulate,
    transfer_cycles,
    with_idle_and_stall,
)

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


class CoreWithKeys(wiring.Component):
    """An AES core, and the memory with the round keys of ``keys``."""

    def __init__(self, core, keys):
        self._core = core
        self._keys = keys
        super().__init__({name: core.signature.members[name] for name in ("requests", "results")})

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = core = self._core
        rows = [0] * (16 * len(self._keys))
        for index, key in enumerate(self._keys):
            for number, round_key in enumerate(expand_key(key)):
                rows[16 * index + number] = from_bytes(round_key)
        m.submodules.memory = store = memory.Memory(shape=128, depth=len(rows), init=rows)
        port = store.read_port()
        m.d.comb += [
            port.addr.eq(core.round_key_address),
            core.round_key.eq(port.data),
        ]
        for name in self.signature.members:
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(core, name))
        return m


def request(keys, index, block):
    return {"block": from_bytes(block), "key": index, "aes256": len(keys[index]) == 32}


@with_idle_and_stall
@pytest.mark.parametrize("form", [SBoxForm.TABLE, SBoxForm.COMPOSITE])
def test_results_are_those_of_the_model_whatever_key_each_block_uses(form, idle, stall, seed):
    source = random.Random(seed)
    keys = [AES_128, AES_256, source.randbytes(32), source.randbytes(16), source.randbytes(16)]
    blocks = [(0, PLAINTEXT), (1, PLAINTEXT)]
    blocks += [(source.randrange(len(keys)), source.randbytes(16)) for _ in range(20)]
    dut = CoreWithKeys(IterativeAES(len(keys), form), keys)
    received = []

    async def feed(ctx):
        requests = [request(keys, *item) for item in blocks]
        await put_all(ctx, dut.requests, requests, pauses(seed, idle))

    async def check(ctx):
        waits = pauses(-seed, stall)
        received.extend(map(to_bytes, await get_all(ctx, dut.results, len(blocks), waits)))

    simulate(dut, feed, check)
    assert received == [IterativeAES.model(keys[index], block) for index, block in blocks]


def transfers(keys, indices):
    """The cycles in which back-to-back requests are taken and their results given."""
    dut = CoreWithKeys(IterativeAES(len(keys), SBoxForm.TABLE), keys)
    taken, given = [], []

    async def feed(ctx):
        await put_all(ctx, dut.requests, [request(keys, i, PLAINTEXT) for i in indices])

    async def drain(ctx):
        await get_all(ctx, dut.results, len(indices))

    watches = [transfer_cycles(dut.requests, taken), transfer_cycles(dut.results, given)]
    simulate(dut, feed, drain, background=watches)
    return taken, given


def test_a_block_in_11_or_15_cycles():
    taken, given = transfers([AES_128, AES_256], [0, 0, 1, 1, 0, 0])
    assert taken == [1, 12, 23, 38, 53, 64]
    assert given == [12, 23, 38, 53, 64, 75]


def test_time_does_not_depend_on_key_or_data():
    source = random.Random(1)
    times = [transfers([source.randbytes(16)], [0, 0, 0]) for _ in range(4)]
    assert times == [times[0]] * 4
