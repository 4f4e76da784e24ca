"""The numbers of the records that the serial engine seals."""

from dataclasses import replace

from amaranth.hdl import Assert, Signal

from driver.messages import Opcode, Status, Usage
from hdl.profile import TINY
from hdl.slots import state_layout
from proofs.accepted_set import NUMBER_BITS
from proofs.property import Mutant, Property
from proofs.serial_engine import DrivenEngine
from proofs.smt import Induction

__all__ = ["PROPERTIES"]

_LAST_NUMBER = (1 << NUMBER_BITS) - 1
#: States from the record's number to the last byte of what is sealed.
_NUMBERED = ("nonce", "command", "header", "feed", "verdict", "mask", "unmask", "patch")


class _Sealing(DrivenEngine):
    """The slot's number and count by themselves."""

    usage, opcode = Usage.SEAL, Opcode.SEAL
    iv_comes = ("number", "nonce")

    def promise(self, m):
        engine, unit, word, limit = (
            self.engine,
            self.engine.unit,
            self.word,
            self.profile.seal_limit,
        )
        state, seals, full = Signal(state_layout(self.profile)), Signal(), Signal()
        status, number = unit.status, engine._number
        m.d.comb += [
            full.eq((state.count >= limit) | (state.next >= _LAST_NUMBER)),
            seals.eq(self.fits & self.waiting & (status == Status.OK)),
        ]
        with m.If(self.loads):
            m.d.sync += [state.next.eq(self.first), state.count.eq(0)]
        with m.Elif(seals & unit.finish & unit.keep):
            m.d.sync += [state.next.eq(state.next + 1), state.count.eq(state.count + 1)]
        writes = engine.write_state
        moves = writes.next.any() | writes.seen | writes.count
        m.d.comb += [
            Assert(~seals | (number == state.next), "the next number"),
            Assert(~seals | ~full, "sealed beyond a limit"),
            Assert(
                ~(self.fits & self.waiting & (status == Status.KEY_LIMIT)) | full,
                "refused before a limit",
            ),
            Assert(
                ~(self.here & moves) | (seals & unit.finish & unit.keep),
                "what is refused moves nothing",
            ),
            Assert((word.next == state.next) & (word.count == state.count)),
            Assert((state.count <= limit) & (state.next <= _LAST_NUMBER)),
        ]
        self._follow(m, status, number, full)

    def _follow(self, m, status, number, full):
        """Invariants: what the states of the engine say of the slot and the number."""
        fits, admitted = self.fits, self.during("number", *_NUMBERED)
        ends = self.during("done") | self.waiting
        refusals = (Status.SLOT_EMPTY, Status.WRONG_USAGE, Status.KEY_LIMIT)
        others = self.here & ~fits
        facts = [
            self.during("idle", "admit", "number", *_NUMBERED, "done"),
            ~self.during("admit", "number", *_NUMBERED) | (status == Status.OK),
            ~admitted | ~full,
            ~self.during("number") | (self.engine._wire == self.word.next[:16]),
            ~self.during(*_NUMBERED) | (number == self.word.next),
            ~ends | status.matches(Status.OK, *refusals),
            ~ends | (status != Status.OK) | ((number == self.word.next) & ~full),
            ~ends | (status != Status.KEY_LIMIT) | full,
            ~(self.during("admit", "number") | ends) | ~(self.hashed | self.wrote),
        ]
        m.d.comb += [
            *(Assert(~fits | fact) for fact in facts),
            # All else is refused in this slot.
            Assert(~others | self.during("prefix", "admit") | ends),
            Assert(
                ~others | ~ends | ~status.matches(Status.OK, Status.NO_CONTENT_TYPE, Status.BAD_TAG)
            ),
        ]


PROPERTIES = [
    Property(
        name="record_number.sealing.serial",
        promise="In the serial engine, the records that a slot seals have the numbers from the one "
        "that it was loaded with on, one after the other and so none twice, up to the limit of its "
        "key or the last number; nothing else moves them, and AES-GCM gets the nonce of each.",
        design=lambda: _Sealing(TINY),
        method=Induction(depth=2, within=60),
        mutant=Mutant(
            what="the last number is not the end",
            module="hdl.record_engine",
            old="_has_met(count, profile.seal_limit) | following[:48].all() | following[48]",
            new="_has_met(count, profile.seal_limit) | following[48]",
        ),
        broken_design=lambda: _Sealing(replace(TINY, window=4)),
    ),
]
