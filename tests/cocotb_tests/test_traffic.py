"""Random traffic is the same for the same seed, and reaches what its coverage asks for."""

from itertools import islice

import pytest

from cocotb_tests.traffic import Traffic
from driver.messages import Opcode, Status
from hdl.model import AcceleratorModel
from hdl.profile import PROFILES, TINY


def test_the_same_seed_makes_the_same_batches():
    first, again, other = (list(islice(Traffic(TINY, seed), 20)) for seed in ("1", "1", "2"))
    assert first == again
    assert first != other


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_every_status_is_reached_and_most_records_are_genuine(profile):
    model, statuses = AcceleratorModel(profile), []
    for batch in islice(Traffic(profile, "3"), 120):
        for packet in batch:
            statuses.append((packet[0], Status(model.request(packet)[1])))
    assert {status for _, status in statuses} == set(Status)
    opened = [status for opcode, status in statuses if opcode == Opcode.OPEN]
    genuine = [Status.OK, Status.REPLAYED, Status.TOO_OLD, Status.NO_CONTENT_TYPE]
    assert sum(map(opened.count, genuine)) > len(opened) / 2
