# amaranth: UnusedElaboratable=no
"""The host link on its pins, with its own requests for completions."""

import random

import pytest

from driver.frames import (
    FLAG,
    LINK_VERSION,
    BoardFrame,
    BoardKind,
    HostKind,
    Status,
    pack_host_frame,
    stuff,
)
from hdl.host_link.host_link import HostLink
from tests.hdl.host_link.echo import CLOCK_HZ, Host, compiled_echo


@pytest.fixture(params=[1, 4], ids=lambda width: f"{width} bytes")
def host(request):
    with compiled_echo(request.param).simulate() as simulation:
        yield Host(simulation)


def request(packet: bytes, limit: int = 100) -> bytes:
    return pack_host_frame(HostKind.REQUEST, limit, packet)


def sync(host: Host) -> tuple[BoardFrame, Status]:
    (frame,) = host.exchange(pack_host_frame(HostKind.SYNC, 0, token=9))
    assert (frame.kind, frame.token) == (BoardKind.STATUS, 9)
    return frame, Status.unpack(frame.body)


def test_it_says_what_it_is(host):
    frame, status = sync(host)
    assert (frame.freed, frame.sent) == (0, 0)
    assert abs(status.clock_hz - CLOCK_HZ) <= 2000
    assert (status.buffer_bytes, status.version) == (2048, LINK_VERSION)
    assert (status.taken, status.damaged) == (0, 0)


def test_packets_of_all_bytes_come_back(host):
    rng = random.Random(1)
    packets = [bytes(range(256)), bytes([FLAG] * 50), b"x", *map(rng.randbytes, range(1, 40))]
    frames = [frame for packet in packets for frame in host.exchange(request(packet))]
    assert [frame.body for frame in frames] == packets
    assert [frame.sent for frame in frames] == list(range(len(packets)))
    assert sync(host)[1].taken == len(packets)


def test_requests_wait_while_completions_leave(host):
    packets = [bytes([n]) * 30 for n in range(20)]
    frames = host.exchange(b"".join(map(request, packets)))
    assert [frame.body for frame in frames] == packets


def test_no_damaged_request_goes_further(host):
    good = request(b"payload")
    for count, bit in enumerate(range(8, 8 * (len(good) - 1))):
        good = request(b"payload", (count + 100) % 256)
        wire = bytearray(good)
        wire[bit // 8] ^= 1 << bit % 8
        frames = host.exchange(bytes(wire))
        assert all(frame.kind is BoardKind.DAMAGE for frame in frames), f"bit {bit}"
        assert host.exchange(good)[-1].body == b"payload"


def test_every_truncation_is_reported_and_the_next_request_works(host):
    good = request(b"payload")
    for length in range(2, len(good) - 1):
        (report,) = host.exchange(good[:length] + bytes([FLAG]))
        assert report.kind is BoardKind.DAMAGE
        (answer,) = host.exchange(good)
        assert answer.body == b"payload"


def test_damage_is_reported_once_and_counted_each_time(host):
    reports = host.exchange(stuff(b"no such frame") * 5)
    assert [report.kind for report in reports] == [BoardKind.DAMAGE]
    assert sync(host)[1].damaged == 5
    assert len(host.exchange(stuff(b"no such frame") * 5)) == 1


@pytest.mark.parametrize(
    "frame",
    [
        stuff(b"\x00"),
        stuff(b"\x00\x00"),
        stuff(b"\x00\x00\x00more than a grant"),
        stuff(b"\x01\x00\x10"),
        stuff(b"\x05\x00\x10packet"),
    ],
    ids=["kind only", "half an argument", "long grant", "request of nothing", "unknown kind"],
)
def test_frames_of_no_form_are_damage(host, frame):
    (report,) = host.exchange(frame)
    assert report.kind is BoardKind.DAMAGE


def test_a_request_over_the_buffer_is_dropped(host):
    (report,) = host.exchange(request(bytes(2048)))
    assert report.kind is BoardKind.DAMAGE
    (answer,) = host.exchange(request(bytes(2000)))
    assert len(answer.body) == 2000


def test_completions_wait_for_credit(host):
    assert [f.body for f in host.exchange(request(b"1", 2) + request(b"2", 2))] == [b"1", b"2"]
    assert host.exchange(request(b"3", 2) + request(b"4", 2)) == []
    assert [f.body for f in host.exchange(pack_host_frame(HostKind.GRANT, 3))] == [b"3"]
    # The grant of 4 is lost; the one of 5 has it all.
    assert [f.body for f in host.exchange(pack_host_frame(HostKind.GRANT, 5))] == [b"4"]


def test_credit_goes_on_behind_its_largest_number(host):
    for number in range(300):
        (answer,) = host.exchange(request(b"%d" % number, (number + 1) % 256))
        assert (answer.body, answer.sent) == (b"%d" % number, number % 256)


@pytest.mark.parametrize("divisor", [4, 5, 11])
def test_the_rate_changes_behind_the_answer(host, divisor):
    (answer,) = host.exchange(pack_host_frame(HostKind.RATE, divisor, token=3))
    assert (answer.kind, answer.token) == (BoardKind.STATUS, 3)
    host.simulation.set_period(divisor)
    (echo,) = host.exchange(request(bytes(range(200))))
    assert echo.body == bytes(range(200))


@pytest.mark.parametrize("divisor", [0, 3, 1 << 12])
def test_rates_that_it_does_not_have_change_nothing(host, divisor):
    host.exchange(pack_host_frame(HostKind.RATE, divisor, token=3))
    assert host.exchange(request(b"same rate"))[0].body == b"same rate"


@pytest.mark.parametrize("how", ["break", "zeros at the first rate"])
def test_the_first_rate_comes_back(host, how):
    host.exchange(pack_host_frame(HostKind.RATE, 4, token=3))
    host.simulation.set_period(16)
    if how == "break":
        host.simulation.send_break(100)
    else:
        host.simulation.send(bytes(16))
    host.exchange(bytes([FLAG]))
    assert host.exchange(request(b"back"))[-1].body == b"back"
    assert sync(host)[1].damaged >= 8


@pytest.mark.parametrize("clock_hz", [115_200, 1_000_000_000])
def test_clocks_without_the_first_rate_are_refused(clock_hz):
    with pytest.raises(ValueError, match=f"clock of {clock_hz} Hz"):
        HostLink(clock_hz, 1)
