"""What LOAD may write to a slot of the pipelined engine: `Control` refuses all else."""

from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal

from driver.messages import CONNECTION_ID_BYTES, LOAD_BYTES, Load, Opcode, Status, Suite, Usage
from hdl.block import BLOCK_BYTES
from hdl.pipeline.control import Control
from hdl.profile import COMPACT, FAST, Profile
from proofs.credits import OF_CONTROL
from proofs.hash_units import hash_unit
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.smt import Driven, InductionAndRun
from proofs.streams import SMALL_RING

__all__ = ["PROPERTIES"]

#: Before a request begins, nothing is staged or wiped for as long: it has come through `Numbering`.
_QUIET = 12
#: Where the length of the connection ID stands in LOAD.
_LENGTH_AT = 3


class _Loads(Driven):
    """`Control` with any payloads, which are staged some cycles before LOAD begins.

    Until it is done nothing is staged, and what was is not wiped (`fence.lookup`).
    """

    def __init__(self, profile: Profile):
        super().__init__()
        self._block = Control(profile, hash_unit(profile))

    def elaborate(self, platform):
        m = Module()
        block = self._block
        m.submodules.control = opened = Opened(block)
        self.ports += [
            block.start, block.echo.as_value(), block.encrypts, block.encrypted.valid,
            block.hashed.ready, block.digests.valid, block.staged, block.staged_piece, block.wipe,
        ]  # fmt: skip
        loads, bytes_ = opened["loads"], block.context.connection_id_bytes
        m.d.comb += Assert(
            ~(block.write_slot & loads) | (bytes_ <= CONNECTION_ID_BYTES),
            "a connection ID is no longer than it may be",
        )
        if not self.promises_only:
            self._follow(m, opened, bytes_ <= CONNECTION_ID_BYTES)
        return m

    def _follow(self, m, opened, is_right):
        """What was staged stays as it was checked until the slot is written: invariants."""
        block, at, opcode = self._block, opened.ongoing, self._block.echo.opcode
        loads = opened["loads"]
        zeros, clears, shifts = opened["zeros"], opened["clears"], opened["shifts"]
        carries_out, moves = Signal(), block.staged | block.wipe
        quiet = Signal(range(_QUIET + 1))
        m.d.sync += [
            carries_out.eq((carries_out | block.start) & ~block.done),
            quiet.eq(Mux(moves, 0, quiet + (quiet != _QUIET))),
        ]
        # What is asked for stands there in the cycle before.
        asks = Cat(opened[x] for x in ("loads", "zeroizes", "informs", "counts"))
        stands = asks == Cat(opcode == x for x in OF_CONTROL)
        begins = at("wipe") & (opened["word"] == 0) & loads
        accepted = (at("checked") & (block.status == Status.OK)) | begins
        ends = at("forgotten") | at("scrub")
        m.d.comb += [
            Assume(~block.start | (block.ready & ~carries_out & asks.any() & stands)),
            Assume(~block.start | (quiet == _QUIET)),
            Assume(~(block.start | carries_out) | ~moves),
            Assert(opened.any_state()),
            Assert(block.ready | ~asks.any()),
            Assert((asks & (asks - 1)) == 0),
            Assert(~block.done | at("idle")),
            Assert(carries_out == (block.ready & (~at("idle") | block.done))),
            Assert(~carries_out | at("idle") | asks.any()),
            Assert(~(at("report") & ~block.ready)),
            Assert(~(at("reset") & block.ready)),
            Assert(~(at("check") | at("checked")) | loads),
            Assert(~(at("check") & opened["valid"]) | is_right),
            Assert(~accepted | is_right),
            # Zeros follow what is wiped, and then nothing moves.
            Assert(~opened["forgets"] | (quiet == 0) | at("forgotten")),
            Assert((zeros == 0) | (zeros + quiet <= 8) | at("forgotten")),
            Assert(~clears | (quiet <= 8) | at("forgotten")),
            Assert(~shifts | (quiet <= 9) | ends | at("expand") | at("encrypt")),
            Assert(~(at("check") | at("checked") | begins) | (quiet == _QUIET)),
        ]

    async def drive(self, context) -> None:
        """A LOAD of a connection ID that is too long."""
        block = self._block
        load = Load(Suite.AES_128_GCM, Usage.AEAD, bytes(16)).pack()
        load = load[:_LENGTH_AT] + bytes([CONNECTION_ID_BYTES + 1]) + load[_LENGTH_AT + 1 :]
        for given in (block.encrypts, block.hashed.ready, block.digests.valid):
            context.set(given, 1)
        while not context.get(block.ready):
            await context.tick()
        for begin in range(0, LOAD_BYTES, BLOCK_BYTES):
            context.set(block.staged, 1)
            piece = load[begin : begin + BLOCK_BYTES]
            context.set(block.staged_piece, int.from_bytes(piece, "little"))
            await context.tick()
        context.set(block.staged, 0)
        context.set(block.echo.opcode, Opcode.LOAD)
        await context.tick().repeat(_QUIET)
        context.set(block.start, 1)
        await context.tick()
        context.set(block.start, 0)
        await context.tick().repeat(20)


PROPERTIES = [
    Property(
        name=f"connection_id.{profile.name}",
        promise=f"A slot never gets a connection ID of over {CONNECTION_ID_BYTES} bytes by LOAD "
        f"({profile.name}), whatever that holds.",
        design=lambda profile=profile: _Loads(profile),
        method=InductionAndRun(depth=3),
        mutant=Mutant(
            what="the length of the connection ID is not checked",
            module="hdl.pipeline.control",
            old="                & (load.connection_id_bytes <= CONNECTION_ID_BYTES)\n",
            new="",
        ),
        broken_design=lambda: _Loads(SMALL_RING),
    )
    for profile in (COMPACT, FAST)
]
