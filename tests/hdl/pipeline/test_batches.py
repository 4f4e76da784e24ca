"""Random traffic, many requests at a time, at any pace: the model's answers, and none is lost."""

from itertools import islice

import pytest

from hdl.accelerator import Accelerator
from sim import StreamTiming, simulate
from tests.hdl.pipeline.batches import Device
from tests.hdl.traffic import SMALL_NARROW, SMALL_PIPELINED, SMALL_RING, Traffic


def check(profile, timing, batch, batches, backend):
    traffic = iter(Traffic(profile, timing.seed))
    with simulate(Accelerator(profile), backend=backend, timing=timing) as simulation:
        device = Device(simulation, profile)
        for _ in range(batches):
            device.send_all(islice(traffic, batch))


@pytest.mark.parametrize(
    "profile", [SMALL_PIPELINED, SMALL_NARROW, SMALL_RING], ids=lambda p: p.name
)
def test_a_batch_is_answered_as_the_model_does(profile):
    check(profile, StreamTiming(idle=0.1, stall=0.1, seed=21), 40, 1, "amaranth")


@pytest.mark.parametrize(
    ("idle", "stall", "seed"),
    [(0.0, 0.0, 31), (0.3, 0.0, 32), (0.0, 0.3, 33), (0.3, 0.3, 34), (0.9, 0.0, 35), (0, 0.95, 36)],
)
@pytest.mark.parametrize("profile", [SMALL_PIPELINED, SMALL_RING], ids=lambda p: p.name)
def test_batches_at_any_pace(profile, idle, stall, seed):
    """Starving, at full rate, and with hardly any completion taken."""
    check(profile, StreamTiming(idle, stall, seed), 50, 60, "cxxrtl")
