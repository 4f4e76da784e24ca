"""What the monitor says of packets is what the signals did."""

from types import SimpleNamespace

from cocotb_tests.monitor import Monitor

#: For each cycle: TVALID, TREADY, TDATA, TLAST of the requests, and the same of the completions.
CYCLES = [
    ((0, 1, 0, 0), (0, 0, 0, 0)),
    ((0, 1, 0, 0), (0, 0, 0, 0)),
    ((1, 1, 1, 0), (0, 0, 0, 0)),
    ((0, 1, 0, 0), (0, 0, 0, 0)),
    ((1, 0, 2, 1), (0, 0, 0, 0)),
    ((1, 0, 2, 1), (0, 0, 0, 0)),
    ((1, 1, 2, 1), (0, 0, 0, 0)),
    ((1, 1, 3, 1), (1, 0, 9, 1)),
    ((0, 0, 0, 0), (1, 1, 9, 1)),
    ((0, 0, 0, 0), (0, 1, 0, 0)),
    ((0, 0, 0, 0), (1, 1, 8, 1)),
]


class Signal:
    """A signal of one byte at most."""

    value = 0

    def __len__(self):
        return 8


def watched(cycles) -> Monitor:
    names = ("valid", "ready", "data", "last")
    ports = ("s_axis", "m_axis")
    dut = SimpleNamespace(**{f"{port}_t{name}": Signal() for port in ports for name in names})
    monitor = Monitor(dut)
    for cycle in cycles:
        for port, values in zip(ports, cycle, strict=True):
            for name, value in zip(names, values, strict=True):
                getattr(dut, f"{port}_t{name}").value = value
        monitor.edge()
    return monitor


def test_packets_and_their_cycles():
    first, second = watched(CYCLES).take()
    assert (first.request.data, second.request.data) == (b"\1\2", b"\3")
    assert (first.completion.data, second.completion.data) == (b"\x09", b"\x08")
    assert (first.request.first, first.request.last) == (3, 7)
    assert (first.request.pause, first.request.idle, first.request.waited) == (2, 1, 2)
    assert (second.request.pause, second.request.idle, second.request.waited) == (0, 0, 0)
    assert (first.completion.first, first.completion.waited) == (9, 1)


def test_what_is_under_way_together():
    """The second request was all there before the first byte of the first completion went."""
    first, second = watched(CYCLES).take()
    assert first.is_under_way_with(second)
    late = [*CYCLES[:7], (CYCLES[7][0], (1, 1, 9, 1)), *CYCLES[9:]]
    first, second = watched(late).take()
    assert not first.is_under_way_with(second)


def test_a_request_without_a_completion_is_not_given_yet():
    monitor = watched(CYCLES[:9])
    assert len(monitor.take()) == 1
    assert monitor.take() == []


def test_states_of_both_ports_are_counted_together():
    handshakes = watched(CYCLES).handshakes
    assert handshakes["transfer", "waiting"] == 1
    assert handshakes["waiting", "idle"] == 2
    assert handshakes.total() == len(CYCLES)
