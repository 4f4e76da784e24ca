"""Records take the cycles that the model says, in every engine, and by every core's own count."""

import dataclasses
import random

import pytest

from driver.messages import Load, Opcode, Request, Status, Suite, Usage
from hdl.accelerator import Accelerator
from hdl.aes.sbox import SBoxForm
from hdl.model import AcceleratorModel
from hdl.profile import COMPACT, FAST, AESCore, Profile
from hdl.rate import Record, record_cycles
from sim import simulate
from tests.hdl.traffic import SMALL

KEY_BYTES = {Suite.AES_128_GCM: 16, Suite.AES_256_GCM: 32}
PATIENCE = 1 << 24
CONTENTS = (0, 16, 100)
#: A window that takes longer than a short record does.
WIDE = dataclasses.replace(SMALL, name="wide", window=1000, ghash_digit=8)
#: GHASH sets the pace.
RING = Profile(
    "sma-ring",
    slots=2,
    largest_record=256,
    window=8,
    sbox=SBoxForm.COMPOSITE,
    aes=AESCore.RING,
    ghash_digit=8,
    bus_bytes=16,
)
#: By profile: the simulator; the records that are under way before any is counted; those counted.
ENGINES = {
    SMALL: ("cxxrtl", 1, 2),
    WIDE: ("amaranth", 1, 2),
    RING: ("cxxrtl", 12, 24),
    COMPACT: ("cxxrtl", 12, 24),
}


class Host:
    """A device with a key to seal in slot 0 and the same key to open in slot 1."""

    def __init__(self, simulation, suite: Suite):
        self._simulation = simulation
        self._peer = AcceleratorModel(Profile("peer"))  # its sealed records are those to open
        source = random.Random(1)
        key = source.randbytes(KEY_BYTES[suite])
        for slot, usage in enumerate((Usage.SEAL, Usage.OPEN)):
            load = Load(suite, usage, key, record_number_key=key)
            packet = Request(Opcode.LOAD, slot, 0, load.pack()).pack()
            self._peer.request(packet)
            self._exchange([packet])

    def cycles(self, record: Record, count: int) -> int:
        """The cycles of so many records, all on offer from the start."""
        text = bytes(record.content) + b"\x17"
        packets = [Request(Opcode.SEAL, 0, 0, text).pack()] * count
        if record.opens:
            sealed = [self._peer.request(packet)[8:] for packet in packets]
            packets = [Request(Opcode.OPEN, 1, 0, payload).pack() for payload in sealed]
        before = self._simulation.cycles
        self._exchange(packets)
        return self._simulation.cycles - before

    def _exchange(self, packets):
        completions = self._simulation.exchange(packets, PATIENCE)
        assert {completion[1] for completion in completions} == {Status.OK}
        assert len(completions) == len(packets)


@pytest.mark.parametrize("profile", ENGINES, ids=lambda profile: profile.name)
def test_records_take_the_cycles_of_the_model(profile):
    backend, ahead, counted = ENGINES[profile]
    # A run begins when a place of the ring comes by. That is less than a cycle for each record.
    apart = counted // 2 if profile.pipelined else 0
    for suite in Suite:
        with simulate(Accelerator(profile), backend) as simulation:
            host = Host(simulation, suite)
            for content in CONTENTS:
                for opens in (False, True):
                    record = Record(content, suite is Suite.AES_256_GCM, opens)
                    cycles = host.cycles(record, ahead + counted) - host.cycles(record, ahead)
                    expected = counted * record_cycles(profile, record)
                    assert abs(cycles - expected) <= apart, record


def test_a_block_a_cycle_is_what_the_pipeline_takes():
    """`tests/hdl/pipeline/test_throughput.py` counts that in simulation."""
    for blocks in (1, 2, 5, 17):
        for aes256 in (False, True):
            for opens in (False, True):
                record = Record(16 * blocks - 1, aes256, opens)
                assert record_cycles(FAST, record) == blocks + 2


def test_the_slower_of_both_cores_sets_the_pace():
    record = Record(1200)
    assert record_cycles(COMPACT, record) == 10 * 78
    assert record_cycles(COMPACT, Record(1200, aes256=True)) == 14 * 78
    assert record_cycles(dataclasses.replace(COMPACT, ghash_digit=8), record) == 19 * 78
    assert record_cycles(dataclasses.replace(FAST, ghash_digit=32), record) == 6 * 78


def test_a_narrow_port_may_be_slower_than_the_engine():
    """8 bytes of packet header, 5 of record header, 1,201 of text, 16 of tag."""
    assert record_cycles(dataclasses.replace(FAST, bus_bytes=4), Record(1200)) == -(-1230 // 4)


def test_a_record_that_is_too_long_is_named():
    with pytest.raises(ValueError, match=r"record of 2049 is not in 0 \.\. 2048"):
        record_cycles(FAST, Record(2049))
