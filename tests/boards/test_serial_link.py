"""SerialLink and a board that gives requests back: the port is a pty, behind it bits on pins."""

import os
import random
import time

import pytest

from driver.errors import LinkError, LinkTimeout
from driver.frames import CRC_BYTES, FIRST_BAUD, FLAG, HostKind, pack_host_frame
from driver.serial_link import SerialLink
from tests.boards.boards_in_use import echo_board


@pytest.fixture
def board():
    with echo_board() as running:
        yield running


@pytest.fixture
def link(board):
    link = SerialLink(board.port)
    yield link
    link.close()


def wire(link: SerialLink, data: bytes) -> None:
    """Bytes that no link would send, on the wire that it uses."""
    path = os.open(link.port, os.O_WRONLY | os.O_NOCTTY)
    try:
        os.write(path, data)
    finally:
        os.close(path)


def echoes(link: SerialLink, packet: bytes) -> bool:
    link.send(packet)
    return link.receive(30) == packet


def test_the_rate_rises_to_four_cycles_a_bit(link):
    assert link.baud > 3.9 * FIRST_BAUD


def test_a_rate_that_is_asked_for_is_not_passed(board):
    link = SerialLink(board.port, baud=250_000)
    assert link.baud == 230_400
    assert echoes(link, b"packet")
    link.close()


def test_packets_of_any_size_come_back(link):
    rng = random.Random(1)
    for size in (1, 2, 255, 256, 2048 - CRC_BYTES, *(rng.randint(1, 600) for _ in range(20))):
        assert echoes(link, rng.randbytes(size))


def test_a_host_that_reads_late_loses_nothing(link):
    rng = random.Random(2)
    packets = [rng.randbytes(rng.randint(1, 300)) for _ in range(60)]
    for packet in packets:
        link.send(packet)
    time.sleep(0.5)
    assert [link.receive(30) for _ in packets] == packets


def test_a_request_over_the_buffer_is_refused_here(link):
    with pytest.raises(LinkError, match="request of 2045 bytes is over the 2044"):
        link.send(bytes(2045))
    assert echoes(link, b"next")


def test_nothing_asked_is_a_timeout(link):
    with pytest.raises(LinkTimeout, match="no completion"):
        link.receive(0.1)
    assert echoes(link, b"next")


def test_noise_between_requests_costs_nothing_but_a_count(link):
    wire(link, random.Random(3).randbytes(5000))
    assert echoes(link, b"next")
    assert echoes(link, b"one more")
    assert link.counters.dropped_by_board > 0


@pytest.mark.parametrize("end", [b"", bytes([FLAG])], ids=["cut off", "cut short"])
def test_a_lost_request_is_told_once(link, monkeypatch, end):
    # What is written of one frame is cut, as if the wire had lost the rest of it.
    port = link._port
    whole = port.write
    monkeypatch.setattr(port, "write", lambda data: (monkeypatch.undo(), whole(data[:-5] + end)))
    link.send(b"a request that is lost")
    assert port.write == whole
    with pytest.raises(LinkError, match="lost 1 requests and 0 completions"):
        link.receive(30)
    assert echoes(link, b"next")
    assert link.counters.dropped_by_board == 1


def test_a_lost_completion_is_told_once(link, monkeypatch):
    port = link._port
    whole = port.read

    def spoiled(timeout):
        data = whole(timeout)
        if data:
            monkeypatch.undo()
        return bytes(byte ^ 1 for byte in data)

    monkeypatch.setattr(port, "read", spoiled)
    link.send(b"x")
    with pytest.raises(LinkError, match="lost 0 requests and 1 completions"):
        link.receive(30)
    assert echoes(link, b"next")


def test_a_lost_grant_leaks_nothing(link, monkeypatch):
    write = link._port.write
    spoilt = pack_host_frame(HostKind.GRANT, 0)

    def without_grants(data):
        return write(bytes(spoilt[:3]) + b"~" if len(data) <= len(spoilt) + 2 else data)

    monkeypatch.setattr(link._port, "write", without_grants)
    for n in range(40):
        packet = b"%d: more than a grant has" % n
        link.send(packet)
        assert link.receive(30) == packet


def test_another_host_finds_the_link_as_after_reset(board):
    first = SerialLink(board.port)
    for n in range(20):
        first.send(b"%d: nobody waits for this" % n)
    first.close()
    second = SerialLink(board.port)
    assert echoes(second, b"mine")
    second.close()


def test_a_port_in_use_is_told_in_a_sentence(link):
    with pytest.raises(LinkError, match=r"/dev/pts/\d+ is in use: end the other program"):
        SerialLink(link.port)


def test_a_port_that_is_not_there_is_told_in_a_sentence():
    with pytest.raises(LinkError, match="There is no port /dev/ttyNONE: plug the board in"):
        SerialLink("/dev/ttyNONE")


def test_no_permission_is_told_in_a_sentence(monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("driver.serial_port.serial.Serial", refuse)
    with pytest.raises(LinkError, match="may not be opened by this user: join the group"):
        SerialLink("/dev/ttyUSB0")


def test_a_port_with_nothing_behind_it_is_told_in_a_sentence(monkeypatch):
    monkeypatch.setattr("driver.serial_link._ANSWER_TIME", 0.2)
    master, slave = os.openpty()
    try:
        with pytest.raises(LinkError, match=r"No accelerator answers at .*: load its bitstream"):
            SerialLink(os.ttyname(slave))
    finally:
        os.close(master)
        os.close(slave)


def test_unplugging_is_told_and_plugging_in_again_is_found():
    with echo_board() as board:
        link = SerialLink(board.port)
        assert echoes(link, b"packet")
    with pytest.raises(LinkError, match=r"The board at \S+ is gone: plug it in again"):
        link.receive(1)
    with pytest.raises(LinkError, match=r"There is no port \S+: plug the board in"):
        link.send(b"packet")
    with echo_board() as board:
        link._name = board.port  # a new pty has a name of its own
        assert echoes(link, b"packet")
        link.close()


def test_a_closed_link_stays_closed(link):
    link.close()
    link.close()
    with pytest.raises(LinkError, match="link is closed"):
        link.send(b"packet")
    with pytest.raises(LinkError, match="link is closed"):
        link.receive(0)
