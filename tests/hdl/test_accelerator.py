"""The accelerator answers exactly as its model does, whatever it is sent and however slowly."""

from itertools import islice

import pytest

from driver.messages import HEADER_BYTES, Opcode, Status
from hdl.accelerator import Accelerator
from hdl.model import AcceleratorModel
from hdl.profile import Profile
from sim import StreamTiming, simulate
from tests.hdl.traffic import (
    SMALL,
    SMALL_NARROW,
    Traffic,
    pipelined,
    with_engine,
)

#: More cycles than any request of `SMALL` can take, back-pressure included.
PATIENCE = 20_000
#: Off the powers of two, and at the edges.
ODD = Profile("odd", slots=3, largest_record=199, window=33, ghash_digit=4, seal_limit=3)
LEAST = Profile("least", slots=2, largest_record=64, window=2, forgery_limit=1)
#: GHASH with 4 bits a cycle and with 1; and both in the other engine.
PROFILES = [
    ODD,
    LEAST,
    pipelined(ODD),
    pipelined(LEAST),
    pipelined(ODD, 1, "odd-1"),
    SMALL_NARROW,
]
#: The counters that only hardware has; the model reports them as 0.
CYCLE_COUNTERS = 4


def without_cycles(completion: bytes) -> bytes:
    if completion[0] == Opcode.STATS and completion[1] == Status.OK:
        start = HEADER_BYTES + 8 * CYCLE_COUNTERS
        return completion[:HEADER_BYTES] + bytes(8 * CYCLE_COUNTERS) + completion[start:]
    return completion


def check_against_model(simulation, packets, profile=SMALL):
    """Every packet gets the model's completion; returns the statuses that came."""
    model = AcceleratorModel(profile)
    statuses = set()
    for number, packet in enumerate(packets):
        simulation.send(packet)
        expected = model.request(packet)
        completion = simulation.receive(PATIENCE)
        assert completion is not None, f"request {number} ({packet[:8].hex()}) wedged the device"
        assert without_cycles(completion).hex() == expected.hex(), f"request {number}"
        statuses.add(Status(completion[1]))
    return statuses


@with_engine
@pytest.mark.parametrize(("idle", "stall", "seed"), [(0.0, 0.0, 1), (0.3, 0.3, 2)])
def test_answers_as_the_model_does(profile, idle, stall, seed):
    timing = StreamTiming(idle, stall, seed)
    with simulate(Accelerator(profile), backend="amaranth", timing=timing) as simulation:
        check_against_model(simulation, islice(Traffic(profile, seed), 60), profile)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_answers_as_the_model_does_in_any_profile(profile):
    timing = StreamTiming(idle=0.1, stall=0.1, seed=7)
    with simulate(Accelerator(profile), backend="amaranth", timing=timing) as simulation:
        check_against_model(simulation, islice(Traffic(profile, seed=7), 45), profile)


@with_engine
@pytest.mark.parametrize(("idle", "stall", "seed"), [(0.0, 0.0, 3), (0.3, 0.0, 4), (0.0, 0.5, 5)])
def test_every_status_is_reached_and_is_the_models(profile, idle, stall, seed):
    timing = StreamTiming(idle, stall, seed)
    with simulate(Accelerator(profile), backend="cxxrtl", timing=timing) as simulation:
        statuses = check_against_model(simulation, islice(Traffic(profile, seed), 3000), profile)
    assert statuses == set(Status)
