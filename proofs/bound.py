"""How soon the pipelined engine answers a packet, whatever it was doing: the parts' bounds, summed.

    python -m proofs.bound

Counted are the cycles from the one in which a packet's first beat stands at the port until its
completion has left, while the host gives the packet's beats and takes what the device gives. Each
number is that of a property (`Step.by`) or of a register. The request that is the oldest without an
answer is always in one of these steps (docs/proofs.md, "No wedging of the pipelined engine"), so
together they are a bound, however many of them overlap.
"""

from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from driver.messages import Counter
from hdl.aes.pipelined import PipelinedAES
from hdl.aes.ring import RingAES
from hdl.block import BLOCK_BYTES
from hdl.pipeline.accelerator import DEPTHS
from hdl.pipeline.lookup import Lookup
from hdl.pipeline.queue import Queue
from hdl.pipeline.scheduler import pace
from hdl.profile import COMPACT, FAST, AESCore, Profile
from proofs import ring_progress
from proofs.control_progress import most as most_of_control
from proofs.egress_progress import MOST_BEATS
from proofs.hash_units import hash_unit
from proofs.ingress import longest
from proofs.ingress_progress import MOST_COMMANDS, to_request
from proofs.lookup_progress import MOST_PLANNING, MOST_WAITING
from proofs.numbering_progress import MOST_UNGIVEN, MOST_UNTAKEN
from proofs.queues import most_waiting
from proofs.scheduler_progress import most_between
from proofs.scheduler_takes import MOST_WAITS
from proofs.verdict_progress import MOST_WAITING as MOST_JUDGING

__all__ = ["Step", "most", "requests_before", "steps", "table"]

#: Requests whose packets are in `Lookup`, and in `Ingress`, at the most.
_PLANNED, _CUT = 3, 3
#: Requests in `Numbering`; and at hand in the scheduler, which has not begun with it.
_NUMBERED, _AT_HAND = 8, 1
#: Registers from the port to the beats of `Lookup`, until one can be read; and from the level of
#: the blocks to whether there is room.
_TO_BEATS, _TO_ROOM = 5, 3
#: From a request that the scheduler takes until it is known whether there is room; from the last
#: slot in `Cipher` to the hash unit; from a digest to the tag, and from the verdict's first cycle
#: to its last.
_TO_DESCRIBED, _TO_HASH, _TO_TAG, _TO_JUDGED = 3, 3, 3, 7
#: From there to the block that a mask is made of: where it is slow, a byte of it a cycle.
_TO_SAMPLE = BLOCK_BYTES + 3
#: From the scheduler to `Control`, and back.
_TO_CONTROL = 4
#: Through `Egress`: two stages, its queue, and what the packer still has at the end.
_TO_LEAVE = 16
#: In which the mask that waits for them is begun (`progress.masks`).
_SLOTS_OF_A_MASK = 3
#: Blocks of a completion beside its text: of a long header, and the tag.
_BESIDE = 3


class Step(NamedTuple):
    """``times`` something happens, each time in ``cycles`` or less, which ``by`` proves."""

    what: str
    times: int
    cycles: int
    by: str


