"""Runs the suite on every mutant, and says which run noticed it, and how."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from enum import Enum
from multiprocessing import get_context

from hdl.model import AcceleratorModel
from hdl.profile import Profile
from mutations.model import FaultySimulation, MutatedModel
from mutations.suite import Run
from sim import SimulationError
from tests.hdl.test_accelerator import without_cycles

__all__ = ["Fate", "Golden", "Outcome", "examine", "record_golden", "run_campaign"]

#: Cycles without an answer beyond what the device takes: it is wedged.
_PATIENCE = 20_000
#: Cycles after the last answer in which no other may come.
_SILENCE = 3_000


class Fate(Enum):
    """How a mutant was noticed."""

    #: A completion is not the model's, or one too many came.
    WRONG = "wrong answer"
    #: No completion came.
    WEDGED = "wedged"
    #: All completions are the model's, and a key is still there after it was wiped.
    KEPT = "key kept"
    #: All completions are the model's, but one came in another cycle than the device's, or STATS
    #: reports other cycles.
    LATE = "other cycles"
    #: It was not.
    SURVIVED = "survived"


@dataclass(frozen=True)
class Golden:
    """A run, and what the device itself makes of it: each completion, and when it was whole."""

    run: Run
    completions: tuple[bytes, ...]
    cycles: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant."""

    mutant: int
    fate: Fate
    #: The run that noticed it, and the request in it.
    run: str
    request: int
    seconds: float


def record_golden(model: MutatedModel, profile: Profile, runs: Sequence[Run]) -> list[Golden]:
    """Run the device without any mutant; raises `SimulationError` if it is not as its model is."""
    found = []
    for run in runs:
        reference = AcceleratorModel(profile)
        completions, cycles = [], []
        with model.simulate(timing=run.timing) as simulation:
            _prepare(simulation, run)
            for number, packet in enumerate(run.packets):
                completion = _ask(simulation, run, packet, 10 * _PATIENCE)
                expected = without_cycles(reference.request(packet))
                if completion is None or without_cycles(completion) != expected:
                    raise SimulationError(f"The device fails in {run.name!r} at request {number}.")
                completions.append(completion)
                cycles.append(simulation.cycles)
            simulation.run(_SILENCE)
            if simulation.holds(run.secrets):
                raise SimulationError(f"The device keeps a key in {run.name!r}.")
        found.append(Golden(run, tuple(completions), tuple(cycles)))
    return found


def examine(model: MutatedModel, golden: Sequence[Golden], mutant: int) -> Outcome:
    """Try the runs in turn, up to the first wrong answer."""
    start = time.monotonic()
    late: tuple[str, int] | None = None
    for expected in golden:
        fate, request, slip = _examine_run(model, expected, mutant)
        if fate is not Fate.SURVIVED:
            return Outcome(mutant, fate, expected.run.name, request, time.monotonic() - start)
        if slip is not None and late is None:
            late = expected.run.name, slip
    fate = Fate.SURVIVED if late is None else Fate.LATE
    name, request = late or ("", 0)
    return Outcome(mutant, fate, name, request, time.monotonic() - start)


def _examine_run(model: MutatedModel, golden: Golden, mutant: int) -> tuple[Fate, int, int | None]:
    """Its fate in one run, the request, and the first one whose cycles were others."""
    run, slip, before = golden.run, None, 0
    with model.simulate(timing=run.timing, mutant=mutant) as simulation:
        _prepare(simulation, run)
        for number, (packet, expected, cycle) in enumerate(
            zip(run.packets, golden.completions, golden.cycles, strict=True)
        ):
            completion = _ask(simulation, run, packet, cycle - before + _PATIENCE)
            before = cycle
            if completion is None:
                return Fate.WEDGED, number, slip
            if not _agree(completion, expected):
                return Fate.WRONG, number, slip
            if slip is None and (completion != expected or simulation.cycles != cycle):
                slip = number
        if simulation.receive(_SILENCE) is not None:
            return Fate.WRONG, len(run.packets), slip
        if run.secrets and simulation.holds(run.secrets):
            return Fate.KEPT, len(run.packets), slip
    return Fate.SURVIVED, 0, slip


def _agree(completion: bytes, expected: bytes) -> bool:
    """Whether they differ in nothing but cycles."""
    if completion == expected:
        return True
    # Some break down to packets that have not even a status.
    return len(completion) > 1 and without_cycles(completion) == without_cycles(expected)


def _prepare(simulation: FaultySimulation, run: Run) -> None:
    if run.filled:
        simulation.fill_memories(seed=1)
    for cycles in run.resets:
        for packet in run.packets:
            simulation.send(packet)
        simulation.run(cycles)
        simulation.reset()
    if run.together:
        for packet in run.packets:
            simulation.send(packet)


def _ask(simulation: FaultySimulation, run: Run, packet: bytes, patience: int) -> bytes | None:
    if not run.together:
        simulation.send(packet)
    return simulation.receive(patience)


_work: tuple[MutatedModel, Sequence[Golden]]


def _begin(model: MutatedModel, golden: Sequence[Golden]) -> None:
    global _work
    _work = model, golden


def _examine(mutant: int) -> Outcome:
    return examine(*_work, mutant)


def run_campaign(
    model: MutatedModel,
    golden: Sequence[Golden],
    mutants: Sequence[int],
    jobs: int,
    finished: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Examine all, in so many processes; ``finished`` is told of each. In the order given."""
    found: dict[int, Outcome] = {}
    # Forked: the compiled model and what the device answers are there already.
    with ProcessPoolExecutor(jobs, get_context("fork"), _begin, (model, golden)) as pool:
        for future in as_completed([pool.submit(_examine, mutant) for mutant in mutants]):
            outcome = future.result()
            found[outcome.mutant] = outcome
            finished(outcome)
    return [found[mutant] for mutant in mutants]
