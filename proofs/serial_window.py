"""The replay window of the serial engine (RFC 9147, 4.5.1), with all that moves it."""

from dataclasses import replace

from amaranth.hdl import Assert, Mux, Signal, signed

from driver.messages import Opcode, Status, Usage
from hdl.profile import TINY
from hdl.record_number import REACH_BITS
from proofs.accepted_set import NUMBER_BITS, AcceptedSet
from proofs.property import Mutant, Property
from proofs.replay import follow
from proofs.serial_engine import DrivenEngine
from proofs.smt import Induction

__all__ = ["PROPERTIES"]

#: States in which the window has not been asked about the record to open yet, and in which it has
#: been, but there is no verdict.
_BEFORE = ("admit", "parse", "sample", "mask", "unmask", "number", "nonce")
_JUDGING = ("command", "header", "feed", "verdict")
#: What follows from a verdict.
_VERDICTS = (
    Status.OK, Status.NO_CONTENT_TYPE, Status.BAD_TAG, Status.TOO_OLD, Status.REPLAYED,
)  # fmt: skip


class _Opening(DrivenEngine):
    """Of the slot, the set of all numbers accepted is known by one of them."""

    usage, opcode = Usage.OPEN, Opcode.OPEN
    iv_comes = ("sample", "mask", "unmask", "number", "nonce")

    def promise(self, m):
        engine, unit = self.engine, self.engine.unit
        m.submodules.accepted = accepted = AcceptedSet(self.profile.window)
        # What AES-GCM said of the tag, if there was a verdict.
        judged, right = Signal(), Signal()
        with m.If(unit.start):
            m.d.sync += judged.eq(0)
        with m.Elif(self.during("verdict")):
            m.d.sync += [judged.eq(1), right.eq(engine._gcm.genuine)]
        forgeries, kept = Signal(40), Signal()
        m.d.comb += [
            kept.eq(unit.finish & unit.keep & self.fits & judged),
            accepted.begins.eq(self.loads),
            accepted.first.eq(self.first),
            accepted.number.eq(engine._number),
            accepted.accepts.eq(kept & right & ~accepted.too_old),
        ]
        with m.If(self.loads):
            m.d.sync += forgeries.eq(0)
        with m.Elif(kept & ~right):
            m.d.sync += forgeries.eq(forgeries + 1)
        self._answers(m, accepted, judged & self.fits & self.waiting, right)
        self._agrees(m, accepted, forgeries)
        self._follow(m, accepted, judged, right)

    def _answers(self, m, accepted, says, right):
        """What is said, and what is moved."""
        engine, unit = self.engine, self.engine.unit
        writes, status = engine.write_state, unit.status
        is_tracked = engine._number == accepted.tracked
        succeeds = (status == Status.OK) | (status == Status.NO_CONTENT_TYPE)
        told = (status == Status.REPLAYED) == accepted.contains_tracked
        keeps = says & unit.finish & unit.keep
        moves = self.here & (writes.next.any() | writes.seen)
        m.d.comb += [
            Assert(~says | ((status == Status.BAD_TAG) == ~right), "a wrong tag"),
            Assert(~says | ~right | ((status == Status.TOO_OLD) == accepted.too_old), "too old"),
            Assert(~(says & right & is_tracked) | accepted.too_old | told, "replayed"),
            Assert(~(says & is_tracked & accepted.contains_tracked & succeeds), "accepted twice"),
            Assert(~moves | (keeps & right & succeeds), "what is refused moves nothing"),
            Assert(~(self.here & writes.count) | (keeps & ~right), "only a forgery is counted"),
        ]

    def _agrees(self, m, accepted, forgeries):
        """The slot has the highest number of the set, the bit of the tracked one, and the count."""
        word, width, tracked = self.word, self.profile.window, accepted.tracked
        age = Signal(range(width))
        following = word.next[: NUMBER_BITS + 1]
        bit = word.seen.bit_select(age, 1)
        inside = (tracked < following) & (tracked + width >= following)
        m.d.comb += [
            age.eq(following - 1 - tracked),
            Assert(word.next == accepted.next),
            Assert(accepted.invariant()),
            Assert(~inside | (bit == accepted.contains_tracked)),
            Assert(word.count == forgeries, "the count of forgeries"),
            Assert(word.count <= self.profile.forgery_limit, "forgeries beyond the limit"),
        ]
        self._bit = bit

    def _follow(self, m, accepted, judged, right):
        """Invariants: what the states of the engine say of the slot, the number and the window."""
        engine, word, window, fits = self.engine, self.word, self.window, self.fits
        status, limit = engine.unit.status, self.profile.forgery_limit
        before, judging = self.during(*_BEFORE), self.during(*_JUDGING)
        ends = self.during("done") | self.waiting
        told, distance = Signal(8), Signal(signed(NUMBER_BITS + 10))
        with m.If(~right):
            m.d.comb += told.eq(Status.BAD_TAG)
        with m.Elif(window.too_old):
            m.d.comb += told.eq(Status.TOO_OLD)
        with m.Elif(window.replayed):
            m.d.comb += told.eq(Status.REPLAYED)
        with m.Else():
            m.d.comb += told.eq(Mux(status == Status.NO_CONTENT_TYPE, status, Status.OK))
        asked = judging | judged
        near = (distance < 1 << REACH_BITS) & (distance >= -1 << REACH_BITS)
        facts = [
            ~(before | judging) | (~judged & (status == Status.OK)),
            ~self.during("prefix", "patch"),
            ~self.during("record number") | judged,
            ~judged | (status == told),
            ~ends | judged | ~status.matches(*_VERDICTS),
            ~(asked | self.during("nonce")) | near,
            ~(before | judged) | ~(self.hashed | self.wrote),
            ~(asked | before) | self.during("admit") | (word.count < limit),
        ]
        others = self.here & ~fits
        m.d.comb += [
            distance.eq(engine._number - word.next),
            *(Assert(~fits | fact) for fact in facts),
            Assert(~window.busy | (judging & ~self.during("verdict"))),
            # All else is refused in this slot.
            Assert(~others | self.during("prefix", "admit") | ends),
            Assert(~others | ~ends | ~status.matches(*_VERDICTS)),
        ]
        following = word.next[: NUMBER_BITS + 1]
        follow(m, window, engine._number, following, fits & asked, accepted.tracked, self._bit)


PROPERTIES = [
    Property(
        name=f"replay.tiny.{width}",
        promise=f"The serial engine with a window of {width} refuses as replayed just the numbers "
        "accepted before and as too old just those left of it, in every sequence; a record that "
        "fails authentication, and any other refusal, moves nothing but the count of forgeries.",
        design=lambda width=width: _Opening(replace(TINY, window=width)),
        method=Induction(depth=2, within=20),
        mutant=Mutant(
            what="a malformed record moves the window",
            module="hdl.record_engine",
            old="| (unit.status == Status.NO_CONTENT_TYPE)\n        kept",
            new="| (unit.status == Status.MALFORMED_RECORD)\n        kept",
        ),
    )
    for width in (32, 64, 128)
]