class _Engine:
    """What the steps need of a profile."""

    def __init__(self, profile: Profile):
        self.profile = profile
        self.depths = DEPTHS[profile.aes]
        self.hops = self.depths.hops
        self.unit = hash_unit(profile)
        self.ring = profile.aes is AESCore.RING
        self.turns = 6 if self.ring else 1
        self.pace = pace(profile, self.unit.interval)
        self.parts = BLOCK_BYTES // profile.completion_bytes
        latency = RingAES.latency(aes256=True) if self.ring else PipelinedAES.latency
        #: From a slot's block that the core takes to what `Cipher` gives.
        self.aes = latency + 2 * self.hops + 1
        #: From a slot to the next one that may begin; with a ring, until that takes the block.
        self.slot = 2 + ring_progress.MOST + most_between(self.pace) + 1 if self.ring else 1

    def through(self, depth: int) -> int:
        """Cycles through a queue: registers on the way to it, and 2 for each memory in a row."""
        rows = 1 if depth <= Queue.ROW else -(-(depth - Queue.ROW - 1) // Queue.ROW_HOLDS) + 1
        return self.hops + 2 * rows

    def widening(self) -> int:
        """Cycles until narrow beats are a whole one."""
        parts = BLOCK_BYTES // self.profile.bus_bytes
        return parts + 1 if parts > 1 else 0


def requests_before(profile: Profile) -> int:
    """How many requests may be in the engine without an answer when a packet comes to it."""
    depths = DEPTHS[profile.aes]
    return _PLANNED + _CUT + depths.waiting + _NUMBERED + _AT_HAND + depths.in_flight


def steps(profile: Profile, payload_bytes: int, alone: bool = False) -> list[Step]:
    """Until the answer to a packet of ``payload_bytes``, behind as much as fits in, or ``alone``.

    What comes behind it is counted too, as far as it may go first: messages have the AES core while
    the mask of a sealed record waits for its slot.
    """
    engine = _Engine(profile)
    before, behind = (0, 0) if alone else (requests_before(profile), engine.depths.in_flight)
    requests = before + 1
    blocks = min(-(-payload_bytes // BLOCK_BYTES) + _BESIDE, longest(profile))
    return [
        *_on_the_way_in(engine, payload_bytes, before),
        *_in_the_core(engine, blocks, requests, behind),
        *_for_each(engine, requests),
        *_on_the_way_out(engine, blocks, requests),
    ]


def most(profile: Profile, payload_bytes: int, alone: bool = False) -> int:
    """The sum of `steps`, in cycles."""
    return sum(step.times * step.cycles for step in steps(profile, payload_bytes, alone))


def _on_the_way_in(engine, payload_bytes, before):
    beats = -(-payload_bytes // BLOCK_BYTES) + 1
    beat = engine.widening() + MOST_WAITING + _TO_BEATS + (MOST_COMMANDS + 1) * engine.turns
    end = _TO_ROOM + MOST_PLANNING + to_request(engine.turns)
    packets = min(before, _PLANNED + _CUT) + 1
    return [
        Step(
            "16 bytes come in",
            beats + (Lookup.DEPTH if before else 0),
            beat,
            "progress.lookup, progress.ingress",
        ),
        Step(
            "a packet is planned, and its end gives a request",
            packets,
            end,
            "progress.lookup, progress.ingress",
        ),
    ]


def _in_the_core(engine, blocks, requests, behind):
    profile, alone = engine.profile, requests == 1
    blocks += longest(profile) * behind + (0 if alone else profile.queue_blocks)
    a_block, a_message = (1, 2) if engine.ring else (2, 5)
    # Those to open may be begun for as many as there are places, and once they are used for more.
    masks = requests
    if not alone:
        masks += 2 * engine.depths.waiting + behind + _NUMBERED + _AT_HAND
    return [
        Step("a block has its slot", blocks, a_block * engine.slot, "progress.scheduler"),
        Step(
            "a message has its other slots",
            requests + behind,
            a_message * engine.slot,
            "progress.scheduler",
        ),
        Step(
            "a mask is begun between messages",
            masks,
            _SLOTS_OF_A_MASK * engine.slot,
            "progress.masks",
        ),
    ]


def _for_each(engine, requests):
    """What each request goes through by itself."""
    profile, unit, depths = engine.profile, engine.unit, engine.depths
    through = engine.through
    mask = _TO_SAMPLE + through(depths.in_flight) + engine.aes + through(2 * depths.waiting)
    # Of a message that is before it in `Cipher`, all blocks may be written one behind the other.
    written = 1 if engine.ring else longest(profile)
    digest = unit.interval + _TO_HASH + 1 + engine.hops + unit.latency + engine.hops
    tag = engine.aes + digest + _TO_TAG + 2 * through(depths.judging) + written
    blocks = 8 * len(Counter) // BLOCK_BYTES + 1
    report = _TO_CONTROL + most_of_control(profile)["STATS"] + blocks * _out(engine)
    to_numbering, judged = through(depths.waiting), through(depths.in_flight)
    return [
        Step("its request gets to `Numbering`", requests, to_numbering, "queue"),
        Step("it is numbered", requests, MOST_UNTAKEN + MOST_UNGIVEN, "progress.numbering"),
        Step(
            "the scheduler begins with it",
            requests,
            _TO_DESCRIBED + MOST_WAITS * engine.slot,
            "progress.requests",
        ),
        Step(
            "its mask and its tag come, or its report",
            requests,
            max(mask + tag, report),
            "aes, ghash, progress.cipher, release.tag; progress.control",
        ),
        Step(
            "it is judged",
            requests,
            MOST_JUDGING[profile.aes] + _TO_JUDGED + judged,
            "progress.verdict",
        ),
    ]


def _on_the_way_out(engine, blocks, requests):
    profile, depths = engine.profile, engine.depths
    # Behind a LOAD or a ZEROIZE nothing is let in until it is judged.
    changes = 1 if requests == 1 else 2
    blocks += _BESIDE * requests
    if requests > 1:
        blocks += profile.queue_blocks * (1 + depths.release)
    return [
        Step("a slot is loaded or wiped", changes, _change(engine), "progress.control"),
        Step("a block leaves", blocks, _out(engine), "progress.egress, queue.blocks"),
        Step(
            "a completion begins and ends",
            requests,
            _TO_LEAVE + 2 * engine.parts + MOST_BEATS,
            "progress.egress",
        ),
    ]


def _out(engine):
    """Of a block of a completion: once it can be read."""
    return 2 * engine.parts + most_waiting(engine.ring, engine.hops) + 1


def _change(engine):
    """LOAD, ZEROIZE, or the wipe behind reset; one block of AES, and digests for powers of H."""
    unit, cycles = engine.unit, most_of_control(engine.profile)
    digests = unit.chains + (unit.powers - 1 if unit.chains > 1 else 0)
    digest = unit.interval + 1 + 2 * engine.hops + unit.latency
    waits = engine.slot + engine.aes + digests * digest
    return _TO_CONTROL + max(cycles.values()) + waits


def table(profile: Profile) -> Table:
    """The steps of the longest packet behind as much as fits in, and their sum."""
    payload = profile.largest_aead
    result = Table(title=f"{profile.name}: {payload:,} bytes are answered")
    result.add_column("step, with what proves its cycles")
    for name in ("times", "cycles", "in all"):
        result.add_column(name, justify="right")
    for step in steps(profile, payload):
        in_all = step.times * step.cycles
        what = f"{step.what}\n[dim]{step.by}[/]"
        result.add_row(what, f"{step.times:,}", f"{step.cycles:,}", f"{in_all:,}")
    result.add_section()
    result.add_row("at the most", "", "", f"[bold]{most(profile, payload):,}[/]")
    for count in (0, payload):
        cycles = most(profile, count, alone=True)
        result.add_row(f"alone, {count:,} bytes", "", "", f"{cycles:,}")
    return result


if __name__ == "__main__":
    for chosen in (COMPACT, FAST):
        Console().print(table(chosen))
