"""`Control` of the pipelined engine with anything at its inputs, for proofs."""

from abc import abstractmethod

from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal, Value

from driver.messages import Opcode
from hdl.pipeline.control import Control
from hdl.profile import Profile
from proofs.credits import OF_CONTROL
from proofs.hash_units import hash_unit
from proofs.opened import Opened
from proofs.smt import Driven

__all__ = ["OpenControl"]


class OpenControl(Driven):
    """`Control` with anything from the cores, started again once it is done.

    Something is asked for in the cycle before, and still is. Behind reset it fills all slots with
    zeros before it is ready; `Lookup` lets nothing in until then.
    """

    def __init__(self, profile: Profile):
        super().__init__()
        self._block = Control(profile, hash_unit(profile))
        #: From the cycle behind ``start`` to that of ``done``.
        self._busy = Signal()

    def elaborate(self, platform):
        m = Module()
        block, busy = self._block, self._busy
        m.submodules.control = opened = Opened(block)
        self.ports += [
            block.start, block.echo.as_value(), block.encrypts, block.encrypted.valid,
            block.hashed.ready, block.digests.valid, block.staged, block.staged_piece, block.wipe,
        ]  # fmt: skip
        m.d.sync += busy.eq((busy | block.start) & ~block.done)
        self.promise(m, opened)
        if not self.promises_only:
            self._follow_requests(m, opened)
            self.follow(m, opened)
        return m

    @abstractmethod
    def promise(self, m: Module, opened: Opened) -> None:
        """Assert what is promised."""

    @abstractmethod
    def follow(self, m: Module, opened: Opened) -> None:
        """Assert the invariants that it follows from, and assume what else is known."""

    def asks(self, opened: Opened) -> Value:
        """What was asked for in the cycle before, a bit for each of `OF_CONTROL`."""
        return Cat(opened[name] for name in ("loads", "zeroizes", "informs", "counts"))

    def _follow_requests(self, m, opened):
        block, busy, at = self._block, self._busy, opened.ongoing
        asks, of_control = self.asks(opened), block.echo.opcode.matches(*OF_CONTROL)
        m.d.comb += [
            Assume(~block.start | (block.ready & ~busy & asks.any() & of_control)),
            Assert(opened.any_state()),
            Assert(Mux(block.ready, ~at("reset"), ~at("report"))),
            Assert(block.ready | ~asks.any()),
            Assert((asks & (asks - 1)) == 0),
            Assert(~block.done | at("idle")),
            Assert(~busy | at("idle") | asks.any()),
            Assert(busy == (block.ready & (~at("idle") | block.done))),
        ]

    async def start(self, context, opcode: Opcode, stands: int) -> None:
        """Ask for it for so many cycles, start it, and let 20 more pass."""
        block = self._block
        context.set(block.echo.opcode, opcode)
        await context.tick().repeat(stands)
        context.set(block.start, 1)
        await context.tick()
        context.set(block.start, 0)
        await context.tick().repeat(20)

    async def wait_for_reset(self, context) -> None:
        """Until it is ready, with cores that answer in each cycle."""
        block = self._block
        for given in (block.encrypts, block.hashed.ready, block.digests.valid):
            context.set(given, 1)
        while not context.get(block.ready):
            await context.tick()
