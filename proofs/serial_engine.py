"""The serial engine as proofs drive it: any requests, one after the other, and one slot watched."""

from abc import ABC, abstractmethod

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Assume, Cat, Elaboratable, Module, Mux, Signal, Value

from driver.messages import Opcode, Usage
from hdl.profile import Profile
from hdl.record_engine import RecordEngine
from hdl.slots import state_layout
from proofs.accepted_set import NUMBER_BITS
from proofs.opened import Opened, Unknown
from proofs.record_number import nonce

__all__ = ["DrivenEngine"]


class DrivenEngine(Elaboratable, ABC):
    """`RecordEngine` in front of a slot that is loaded for one usage: to seal, or to open.

    Nothing is known of AES-GCM, of the header's parser and builder, of the output, and of what is
    outside. A subclass says in ``promise`` what is to be so.
    """

    #: What the slot is loaded for, and the request that it is for.
    usage: Usage
    opcode: Opcode
    #: The states in which the IV comes, up to that of the nonce.
    iv_comes: tuple[str, ...]

    def __init__(self, profile: Profile):
        self.profile = profile
        #: The slot's state, as the engine has written it.
        self.word = Signal(state_layout(profile))
        #: It is loaded, with the ``first`` number.
        self.loads, self.first = Signal(), Signal(NUMBER_BITS)
        #: A request is under way; its answer waits for the end of its packet.
        self.running, self.waiting = Signal(), Signal()
        #: It is one for the slot; and of the slot's usage.
        self.here, self.fits = Signal(), Signal()
        #: The memory was not asked for the state, or written, in the cycle before.
        self.hashed, self.wrote = Signal(), Signal()

    def elaborate(self, platform):
        m = Module()
        engine = RecordEngine(self.profile)
        for name in ("_gcm", "_parser", "_builder", "_output"):
            setattr(engine, name, Unknown(getattr(engine, name)))
        engine._window = self.window = Opened(engine._window)
        m.submodules.engine = self.opened = Opened(engine)
        self.engine = engine
        self._ask(m)
        self._keep(m)
        self._follow_nonce(m)
        m.d.comb += [
            Assert(self.running == ~self.during("idle")),
            Assert(~(self.running & self.waiting)),
            Assert(~self.here | self.running | self.waiting),
        ]
        self.promise(m)
        return m

    @abstractmethod
    def promise(self, m: Module) -> None:
        """Add what is to be so."""

    def _ask(self, m):
        """Requests, with anything in them and around them."""
        engine, unit, quiet = self.engine, self.engine.unit, ~self.running & ~self.waiting
        begun, opcode = Signal(), Signal(8)
        for signal in (
            unit.payload.valid, unit.payload.payload, unit.request, unit.keep, self.first,
            engine.aes_requests.ready, engine.aes_results.valid, engine.aes_results.payload,
            engine.context, engine.string, engine.state,
        ):  # fmt: skip
            value = Value.cast(signal)
            m.d.comb += value.eq(AnySeq(len(value)))
        m.d.comb += [
            self.loads.eq(~begun | (AnySeq(1) & quiet)),
            unit.start.eq(AnySeq(1) & quiet & ~self.loads),
            unit.finish.eq(AnySeq(1) & self.waiting),
            self.fits.eq(self.here & (opcode == self.opcode)),
            Assume(unit.start | (unit.request.opcode == opcode)),
            Assume(~self.here | (engine.context.usage == self.usage)),
        ]
        m.d.sync += begun.eq(1)
        with m.If(unit.start):
            m.d.sync += [self.running.eq(1), self.here.eq(AnySeq(1))]
            m.d.sync += opcode.eq(unit.request.opcode)
        with m.If(unit.done):
            m.d.sync += [self.running.eq(0), self.waiting.eq(1)]
        with m.If(unit.finish):
            m.d.sync += [self.waiting.eq(0), self.here.eq(0)]

    def _keep(self, m):
        """The slot's state; the memory gives H, or what it gave before, instead of it."""
        engine, word = self.engine, self.word
        writes, new = engine.write_state, engine.new_state
        given = Value.cast(engine.state) == Value.cast(word)
        m.d.comb += Assume(~self.here | self.hashed | self.wrote | given)
        m.d.sync += [self.hashed.eq(engine.hash_row), self.wrote.eq(Value.cast(writes).any())]
        with m.If(self.here):
            for i, write in enumerate(writes.next):
                with m.If(write):
                    m.d.sync += word.next.word_select(i, 8).eq(new.next.word_select(i, 8))
            with m.If(writes.seen):
                m.d.sync += word.seen.eq(new.seen)
            with m.If(writes.count):
                m.d.sync += word.count.eq(new.count)
        with m.If(self.loads):
            m.d.sync += [word.next.eq(self.first), word.seen.eq(~0), word.count.eq(0)]

    def _follow_nonce(self, m):
        """The slot's IV comes byte by byte, and becomes the nonce of a record."""
        engine = self.engine
        iv, asked, loaded = Signal(96), Signal.like(engine.string_index), Signal(range(13))
        first = engine._iv_index == 0
        any_iv = AnySeq(96)
        with m.If(self.loads):
            m.d.sync += iv.eq(any_iv)
        m.d.sync += asked.eq(engine.string_index)
        given = engine.string == iv.word_select(asked[:4], 8)
        wanted = nonce(iv, engine._number)
        coming = self.fits & self.during(*self.iv_comes)
        works = self.fits & self.during("command", "header", "feed")
        m.d.comb += [
            Assume(~self.here | (asked >= 12) | given),
            loaded.eq(Mux(first, 0, engine._iv_index - engine._iv_byte)),
            Assert(~works | (engine._gcm.command.nonce == wanted), "the nonce is of the number"),
            Assert(~works | ((engine._iv_index == 12) & ~engine._iv_byte)),
            Assert(engine._iv_index <= 12),
            Assert(~engine._iv_byte | first | (asked == engine._iv_index - 1)),
            *(
                Assert(~coming | (loaded != i) | (engine._nonce[96 - 8 * i :] == iv[: 8 * i]))
                for i in range(1, 13)
            ),
        ]

    def during(self, *states: str) -> Value:
        """Whether the engine is in one of these states."""
        return Cat(self.opened.ongoing(state) for state in states).any()
