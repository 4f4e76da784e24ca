"""The whole accelerator, at its AXI4-Stream ports, against `protocol`, OpenSSL and NIST."""

import os
from collections.abc import Iterable
from random import Random

import cocotb
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cocotb_tests import cavp, wycheproof
from cocotb_tests.cavp import GCMVector
from cocotb_tests.host import Host, aead_payload
from cocotb_tests.records import FORMS, SUITES, Direction, expected_answer
from cocotb_tests.runner import FULL, SEED, run
from driver.messages import (
    ALL_SLOTS,
    HEADER_BYTES,
    HeaderForm,
    Info,
    Opcode,
    Request,
    Status,
    Suite,
    Usage,
)
from hdl.accelerator import Accelerator
from hdl.packet_stream import AXI4StreamTop
from hdl.profile import PROFILES
from protocol.crypto.provider import OpenedRecord
from protocol.crypto.suites import CipherSuite

ROUNDS = 20 if FULL else 1
#: Rounds of the longest tests; a netlist is slow, so that in a sample it has fewer.
OPENING_ROUNDS = int(os.environ.get("INTAGLIO_OPENING_ROUNDS", 5 * ROUNDS))
REFUSED = {status: (status, b"") for status in Status}
DONE = (Status.OK, b"")


#: The profile of the device in this simulation.
PROFILE = PROFILES[os.environ.get("INTAGLIO_PROFILE", "compact")]


@pytest.mark.parametrize("profile", PROFILES if FULL else ["compact"])
def test_accelerator(profile):
    top = AXI4StreamTop(Accelerator(PROFILES[profile]))
    modules = [__name__, "cocotb_tests.random_traffic"]
    run(top, modules, f"accelerator-{profile}", {"INTAGLIO_PROFILE": profile})


async def start(dut, name: str) -> tuple[Host, Random]:
    """A host of the device after reset, and what the test draws from."""
    host = Host(dut, f"{SEED} {name}")
    await host.reset()
    return host, Random(f"{SEED} {name}")


def inner_plaintext(rng: Random, longest: int = 120) -> bytes:
    """Content of any length and any content type, with or without padding."""
    content = rng.randbytes(rng.choice((0, 1, 15, 16, 17, rng.randint(0, longest))))
    return content + bytes([rng.randint(1, 255)]) + bytes(rng.choice((0, 0, 1, 16, 30)))


def damage(rng: Random, message: bytes) -> bytes:
    """The message with one bit turned over, cut short, or continued."""
    damaged = bytearray(message)
    match rng.randrange(6):
        case 0:
            del damaged[rng.randrange(len(damaged)) :]
        case 1:
            damaged += rng.randbytes(rng.randint(1, 20))
        case 2:
            damaged[rng.randrange(4)] ^= 1 << rng.randrange(8)
        case _:
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


@cocotb.test()
async def tells_what_it_is(dut):
    host, _ = await start(dut, "info")
    answer = await host.ask(Opcode.INFO)
    assert answer.status is Status.OK
    info = Info.unpack(answer.payload)
    assert (info.profile, info.slots, info.window) == (PROFILE.name, PROFILE.slots, PROFILE.window)
    assert info.suites == frozenset(Suite)
    await host.finish()


@cocotb.test()
async def a_reset_empties_all_slots(dut):
    host, rng = await start(dut, "reset")
    direction = Direction.random(rng, CipherSuite.TLS_AES_256_GCM_SHA384)
    sealing = [(Opcode.SEAL, slot, b"content\x17") for slot in range(PROFILE.slots)]
    for slot in range(PROFILE.slots):
        await host.load(slot, direction.load(Usage.SEAL))
    expected = (Status.OK, direction.seal(0, b"content\x17"))
    assert await host.ask_all(sealing) == PROFILE.slots * [expected]
    await host.reset()
    assert await host.ask_all(sealing) == PROFILE.slots * [REFUSED[Status.SLOT_EMPTY]]
    await host.finish()


async def check_vectors(host: Host, rng: Random, vectors: Iterable[GCMVector]) -> None:
    """Open each of them, and seal those that are genuine."""
    for vector in vectors:
        slot = rng.randrange(PROFILE.slots)
        await host.load_aead_key(slot, vector.key)
        prefix = aead_payload(vector.nonce, vector.associated_data, b"")
        sealed = vector.ciphertext + vector.tag
        opened = await host.ask(Opcode.AEAD_OPEN, slot, prefix + sealed)
        if vector.plaintext is None:
            assert opened == REFUSED[Status.BAD_TAG], vector.name
        else:
            assert opened == (Status.OK, vector.plaintext), vector.name
            result = await host.ask(Opcode.AEAD_SEAL, slot, prefix + vector.plaintext)
            assert result == (Status.OK, sealed), vector.name


