"""Block memories with an output register: what is asked for in one cycle is there two cycles later.

The register is part of the memory blocks of an FPGA, and they reach their speed only with it.
Synthesis tools do not all find it, so that for an ECP5 (a platform whose ``family`` is "ecp5") the
blocks are instantiated; everywhere else, memory and register are plain Amaranth.

Names and rules of the blocks are those of Lattice FPGA-TN-02204, "ECP5 and ECP5-5G Memory Usage
Guide".
"""

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, ClockSignal, Const, Instance, MemoryData, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["BlockRAM", "TwinROM"]

#: Depth and width of a block, in the order of preference: the first one that is deep enough. In
#: the first shape it is a PDPW16KD, in the others a DP16KD.
_SHAPES = ((512, 36), (1 << 10, 18), (1 << 11, 9), (1 << 12, 4), (1 << 13, 2), (1 << 14, 1))
_ROM_WIDTH = 18
#: Words of a distributed RAM.
_DISTRIBUTED = 16


def _on_ecp5(platform) -> bool:
    return getattr(platform, "family", None) == "ecp5"


class BlockRAM(wiring.Component):
    """``depth`` words of ``width`` bits, one port to write and one to read; both work every cycle.

    ``read_data`` is the word whose address ``read_address`` was two cycles before. With ``write``,
    ``write_data`` goes to ``write_address``; reads that start in the next cycle or later see it. Do
    not read an address in the cycle in which it is written: what comes out is undefined. A word
    that was never written is undefined too; in simulation it is 0.

    ``memory`` is where the portable form keeps the words. A block of an ECP5 has 512 words of 36
    bits, 1,024 of 18, 2,048 of 9, 4,096 of 4, 8,192 of 2 or 16,384 of 1. It takes as few blocks as
    can be, and of shapes that take as many the deepest: where one is deep enough, no logic stands
    around it. Up to 16 words, which would leave the blocks empty, are in distributed RAM.
    """

    def __init__(self, width: int, depth: int):
        super().__init__(
            {
                "write": In(1),
                "write_address": In(range(depth)),
                "write_data": In(width),
                "read_address": In(range(depth)),
                "read_data": Out(width),
            }
        )
        self._width = width
        self._depth = depth
        self.memory = MemoryData(shape=width, depth=depth, init=[])

    def elaborate(self, platform):
        m = Module()
        if _on_ecp5(platform) and self._depth > _DISTRIBUTED:
            self._instantiate(m)
        else:
            self._describe(m)
        return m

    def _describe(self, m: Module) -> None:
        style = {"ram_style": "distributed"} if self._depth <= _DISTRIBUTED else {}
        m.submodules.memory = memory = Memory(self.memory, attrs=style)
        read, write = memory.read_port(), memory.write_port()
        register = Signal(self._width, reset_less=True)
        m.d.sync += register.eq(read.data)
        m.d.comb += [
            read.addr.eq(self.read_address),
            self.read_data.eq(register),
            write.en.eq(self.write),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
        ]

    def _instantiate(self, m: Module) -> None:
        """Blocks side by side for the width, in rows for the depth."""
        depth, width = self._shape()
        address_bits = (depth - 1).bit_length()
        write_row, read_row = (
            address[address_bits:] for address in (self.write_address, self.read_address)
        )
        make = _pdpw16kd if depth == 512 else _dp16kd_ram
        rows = []
        for row in range(-(-self._depth // depth)):
            selected = Signal(name=f"write_{row}")
            m.d.comb += selected.eq(self.write & (write_row == row))
            blocks = []
            for low in range(0, self._width, width):
                m.submodules[f"block_{row}_{low}"], data = make(
                    width,
                    selected,
                    self.write_address[:address_bits],
                    self.write_data[low : low + width],
                    self.read_address[:address_bits],
                )
                blocks.append(data)
            rows.append(Cat(blocks))
        if len(rows) == 1:
            m.d.comb += self.read_data.eq(rows[0])
        else:
            chosen, chosen_next = Signal.like(read_row), Signal.like(read_row)
            m.d.sync += [chosen_next.eq(read_row), chosen.eq(chosen_next)]
            m.d.comb += self.read_data.eq(Array(rows)[chosen])

    def _shape(self) -> tuple[int, int]:
        """The words of a block, and their bits: the deepest shape of those with fewest blocks."""
        deep_enough = [shape for shape in _SHAPES if shape[0] >= self._depth][:1]
        shallower = [shape for shape in _SHAPES if shape[0] < self._depth]
        return min(
            (*deep_enough, *reversed(shallower)),
            key=lambda shape: -(-self._depth // shape[0]) * -(-self._width // shape[1]),
        )


class TwinROM(wiring.Component):
    """A table of 256 words of up to 18 bits, and two ports that read it every cycle.

    ``outputs[i]`` is the word whose number ``inputs[i]`` was two cycles before. On an ECP5 it takes
    one DP16KD.
    """

    def __init__(self, table: Sequence[int], width: int = 8):
        if len(table) != 256:
            raise ValueError(f"table has {len(table)} words, not 256")
        if not 1 <= width <= _ROM_WIDTH:
            raise ValueError(f"width is {width}, not in 1 .. {_ROM_WIDTH}")
        super().__init__({"inputs": In(8).array(2), "outputs": Out(width).array(2)})
        self._table = list(table)
        self._width = width

    def elaborate(self, platform):
        m = Module()
        if _on_ecp5(platform):
            m.submodules.block, data = _dp16kd_rom(self._table, self.inputs)
            m.d.comb += [output.eq(port) for output, port in zip(self.outputs, data, strict=True)]
            return m
        m.submodules.table = table = Memory(shape=self._width, depth=256, init=self._table)
        for i in range(2):
            port = table.read_port()
            register = Signal(self._width, name=f"register_{i}", reset_less=True)
            m.d.comb += [port.addr.eq(self.inputs[i]), self.outputs[i].eq(register)]
            m.d.sync += register.eq(port.data)
        return m


def _bits(direction: str, name: str, value: Value) -> dict[str, Value]:
    """Arguments of an Instance whose ports are single bits: name0, name1 and so on."""
    return {f"{direction}_{name}{i}": bit for i, bit in enumerate(value)}


def _pdpw16kd(
    width: int, write: Value, write_address: Value, write_data: Value, read_address: Value
) -> tuple[Instance, Value]:
    """A PDPW16KD of 512 words of 36 bits, ``width``, and its output.

    In this width, the two halves of a word come out exchanged.
    """
    output = Signal(width)
    half = width // 2
    # Read addresses count words of one bit; 36-bit words, parity included, are 32 of them.
    read_bits = Cat(Const(0, 5), read_address, Const(0, 9 - len(read_address)))
    block = Instance(
        "PDPW16KD",
        p_DATA_WIDTH_W=width,
        p_DATA_WIDTH_R=width,
        p_REGMODE="OUTREG",
        p_GSR="DISABLED",
        i_CLKW=ClockSignal(),
        i_CEW=write,
        i_CLKR=ClockSignal(),
        i_CER=Const(1),
        i_OCER=Const(1),
        i_RST=Const(0),
        **_bits("i", "BE", Const(0b1111, 4)),
        **_bits("i", "CSW", Const(0, 3)),
        **_bits("i", "CSR", Const(0, 3)),
        **_bits("i", "ADW", Cat(write_address, Const(0, 9 - len(write_address)))),
        **_bits("i", "ADR", read_bits),
        **_bits("i", "DI", Cat(write_data, Const(0, width - len(write_data)))),
        **_bits("o", "DO", output),
    )
    return block, Cat(output[half:], output[:half])[: len(write_data)]


def _dp16kd_ram(
    width: int, write: Value, write_address: Value, write_data: Value, read_address: Value
) -> tuple[Instance, Value]:
    """A DP16KD of words of ``width`` bits, 18 to 1, and its output: port A writes, port B reads."""
    output = Signal(width)
    # Addresses count words of one bit, parity not included. In those that a word of 18 bits has too
    # many, port A takes which of its two bytes are written.
    low_bits = (width - 1).bit_length() if width < 9 else width // 9 + 2
    bytes_written = Const(0b11 if width == 18 else 0, low_bits)
    ports: dict[str, object] = {}
    for letter, address, low, enable, given in (
        ("A", write_address, bytes_written, write, write_data),
        ("B", read_address, Const(0, low_bits), Const(0), Const(0, width)),
    ):
        word_bits = 14 - low_bits
        ports |= {
            f"p_DATA_WIDTH_{letter}": width,
            f"p_REGMODE_{letter}": "OUTREG",
            f"i_CLK{letter}": ClockSignal(),
            f"i_CE{letter}": Const(1),
            f"i_OCE{letter}": Const(1),
            f"i_WE{letter}": enable,
            f"i_RST{letter}": Const(0),
            **_bits("i", f"CS{letter}", Const(0, 3)),
            **_bits("i", f"AD{letter}", Cat(low, address, Const(0, word_bits - len(address)))),
            **_bits("i", f"DI{letter}", Cat(given, Const(0, 18 - len(given)))),
        }
    block = Instance("DP16KD", p_GSR="DISABLED", **ports, **_bits("o", "DOB", output))
    return block, output[: len(write_data)]


def _dp16kd_rom(table: list[int], addresses) -> tuple[Instance, list[Value]]:
    """A DP16KD of 1024 words of 18 bits that holds ``table``, and its two outputs."""
    outputs = [Signal(_ROM_WIDTH, name=f"rom_output_{i}") for i in range(2)]
    ports = {}
    for letter, address, output in zip("AB", addresses, outputs, strict=True):
        ports |= {
            f"p_DATA_WIDTH_{letter}": _ROM_WIDTH,
            f"p_REGMODE_{letter}": "OUTREG",
            f"i_CLK{letter}": ClockSignal(),
            f"i_CE{letter}": Const(1),
            f"i_OCE{letter}": Const(1),
            f"i_WE{letter}": Const(0),
            f"i_RST{letter}": Const(0),
            **_bits("i", f"CS{letter}", Const(0, 3)),
            # Words of 18 bits, parity included, are 16 of one bit.
            **_bits("i", f"AD{letter}", Cat(Const(0, 4), address, Const(0, 2))),
            **_bits("i", f"DI{letter}", Const(0, _ROM_WIDTH)),
            **_bits("o", f"DO{letter}", output),
        }
    return Instance("DP16KD", p_GSR="DISABLED", **_initial_values(table), **ports), outputs


def _initial_values(table: list[int]) -> dict[str, Const]:
    """INITVAL_00 to INITVAL_3F: 16 words each, every word in 20 bits."""
    words = table + [0] * (0x400 - len(table))
    return {
        f"p_INITVAL_{i:02X}": Const(
            sum(word << 20 * j for j, word in enumerate(words[16 * i : 16 * i + 16])), 320
        )
        for i in range(0x40)
    }
