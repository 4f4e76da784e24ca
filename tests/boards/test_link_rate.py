"""What the wire allows, beside frames that the driver's own code packs."""

import random

import pytest

from boards.link_rate import link_baud, link_rate
from driver.frames import BoardFrame, BoardKind
from driver.messages import Completion, Opcode, Status
from hdl.rate import RECORD_HEADER_BYTES, Record


@pytest.mark.parametrize(
    ("clock_hz", "adapter", "baud"),
    [
        (100e6, 3_000_000, 100e6 / 34),
        (18e6, 12_000_000, 18e6 / 4),
        (120e6, 3_000_000, 3e6),
    ],
)
def test_the_rate_is_a_whole_number_of_cycles_a_bit(clock_hz, adapter, baud):
    assert link_baud(clock_hz, adapter) == baud


@pytest.mark.parametrize("content", [1, 64, 256, 1200])
def test_the_wire_takes_as_long_as_the_bytes_of_real_frames(content):
    source = random.Random(content)
    record = Record(content)
    frames = 200
    sent = 0
    for _ in range(frames):
        sealed = source.randbytes(RECORD_HEADER_BYTES + record.text + 16)
        packet = Completion(Opcode.SEAL, Status.OK, 0, 0, sealed).pack()
        sent += len(BoardFrame(BoardKind.COMPLETION, 0, 0, 0, packet).pack())
    expected = frames * content / (10 * sent / 1e6)
    assert link_rate(1e6, record) == pytest.approx(expected, rel=0.01)
