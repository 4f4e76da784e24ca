"""The scheduler of the pipelined engine, with anything at its inputs."""

from abc import ABC, abstractmethod

from amaranth.hdl import Elaboratable, Module, Signal, Value

from hdl.pipeline.accelerator import DEPTHS
from hdl.pipeline.scheduler import Scheduler
from hdl.profile import Profile
from proofs.hash_units import hash_unit
from proofs.opened import Opened

__all__ = ["OpenScheduler"]


class OpenScheduler(Elaboratable, ABC):
    """`Scheduler` as `PipelinedAccelerator` has it, and what is said of it."""

    def __init__(self, profile: Profile):
        self._profile = profile
        #: Places behind it for blocks, and for requests.
        self._depth = profile.queue_blocks * DEPTHS[profile.aes].release
        self._in_flight = DEPTHS[profile.aes].in_flight
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        ghash = hash_unit(self._profile)
        block = Scheduler(self._profile, self._depth, self._in_flight, ghash.chains, ghash.interval)
        m.submodules.scheduler = opened = Opened(block)
        self.ports += _inputs_of(block)
        self.describe(m, opened, block)
        return m

    @abstractmethod
    def describe(self, m: Module, opened: Opened, block: Scheduler) -> None:
        """Assumptions and assertions."""


def _inputs_of(block: Scheduler) -> list[Value]:
    """All that comes into the scheduler."""
    return [
        block.requests.valid,
        block.requests.payload.as_value(),
        block.opening_masks.valid,
        block.sealing_masks.valid,
        block.more_opening_masks,
        block.more_sealing_masks,
        block.mask_used,
        block.blocks.ready,
        block.control_done,
        block.control_status,
        block.control_blocks,
        block.left,
        block.block_left,
    ]
