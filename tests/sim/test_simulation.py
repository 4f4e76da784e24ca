"""What every backend has to do, and that they do it in the same cycles."""

import random

import pytest
from vcd.reader import TokenKind, tokenize

from hdl.packet_stream import WIDTHS
from sim import SimulationError, StreamTiming, simulate
from tests.sim.toy import Crossing, Incrementer, Trimmer

BACKENDS = ("amaranth", "cxxrtl")
TIMINGS = [StreamTiming(), StreamTiming(0.5, 0, 1), StreamTiming(0, 0.5, 2), StreamTiming(0.7, 0.7)]

each_backend = pytest.mark.parametrize("backend", BACKENDS)
each_width = pytest.mark.parametrize("width", WIDTHS)


def some_packets(count, seed):
    source = random.Random(seed)
    return [source.randbytes(source.randint(1, 60)) for _ in range(count)]


def exchange(simulation, packets):
    """Send all, receive all; returns the completions and the cycles that it took."""
    return simulation.exchange(packets, 10_000), simulation.cycles


@each_backend
@pytest.mark.parametrize("timing", TIMINGS, ids=str)
def test_no_packet_is_lost_changed_or_reordered(backend, timing):
    packets = some_packets(12, seed=3)
    with simulate(Incrementer(), backend, timing=timing) as simulation:
        completions, _ = exchange(simulation, packets)
        assert completions == [Incrementer.model(packet) for packet in packets]
        assert simulation.receive(100) is None


@each_width
@pytest.mark.parametrize("timing", TIMINGS, ids=str)
def test_backends_take_the_same_cycles(timing, width):
    cycles = []
    for backend in BACKENDS:
        with simulate(Incrementer(width), backend, timing=timing) as simulation:
            for packet in some_packets(5, seed=4):
                assert exchange(simulation, [packet])[0] == [Incrementer.model(packet)]
                simulation.run(7)
            cycles.append(simulation.cycles)
    assert cycles[0] == cycles[1]


def test_a_design_that_needs_delta_cycles_runs_the_same_on_both_backends():
    results = []
    for backend in BACKENDS:
        with simulate(Crossing(), backend, timing=StreamTiming(0.3, 0.3, 5)) as simulation:
            results.append(exchange(simulation, some_packets(5, seed=6)))
    assert None not in results[0][0]
    assert results[0] == results[1]


