"""How long a request takes depends on its kind and its lengths, never on data or on the verdict."""

import random
from collections.abc import Iterable

import pytest

from driver.messages import (
    AEAD_PREFIX_BYTES,
    HEADER_BYTES,
    IV_BYTES,
    TAG_BYTES,
    AeadPrefix,
    Completion,
    Load,
    Opcode,
    Request,
    Status,
    Suite,
    Usage,
)
from hdl.accelerator import Accelerator
from hdl.model import AcceleratorModel
from sim import CompiledModel, simulate
from tests.hdl.traffic import SMALL, SMALL_PIPELINED, SMALL_RING

PATIENCE = 20_000
KEY_BYTES = {Suite.AES_128_GCM: 16, Suite.AES_256_GCM: 32}

#: Bytes of every DTLSInnerPlaintext.
TEXT_BYTES = 37

with_suite = pytest.mark.parametrize("suite", Suite, ids=lambda suite: suite.name)
#: `driver.messages.HeaderForm`, all of them.
with_form = pytest.mark.parametrize("form", [0, 4, 8, 12])
with_connection_id = pytest.mark.parametrize("connection_id", [b"", b"\x5a" * 5], ids=len)


@pytest.fixture(scope="module", params=[SMALL, SMALL_PIPELINED], ids=lambda profile: profile.name)
def device(request):
    with simulate(Accelerator(request.param), backend="cxxrtl") as simulation:
        device = Device(simulation, request.param)
        device.ask(Request(Opcode.INFO).pack())  # waits for the end of the reset
        yield device


