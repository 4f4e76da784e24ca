"""The way out of the pipelined engine, with any completions in place of its queue of them."""

from collections.abc import Callable
from unittest.mock import patch

from amaranth.hdl import Assume, Module, Shape, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.pipeline import egress
from hdl.pipeline.accelerator import DEPTHS
from hdl.pipeline.egress import Egress
from hdl.pipeline.layouts import LENGTH_BITS, pending_layout
from hdl.pipeline.narrow_packer import NarrowPacker
from hdl.pipeline.packer import Packer
from hdl.profile import Profile
from proofs.opened import Opened

__all__ = ["OpenEgress"]

#: The request whose completion is looked at, and what follows from it.
_First = data.StructLayout(
    {
        "request": pending_layout(),
        **dict.fromkeys(("ok", "seal", "open", "sealed", "has_blocks", "in_order"), 1),
        "header_bytes": 5,
        "content_bytes": LENGTH_BITS,
        **dict.fromkeys(("content_blocks", "text_blocks"), 12),
    }
)


class _AnyCompletion(wiring.Component):
    """Stands for the queue of completions: it gives any, which stays until it is taken."""

    def __init__(self, shape, depth: int):
        self.depth = depth
        super().__init__(
            {
                "write": In(stream.Signature(shape, always_ready=True)),
                "read": Out(stream.Signature(shape)),
                "level": Out(range(depth + 1)),
            }
        )
        self.given = Signal(Shape.cast(shape).width)
        self.valid = Signal()
        self.any_level = Signal(range(depth + 1))
        #: What is known of each, which is to be proved of those that are written.
        self.is_whole: Callable[[data.View], Value]

    def elaborate(self, platform):
        m = Module()
        payload, before, waits = self.read.payload, Signal.like(self.given), Signal()
        m.d.sync += [waits.eq(self.valid & ~self.read.ready), before.eq(self.given)]
        m.d.comb += [
            Value.cast(payload).eq(self.given),
            self.read.valid.eq(self.valid),
            self.level.eq(self.any_level),
            Assume(~waits | (self.valid & (self.given == before))),
            Assume(self.is_whole(payload)),
        ]
        return m


class OpenEgress:
    """`Egress` as a submodule, whose queue of completions is taken out.

    Those that come out of the queue are any for which ``is_whole`` holds.
    """

    def __init__(self, m: Module, profile: Profile, is_whole: Callable[[data.View], Value]):
        depth = profile.queue_blocks * DEPTHS[profile.aes].release
        self.block = block = Egress(depth, profile.completion_bytes)
        made: list = []

        def kept(kind):
            def make(*arguments):
                made.append(kind(*arguments))
                if kind is _AnyCompletion:
                    made[-1].is_whole = is_whole
                return made[-1]

            return make

        with patch.multiple(
            egress,
            Queue=kept(_AnyCompletion),
            Packer=kept(Packer),
            NarrowPacker=kept(NarrowPacker),
        ):
            m.submodules.egress = self.opened = opened = Opened(block)
        self.queue, self.packer = queue, _ = made
        #: All that comes in.
        self.ports = [
            block.judged.valid,
            block.judged.payload.as_value(),
            block.masks.valid,
            block.masks.payload,
            block.tag_written,
            block.blocks.valid,
            block.blocks.payload.as_value(),
            block.packets.ready,
            *(queue.given, queue.valid, queue.any_level),
        ]
        #: The request in the first stage, and the completion at hand in the last one.
        self.first = data.View(_First, opened["head"][: _First.size])
        self.head = data.View(egress._Completion, opened.nameless("left")[egress._Completion.size])
        self.turn = data.View(egress._Turn, opened["turn"])
        self.idle = ~(opened["alone"] | opened["with_block"])
