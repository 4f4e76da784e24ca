"""The pipelined engine's decision: what was opened is accepted only if its tag has verified."""

from amaranth.hdl import Assert, Assume, Elaboratable, Module, Signal

from driver.messages import Opcode, Status
from hdl.pipeline.tag import Tag
from hdl.pipeline.verdict import Verdict
from hdl.profile import COMPACT, FAST, Profile
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES"]

#: Cycles from a digest to its tag; and from a request's way into `Verdict` to what is said of it.
_TO_TAG, _TO_JUDGED = 3, 7


class _Compared(Elaboratable):
    """`Tag` with any digests, counter blocks and received tags."""

    def __init__(self):
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        m.submodules.tag = block = Tag()
        self.ports += [block.digests.valid, block.digests.payload]
        self.ports += [block.tag_keys.payload, block.received_tags.payload]
        tag = block.digests.payload ^ block.tag_keys.payload
        valid, differs = block.digests.valid, tag != block.received_tags.payload
        for _ in range(_TO_TAG):
            valid, differs = _later(m, valid), _later(m, differs)
        checked = block.tags.payload
        m.d.comb += [
            Assert(block.tags.valid == valid, "a tag for each digest, 3 cycles later"),
            Assert(~valid | (checked.differs == differs), "it differs if any of its bits does"),
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
            block.contents.payload,
        ]
        for port in (pending, tags):
            before, waits = Signal(len(port.payload.as_value())), Signal()
            m.d.sync += [before.eq(port.payload.as_value()), waits.eq(port.valid & ~port.ready)]
            m.d.comb += Assume(~waits | (port.valid & (port.payload.as_value() == before)))
        request = pending.payload
        opens = request.tagged & request.echo.opcode.matches(Opcode.OPEN, Opcode.AEAD_OPEN)
        forged, taken = opened["begins"] & opens & tags.payload.differs, opened["begins"]
        for _ in range(_TO_JUDGED):
            forged, taken = _later(m, forged), _later(m, taken)
        status = block.judged.payload.request.status
        m.d.comb += [
            Assert(block.judged.valid == taken, "judged 7 cycles after it has begun"),
            Assert(~forged | (status != Status.OK), "a tag that differs is refused"),
        ]
        return m


def _later(m, value):
    register = Signal()
    m.d.sync += register.eq(value)
    return register


PROPERTIES = [
    Property(
        name="release.tag",
        promise="A tag is found to differ just if any of its 128 bits does, 3 cycles after its "
        "digest in any case.",
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
            promise=f"The pipelined engine ({profile.name}) never says OK of what it has opened "
            "with a tag that differs, record or message, whatever the window, the key's count and "
            "the content are.",
            design=lambda profile=profile, apart=apart: _Judged(profile, apart),
            method=Induction(depth=10, within=12),
            mutant=Mutant(
                what="of a message that is no record, the tag is not asked for",
                module="hdl.pipeline.verdict",
                old="bad_tag.eq(compares & differs)",
                new="bad_tag.eq(opens & compares & differs)",
            ),
        )
        for profile, apart in ((COMPACT, Verdict.APART), (FAST, 1))
    ),
]
