"""A receiver that hardly takes anything: completions wait, and none of them is lost or damaged."""

import random

import pytest

from driver.messages import HeaderForm, Load, Opcode, Request, Suite, Usage
from hdl.accelerator import Accelerator
from hdl.model import AcceleratorModel
from hdl.profile import Profile
from sim import StreamTiming, simulate
from tests.hdl.test_accelerator import without_cycles
from tests.hdl.traffic import SMALL, Traffic, with_engine

#: Cycles for the longest completions to leave, a byte in 20 cycles on average.
PATIENCE = 100_000

SEALER = Load(
    Suite.AES_128_GCM,
    Usage.SEAL,
    key=bytes(range(16)),
    record_number_key=bytes(range(16, 32)),
    connection_id=bytes(20),
    header_form=HeaderForm(12),
)

#: The requests whose completions grow most beyond them, and the shortest there is.
KINDS = {
    "refused": Request(0xFF).pack(),
    "malformed": b"\x04",
    "reports": Request(Opcode.STATS).pack(),
    "info": Request(Opcode.INFO).pack(),
    "short": Request(Opcode.SEAL, 0, payload=b"\x17").pack(),
    "long": Request(Opcode.SEAL, 0, payload=b"\x17" * SMALL.largest_seal).pack(),
}


def load(slot: int) -> bytes:
    return Request(Opcode.LOAD, slot, payload=SEALER.pack()).pack()


def check_all_at_once(profile, packets, stall, seed):
    """All requests are on offer from the start; completions leave when the receiver lets them."""
    model = AcceleratorModel(profile)
    timing = StreamTiming(stall=stall, seed=seed)
    with simulate(Accelerator(profile), backend="cxxrtl", timing=timing) as simulation:
        for packet in packets:
            simulation.send(packet)
        for number, packet in enumerate(packets):
            completion = simulation.receive(PATIENCE)
            expected = model.request(packet)
            assert completion is not None, f"request {number} ({packet[:8].hex()}) was lost"
            assert without_cycles(completion).hex() == expected.hex(), f"request {number}"
        assert simulation.receive(PATIENCE) is None


@with_engine
@pytest.mark.parametrize("kind", KINDS)
def test_completions_of_one_kind_wait(profile, kind):
    """Behind long ones: every kind finds the buffer as full as it gets."""
    packets = [load(0)]
    for long in range(4):
        packets += [KINDS["long"]] * long + [KINDS[kind]] * 40
    check_all_at_once(profile, packets, stall=0.95, seed=1)


@with_engine
@pytest.mark.parametrize("seed", range(2, 5))
def test_completions_of_all_kinds_wait(profile, seed):
    source = random.Random(seed)
    packets = [load(0), *(source.choice(list(KINDS.values())) for _ in range(120))]
    check_all_at_once(profile, packets, stall=0.9, seed=seed)


@with_engine
def test_any_traffic_waits(profile):
    traffic = iter(Traffic(profile, seed=6))
    check_all_at_once(profile, [next(traffic) for _ in range(150)], stall=0.9, seed=6)


def test_the_buffer_may_be_no_larger_than_the_longest_completion():
    """Then each request waits until the completion before it has left altogether."""
    exact = Profile("exact", slots=2, largest_record=216)
    assert exact.release_bytes == exact.largest_completion
    longest = Request(Opcode.SEAL, 0, payload=b"\x17" * exact.largest_seal).pack()
    packets = [load(0), longest, Request(Opcode.INFO).pack()]
    model = AcceleratorModel(exact)
    with simulate(Accelerator(exact), backend="amaranth") as simulation:
        for packet in packets:
            simulation.send(packet)
        for packet in packets:
            assert simulation.receive(PATIENCE) == model.request(packet)
