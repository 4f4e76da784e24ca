"""The pipelined engine's way out: the completion of a refused request is its header, no block."""

from unittest.mock import patch

from amaranth.hdl import Assert, Assume, Cat, Const, Elaboratable, Module, Shape, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import HEADER_BYTES, Status
from hdl.block import BLOCK_BYTES
from hdl.pipeline import egress
from hdl.pipeline.egress import Egress
from hdl.pipeline.layouts import LENGTH_BITS, pending_layout
from hdl.pipeline.narrow_packer import NarrowPacker
from hdl.pipeline.packer import Packer
from hdl.profile import COMPACT, FAST, Profile
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES"]

#: What says that a completion has more than its header.
_SHOWS = ("open", "short", "long", "sealed", "has_content", "tail")

#: The request whose completion is looked at, and the first of what follows from it.
_First = data.StructLayout(
    {
        **pending_layout().members,
        **dict.fromkeys(("ok", "seal", "open", "sealed", "has_blocks"), 1),
        "header_bytes": 5,
        "content_bytes": LENGTH_BITS,
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

    def elaborate(self, platform):
        m = Module()
        payload, before, waits = self.read.payload, Signal.like(self.given), Signal()
        m.d.sync += [waits.eq(self.valid & ~self.read.ready), before.eq(self.given)]
        m.d.comb += [
            Value.cast(payload).eq(self.given),
            self.read.valid.eq(self.valid),
            self.level.eq(self.any_level),
            Assume(~waits | (self.valid & (self.given == before))),
            Assume(_is_whole(payload)),
        ]
        return m


class _Refused(Elaboratable):
    """`Egress` with any requests, blocks and masks.

    Its queue of completions is taken out: those that were put in have nothing to show if they are
    refusals, and so have those that come out.
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        width = self._profile.completion_bytes
        block = Egress(64, width)
        made: list = []

        def kept(kind):
            def make(*arguments):
                made.append(kind(*arguments))
                return made[-1]

            return make

        with patch.multiple(
            egress,
            Queue=kept(_AnyCompletion),
            Packer=kept(Packer),
            NarrowPacker=kept(NarrowPacker),
        ):
            m.submodules.egress = opened = Opened(block)
        queue, packer = made
        self.ports += [
            block.judged.valid,
            block.judged.payload.as_value(),
            block.masks.valid,
            block.masks.payload,
            block.tag_written,
            block.blocks.valid,
            block.blocks.payload,
            block.packets.ready,
        ]
        self.ports += [queue.given, queue.valid, queue.any_level]
        head = data.View(egress._Completion, opened.nameless("left")[egress._Completion.size])
        front = data.View(egress._Front, opened["front"])
        idle = ~(opened["alone"] | opened["with_block"])
        refused, part, header = Signal(), Signal(4), Signal(8 * HEADER_BYTES)
        m.d.sync += [
            refused.eq(~idle & (head.front.status != Status.OK)),
            part.eq(opened["part"]),
            header.eq(_header(head.front)),
        ]
        piece, written = packer.pieces.payload, refused & packer.pieces.valid
        if width == BLOCK_BYTES:
            is_header = (piece.bytes == HEADER_BYTES) & (piece.data[: len(header)] == header)
        else:
            is_header = (piece.bytes == width) & (part < HEADER_BYTES // width)
            is_header &= piece.data == header.word_select(part[:2], 8 * width)
        m.d.comb += Assert(~written | is_header, "a refusal is its header and no block")
        self._follow(m, opened, queue, idle, head, front)
        return m

    def _follow(self, m, opened, queue, idle, head, front):
        """What is put into the queue, and what is at hand behind it: invariants."""
        turn, written = data.View(egress._Turn, opened["turn"]), queue.write
        first = data.View(_First, opened["head"][: _First.size])
        refused = first.status != Status.OK
        alone, with_block, ends = opened["alone"], opened["with_block"], opened["ends"]
        may_go, may_take, front_free = (opened[x] for x in ("may_go", "may_take", "front_free"))
        is_refused = ~idle & (head.front.status != Status.OK)
        start = turn.start & is_refused
        m.d.comb += [
            Assert(~refused | ~(first.ok | first.seal | first.open | first.sealed)),
            Assert(~refused | (first.content_bytes == 0)),
            Assert(~written.valid | _is_whole(written.payload), "put into the queue"),
            Assert(_is_whole(head)),
            Assert(~(turn.header | turn.header_end) | head.long),
            Assert(~turn.text | head.long | head.has_content),
            Assert(~turn.tag | head.sealed),
            Assert(~(alone & with_block)),
            Assert(~idle | ends),
            Assert(~alone | (turn.as_value() == 1)),
            Assert(~is_refused | opened["only"]),
            Assert(~(may_go & with_block) & ~(may_take & ~with_block)),
            Assert(front_free | ~(ends & (may_go | may_take))),
            Assert(~(alone & front_free) | (may_go & ends)),
            Assert(~is_refused | opened["no_text"]),
            Assert(~is_refused | ((turn.as_value() == 1) ^ turn.skip)),
            Assert(~is_refused | (turn.skip == with_block)),
            Assert(~(is_refused & turn.skip) | (opened["last"] == ends)),
            Assert(~start | (ends == ~head.skips)),
            Assert(~start | (opened["ends_behind_text"] == opened["skips_one"])),
            Assert(~start | (alone & (front == head.front))),
            Assert(~start | (opened["lanes"][:BLOCK_BYTES] == 0)),
        ]


def _is_whole(completion):
    """Of a refusal, nothing but the header of its packet, whose payload has no bytes."""
    shows = Cat(completion[name] for name in _SHOWS).any()
    return (completion.front.status == Status.OK) | ~(shows | completion.front.length.any())


def _header(front):
    """The header of a completion without payload, the first byte lowest (`driver.messages`)."""
    echo = front.echo
    fields = Cat(Const(0, 16), echo.request_id, echo.slot, front.status, Const(0, 4), echo.opcode)
    return Cat(fields.word_select(i, 8) for i in reversed(range(HEADER_BYTES)))


PROPERTIES = [
    Property(
        name=f"release.egress.{profile.name}",
        promise=f"All that the pipelined engine ({profile.name}) writes for a request that was "
        "refused is the 8 bytes of its header, whatever its blocks are.",
        design=lambda profile=profile: _Refused(profile),
        method=Induction(within=14),
        mutant=Mutant(
            what="a record whose tag is wrong is answered with its content",
            module="hdl.pipeline.egress",
            old="content_blocks = Mux(head.ok, head.content_blocks, 0)",
            new="content_blocks = head.content_blocks",
        ),
    )
    for profile in (COMPACT, FAST)
]
