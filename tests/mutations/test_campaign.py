"""Which answers count as those of the device."""

import pytest

from driver.messages import Completion, Counter, Opcode, Status
from mutations.campaign import _agree

REFUSED = Completion(Opcode.SEAL, Status.SLOT_EMPTY, 1, 2).pack()


def stats(cycles: int, sealed: int) -> bytes:
    counts = [cycles, *[0] * (len(Counter) - 1)]
    counts[Counter.RECORDS_SEALED] = sealed
    payload = b"".join(count.to_bytes(8, "big") for count in counts)
    return Completion(Opcode.STATS, Status.OK, 0, 0, payload).pack()


@pytest.mark.parametrize(
    ("completion", "expected", "agree"),
    [
        (REFUSED, REFUSED, True),
        (stats(5, 1), stats(7, 1), True),
        (stats(5, 1), stats(5, 2), False),
        (REFUSED[:-1], REFUSED, False),
        (b"\x08", stats(5, 1), False),
        (b"", REFUSED, False),
    ],
)
def test_answers_may_differ_in_cycles_only(completion, expected, agree):
    assert _agree(completion, expected) is agree
