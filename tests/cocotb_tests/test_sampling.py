"""Bins are hit by what went over the ports: each by its example, and by nothing else."""

from random import Random

import pytest

from cocotb_tests.coverage import Coverage
from cocotb_tests.coverage_points import POINTS
from cocotb_tests.monitor import Packet, Transaction
from cocotb_tests.records import FORMS, SUITES, Direction
from cocotb_tests.sampling import Sampler
from driver.messages import ALL_SLOTS, Opcode, Request, Usage
from hdl.model import AcceleratorModel
from hdl.profile import COMPACT

WINDOW = COMPACT.window


class Ports:
    """A device that takes a request every 100 cycles and completes it ``latency`` cycles later."""

    def __init__(self, latency: int = 10):
        self._model, self._sampler = AcceleratorModel(COMPACT), Sampler(COMPACT)
        self._latency = latency
        self._cycle = 0

    def ask(self, opcode: int, slot: int, payload: bytes = b"", pause: int = 0) -> dict:
        """The bins that one request hits, by their points; of each the last one."""
        return self.send(Request(opcode, slot, 0, payload).pack(), pause)

    def send(self, packet: bytes, pause: int = 0) -> dict:
        self._cycle += 100
        end = self._cycle + self._latency
        transaction = Transaction(
            Packet(packet, self._cycle, self._cycle, pause, 0, 0),
            Packet(self._model.request(packet), end, end, 0, 0, 0),
        )
        return dict(self._sampler.samples(transaction))


@pytest.fixture
def direction():
    return Direction.random(Random(5), SUITES[0])


def opener(direction, first=0, latency=10) -> Ports:
    ports = Ports(latency)
    ports.ask(Opcode.LOAD, 1, direction.load(Usage.OPEN, first=first).pack())
    return ports


def test_places_in_the_window(direction):
    ports = opener(direction)

    def place(number: int) -> str:
        return ports.ask(Opcode.OPEN, 1, direction.seal(number, b"content\x17"))["window"]

    assert place(0) == "next"
    assert place(5) == "ahead, within a window's width"
    assert place(5) == "newest again"
    assert place(3) == "inside, new"
    assert place(3) == "inside again"
    assert place(5 + WINDOW) == "ahead, further than that"
    assert place(6) == "oldest, new"
    assert place(6) == "oldest again"
    assert place(5) == "first one left of it"
    assert place(4) == "further left"


def test_a_forgery_hits_no_place_and_moves_nothing(direction):
    ports = opener(direction)
    record = direction.seal(0, b"content\x17")
    assert "window" not in ports.ask(Opcode.OPEN, 1, record[:-1] + bytes([record[-1] ^ 1]))
    assert ports.ask(Opcode.OPEN, 1, record)["window"] == "next"


@pytest.mark.parametrize("more", range(4))
def test_epochs(direction, more):
    ports = opener(direction)
    sender = Direction(direction.keys, direction.epoch + more, direction.connection_id)
    samples = ports.ask(Opcode.OPEN, 1, sender.seal(0, b"content\x17"))
    assert samples["epoch"] == f"slot {direction.epoch % 4}, header +{more}"


@pytest.mark.parametrize(
    ("first", "number", "form", "expected"),
    [
        (0, 5, FORMS[0], "OPEN 8 bits, same above"),
        (250, 256, FORMS[0], "OPEN 8 bits, carry"),
        (250, 256, FORMS[2], "OPEN 16 bits, same above"),
        (65_530, 65_536, FORMS[2], "OPEN 16 bits, carry"),
        (0, (1 << 48) - 1, FORMS[2], "OPEN last"),
    ],
)
def test_numbers_of_records_to_open(direction, first, number, form, expected):
    ports = opener(direction, max(first, number - 100))
    samples = ports.ask(Opcode.OPEN, 1, direction.seal(number, b"content\x17", form))
    assert samples["number"] == expected


