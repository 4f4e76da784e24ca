"""How many cycles the device works on one record, by its own counters.

::

    python examples/record_cycles.py              # compiled; the first run takes about a minute
    python examples/record_cycles.py amaranth     # Amaranth's simulator, without a compiler
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from driver import Counter, Device, Load, Suite, Usage
from hdl.accelerator import Accelerator
from hdl.profile import COMPACT
from sim import SimulatedLink, simulate

T = TypeVar("T")
SIZES = (0, 15, 16, 64, 256, 1200)
KEY_BYTES = {Suite.AES_128_GCM: 16, Suite.AES_256_GCM: 32}
PROFILE = replace(COMPACT, name="example", slots=2)


def busy_cycles(device: Device, work: Callable[[], T]) -> tuple[int, T]:
    """The cycles that the device takes for ``work``, and what it returns."""

    def now() -> int:
        return device.stats()[Counter.BUSY_CYCLES]

    first, second = now(), now()  # one STATS apart
    result = work()
    return now() - second - (second - first), result


def main(backend: str = "cxxrtl", sizes: Iterable[int] = SIZES) -> None:
    """A line for each suite and size of content."""
    simulation = simulate(Accelerator(PROFILE), backend, progress=print)
    with Device(SimulatedLink(simulation), timeout=600) as device:
        print("suite        content   SEAL   OPEN")
        for suite, key_bytes in KEY_BYTES.items():
            key = bytes(key_bytes)
            for slot, usage in enumerate((Usage.SEAL, Usage.OPEN)):
                device.load(slot, Load(suite, usage, key, record_number_key=key))
            for size in sizes:
                seal, record = busy_cycles(device, partial(device.seal, 0, 23, bytes(size)))
                open_, _ = busy_cycles(device, partial(device.open, 1, record))
                print(f"{suite.name:<11}{size:>9}{seal:>7}{open_:>7}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cxxrtl")
