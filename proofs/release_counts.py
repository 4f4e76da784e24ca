"""The blocks of a message: as many are written as are claimed, and as its completion takes."""

from amaranth.hdl import Assert, Assume, Const, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data

from driver.messages import CONNECTION_ID_BYTES, Opcode, Status
from hdl.block import BLOCK_BYTES
from hdl.pipeline.layouts import SlotUse
from hdl.pipeline.numbering import numbered_layout
from hdl.profile import COMPACT, FAST, Profile
from proofs.credits import Credits
from proofs.open_egress import OpenEgress
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES"]

_SEALING, _OPENING = (Opcode.SEAL, Opcode.AEAD_SEAL), (Opcode.OPEN, Opcode.AEAD_OPEN)


def _blocks(length: Value) -> Value:
    """Of 16 bytes, for so many bytes."""
    return (length + BLOCK_BYTES - 1)[4:]


def _header_bytes(request) -> Value:
    """The length of a record's header: flags and connection ID, number, and length field."""
    return request.tail_at + 1 + request.sixteen + Mux(request.length, 2, 0)


def _written(request) -> Value:
    """Blocks that are written for a request that is accepted: header of a record, text and tag."""
    opcode, text = request.echo.opcode, _blocks(request.text_bytes)
    header = Mux(opcode == Opcode.SEAL, _blocks(_header_bytes(request)), 0)
    return header + text + opcode.matches(*_SEALING)


class _Claimed(Credits):
    """`Scheduler`, as in `credits`, with records whose associated data is their header."""

    def promise(self, m, opened, begun):
        block = opened.block
        slot, given, starts = block.slots.payload, block.slots.valid, opened["starts"]
        coming, head = (
            data.View(numbered_layout(), x).request
            for x in (block.requests.payload.as_value(), opened["head"])
        )
        text, associated = (
            Signal(12),
            Signal(12),
        )  # slots of the last message that are still to come
        texts, headers = slot.use == SlotUse.TEXT, slot.associated
        with m.If(starts):
            m.d.sync += [
                text.eq(_blocks(head.text_bytes)),
                associated.eq(_blocks(head.associated_bytes)),
            ]
        with m.Elif(given):
            m.d.sync += [text.eq(text - texts), associated.eq(associated - headers)]
        m.d.comb += [
            Assume(self._is_planned(coming)),
            Assert(
                ~(starts & opened["accepted"]) | (opened["released"] == _written(head)),
                "it claims its blocks",
            ),
            Assert(~starts | ((text == 0) & (associated == 0)), "a message has all its slots"),
            Assert(~given | ~texts | (text != 0), "and no more of text"),
            Assert(~given | ~headers | (associated != 0), "or associated data"),
        ]
        self._follow_head(m, opened, head)
        self._follow_slots(m, opened, text, associated)

    def _is_planned(self, request) -> Value:
        """What `Planner` lets through: of a record to seal, the header is the associated data."""
        most = self._profile.largest_aead
        fits = (request.text_bytes <= most) & (request.associated_bytes <= most)
        is_header = request.associated_bytes == _header_bytes(request)
        return fits & ((request.echo.opcode != Opcode.SEAL) | is_header)

    def _follow_head(self, m, opened, head):
        """What is known of the request at hand."""
        opcode, ready = head.echo.opcode, opened["ready"]
        for name, value in (
            ("text_blocks", _blocks(head.text_bytes)),
            ("associated_blocks", _blocks(head.associated_bytes)),
            ("is_record", opcode.matches(Opcode.SEAL, Opcode.OPEN)),
            ("sealing", opcode.matches(*_SEALING)),
            ("accepted", head.status == Status.OK),
        ):
            m.d.comb += Assert(~ready | (opened[name] == value))
        m.d.comb += Assert(~ready | self._is_planned(head))

    def _follow_slots(self, m, opened, text, associated):
        """What is left of the message at hand."""
        names = ("late", "more_associated", "tag_left", "associated_left", "text_left", "idle")
        late, more, tag, associated_left, text_left, idle = (opened[x] for x in names)
        is_associated = opened["associated"]
        m.d.comb += [
            Assert(~idle | ~(opened["text"] | late | more | tag)),
            Assert(opened["text"] == (text_left != 0)),
            Assert(opened["last_text"] == (text_left == 1)),
            Assert(idle | (more == (is_associated & (associated_left > 1)))),
            Assert(idle | ~is_associated | (associated_left != 0)),
            Assert(idle | ~(more | is_associated) | tag | late),
            Assert(~(tag & late)),
            Assert(idle | (text_left == 0) | ~late),
            Assert(text == Mux(idle, 0, text_left)),
            Assert(associated == Mux(~idle & is_associated, associated_left, 0)),
        ]