def test_numbers_of_sealed_records(direction):
    ports = Ports()
    ports.ask(Opcode.LOAD, 1, direction.load(Usage.SEAL, FORMS[0], 254).pack())
    numbers = [ports.ask(Opcode.SEAL, 1, b"content\x17")["number"] for _ in range(4)]
    assert numbers == ["SEAL 8 bits, same above"] * 2 + [
        "SEAL 8 bits, carry",
        "SEAL 8 bits, same above",
    ]


def test_what_is_under_way_and_what_follows_directly(direction):
    ports = Ports(latency=150)
    ports.ask(Opcode.LOAD, 1, direction.load(Usage.SEAL).pack())
    first = ports.ask(Opcode.SEAL, 1, b"content\x17")
    assert first["change of keys"] == "record behind LOAD of its slot"
    assert first["change of keys under way"] == "record behind LOAD of its slot"
    assert (first["under way in a slot"], first["under way in all"]) == ("1", "2")
    second = ports.ask(Opcode.SEAL, 1, b"content\x17", pause=1)
    assert second["under way together"] == "SEAL behind SEAL"
    assert second["under way in a slot"] == "2"
    assert "directly behind" not in second
    third = ports.ask(Opcode.SEAL, 1, b"content\x17")
    assert third["directly behind"] == "SEAL behind SEAL"
    zeroize = ports.ask(Opcode.ZEROIZE, ALL_SLOTS)
    assert zeroize["change of keys"] == "ZEROIZE of all slots behind record"
    refused = ports.ask(Opcode.SEAL, 1, b"content\x17")
    assert refused["change of keys"] == "record behind ZEROIZE of all slots"
    assert "under way in a slot" not in refused


def test_alone_nothing_is_under_way_with_it(direction):
    ports = opener(direction)
    samples = ports.ask(Opcode.OPEN, 1, direction.seal(0, b"content\x17"))
    assert samples["under way in all"] == "1"
    assert "under way together" not in samples


def test_a_record_behind_a_refusal(direction):
    ports = opener(direction)
    ports.ask(Opcode.SEAL, COMPACT.slots, b"\x17")
    record = direction.seal(0, b"content\x17")
    assert ports.ask(Opcode.OPEN, 1, record)["record behind a refusal"] == "NO_SUCH_SLOT"


def test_sizes_padding_and_forms_are_those_of_the_packets(direction):
    ports = opener(direction)
    inner = b"content\x17" + bytes(9)
    samples = ports.ask(Opcode.OPEN, 1, direction.seal(0, inner, FORMS[1]))
    assert samples["length modulo 16"] == f"OPEN {len(inner) % 16}"
    assert samples["blocks"] == "OPEN several"
    assert samples["padding"] == "1 to 15"
    assert samples["header"] == f"OPEN {'C' if direction.connection_id else '-'}-L"


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (bytes([1, 0, 0, 0, 0, 0, 0, 0]), "right"),
        (bytes([1, 1, 0, 0, 0, 0, 0, 0]), "reserved byte"),
        (bytes([1, 0, 0, 0]), "cut in the header"),
        (bytes([1, 0, 0, 0, 0, 0, 0, 2, 9]), "cut in the payload"),
        (bytes([1, 0, 0, 0, 0, 0, 0, 0, 9]), "longer than announced"),
    ],
)
def test_framing(packet, expected):
    assert Ports().send(packet)["framing"] == expected


def test_a_bin_that_must_not_be_hit_fails():
    coverage = Coverage("impossible")
    with pytest.raises(AssertionError, match="'LOAD BAD_TAG' is not a bin of 'answer'"):
        coverage.hit("answer", "LOAD BAD_TAG")


def test_hits_are_counted_for_each_bin():
    coverage = Coverage("counted")
    for bin_ in ("OPEN OK", "OPEN OK", "SEAL OK"):
        coverage.hit("answer", bin_)
    hits = coverage.hits()
    assert (hits["answer"]["OPEN OK"], hits["answer"]["SEAL OK"]) == (2, 1)
    assert sum(hits["answer"].values()) == 3
    assert {point: tuple(bins) for point, bins in hits.items()} == POINTS
