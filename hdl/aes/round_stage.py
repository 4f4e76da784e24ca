"""A round in three cycles, for the cores that pipeline their rounds."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.aes.history import History
from hdl.aes.sbox import SBOX, PipelinedSBox, SBoxForm, multiply, xtime
from hdl.block_ram import TwinROM

__all__ = ["RoundStage"]

#: MixColumns needs a substituted byte (low) and its product with x (high).
_SBOX_AND_DOUBLE = [s | multiply(s, 2) << 8 for s in SBOX]


class RoundStage(wiring.Component):
    """A round (FIPS 197, 5.1) for a block a cycle: byte 4c + r of a block is row r of column c.

    What becomes of ``state`` appears two cycles later and needs its ``round_key`` in that cycle:
    ``next_state`` after a round with MixColumns, ``last_state`` after the last round, which has
    none. Whoever uses one puts it into a register, the third cycle of the round.

    All S-box forms have the same timing. A table is followed by two registers; the composite form
    has one of them in its middle; block memories bring their own two.
    """

    state: In(128)
    round_key: In(128)
    next_state: Out(128)
    last_state: Out(128)

    def __init__(self, sbox: SBoxForm):
        self._sbox = sbox
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        # ShiftRows first, as it commutes with SubBytes: row r comes from r columns to the right.
        shifted = [self.state.word_select(5 * i % 16, 8) for i in range(16)]
        match self._sbox:
            case SBoxForm.TABLE:
                words = _look_up(m, shifted)
            case SBoxForm.COMPOSITE:
                words = _compute(m, shifted)
            case SBoxForm.BLOCK_RAM:
                words = _look_up_in_block_ram(m, shifted)
        # Columns, not bytes: the same gates, but compiled simulation is half as fast again.
        substituted = [Signal(32, name=f"substituted_{c}") for c in range(4)]
        doubled = [Signal(32, name=f"doubled_{c}") for c in range(4)]
        for c in range(4):
            column = words[4 * c : 4 * c + 4]
            m.d.comb += [
                substituted[c].eq(Cat(word[:8] for word in column)),
                doubled[c].eq(Cat(word[8:] for word in column)),
            ]
        mixed = Cat(map(_mix_column, substituted, doubled))
        m.d.comb += [
            self.next_state.eq(mixed ^ self.round_key),
            self.last_state.eq(Cat(substituted) ^ self.round_key),
        ]
        return m


def _mix_column(column: Value, doubled: Value) -> Value:
    """MixColumns (FIPS 197, 5.1.3): 2*a0 + 3*a1 + a2 + a3, and so on around."""
    return (
        doubled
        ^ (doubled.rotate_right(8) ^ column.rotate_right(8))
        ^ column.rotate_right(16)
        ^ column.rotate_right(24)
    )


def _look_up(m: Module, state: list[Value]) -> list[Value]:
    """The entry of `_SBOX_AND_DOUBLE` for each byte, two cycles later."""
    m.submodules.table = table = Memory(shape=16, depth=256, init=_SBOX_AND_DOUBLE)
    words = []
    for i, byte in enumerate(state):
        port = table.read_port(domain="comb")
        m.d.comb += port.addr.eq(byte)
        words.append(History(m, f"word_{i}", port.data, 2)[2])
    return words


def _compute(m: Module, state: list[Value]) -> list[Value]:
    """The same from logic."""
    words = []
    for i, byte in enumerate(state):
        m.submodules[f"sbox_{i}"] = box = PipelinedSBox(SBoxForm.COMPOSITE)
        m.d.comb += box.input.eq(byte)
        words.append(Cat(box.output, xtime(box.output)))
    return words


def _look_up_in_block_ram(m: Module, state: list[Value]) -> list[Value]:
    """The same from block memories, two bytes each."""
    words = []
    for i in range(0, 16, 2):
        m.submodules[f"rom_{i}"] = rom = TwinROM(_SBOX_AND_DOUBLE, width=16)
        m.d.comb += [rom.inputs[j].eq(state[i + j]) for j in range(2)]
        words += rom.outputs
    return words
