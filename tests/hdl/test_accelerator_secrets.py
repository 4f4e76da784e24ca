"""Keys go into the accelerator and nowhere else: not into completions, and not past ZEROIZE."""

import random
from itertools import islice

import pytest
from amaranth.hdl import Fragment, ResetInserter, Signal
from amaranth.hdl._mem import MemoryInstance

from driver.messages import (
    ALL_SLOTS,
    HEADER_BYTES,
    KEY_BYTES,
    LOAD_BYTES,
    AeadPrefix,
    Load,
    Opcode,
    Request,
    Status,
    Suite,
    Usage,
)
from hdl.accelerator import Accelerator
from hdl.aes import encrypt_block, expand_key
from hdl.block import from_bytes
from hdl.hash_unit import powers
from hdl.profile import Profile
from sim import simulate as simulate_design
from tests.hdl.ports import ask, beats, width_of
from tests.hdl.streams import put_all, simulate
from tests.hdl.traffic import Traffic, pipelined, ring
from tests.hdl.traffic import with_engine as with_small

SECRETS = Profile("secrets", slots=2, largest_record=64, window=8)

with_engine = pytest.mark.parametrize(
    "profile",
    [SECRETS, pipelined(SECRETS), pipelined(SECRETS, 4, "narrow"), ring(SECRETS)],
    ids=lambda p: p.name,
)
PATIENCE = 20_000
#: Shorter pieces of a key may come up by chance.
PIECE_BYTES = 8

SOURCE = random.Random(1)
KEYS = {usage: (SOURCE.randbytes(32), SOURCE.randbytes(32)) for usage in Usage}


def load(slot, usage, suite=Suite.AES_256_GCM) -> bytes:
    key, record_number_key = (
        key if suite is Suite.AES_256_GCM else key[:16] for key in KEYS[usage]
    )
    payload = Load(suite, usage, key=key, record_number_key=record_number_key).pack()
    return Request(Opcode.LOAD, slot, payload=payload).pack()


def use_all(slot) -> list[bytes]:
    """Requests that work with whatever key is in the slot."""
    text = b"some text\x17"
    message = AeadPrefix(0, bytes(12)).pack() + text
    return [
        Request(Opcode.SEAL, slot, payload=text).pack(),
        Request(Opcode.OPEN, slot, payload=b"\x2c\0\0\0\x20" + bytes(32)).pack(),
        Request(Opcode.AEAD_SEAL, slot, payload=message).pack(),
        Request(Opcode.AEAD_OPEN, slot, payload=message + bytes(16)).pack(),
    ]


class State:
    """Every register and every memory of a design."""

    def __init__(self, fragment: Fragment):
        self._values = []
        self._collect(fragment)

    def _collect(self, fragment):
        if isinstance(fragment, MemoryInstance):
            data = fragment._data
            self._values += [data[row] for row in range(data.depth)]
            self._values += [port._data for port in fragment._read_ports]
        elif "sync" in fragment.statements:
            self._values += fragment.statements["sync"]._lhs_signals()
        for subfragment, *_ in fragment.subfragments:
            self._collect(subfragment)

    def holds(self, ctx, secrets: list[bytes]) -> bool:
        """Whether any of these blocks stands anywhere, in either byte order."""
        patterns = [
            f"{value:0{8 * len(secret)}b}"
            for secret in secrets
            for value in (from_bytes(secret), int.from_bytes(secret, "big"))
        ]
        contents = "|".join(f"{as_int(ctx.get(value)):b}" for value in self._values)
        return any(pattern.lstrip("0") in contents for pattern in patterns)


def as_int(value) -> int:
    return value if isinstance(value, int) else value.as_bits()


def secrets_of(usage) -> list[bytes]:
    """Round keys, the first of which are the keys, and the powers of H."""
    key, record_number_key = KEYS[usage]
    h = encrypt_block(key, bytes(16))
    return [*expand_key(key), *expand_key(record_number_key), *powers(h, chains=8)]


@with_engine
@pytest.mark.parametrize("usage", Usage, ids=lambda usage: usage.name)
@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
def test_nothing_of_a_key_is_left_in_any_register_or_memory(profile, usage, used):
    dut = Accelerator(profile)
    fragment = Fragment.get(dut, None)
    state, secrets = State(fragment), secrets_of(usage)

    async def testbench(ctx):
        for how_to_forget in (ALL_SLOTS, 1):
            await ask(ctx, dut, load(1, usage))
            for packet in use_all(1) if used else ():
                await ask(ctx, dut, packet)
            assert state.holds(ctx, secrets)
            await ask(ctx, dut, Request(Opcode.ZEROIZE, how_to_forget).pack())
            assert not state.holds(ctx, secrets)

    simulate(fragment, testbench)


