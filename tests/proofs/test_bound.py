"""What the bound says holds in simulation, of packets in a full engine and of one alone."""

import random
from collections.abc import Iterator

import pytest

from driver.messages import ALL_SLOTS, Opcode, Request, Usage
from hdl.accelerator import Accelerator
from hdl.profile import COMPACT, FAST, Profile
from proofs.bound import most, requests_before, table
from sim import Simulation, simulate
from tests.hdl.pipeline.batches import Key, refused
from tests.hdl.traffic import SMALL_PIPELINED, SMALL_RING

STATS = Request(Opcode.STATS).pack()


@pytest.fixture(scope="module", params=[SMALL_RING, SMALL_PIPELINED], ids=lambda item: item.name)
def profile(request: pytest.FixtureRequest) -> Profile:
    return request.param


@pytest.fixture(scope="module")
def simulation(profile: Profile) -> Iterator[Simulation]:
    with simulate(Accelerator(profile)) as simulation:
        yield simulation


@pytest.fixture(scope="module")
def keys(profile: Profile, simulation: Simulation) -> list[Key]:
    usages = (Usage.SEAL, Usage.OPEN, Usage.AEAD)
    keys = [Key(profile, "bound", usage, slot) for slot, usage in enumerate(usages)]
    cycles_of(simulation, [key.load for key in keys])
    return keys


def longest(profile: Profile, keys: list[Key]) -> list[bytes]:
    """One of each operation, as long as it may be."""
    seal, opens, aead = keys
    text = bytes(profile.largest_record)
    return [seal.seal(text + b"\x17"), opens.open(text + b"\x17"), aead.aead_seal(bytes(256), text)]


def cycles_of(simulation: Simulation, packets: list[bytes]) -> int:
    """Until all are answered, which stand at the port together; neither port ever waits."""
    before = simulation.cycles
    completions = simulation.exchange(packets, 1_000_000)
    assert len(completions) == len(packets)
    return simulation.cycles - before


def test_packets_that_fill_the_engine_are_answered_within_the_bound(
    profile: Profile, simulation: Simulation, keys: list[Key]
) -> None:
    count = requests_before(profile) // 2
    packets = [*refused(profile, keys[0])[:count], *[STATS] * (count // 6)]
    for _ in range(count // 9):
        packets += longest(profile, keys)
    random.Random(profile.name).shuffle(packets)
    assert cycles_of(simulation, packets) <= most(profile, 0)


def test_a_packet_alone_is_answered_within_its_bound(
    profile: Profile, simulation: Simulation, keys: list[Key]
) -> None:
    for packet in [STATS, *longest(profile, keys)]:
        cycles, bound = cycles_of(simulation, [packet]), most(profile, len(packet), alone=True)
        # It is no bound from nowhere either.
        assert bound / 16 < cycles <= bound, packet.hex()


def test_a_load_and_the_wiping_of_all_slots_are_within_the_bound(
    profile: Profile, simulation: Simulation, keys: list[Key]
) -> None:
    wipe = Request(Opcode.ZEROIZE, ALL_SLOTS).pack()
    for packet in (keys[0].load, wipe):
        assert cycles_of(simulation, [packet]) <= most(profile, len(packet), alone=True)


@pytest.mark.parametrize("profile", [COMPACT, FAST], ids=lambda item: item.name)
def test_what_is_printed_adds_up(profile: Profile) -> None:
    *parts, _, _, _ = table(profile).columns[3].cells
    in_all = [int(str(cell).replace(",", "")) for cell in parts if cell]
    assert sum(in_all) == most(profile, profile.largest_aead)