class _Released(Elaboratable):
    """`Egress` with any judged requests; what it makes of completions plays no part.

    A request with an opcode that nobody knows is refused and has no tag; of a message to seal that
    was accepted before, the verdict says OK.
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        egress = OpenEgress(m, self._profile, lambda completion: Const(1))
        opened, block, first = egress.opened, egress.block, egress.first
        self.ports += egress.ports
        judged, request = block.judged, block.judged.payload.request
        m.d.comb += Assume(~judged.valid | self._is_known(request))
        begun, due, released = Signal(), Signal(13), Signal(13)
        goes, full, request = opened.nameless("goes_on")[1], opened["full"], first.request
        m.d.sync += [
            begun.eq(goes),
            due.eq(Mux(goes & _was_accepted(request), _written(request), 0)),
            released.eq(due),
        ]
        opcode, ok = request.echo.opcode, request.status == Status.OK
        m.d.comb += [
            Assert(block.release == released, "as many blocks are released as were written"),
            Assert(begun == opened["goes_on"]),
            Assert(due == Mux(begun, opened["blocks"] + opened["small"], 0)),
            Assert(due < 1 << len(block.release)),
            Assert(~goes | full),
            Assert(~full | self._is_known(request)),
            Assert(~full | (first.ok == ok)),
            Assert(~full | (first.seal == ((opcode == Opcode.SEAL) & ok))),
            Assert(~full | (first.sealed == (opcode.matches(*_SEALING) & ok))),
            Assert(~full | (first.has_blocks == _was_accepted(request))),
            Assert(~full | (first.header_bytes == _header_bytes(request))),
            Assert(~full | (first.text_blocks == _blocks(request.text_bytes))),
        ]
        return m

    def _is_known(self, request) -> Value:
        """What `Planner` lets through; and that only messages have tags."""
        opcode, ok = request.echo.opcode, request.status == Status.OK
        fits = request.text_bytes <= self._profile.largest_aead
        has_header = request.tail_at <= 1 + CONNECTION_ID_BYTES
        may_be_tagged = opcode.matches(*_OPENING, Opcode.SEAL) | ((opcode == Opcode.AEAD_SEAL) & ok)
        return (
            fits & has_header & (~ok | (opcode <= max(Opcode))) & (~request.tagged | may_be_tagged)
        )


def _was_accepted(request) -> Value:
    """Whether a judged request had been accepted: its tag may have been refused since."""
    opens = request.echo.opcode.matches(*_OPENING)
    return (request.status == Status.OK) | (request.tagged & opens)


PROPERTIES = [
    *(
        Property(
            name=f"release.claims.{profile.name}",
            promise=f"For each message ({profile.name}) the scheduler claims the blocks that are "
            "written for it, and gives as many slots of text and of associated data as it has.",
            design=lambda profile=profile: _Claimed(profile),
            method=Induction(within=12, cut=("w:*nonce",)),
            mutant=Mutant(
                what="the last bytes of a text have no slot",
                module="hdl.pipeline.scheduler",
                old="text_left.eq(text_blocks),",
                new="text_left.eq(head.request.text_bytes >> 4),",
            ),
            broken_design=lambda: _Claimed(FAST),
        )
        for profile in (COMPACT, FAST)
    ),
    *(
        Property(
            name=f"release.counts.{profile.name}",
            promise=f"For each completion ({profile.name}) as many blocks are released as were "
            "written for its request.",
            design=lambda profile=profile: _Released(profile),
            method=Induction(within=10),
            mutant=Mutant(
                what="of a record that was refused no block is released",
                module="hdl.pipeline.egress",
                old="head.has_blocks.eq(ok | (request.tagged & ~seal)),",
                new="head.has_blocks.eq(ok),",
            ),
        )
        for profile in (COMPACT, FAST)
    ),
]