@cocotb.test()
async def nist_vectors(dut):
    host, rng = await start(dut, "nist")
    await check_vectors(host, rng, cavp.gcm_vectors(None if FULL else 1))
    await host.finish()


@cocotb.test()
async def wycheproof_vectors(dut):
    host, rng = await start(dut, "wycheproof")
    await check_vectors(host, rng, wycheproof.gcm_vectors())
    await host.finish()


@cocotb.test()
async def random_aead_messages(dut):
    host, rng = await start(dut, "aead")
    for _ in range(15 * ROUNDS):
        slot, key = rng.randrange(PROFILE.slots), rng.randbytes(rng.choice((16, 32)))
        await host.load_aead_key(slot, key)
        requests, expected = [], []
        for _ in range(4):
            nonce = rng.randbytes(12)
            plaintext = rng.randbytes(rng.choice((0, 1, 16, rng.randint(0, 200))))
            associated_data = rng.randbytes(rng.choice((0, 1, 16, rng.randint(0, 90))))
            prefix = aead_payload(nonce, associated_data, b"")
            sealed = AESGCM(key).encrypt(nonce, plaintext, associated_data)
            forged = bytearray(prefix + sealed)
            forged[rng.randrange(4, len(forged))] ^= 1 << rng.randrange(8)
            requests += [
                (Opcode.AEAD_SEAL, slot, prefix + plaintext),
                (Opcode.AEAD_OPEN, slot, bytes(forged)),
                (Opcode.AEAD_OPEN, slot, prefix + sealed),
            ]
            expected += [(Status.OK, sealed), REFUSED[Status.BAD_TAG], (Status.OK, plaintext)]
        assert await host.ask_all(requests) == expected
    await host.finish()


@cocotb.test()
@cocotb.parametrize(suite=SUITES, form=FORMS)
async def the_protocol_opens_what_it_seals(dut, suite, form):
    host, rng = await start(dut, f"seal {suite} {form}")
    for _ in range(2 * ROUNDS):
        direction, slot = Direction.random(rng, suite), rng.randrange(PROFILE.slots)
        opener = direction.opener(PROFILE.window)
        # Now and then, the part of the number that is sent wraps.
        first = rng.choice((0, (1 << (16 if form & HeaderForm.SEQUENCE_NUMBER_16 else 8)) - 4))
        await host.load(slot, direction.load(Usage.SEAL, form, first))
        inners = [inner_plaintext(rng) for _ in range(8)]
        answers = await host.ask_all([(Opcode.SEAL, slot, inner) for inner in inners])
        for number, (inner, answer) in enumerate(zip(inners, answers, strict=True), first):
            assert answer == (Status.OK, direction.seal(number, inner, form))
            content = inner.rstrip(b"\0")
            assert opener.open(answer.payload) == OpenedRecord(
                direction.epoch, number, content[-1], content[:-1]
            )
    await host.finish()


@cocotb.test()
@cocotb.parametrize(suite=SUITES, together=[False, True])
async def it_opens_and_refuses_what_the_protocol_does(dut, suite, together):
    """Records in disorder, replayed, too old, of other epochs, damaged; in every form.

    ``together``, back to back, only with 16-bit numbers: what is under way has not moved the window
    yet, and of 8 bits the device would find another number than these (`hdl.pipeline.numbering`).
    """
    forms = [form for form in FORMS if form & HeaderForm.SEQUENCE_NUMBER_16 or not together]
    host, rng = await start(dut, f"open {suite} {together}")
    for _ in range(OPENING_ROUNDS):
        direction, slot = Direction.random(rng, suite), rng.randrange(PROFILE.slots)
        other_epoch = Direction(direction.keys, direction.epoch + 1, direction.connection_id)
        opener = direction.opener(PROFILE.window)
        await host.load(slot, direction.load(Usage.OPEN))
        number, records = 0, []
        for _ in range(50):
            number += rng.choice((0, 1, 1, 1, 2, 60, -1, -70))
            number = max(number, 0)
            inner = bytes(rng.randint(1, 30)) if rng.random() < 0.05 else inner_plaintext(rng)
            sender = other_epoch if rng.random() < 0.05 else direction
            record = sender.seal(number, inner, rng.choice(forms))
            records += [damage(rng, record)] if rng.random() < 0.2 else []
            records += [record] * rng.choice((1, 1, 1, 2))
        requests = [(Opcode.OPEN, slot, record) for record in records]
        answers = (
            await host.ask_all(requests)
            if together
            else [await host.ask(*request) for request in requests]
        )
        for record, answer in zip(records, answers, strict=True):
            assert answer == expected_answer(opener.open(record)), record.hex()
    await host.finish()


