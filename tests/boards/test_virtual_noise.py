"""A virtual board of profile tiny under noise: whatever comes, the next session works, no reset.

A sample of it is in every run; INTAGLIO_FUZZ_LINK=full (`make fuzz-link`) throws a million random
bytes, and every truncation of a session.
"""

import os
import random
import time

import pytest
import serial

from driver import Device, Load, Suite, Usage
from driver.frames import HostKind, pack_host_frame
from driver.messages import Opcode, Request, Status
from driver.serial_link import SerialLink
from tests.boards.boards_in_use import tiny_board

FULL = os.environ.get("INTAGLIO_FUZZ_LINK") == "full"
NOISE_BYTES = 1_000_000 if FULL else 4_000
#: Of the truncations, every so many.
STEP = 1 if FULL else 53

KEYS = {"key": bytes(range(16)), "iv": bytes(12), "record_number_key": bytes(range(16, 32))}


@pytest.fixture(scope="module")
def board():
    with tiny_board() as running:
        yield running


def load(usage: Usage) -> Load:
    return Load(Suite.AES_128_GCM, usage, **KEYS, epoch=3)


def session(board) -> None:
    """Keys, a record sealed and opened, a replay, and slots given back."""
    with Device(SerialLink(board.port), timeout=60) as device:
        for slot, usage in enumerate((Usage.SEAL, Usage.OPEN)):
            device.load(slot, load(usage))
        record = device.seal(0, 23, b"content")
        opened, replayed = device.open_many(1, [record, record])
        assert opened.content == b"content"
        assert replayed == Status.REPLAYED
        device.zeroize_all()


def session_bytes() -> bytes:
    """What a host writes in a session, but for rate and tokens."""
    requests = [
        Request(Opcode.INFO),
        Request(Opcode.LOAD, 0, 1, load(Usage.SEAL).pack()),
        Request(Opcode.SEAL, 0, 2, b"content\x17"),
        Request(Opcode.ZEROIZE, 0, 3),
    ]
    return pack_host_frame(HostKind.SYNC, 0, token=1) + b"".join(
        pack_host_frame(HostKind.REQUEST, 8, request.pack()) for request in requests
    )


def throw(board, data: bytes) -> None:
    """Bytes at the board's port, at the rate of the last host; what comes back is forgotten."""
    port = os.open(board.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        while data:
            try:
                data = data[os.write(port, data[:512]) :]
            except BlockingIOError:
                time.sleep(0.01)
            try:
                os.read(port, 4096)
            except BlockingIOError:
                continue
        board.settle()
    finally:
        os.close(port)


def test_a_session_works_after_random_bytes(board):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    session(board)  # which leaves board and port at their fastest rate
    throw(board, random.Random(seed).randbytes(NOISE_BYTES))
    session(board)


@pytest.mark.parametrize("baud", [57_600, 1_000_000], ids=lambda baud: f"{baud} baud")
def test_a_session_works_after_one_at_a_wrong_rate(board, baud):
    with serial.Serial(board.port, baud) as port:
        port.write(session_bytes())
        board.settle()
    session(board)


def test_a_session_works_after_every_truncation_of_one(board):
    whole = session_bytes()
    for length in range(1, len(whole), STEP):
        throw(board, whole[:length])
        session(board)


def test_nothing_was_dropped_without_a_count(board):
    link = SerialLink(board.port)
    link.send(Request(Opcode.INFO).pack())
    link.receive(60)
    throw(board, b"~no frame~")
    with Device(link, timeout=60) as device:
        device.stats()
        assert link.counters.dropped_by_board == 1
