"""The accelerator answers exactly as its model does, whatever it is sent and however slowly."""

from itertools import islice

import pytest

from driver.messages import HEADER_BYTES, Opcode, Status
from hdl.accelerator import Accelerator
from hdl.model import AcceleratorModel
from sim import StreamTiming, simulate
from tests.hdl.traffic import SMALL, Traffic

#: More cycles than any request of `SMALL` can take, back-pressure included.
PATIENCE = 20_000
#: The counters that only hardware has; the model reports them as 0.
CYCLE_COUNTERS = 4


def without_cycles(completion: bytes) -> bytes:
    if completion[0] == Opcode.STATS and completion[1] == Status.OK:
        start = HEADER_BYTES + 8 * CYCLE_COUNTERS
        return completion[:HEADER_BYTES] + bytes(8 * CYCLE_COUNTERS) + completion[start:]
    return completion


def check_against_model(simulation, packets):
    """Every packet gets the model's completion; returns the statuses that came."""
    model = AcceleratorModel(SMALL)
    statuses = set()
    for number, packet in enumerate(packets):
        simulation.send(packet)
        expected = model.request(packet)
        completion = simulation.receive(PATIENCE)
        assert completion is not None, f"request {number} ({packet[:8].hex()}) wedged the device"
        assert without_cycles(completion).hex() == expected.hex(), f"request {number}"
        statuses.add(Status(completion[1]))
    return statuses


@pytest.mark.parametrize(("idle", "stall", "seed"), [(0.0, 0.0, 1), (0.3, 0.3, 2)])
def test_answers_as_the_model_does(idle, stall, seed):
    timing = StreamTiming(idle, stall, seed)
    with simulate(Accelerator(SMALL), backend="amaranth", timing=timing) as simulation:
        check_against_model(simulation, islice(Traffic(SMALL, seed), 60))


@pytest.mark.parametrize(("idle", "stall", "seed"), [(0.0, 0.0, 3), (0.3, 0.0, 4), (0.0, 0.5, 5)])
def test_every_status_is_reached_and_is_the_models(idle, stall, seed):
    timing = StreamTiming(idle, stall, seed)
    with simulate(Accelerator(SMALL), backend="cxxrtl", timing=timing) as simulation:
        statuses = check_against_model(simulation, islice(Traffic(SMALL, seed), 3000))
    assert statuses == set(Status)
