"""AES-GCM: the model against published vectors and pyca/cryptography, the gateware against it."""

import random
from dataclasses import dataclass

import pytest
from amaranth.hdl import Module
from amaranth.lib import memory, wiring
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hdl.aes import IterativeAES, SBoxForm, encrypt_block, expand_key
from hdl.block import from_bytes, to_bytes
from hdl.gcm import GCM, open_, seal
from tests.hdl.streams import (
    get_all,
    pauses,
    put_all,
    simulate,
    transfer_cycles,
    with_idle_and_stall,
)


@dataclass(frozen=True)
class Message:
    key: bytes
    nonce: bytes
    text: bytes
    associated_data: bytes
    open: bool = False

    @property
    def sealed(self):
        return seal(self.key, self.nonce, self.text, self.associated_data)

    @property
    def input(self):
        return self.sealed[:-16] if self.open else self.text

    @property
    def output(self):
        return self.text if self.open else self.sealed[:-16]


# McGrew and Viega, The Galois/Counter Mode of Operation (GCM), appendix B: the test cases with
# 96-bit IVs, 1 to 4 with AES-128 and 13 to 16 with AES-256.
KEY = bytes.fromhex("feffe9928665731c6d6a8f9467308308")
NONCE = bytes.fromhex("cafebabefacedbaddecaf888")
TEXT = bytes.fromhex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
)
ASSOCIATED_DATA = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
CASES = {
    1: (bytes(16), bytes(12), b"", b"", "58e2fccefa7e3061367f1d57a4e7455a"),
    2: (
        bytes(16),
        bytes(12),
        bytes(16),
        b"",
        "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf",
    ),
    3: (
        KEY,
        NONCE,
        TEXT,
        b"",
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
        "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985"
        "4d5c2af327cd64a62cf35abd2ba6fab4",
    ),
    4: (
        KEY,
        NONCE,
        TEXT[:60],
        ASSOCIATED_DATA,
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
        "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
        "5bc94fbc3221a5db94fae95ae7121a47",
    ),
    13: (bytes(32), bytes(12), b"", b"", "530f8afbc74536b9a963b4f1c4cb738b"),
    14: (
        bytes(32),
        bytes(12),
        bytes(16),
        b"",
        "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
    ),
    15: (
        KEY * 2,
        NONCE,
        TEXT,
        b"",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
        "b094dac5d93471bdec1a502270e3cc6c",
    ),
    16: (
        KEY * 2,
        NONCE,
        TEXT[:60],
        ASSOCIATED_DATA,
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b",
    ),
}
CASE_MESSAGES = [Message(*case[:4]) for case in CASES.values()]


@pytest.mark.parametrize("number", CASES)
def test_model_gives_the_test_cases_of_the_gcm_specification(number):
    *message, expected = CASES[number]
    assert seal(*message).hex() == expected


@pytest.mark.parametrize("key_bytes", [16, 32])
def test_model_agrees_with_pyca_cryptography(key_bytes):
    source = random.Random(key_bytes)
    for message in random_messages(source, 20, key_bytes):
        expected = AESGCM(message.key).encrypt(message.nonce, message.text, message.associated_data)
        assert message.sealed == expected
        opened = open_(message.key, message.nonce, expected, message.associated_data)
        assert opened == message.text


def test_model_opens_nothing_that_is_not_genuine():
    sealed = bytes.fromhex(CASES[4][4])
    assert open_(KEY, NONCE, sealed, ASSOCIATED_DATA) == TEXT[:60]
    for i in range(len(sealed)):
        forged = bytearray(sealed)
        forged[i] ^= 1
        assert open_(KEY, NONCE, bytes(forged), ASSOCIATED_DATA) is None
    assert open_(KEY, NONCE, sealed, ASSOCIATED_DATA[:-1]) is None
    assert open_(KEY, NONCE, sealed[:15], b"") is None


def test_model_refuses_other_nonce_lengths():
    with pytest.raises(ValueError, match="13 bytes"):
        seal(KEY, bytes(13), b"", b"")


def random_messages(source, count, key_bytes=None):
    return [
        Message(
            source.randbytes(key_bytes or source.choice([16, 32])),
            source.randbytes(12),
            source.randbytes(source.choice([0, 1, 15, 16, 17, 32, source.randrange(80)])),
            source.randbytes(source.choice([0, 1, 13, 16, 17, 32])),
            source.choice([False, True]),
        )
        for _ in range(count)
    ]


