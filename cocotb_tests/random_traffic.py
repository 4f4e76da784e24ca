"""Constrained random traffic at the accelerator's ports, and what of it has really happened.

`cocotb_tests.test_accelerator` runs it in the same simulation as its own tests.
"""

import os
from itertools import islice
from pathlib import Path
from random import Random

import cocotb

from cocotb_tests.coverage import Coverage
from cocotb_tests.host import Host
from cocotb_tests.monitor import Monitor
from cocotb_tests.runner import FULL, SEED
from cocotb_tests.sampling import Sampler
from cocotb_tests.streams import PACES
from cocotb_tests.traffic import Traffic
from driver.messages import HEADER_BYTES, Opcode, Status
from hdl.model import AcceleratorModel
from hdl.profile import PROFILES

#: The profile of the device in this simulation.
PROFILE = PROFILES[os.environ.get("INTAGLIO_PROFILE", "compact")]
SEQUENCES = 12 if FULL else 2
BATCHES = 60 if FULL else 12
#: Those of `PACES`, and hardly any request offered or completion taken.
TRAFFIC_PACES = (*PACES, (0.9, 0.0), (0.0, 0.9), (0.8, 0.8))
#: Cycles in which no completion of a batch is taken, so that what is done piles up in the device:
#: at times enough for some twenty records.
HOLDS = (0, 0, 0, 0, 500, 3_000 if PROFILE.pipelined else 30_000)
#: In the folder of the simulation.
REPORT = Path("coverage.json")
#: The counters of STATS that the model does not have: those of cycles.
CYCLES = slice(HEADER_BYTES, HEADER_BYTES + 4 * 8)


def without_cycles(completion: bytes) -> bytes:
    """The completion; of a report of counters, without those of cycles."""
    if completion[0] != Opcode.STATS or completion[1] != Status.OK:
        return completion
    return completion[: CYCLES.start] + completion[CYCLES.stop :]


@cocotb.test()
@cocotb.parametrize(sequence=range(SEQUENCES))
async def random_traffic(dut, sequence):
    seed = f"{SEED} traffic {sequence}"
    monitor = Monitor(dut)
    host = Host(dut, seed, TRAFFIC_PACES, [monitor])
    await host.reset()
    coverage, sampler = Coverage("traffic"), Sampler(PROFILE)
    model = AcceleratorModel(PROFILE)
    rng = Random(seed)
    for batch in islice(Traffic(PROFILE, seed), BATCHES):
        completions = await host.exchange(batch, rng.choice(HOLDS))
        for packet, completion in zip(batch, completions, strict=True):
            expected = without_cycles(model.request(packet))
            assert without_cycles(completion) == expected, packet.hex()
        coverage.sample(monitor, sampler)
    await host.finish()
    coverage.write(REPORT, profile=PROFILE.name, seed=SEED)
