"""AES-GCM: the model against published vectors and pyca/cryptography, the gateware against it."""

import random
from dataclasses import dataclass

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hdl.aes import encrypt_block
from hdl.aes.serial import SerialAES
from hdl.block import from_bytes
from hdl.gcm import GCM, open_, seal
from tests.hdl.round_keys import connect_round_keys
from tests.hdl.streams import (
    pauses,
    simulate,
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
        names = ("start", "command", "h", "bytes", "text", "done", "genuine")
        super().__init__({name: gcm.signature.members[name] for name in names})

    def elaborate(self, platform):
        m = Module()
        m.submodules.gcm = gcm = self._gcm
        m.submodules.core = core = SerialAES(len(self._keys))
        connect_round_keys(m, core, self._keys)
        m.d.comb += [
            gcm.start.eq(self.start),
            gcm.command.eq(self.command),
            gcm.h.eq(self.h),
            self.done.eq(gcm.done),
            self.genuine.eq(gcm.genuine),
        ]
        wiring.connect(m, gcm.aes_requests, core.requests)
        wiring.connect(m, core.results, gcm.aes_results)
        wiring.connect(m, wiring.flipped(self.bytes), gcm.bytes)
        wiring.connect(m, gcm.text, wiring.flipped(self.text))
        return m


def command_for(message, index):
    return {
        "key": index,
        "aes256": len(message.key) == 32,
        "open": message.open,
        "nonce": from_bytes(message.nonce),
        "associated_data_bytes": len(message.associated_data),
        "text_bytes": len(message.text),
    }


def run(messages, seed=0, idle=0.0, digit=8, tags=None):
    """Text and tag, or text and verdict, of each message; and the cycles that each takes.

    ``tags`` are those to open with, if not the right ones.
    """
    keys = [message.key for message in messages]
    dut = GCMWithCore(GCM(len(keys), digit), keys)
    waits = pauses(seed, idle)
    written, results, cycles = [], [], []

    async def watch(ctx):
        async for *_, valid, byte in ctx.tick().sample(dut.text.valid, dut.text.payload):
            if valid:
                written.append(byte)

    async def work(ctx):
        for index, message in enumerate(messages):
            written.clear()
            ctx.set(dut.command, command_for(message, index))
            ctx.set(dut.h, from_bytes(encrypt_block(message.key, bytes(16))))
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            tag = tags[index] if tags else message.sealed[-16:]
            given = message.associated_data + message.input + (tag if message.open else b"")
            sender = iter(given)
            count = 0
            wait, byte = next(waits), next(sender, None)
            while True:
                offered = byte is not None and not wait
                ctx.set(dut.bytes.valid, offered)
                ctx.set(dut.bytes.payload, byte if offered else 0xFF)
                _, _, ready, done = await ctx.tick().sample(dut.bytes.ready, dut.done)
                count += 1
                if offered and ready:
                    wait, byte = next(waits), next(sender, None)
                elif wait:
                    wait -= 1
                if done:
                    break
            assert byte is None
            await ctx.tick()
            verdict = bool(ctx.get(dut.genuine)) if message.open else None
            results.append((bytes(written), verdict))
            cycles.append(count)

    simulate(dut, work, background=[watch])
    return results, cycles


def expected(message):
    return (message.output, True) if message.open else (message.sealed, None)


@pytest.mark.parametrize(("idle", "seed"), [(0.0, 1), (0.5, 2)])
@pytest.mark.parametrize("digit", [2, 8])
def test_text_and_tag_are_those_of_the_model(digit, idle, seed):
    messages = CASE_MESSAGES + random_messages(random.Random(seed), 16)
    results, _ = run(messages, seed, idle, digit)
    assert results == [expected(message) for message in messages]


def test_opens_only_with_the_right_tag():
    message = Message(KEY, NONCE, TEXT[:20], ASSOCIATED_DATA, True)
    tag = message.sealed[-16:]
    tags = [bytes([*tag[:i], tag[i] ^ 1 << i % 8, *tag[i + 1 :]]) for i in range(16)]
    results, cycles = run([message] * 17, tags=[*tags, tag])
    assert [genuine for _, genuine in results] == [False] * 16 + [True]
    assert len(set(cycles)) == 1


@pytest.mark.parametrize(("digit", "rest"), [(1, 184), (8, 17)])
def test_aes_sets_the_pace_of_a_message(digit, rest):
    """A block of AES for each of text, one for the tag, and what GHASH is behind at the end."""
    for associated, text in [(0, 1), (5, 1), (13, 64), (0, 100), (16, 16)]:
        _, (cycles,) = run([Message(KEY, NONCE, bytes(text), bytes(associated))], digit=digit)
        blocks = -(-text // 16) + 1
        assert cycles == blocks * (SerialAES.latency(aes256=False) + 1) + rest


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
    results, _ = run([message])
    assert results == [expected(message)]