@cocotb.test()
async def slots_do_not_touch_each_other(dut):
    host, rng = await start(dut, "slots")
    directions = [Direction.random(rng, rng.choice(SUITES)) for _ in range(PROFILE.slots // 2)]
    for index, direction in enumerate(directions):
        await host.load(2 * index, direction.load(Usage.SEAL))
        await host.load(2 * index + 1, direction.load(Usage.OPEN))
    for number in range(3 * ROUNDS):
        inners = [inner_plaintext(rng) for _ in directions]
        answers = await host.ask_all(
            [(Opcode.SEAL, 2 * index, inner) for index, inner in enumerate(inners)]
        )
        answers = await host.ask_all(
            [(Opcode.OPEN, 2 * i + 1, answer.payload) for i, answer in enumerate(answers)]
        )
        for direction, inner, answer in zip(directions, inners, answers, strict=True):
            record_number = direction.epoch.to_bytes(2, "big") + number.to_bytes(6, "big")
            assert answer == (Status.OK, record_number + inner.rstrip(b"\0"))
    await host.finish()


@cocotb.test()
async def records_of_full_size(dut):
    host, rng = await start(dut, "full size")
    direction = Direction.random(rng, CipherSuite.TLS_AES_256_GCM_SHA384)
    await host.load(0, direction.load(Usage.SEAL))
    await host.load(1, direction.load(Usage.OPEN))
    inner = rng.randbytes(PROFILE.largest_record) + b"\x17"
    record = direction.seal(0, inner)
    assert await host.ask_all(
        [
            (Opcode.SEAL, 0, inner),
            (Opcode.SEAL, 0, inner + b"\0"),
            (Opcode.OPEN, 1, record),
            (Opcode.OPEN, 1, bytes(PROFILE.largest_open + 1)),
        ]
    ) == [
        (Status.OK, record),
        REFUSED[Status.TOO_LONG],
        (Status.OK, direction.epoch.to_bytes(2, "big") + bytes(6) + inner),
        REFUSED[Status.TOO_LONG],
    ]
    await host.finish()


@cocotb.test()
async def a_key_ends_with_its_last_number(dut):
    host, rng = await start(dut, "last number")
    direction = Direction.random(rng, CipherSuite.TLS_AES_128_GCM_SHA256)
    last = (1 << 48) - 2  # 2**48 - 1 would leave no next number
    await host.load(0, direction.load(Usage.SEAL, first=last))
    assert await host.ask_all(2 * [(Opcode.SEAL, 0, b"content\x17")]) == [
        (Status.OK, direction.seal(last, b"content\x17")),
        REFUSED[Status.KEY_LIMIT],
    ]
    await host.finish()


@cocotb.test()
async def truncated_and_overlong_packets_change_nothing(dut):
    host, rng = await start(dut, "malformed")
    direction = Direction.random(rng, CipherSuite.TLS_AES_128_GCM_SHA256)
    await host.load(0, direction.load(Usage.SEAL))
    await host.load(1, direction.load(Usage.OPEN))
    await host.load_aead_key(2, bytes(16))
    aead = aead_payload(bytes(12), b"header", b"text of the message")
    good = [
        Request(Opcode.SEAL, 0, 1, b"some content\x17"),
        Request(Opcode.OPEN, 1, 2, direction.seal(0, b"some content\x17")),
        Request(Opcode.AEAD_SEAL, 2, 3, aead),
        Request(Opcode.LOAD, 0, 4, direction.load(Usage.SEAL).pack()),
        Request(Opcode.ZEROIZE, ALL_SLOTS, 5),
    ]
    for packet in (request.pack() for request in good):
        broken = [packet[:length] for length in range(1, len(packet))]
        broken += [packet + bytes(extra) for extra in (1, 2, 16, 100)]
        broken += [packet[:1] + b"\x01" + packet[2:]]
        for sent, completion in zip(broken, await host.exchange(broken), strict=True):
            header = sent[:6].ljust(6, b"\0")
            expected = header[:1] + bytes([Status.MALFORMED_REQUEST]) + header[2:] + bytes(2)
            assert completion == expected, sent.hex()

    seal, open_, aead_seal, *_ = [(r.opcode, r.slot, r.payload) for r in good]
    tag_and_text = AESGCM(bytes(16)).encrypt(bytes(12), b"text of the message", b"header")
    assert await host.ask_all([seal, open_, aead_seal]) == [
        (Status.OK, direction.seal(0, b"some content\x17")),
        (Status.OK, direction.epoch.to_bytes(2, "big") + bytes(6) + b"some content\x17"),
        (Status.OK, tag_and_text),
    ]
    await host.finish()


@cocotb.test()
async def noise_gets_one_completion_a_packet(dut):
    host, rng = await start(dut, "noise")
    direction = Direction.random(rng, CipherSuite.TLS_AES_128_GCM_SHA256)
    for number in range(4 * ROUNDS):
        noise = [rng.randbytes(rng.choice((1, 7, 8, 9, rng.randint(1, 150)))) for _ in range(25)]
        # A header may announce up to 65,535 bytes, for which the device waits a cycle each.
        noise = [packet[:6] + b"\0" + packet[7:] if len(packet) > 6 else packet for packet in noise]
        noise += [bytes([*range(1, 7), 255, 255])]
        noise += [
            Request(rng.randrange(9, 256), rng.randrange(20), 0, rng.randbytes(9)).pack()
            for _ in range(5)
        ]
        for sent, completion in zip(noise, await host.exchange(noise), strict=True):
            assert completion[0] == sent[0]
            assert completion[1] in (Status.MALFORMED_REQUEST, Status.UNKNOWN_OPCODE)
            assert len(completion) == HEADER_BYTES
        await host.load(number % PROFILE.slots, direction.load(Usage.SEAL))
        answer = await host.ask(Opcode.SEAL, number % PROFILE.slots, b"after all that\x17")
        assert answer == (Status.OK, direction.seal(0, b"after all that\x17"))
    await host.finish()


@cocotb.test()
async def slots_refuse_what_they_are_not_for(dut):
    host, rng = await start(dut, "usage")
    direction = Direction.random(rng, CipherSuite.TLS_AES_256_GCM_SHA384)
    load = direction.load(Usage.SEAL).pack()
    await host.load(0, direction.load(Usage.SEAL))
    sealing = (Opcode.SEAL, 0, b"content\x17")
    assert await host.ask_all(
        [
            (Opcode.OPEN, 0, direction.seal(0, b"\x17")),
            (Opcode.AEAD_SEAL, 0, aead_payload(bytes(12), b"", b"")),
            (Opcode.SEAL, PROFILE.slots, b"\x17"),
            (Opcode.LOAD, PROFILE.slots, load),
            (Opcode.LOAD, 0, b"\xff" + load[1:]),
            (Opcode.LOAD, 0, load[:3] + b"\xff" + load[4:]),
            sealing,
        ]
    ) == [
        REFUSED[Status.WRONG_USAGE],
        REFUSED[Status.WRONG_USAGE],
        REFUSED[Status.NO_SUCH_SLOT],
        REFUSED[Status.NO_SUCH_SLOT],
        REFUSED[Status.UNSUPPORTED_SUITE],
        REFUSED[Status.MALFORMED_REQUEST],
        (Status.OK, direction.seal(0, b"content\x17")),
    ]
    await host.finish()


@cocotb.test()
async def zeroized_slots_are_empty_until_loaded_again(dut):
    host, rng = await start(dut, "zeroize")
    direction = Direction.random(rng, CipherSuite.TLS_AES_128_GCM_SHA256)
    for slot in range(3):
        await host.load(slot, direction.load(Usage.SEAL))
    sealing = [(Opcode.SEAL, slot, b"content\x17") for slot in range(3)]
    empty = REFUSED[Status.SLOT_EMPTY]
    sealed = [(Status.OK, direction.seal(number, b"content\x17")) for number in range(2)]

    assert await host.ask_all([(Opcode.ZEROIZE, 1, b""), *sealing]) == [
        DONE,
        sealed[0],
        empty,
        sealed[0],
    ]
    await host.load(1, direction.load(Usage.SEAL))
    assert await host.ask_all(sealing) == [sealed[1], sealed[0], sealed[1]]
    assert await host.ask_all([(Opcode.ZEROIZE, ALL_SLOTS, b""), *sealing]) == [DONE] + 3 * [empty]
    await host.load(2, direction.load(Usage.SEAL))
    assert await host.ask_all(sealing) == [empty, empty, sealed[0]]
    await host.finish()
