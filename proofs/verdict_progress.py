"""The pipelined engine's verdict does not make a request wait that has all it needs."""

from amaranth.hdl import Assert, Assume, Elaboratable, Module, Signal

from driver.messages import Opcode, Status
from hdl.block import BLOCK_BYTES
from hdl.pipeline.verdict import Verdict
from hdl.profile import COMPACT, FAST, Profile
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["MOST_WAITING", "PROPERTIES"]

#: Cycles until the verdict begins with a request that has all it needs.
MOST_WAITING = {COMPACT.aes: 20, FAST.aes: 2}


class _Soon(Elaboratable):
    """`Verdict` with any requests and tags, which are what they are until they are taken."""

    def __init__(self, profile: Profile, apart: int, most: int):
        self._profile, self._apart, self._most = profile, apart, most
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        block = Verdict(self._profile, self._apart)
        m.submodules.verdict = opened = Opened(block)
        pending, tags = block.pending, block.checked_tags
        self.ports += [pending.valid, pending.payload.as_value()]
        self.ports += [tags.valid, tags.payload.as_value()]
        for port in (pending, tags):
            payload = port.payload.as_value()
            before, waits = Signal(len(payload)), Signal()
            m.d.sync += [before.eq(payload), waits.eq(port.valid & ~port.ready)]
            m.d.comb += Assume(~waits | (port.valid & (payload == before)))
        # What is sealed has a content type at least: `progress.ingress`.
        seals = pending.payload.echo.opcode == Opcode.SEAL
        seals &= pending.payload.status == Status.OK
        m.d.comb += Assume(~pending.valid | ~seals | (pending.payload.text_bytes != 0))
        has_all = pending.valid & (tags.valid | ~pending.payload.tagged)
        waited = Signal(range(self._most + 2))
        with m.If(has_all & ~opened["begins"]):
            m.d.sync += waited.eq(waited + 1)
        with m.Else():
            m.d.sync += waited.eq(0)
        m.d.comb += Assert(waited <= self._most, "a request that has all it needs begins")
        if self._apart >= Verdict.APART:
            m.d.comb += Assert(~opened["last"] | opened["moves"])
            m.d.comb += Assert(~opened["shifts"] | (opened["left"] <= BLOCK_BYTES))
        return m


PROPERTIES = [
    Property(
        name=f"progress.verdict.{profile.name}",
        promise=f"A request whose tag has come waits for {most} cycles at the most until the "
        f"verdict ({profile.name}) begins with it; it is judged 7 cycles later.",
        design=lambda profile=profile, apart=apart, most=most: _Soon(profile, apart, most),
        method=Induction(depth=most + 6, within=most + 6, cut=("w:*judged__payload*",)),
        mutant=mutant,
    )
    for profile, apart, most, mutant in (
        (
            COMPACT,
            Verdict.APART,
            MOST_WAITING[COMPACT.aes],
            Mutant(
                what="the bytes that are left to be moved behind a short text are not counted",
                module="hdl.pipeline.verdict",
                old="last.eq((left == 1) & ~last), left.eq(left - 1)]",
                new="last.eq((left == 1) & ~last)]",
            ),
        ),
        (
            FAST,
            1,
            MOST_WAITING[FAST.aes],
            Mutant(
                what="a verdict begins only once none is under way in any of its cycles",
                module="hdl.pipeline.verdict",
                old="free.eq(~begins & ~age[0] & ~writes.any()),",
                new="free.eq(~begins & ~age.any() & ~writes.any()),",
            ),
        ),
    )
]