@with_engine
def test_nothing_is_left_of_a_load_that_did_not_happen(profile):
    """Refused, or in a packet that is too short or too long."""
    dut = Accelerator(profile)
    fragment = Fragment.get(dut, None)
    state, secrets = State(fragment), secrets_of(Usage.OPEN)
    packet = load(0, Usage.OPEN)
    key = HEADER_BYTES + 44
    attempts = [
        packet[: key + KEY_BYTES],
        packet + b"\0",
        packet[:HEADER_BYTES] + b"\x07" + packet[HEADER_BYTES + 1 :],
        packet[:3] + b"\x07" + packet[4:],
        packet[:1] + b"\x01" + packet[2:],
        Request(Opcode.LOAD, 0, payload=packet[HEADER_BYTES:] + b"\0").pack(),
        Request(Opcode.LOAD, 0, payload=packet[HEADER_BYTES:-1]).pack(),
    ]

    async def testbench(ctx):
        for attempt in attempts:
            completion = await ask(ctx, dut, attempt)
            assert completion[1] != Status.OK
            assert not state.holds(ctx, secrets)

    simulate(fragment, testbench)


@with_engine
def test_a_smaller_key_leaves_nothing_of_a_larger_one(profile):
    dut = Accelerator(profile)
    fragment = Fragment.get(dut, None)
    state = State(fragment)

    async def testbench(ctx):
        await ask(ctx, dut, load(0, Usage.OPEN))
        await ask(ctx, dut, load(0, Usage.AEAD, Suite.AES_128_GCM))
        assert not state.holds(ctx, secrets_of(Usage.OPEN))

    simulate(fragment, testbench)


@with_engine
def test_a_reset_wipes_all_slots(profile):
    """Although it does not reach memories as such."""
    accelerator, reset = Accelerator(profile), Signal()
    fragment = Fragment.get(ResetInserter(reset)(accelerator), None)
    state = State(fragment)

    async def testbench(ctx):
        await ask(ctx, accelerator, load(0, Usage.SEAL))
        await ask(ctx, accelerator, load(1, Usage.OPEN))
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        for packet in (*use_all(0), *use_all(1)):
            assert (await ask(ctx, accelerator, packet))[1] == Status.SLOT_EMPTY
        assert not state.holds(ctx, secrets_of(Usage.SEAL) + secrets_of(Usage.OPEN))

    simulate(fragment, testbench)


@with_engine
def test_a_reset_in_the_middle_of_a_load_wipes_it(profile):
    """Whatever of it is in registers that are not reset; and the slot stays empty."""
    accelerator, reset = Accelerator(profile), Signal()
    fragment = Fragment.get(ResetInserter(reset)(accelerator), None)
    state, secrets = State(fragment), secrets_of(Usage.SEAL)

    async def testbench(ctx):
        await ask(ctx, accelerator, Request(Opcode.STATS).pack())
        for cycles in (150, 250, 400):
            transfers = beats(load(0, Usage.SEAL), width_of(accelerator.requests))
            await put_all(ctx, accelerator.requests, transfers)
            await ctx.tick().repeat(cycles)
            assert state.holds(ctx, secrets)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            for packet in use_all(0):
                assert (await ask(ctx, accelerator, packet))[1] == Status.SLOT_EMPTY
            assert not state.holds(ctx, secrets)

    simulate(fragment, testbench)


def pieces(data: bytes) -> set[bytes]:
    """Without those that are mostly zeros, as counters are."""
    found = {data[i : i + PIECE_BYTES] for i in range(len(data) - PIECE_BYTES + 1)}
    return {piece for piece in found if piece.count(0) < PIECE_BYTES // 2}


@with_small
def test_no_completion_holds_a_piece_of_a_key(profile):
    """Whatever is asked, of well-formed requests and of others."""
    secrets = set()
    with simulate_design(Accelerator(profile), backend="cxxrtl") as simulation:
        for packet in islice(Traffic(profile, seed=9), 1500):
            if packet[0] == Opcode.LOAD:
                keys = packet[HEADER_BYTES + LOAD_BYTES - 2 * KEY_BYTES : HEADER_BYTES + LOAD_BYTES]
                secrets |= pieces(keys)
            simulation.send(packet)
            completion = simulation.receive(PATIENCE)
            assert secrets.isdisjoint(pieces(completion[HEADER_BYTES:]))
    assert secrets
