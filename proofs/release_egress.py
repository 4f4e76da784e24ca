"""The pipelined engine's way out: the completion of a refused request is its header, no block."""

from amaranth.hdl import Assert, Cat, Const, Elaboratable, Module, Signal
from amaranth.lib import data

from driver.messages import HEADER_BYTES, Status
from hdl.block import BLOCK_BYTES
from hdl.pipeline.egress import _Front
from hdl.profile import COMPACT, FAST, Profile
from proofs.open_egress import OpenEgress
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES"]

#: What says that a completion has more than its header.
_SHOWS = ("open", "short", "long", "sealed", "has_content", "tail")


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
        egress = OpenEgress(m, self._profile, _is_whole)
        opened, packer, head, idle = egress.opened, egress.packer, egress.head, egress.idle
        self.ports += egress.ports
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
        self._follow(m, egress)
        return m

    def _follow(self, m, egress):
        """What is put into the queue, and what is at hand behind it: invariants."""
        opened, head, turn, idle = egress.opened, egress.head, egress.turn, egress.idle
        front, written = data.View(_Front, opened["front"]), egress.queue.write
        first = egress.first
        refused = first.request.status != Status.OK
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