class GCMWithCore(wiring.Component):
    """`GCM`, an AES core of its own, and the memory with the round keys of ``keys``."""

    def __init__(self, gcm, keys):
        self._gcm = gcm
        self._keys = keys
        names = ("commands", "h", "blocks", "text", "tag")
        super().__init__({name: gcm.signature.members[name] for name in names})

    def elaborate(self, platform):
        m = Module()
        m.submodules.gcm = gcm = self._gcm
        m.submodules.core = core = IterativeAES(len(self._keys), SBoxForm.TABLE)
        rows = [0] * (16 * len(self._keys))
        for index, key in enumerate(self._keys):
            for number, round_key in enumerate(expand_key(key)):
                rows[16 * index + number] = from_bytes(round_key)
        m.submodules.memory = store = memory.Memory(shape=128, depth=len(rows), init=rows)
        port = store.read_port()
        m.d.comb += [port.addr.eq(core.round_key_address), core.round_key.eq(port.data)]
        wiring.connect(m, gcm.aes_requests, core.requests)
        wiring.connect(m, core.results, gcm.aes_results)
        for name, member in self.signature.members.items():
            outer, inner = getattr(self, name), getattr(gcm, name)
            if member.is_port:
                m.d.comb += inner.eq(outer)
            else:
                wiring.connect(m, wiring.flipped(outer), inner)
        return m


def blocks_of(message, source):
    """The blocks to send, with noise beyond the lengths."""
    for part in (message.associated_data, message.input):
        padded = part + source.randbytes(-len(part) % 16)
        yield from (from_bytes(padded[i : i + 16]) for i in range(0, len(padded), 16))


def command_for(message, index):
    return {
        "key": index,
        "aes256": len(message.key) == 32,
        "open": message.open,
        "nonce": from_bytes(message.nonce),
        "associated_data_bytes": len(message.associated_data),
        "text_bytes": len(message.text),
    }


def run(messages, seed=0, idle=0.0, stall=0.0, digit=8):
    """What the gateware makes of the messages, and the cycles of each stream's transfers."""
    keys = [message.key for message in messages]
    dut = GCMWithCore(GCM(len(keys), digit), keys)
    source = random.Random(seed)
    results = []

    async def command(ctx):
        waits = pauses((seed, "commands"), idle)
        for index, message in enumerate(messages):
            await put_all(ctx, dut.commands, [command_for(message, index)], waits)
            ctx.set(dut.h, from_bytes(encrypt_block(message.key, bytes(16))))

    async def feed(ctx):
        blocks = [block for message in messages for block in blocks_of(message, source)]
        await put_all(ctx, dut.blocks, blocks, pauses((seed, "blocks"), idle))

    async def check(ctx):
        waits = pauses((seed, "text"), stall)
        for message in messages:
            count = -(-len(message.text) // 16)
            text = b""
            for item in await get_all(ctx, dut.text, count, waits):
                block = to_bytes(item.block)
                assert not any(block[item.bytes :])
                text += block[: item.bytes]
            (tag,) = await get_all(ctx, dut.tag, 1, waits)
            results.append((text, to_bytes(tag)))

    names = ("commands", "blocks", "text", "tag")
    cycles = {name: [] for name in names}
    watches = [transfer_cycles(getattr(dut, name), cycles[name]) for name in names]
    simulate(dut, command, feed, check, background=watches)
    return results, cycles


@with_idle_and_stall
@pytest.mark.parametrize("digit", [8, 16])
def test_text_and_tag_are_those_of_the_model(digit, idle, stall, seed):
    messages = CASE_MESSAGES + random_messages(random.Random(seed), 16)
    results, _ = run(messages, seed, idle, stall, digit)
    assert results == [(message.output, message.sealed[-16:]) for message in messages]


@pytest.mark.parametrize("aes256", [False, True], ids=["AES-128", "AES-256"])
@pytest.mark.parametrize("digit", [4, 8, 16])
def test_cycles_of_a_message(digit, aes256):
    lengths = [(0, 0), (0, 1), (1, 0), (5, 1), (13, 64), (33, 33), (0, 100), (16, 16)]
    source = random.Random(digit)
    messages = [
        Message(source.randbytes(32 if aes256 else 16), bytes(12), bytes(text), bytes(associated))
        for associated, text in lengths
    ]
    _, cycles = run(messages, digit=digit)
    expected = [GCM.latency(*length, aes256, digit) for length in lengths]
    taken, given = cycles["commands"], cycles["tag"]
    assert [b - a for a, b in zip(taken, given, strict=True)] == expected
    assert taken[1:] == [cycle + 1 for cycle in given[:-1]]


@pytest.mark.parametrize("key_bytes", [16, 32])
def test_a_block_of_text_in_16_cycles(key_bytes):
    message = Message(bytes(key_bytes), bytes(12), bytes(160), bytes(13))
    _, cycles = run([message])
    assert cycles["text"] == [17 + 16 * i + cycles["commands"][0] for i in range(10)]


def test_time_does_not_depend_on_data():
    source = random.Random(1)

    def cycles_of_random_messages():
        lengths = [(13, 40), (0, 16), (20, 0)]
        messages = [
            Message(source.randbytes(16), source.randbytes(12), *map(source.randbytes, length))
            for length in lengths
        ]
        return run(messages)[1]

    first = cycles_of_random_messages()
    assert all(cycles_of_random_messages() == first for _ in range(3))


def test_counter_beyond_one_byte():
    message = Message(bytes(16), bytes(12), bytes(16 * 256), b"")
    results, _ = run([message], digit=16)
    assert results == [(message.output, message.sealed[-16:])]
