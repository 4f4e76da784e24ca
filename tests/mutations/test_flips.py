"""Registers and memories of the compiled device: read, turned over, and reset."""

import os

import pytest

from driver.messages import Status
from mutations.device import DEVICE
from mutations.flips import Bench, Pool, run_trials
from mutations.model import MutatedModel
from mutations.netlist import named_netlist
from mutations.opening import Effect, Opening, effect_of
from mutations.suite import INFO


@pytest.fixture(scope="module")
def model():
    return MutatedModel(named_netlist(DEVICE))


def test_a_register_is_written_and_read_back(model):
    with model.simulate() as simulation:
        states = {state.name: state for state in simulation.states()}
        memory = states["engine.released.memory.memory"]
        register = states["engine.verdict.second"]
        for state, row in ((memory, memory.depth - 1), (register, 0)):
            before = simulation.read(state, row)
            simulation.flip(state, row, state.bits - 1)
            assert simulation.read(state, row) == before ^ 1 << state.bits - 1


def test_a_reset_in_the_middle_of_a_request_leaves_nothing_of_it(model):
    opening = Opening(DEVICE)
    with model.simulate() as simulation:
        first = simulation.exchange([INFO], 100_000)
        for packet in (*opening.loads, *opening.packets):
            simulation.send(packet)
        simulation.run(2_500)
        simulation.reset()
        assert simulation.exchange([INFO], 100_000) == first
        # No slot has a key.
        found = simulation.exchange(opening.packets, 100_000)
    assert {packet[1] for packet in found} == {Status.SLOT_EMPTY}


def test_flips_are_the_same_for_the_same_seed(model):
    first, second = Bench(model, seed=1), Bench(model, seed=1)
    trials = [first.run(number) for number in range(6)]
    assert [second.run(number) for number in range(6)] == trials
    assert {trial.flip.pool for trial in trials} == {Pool.REGISTERS, Pool.CONTROL, Pool.MEMORIES}
    assert [first.run_flip(trial.flip) for trial in trials] == trials


def test_flips_of_what_a_tag_differs_in_have_genuine_messages_refused(model):
    """In every cycle, so that no tag is compared without one."""
    opening = Opening(DEVICE)
    with model.simulate() as simulation:
        simulation.exchange(opening.loads, 100_000)
        (differences,) = (
            state for state in simulation.states() if state.name == "engine.tag.differences"
        )
        for packet in opening.packets:
            simulation.send(packet)
        for _ in range(12_000):
            simulation.run(1)
            simulation.flip(differences, 0, 5)
        found = [simulation.receive(1) for _ in opening.packets]
    assert effect_of(opening, found) is Effect.REFUSED


#: Registers whose flips had forgeries accepted, most of them, before each request had a ticket.
UNTRUSTED = (
    r"\.cipher\.contents__valid$",
    r"\.egress\.with_block$",
    r"\.judged\.read__valid$",
    r"\.pending\.read__valid$",
    r"\.released\.place$",
    r"\.tag\.valid_history$",
    r"\.verdict\.age$",
)


@pytest.mark.parametrize("pattern", UNTRUSTED)
def test_no_bit_that_says_whose_something_is_lets_a_forgery_through(model, pattern):
    bench = Bench(model, seed=1)
    flips = list(bench.chosen(pattern, cycles=8))
    assert flips
    found = {trial.effect for trial in run_trials(bench, flips, len(os.sched_getaffinity(0)))}
    assert not found & {Effect.FORGERY, Effect.REPLAY}