class Device:
    """The accelerator, asked one thing at a time."""

    def __init__(self, simulation, profile):
        self._simulation = simulation
        self._profile = profile
        self.pipelined = profile.pipelined

    def ask(self, packet: bytes) -> tuple[Status, int]:
        """How it ended, and the cycles from the request's first byte to the completion's first."""
        before = self._simulation.cycles
        self._simulation.send(packet)
        completion = self._simulation.receive(PATIENCE)
        assert completion is not None
        cycles = self._simulation.cycles - before
        return Status(completion[1]), cycles - self._behind_first(completion)

    def _behind_first(self, completion: bytes) -> int:
        """Cycles for all of a completion behind its first byte."""
        # The other beats follow one a cycle.
        cycles = -(-len(completion) // self._profile.bus_bytes) - 1
        # A text that begins in the middle of a beat takes a cycle until the beat is whole.
        text_is_apart = completion[0] == Opcode.AEAD_OPEN and len(completion) > HEADER_BYTES
        return cycles + (self._profile.pipelined and text_is_apart)

    def ask_all(self, packets: Iterable[bytes]) -> tuple[set[Status], set[int]]:
        answers = [self.ask(packet) for packet in packets]
        return {status for status, _ in answers}, {cycles for _, cycles in answers}


class Keys:
    """Random keys, loaded into the device for one use and into a model for its reverse."""

    def __init__(self, seed, suite, usage, **fields):
        self._source = random.Random(seed)
        keys = {
            "key": self._source.randbytes(KEY_BYTES[suite]),
            "iv": self._source.randbytes(12),
            "record_number_key": self._source.randbytes(KEY_BYTES[suite]),
        }
        reverse = Usage.SEAL if usage is Usage.OPEN else usage
        self.load = self._load(Load(suite, usage, **keys, **fields))
        self._peer = AcceleratorModel(SMALL)
        self._peer.request(self._load(Load(suite, reverse, **keys, **fields)))

    @staticmethod
    def _load(load: Load) -> bytes:
        return Request(Opcode.LOAD, payload=load.pack()).pack()

    def open_request(self, plaintext: bytes | None = None) -> bytes:
        """OPEN of the next record; random content if not given."""
        plaintext = (
            self._source.randbytes(TEXT_BYTES - 1) + b"\x17" if plaintext is None else plaintext
        )
        return Request(Opcode.OPEN, payload=self._ask(Opcode.SEAL, plaintext)).pack()

    def aead_open_request(self, associated_data: bytes, text: bytes) -> bytes:
        """AEAD_OPEN of a genuine message."""
        prefix = AeadPrefix(len(associated_data), self._source.randbytes(12)).pack()
        sealed = self._ask(Opcode.AEAD_SEAL, prefix + associated_data + text)
        return Request(Opcode.AEAD_OPEN, payload=prefix + associated_data + sealed).pack()

    def _ask(self, opcode: Opcode, payload: bytes) -> bytes:
        return Completion.unpack(
            self._peer.request(Request(opcode, payload=payload).pack())
        ).payload


def flipped(packet: bytes, position: int) -> bytes:
    """The packet with one bit turned over."""
    damaged = bytearray(packet)
    damaged[position] ^= 1 << abs(position) % 8
    return bytes(damaged)


@with_suite
def test_loading_takes_the_same_for_any_key(device, suite):
    packets = [Keys(seed, suite, usage).load for seed in range(5) for usage in Usage]
    zeros = Load(suite, Usage.AEAD, key=bytes(KEY_BYTES[suite]))
    packets.append(Request(Opcode.LOAD, payload=zeros.pack()).pack())
    statuses, cycles = device.ask_all(packets)
    assert statuses == {Status.OK}
    assert len(cycles) == 1


@with_suite
@with_form
@with_connection_id
def test_sealing_takes_the_same_for_any_key_and_plaintext(device, suite, form, connection_id):
    source = random.Random(2)
    texts = [bytes(TEXT_BYTES), b"\xff" * TEXT_BYTES, source.randbytes(TEXT_BYTES)]
    seen = []
    for number in (0, 255, 0xFFFF_FFFF):
        fields = {"header_form": form, "connection_id": connection_id, "sequence_number": number}
        device.ask(Keys(number, suite, Usage.SEAL, **fields).load)
        seen += [device.ask(Request(Opcode.SEAL, payload=text).pack()) for text in texts]
    assert len(set(seen)) == 1
    assert seen[0][0] is Status.OK


@with_suite
@with_form
@with_connection_id
def test_opening_takes_the_same_for_any_verdict(device, suite, form, connection_id):
    """Good, padded, all zeros, replayed, too old, or damaged in any byte of ciphertext and tag."""
    keys = Keys(3, suite, Usage.OPEN, header_form=form, connection_id=connection_id)
    old, *records = [keys.open_request() for _ in range(SMALL.window + 2)]
    padded = keys.open_request(b"\x17".ljust(TEXT_BYTES, b"\0"))
    blank = keys.open_request(bytes(TEXT_BYTES))
    device.ask(keys.load)
    seen = [device.ask(record) for record in (*records, padded, blank, records[-1], blank, old)]
    verdicts = [Status.OK] * len(records)
    verdicts += [
        Status.OK,
        Status.NO_CONTENT_TYPE,
        Status.REPLAYED,
        Status.REPLAYED,
        Status.TOO_OLD,
    ]
    assert [status for status, _ in seen] == verdicts

    for position in range(-(TEXT_BYTES + TAG_BYTES), 0):
        device.ask(keys.load)
        seen.append(device.ask(flipped(records[0], position)))
        assert seen[-1][0] is Status.BAD_TAG
    if device.pipelined:  # content follows its header when it has been read
        seen = [(status, cycles) for status, cycles in seen if status is not Status.OK]
    assert len({cycles for _, cycles in seen}) == 1


def test_a_foreign_header_takes_the_same_wherever_it_differs(device):
    connection_id = bytes(range(1, 21))
    keys = Keys(4, Suite.AES_128_GCM, Usage.OPEN, connection_id=connection_id)
    device.ask(keys.load)
    record = keys.open_request()
    first = HEADER_BYTES + 1
    seen = device.ask_all(flipped(record, first + i) for i in range(len(connection_id)))
    assert seen[0] == {Status.MALFORMED_RECORD}
    assert len(seen[1]) == 1


@with_suite
@pytest.mark.parametrize("associated_bytes", [0, 5])
@pytest.mark.parametrize("text_bytes", [0, 1, 33])
def test_opening_any_message_takes_the_same(device, suite, associated_bytes, text_bytes):
    """Genuine, or damaged in any byte of nonce, associated data, ciphertext and tag."""
    keys = Keys(5, suite, Usage.AEAD)
    device.ask(keys.load)
    packet = keys.aead_open_request(b"a" * associated_bytes, b"t" * text_bytes)
    good, cycles = device.ask(packet)
    assert good is Status.OK
    nonce = HEADER_BYTES + AEAD_PREFIX_BYTES - IV_BYTES
    seen = device.ask_all(flipped(packet, i) for i in range(nonce, len(packet)))
    assert seen[0] == {Status.BAD_TAG}
    assert len(seen[1]) == 1
    assert device.pipelined or seen[1] == {cycles}


@with_suite
def test_after_the_same_requests_the_ring_takes_the_same(suite):
    """Which place comes by depends on when those before came, never on keys or data."""
    model = CompiledModel(Accelerator(SMALL_RING))
    seal = Request(Opcode.SEAL, payload=bytes(TEXT_BYTES)).pack()
    seen = set()
    for seed in range(4):
        opens, seals = Keys(seed, suite, Usage.OPEN), Keys(seed, suite, Usage.SEAL)
        record = opens.open_request()
        for position in (HEADER_BYTES + 1, -TEXT_BYTES, -TAG_BYTES, -1):
            with model.simulate() as simulation:
                device = Device(simulation, SMALL_RING)
                packets = (opens.load, flipped(record, position), record, seals.load, seal)
                seen.add(tuple(device.ask(packet) for packet in packets))
    (answers,) = seen
    assert [status for status, _ in answers] == [Status.OK, Status.BAD_TAG, *[Status.OK] * 3]
