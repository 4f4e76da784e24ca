"""The pipelined engine's decision: what was opened is accepted only if its tag has verified."""

from amaranth.hdl import Assert, Assume, Cat, Elaboratable, Module, Signal

from driver.messages import Status
from hdl.pipeline.layouts import pending_layout, void_if
from hdl.pipeline.tag import Tag
from hdl.pipeline.verdict import Verdict
from hdl.profile import COMPACT, FAST, Profile
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES"]

#: Cycles from a digest to its tag; and from a request's way into `Verdict` to what is said of it.
_TO_TAG, _TO_JUDGED = 3, 7

#: What of a request does not change in `Verdict`.
_KEPT = [name for name, _ in pending_layout() if name not in ("ticket", "status")]


class _Compared(Elaboratable):
    """`Tag` with any digests, counter blocks and received tags."""

    def __init__(self):
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        m.submodules.tag = block = Tag()
        self.ports += [block.digests.valid, block.digests.payload]
        self.ports += [block.tag_keys.payload.as_value(), block.received_tags.payload]
        key = block.tag_keys.payload
        differs = (block.digests.payload ^ key.block) != block.received_tags.payload
        ticket = void_if(differs & key.ticket.opening, key.ticket).as_value()
        valid = block.digests.valid
        for _ in range(_TO_TAG):
            valid, ticket = _later(m, valid), _later(m, ticket)
        found = block.tags.payload.ticket.as_value()
        m.d.comb += [
            Assert(block.tags.valid == valid, "a tag for each digest, 3 cycles later"),
            Assert(~valid | (found == ticket), "void if any bit of what was opened differs"),
        ]
        return m


class _Judged(Elaboratable):
    """`Verdict` with any requests and tags, and with any state of a slot."""

    def __init__(self, profile: Profile, apart: int):
        self._profile, self._apart = profile, apart
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        block = Verdict(self._profile, self._apart)
        m.submodules.verdict = opened = Opened(block)
        pending, tags = block.pending, block.checked_tags
        self.ports += [
            pending.valid,
            pending.payload.as_value(),
            tags.valid,
            tags.payload.as_value(),
            block.first_blocks.payload,
            block.contents.payload.as_value(),
        ]
        for port in (pending, tags):
            before, waits = Signal(len(port.payload.as_value())), Signal()
            m.d.sync += [before.eq(port.payload.as_value()), waits.eq(port.valid & ~port.ready)]
            m.d.comb += Assume(~waits | (port.valid & (port.payload.as_value() == before)))
        request, taken = pending.payload, opened["begins"]
        ticket = request.ticket.as_value()
        foreign = request.tagged & (tags.payload.ticket.as_value() != ticket)
        lacks = ~request.tagged & request.ticket.opening
        kept = Cat(request[x] for x in _KEPT)
        for _ in range(_TO_JUDGED):
            foreign, lacks, taken, ticket = (_later(m, x) for x in (foreign, lacks, taken, ticket))
            kept = _later(m, kept)
        judged = block.judged.payload.request
        accepted = taken & (judged.status == Status.OK)
        m.d.comb += [
            Assert(block.judged.valid == taken, "judged 7 cycles after it has begun"),
            Assert(~accepted | ~foreign, "a tag of another ticket, or a void one, is refused"),
            Assert(~accepted | ~lacks, "nothing is opened without a tag"),
            Assert(~accepted | (judged.ticket.as_value() == ticket), "its own ticket goes on"),
            Assert(~taken | (Cat(judged[x] for x in _KEPT) == kept), "so does all else of it"),
        ]
        return m


def _later(m, value):
    register = Signal(len(value))
    m.d.sync += register.eq(value)
    return register


PROPERTIES = [
    Property(
        name="release.tag",
        promise="The ticket of a message is void just if it was to open and any of the 128 bits "
        "of its tag differs, 3 cycles after its digest in any case.",
        design=_Compared,
        method=Induction(depth=5, within=6),
        mutant=Mutant(
            what="the last byte of the tag is not compared",
            module="hdl.pipeline.tag",
            old=".any() for i in range(BLOCK_BYTES))",
            new=".any() for i in range(BLOCK_BYTES - 1))",
        ),
    ),
    *(
        Property(
            name=f"release.verdict.{profile.name}",
            promise=f"The pipelined engine ({profile.name}) never says OK with the tag of another "
            "request, with one that differs, or of what it opens with none, record or message, "
            "whatever the window, the key's count and the content are; with OK goes the ticket "
            "that the request came with.",
            design=lambda profile=profile, apart=apart: _Judged(profile, apart),
            method=Induction(depth=10, within=12),
            mutant=Mutant(
                what="of a message that is no record, the tag is not asked for",
                module="hdl.pipeline.verdict",
                old="bad_tag.eq((compares & differs) | lacks_tag)",
                new="bad_tag.eq((opens & compares & differs) | lacks_tag)",
            ),
        )
        for profile, apart in ((COMPACT, Verdict.APART), (FAST, 1))
    ),
]