@each_backend
@each_width
def test_a_beat_takes_one_cycle_and_the_fifo_two(backend, width):
    with simulate(Incrementer(width), backend) as simulation:
        assert simulation.cycles == 0
        assert exchange(simulation, [bytes(50)])[1] == -(-50 // width) + 2


@each_backend
@pytest.mark.parametrize("timing", TIMINGS, ids=str)
def test_only_the_valid_bytes_of_a_beat_belong_to_its_packet(backend, timing):
    packets = [bytes(range(1, size + 1)) for size in range(1, 20)]
    with simulate(Trimmer(4), backend, timing=timing) as simulation:
        completions, _ = exchange(simulation, packets)
    assert completions == [Trimmer.model(packet) for packet in packets]


@each_backend
def test_an_exchange_is_sending_all_and_receiving_as_many(backend):
    packets = some_packets(8, seed=9)
    expected = [Incrementer.model(packet) for packet in packets]
    with simulate(Incrementer(4), backend) as simulation:
        assert simulation.exchange([], 100) == []
        assert simulation.cycles == 0
        for packet in packets[:3]:
            simulation.send(packet)
        assert simulation.exchange(packets[3:], 10_000) == expected[:5]
        cycles = simulation.cycles
        assert simulation.exchange([], 100) == []
        assert simulation.cycles == cycles
        assert [simulation.receive(10_000) for _ in range(4)] == [*expected[5:], None]


@each_backend
def test_an_exchange_gives_up_after_its_cycles_and_goes_on_later(backend):
    with simulate(Incrementer(), backend) as simulation:
        assert simulation.exchange([bytes(20), bytes(20), bytes(20)], 30) == [bytes([1]) * 20]
        assert simulation.cycles == 30
        assert simulation.exchange([b"late"], 30) == [bytes([1]) * 20]
        assert simulation.receive(30) == bytes([1]) * 20
        assert simulation.receive(30) == Incrementer.model(b"late")


@each_backend
def test_run_takes_exactly_its_cycles_and_keeps_completions(backend):
    with simulate(Incrementer(), backend) as simulation:
        simulation.send(b"one")
        simulation.send(b"two")
        simulation.run(100)
        assert simulation.cycles == 100
        assert simulation.receive(0) == Incrementer.model(b"one")
        assert simulation.receive(0) == Incrementer.model(b"two")
        assert simulation.cycles == 100


@each_backend
def test_receive_gives_up_after_its_cycles_and_goes_on_later(backend):
    with simulate(Incrementer(), backend) as simulation:
        simulation.send(bytes(20))
        assert simulation.receive(10) is None
        assert simulation.cycles == 10
        assert simulation.receive(100) == bytes([1]) * 20


@each_backend
def test_an_input_that_is_always_idle_moves_nothing(backend):
    with simulate(Incrementer(), backend, timing=StreamTiming(idle=1.0)) as simulation:
        simulation.send(b"never")
        assert simulation.receive(200) is None


@each_backend
def test_an_empty_packet_is_refused_and_those_sent_with_it(backend):
    with simulate(Incrementer(), backend) as simulation:
        with pytest.raises(ValueError, match="at least one byte"):
            simulation.send(b"")
        with pytest.raises(ValueError, match="at least one byte"):
            simulation.exchange([b"x", b""], 10)
        assert simulation.receive(100) is None


@each_backend
def test_a_closed_simulation_refuses_everything_but_closing(backend):
    simulation = simulate(Incrementer(), backend)
    simulation.close()
    simulation.close()
    for call in (
        lambda: simulation.send(b"x"),
        lambda: simulation.receive(1),
        lambda: simulation.exchange([], 1),
        lambda: simulation.run(1),
    ):
        with pytest.raises(SimulationError, match="closed"):
            call()


@each_backend
def test_waves_are_vcd_with_names_and_a_running_clock(backend, tmp_path):
    path = tmp_path / "waves.vcd"
    with simulate(Incrementer(), backend, waves=path) as simulation:
        exchange(simulation, [b"ab"])
        cycles = simulation.cycles
    names, changes = read_vcd(path)
    assert changes[names["clk"]] in ([0, 1] * cycles, [0, *[1, 0] * cycles])
    sent = [value for value in changes[names["s_axis_tdata"]] if value]
    assert sent == list(b"ab")
    assert "w_data" in names  # a signal inside the component


@each_backend
def test_waves_do_not_change_the_cycles(backend, tmp_path):
    packets = some_packets(4, seed=5)
    timing = StreamTiming(0.3, 0.3, 6)
    results = []
    for waves in (None, tmp_path / "waves.vcd"):
        with simulate(Incrementer(), backend, waves=waves, timing=timing) as simulation:
            results.append(exchange(simulation, packets))
    assert results[0] == results[1]


@each_backend
def test_waves_to_a_missing_directory_are_refused(backend, tmp_path):
    with pytest.raises(SimulationError, match=r"Cannot write the waves to .*no/waves\.vcd"):
        simulate(Incrementer(), backend, waves=tmp_path / "no" / "waves.vcd")


def test_a_full_disk_under_the_waves_is_reported():
    simulation = simulate(Incrementer(), "cxxrtl", waves="/dev/full")
    simulation.run(10)
    with pytest.raises(SimulationError, match="/dev/full"):
        simulation.close()


def test_unknown_backend_names_the_choices():
    with pytest.raises(ValueError, match="'verilator' is neither 'cxxrtl' nor 'amaranth'"):
        simulate(None, "verilator")


@pytest.mark.parametrize(
    "arguments", [{"idle": -0.1}, {"idle": 1.1}, {"stall": 2}, {"seed": -1}], ids=str
)
def test_timing_out_of_range_is_refused(arguments):
    with pytest.raises(ValueError, match=str(next(iter(arguments.values())))):
        StreamTiming(**arguments)


def read_vcd(path):
    """The identifier of each signal by its name, and the values of each by its identifier."""
    names, changes = {}, {}
    with path.open("rb") as file:
        for token in tokenize(file):
            if token.kind is TokenKind.VAR:
                names.setdefault(token.var.reference, token.var.id_code)
            elif token.kind in (TokenKind.CHANGE_SCALAR, TokenKind.CHANGE_VECTOR):
                change = token.data
                changes.setdefault(change.id_code, []).append(int(change.value))
    return names, changes
