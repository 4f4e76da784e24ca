"""Seal records on a simulated accelerator, open them again, and see what it refuses.

::

    python examples/seal_and_open.py              # compiled; the first run takes about a minute
    python examples/seal_and_open.py amaranth     # Amaranth's simulator, without a compiler
"""

import sys
from dataclasses import replace

from driver import Device, Load, RequestRefused, Suite, Usage
from hdl.accelerator import Accelerator
from hdl.profile import COMPACT
from sim import SimulatedLink, simulate

APPLICATION_DATA = 23
PROFILE = replace(COMPACT, name="example", slots=4, largest_record=256)


def main(backend: str = "cxxrtl") -> None:
    """Three records there and back, then one repeated and one forged."""
    simulation = simulate(Accelerator(PROFILE), backend, progress=print)
    with Device(SimulatedLink(simulation), timeout=120) as device:
        print(f"profile {device.info.profile}, {device.info.slots} slots")

        # One slot is one key in one direction. These are not keys for anything real.
        key, iv, record_number_key = bytes(range(16)), bytes(12), bytes(range(16, 32))
        sealing, opening = device.allocate(), device.allocate()
        for slot, usage in ((sealing, Usage.SEAL), (opening, Usage.OPEN)):
            device.load(slot, Load(Suite.AES_128_GCM, usage, key, iv, record_number_key, epoch=3))

        # A batch: the device works while packets travel.
        contents = [b"first", b"second", b"third"]
        records = device.seal_many(sealing, [(APPLICATION_DATA, data) for data in contents])
        for record in records:
            opened = device.open(opening, record)
            print(f"{len(record)} bytes -> record {opened.sequence_number}: {opened.content!r}")

        forged = bytearray(device.seal(sealing, APPLICATION_DATA, b"fourth"))
        forged[-1] ^= 1
        for name, record in (("again", records[0]), ("forged", bytes(forged))):
            try:
                device.open(opening, record)
            except RequestRefused as refused:
                print(f"{name}: {refused.status.name}")

        device.zeroize_all()
        print(f"done in {simulation.cycles} cycles")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cxxrtl")
