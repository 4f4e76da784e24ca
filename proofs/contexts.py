"""What LOAD may write to a slot of the pipelined engine: `Control` refuses all else."""

from amaranth.hdl import Assert, Assume, Cat, Mux, Signal

from driver.messages import CONNECTION_ID_BYTES, LOAD_BYTES, Load, Opcode, Status, Suite, Usage
from hdl.block import BLOCK_BYTES
from hdl.profile import COMPACT, FAST
from proofs.credits import OF_CONTROL
from proofs.open_control import OpenControl
from proofs.property import Mutant, Property
from proofs.smt import InductionAndRun
from proofs.streams import SMALL_RING

__all__ = ["PROPERTIES"]

#: Before a request begins, nothing is staged or wiped for as long: it has come through `Numbering`.
_QUIET = 12
#: Where the length of the connection ID stands in LOAD.
_LENGTH_AT = 3


class _Loads(OpenControl):
    """Payloads are any, and staged some cycles before LOAD begins.

    Until it is done nothing is staged, and what was is not wiped (`fence.lookup`).
    """

    def promise(self, m, opened):
        m.d.comb += Assert(
            ~(self._block.write_slot & opened["loads"]) | self._is_right(),
            "a connection ID is no longer than it may be",
        )

    def _is_right(self):
        return self._block.context.connection_id_bytes <= CONNECTION_ID_BYTES

    def follow(self, m, opened):
        """What was staged stays as it was checked until the slot is written."""
        block, at, loads, is_right = self._block, opened.ongoing, opened["loads"], self._is_right()
        zeros, clears, shifts = opened["zeros"], opened["clears"], opened["shifts"]
        moves, quiet = block.staged | block.wipe, Signal(range(_QUIET + 1))
        m.d.sync += quiet.eq(Mux(moves, 0, quiet + (quiet != _QUIET)))
        begins = at("wipe") & (opened["word"] == 0) & loads
        accepted = (at("checked") & (block.status == Status.OK)) | begins
        ends = at("forgotten") | at("scrub")
        # It is the same that was asked for in the cycle before.
        stands = self.asks(opened) == Cat(block.echo.opcode == opcode for opcode in OF_CONTROL)
        m.d.comb += [
            Assume(~block.start | (stands & (quiet == _QUIET))),
            Assume(~(block.start | self._busy) | ~moves),
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
        await self.wait_for_reset(context)
        for begin in range(0, LOAD_BYTES, BLOCK_BYTES):
            context.set(block.staged, 1)
            piece = load[begin : begin + BLOCK_BYTES]
            context.set(block.staged_piece, int.from_bytes(piece, "little"))
            await context.tick()
        context.set(block.staged, 0)
        await self.start(context, Opcode.LOAD, stands=_QUIET)


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
