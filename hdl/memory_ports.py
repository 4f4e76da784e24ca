"""Memories that are never read where they are written in the same cycle."""

from amaranth.hdl import Cat, ClockSignal, Const, Instance, MemoryData, Module, Signal, Value
from amaranth.lib.memory import Memory

__all__ = ["memory_ports"]

_BLOCK_WIDTH = 16
#: By mode of an SB_RAM40_4K: its words, and where their bits stand in its data.
_SHAPES = ((0, 256, range(_BLOCK_WIDTH)), (3, 2048, (3, 11)))


class _Port:
    """What `memory_ports` uses of Amaranth's ports."""

    def __init__(self, memory: MemoryData, enables: int = 1):
        self.addr = Signal(range(memory.depth))
        self.data = Signal(memory.shape)
        self.en = Signal(enables)


def memory_ports(m: Module, name: str, memory: MemoryData, platform, byte_enables: bool = False):
    """A synchronous read port of ``memory`` and a write port: ``addr``, ``data`` and ``en`` each.

    What is read of a word that is written in the same cycle is undefined. Amaranth cannot say so:
    its read ports give the old word, and Yosys puts registers around the block memories of an iCE40
    for that. So there (a platform whose ``family`` is "ice40") the blocks are instantiated;
    everywhere else, ``memory`` becomes the submodule ``name``. With ``byte_enables``, the write
    port's ``en`` has a bit for each byte. Names are those of Lattice FPGA-TN-02002, "Memory Usage
    Guide for iCE40 Devices".
    """
    if getattr(platform, "family", None) != "ice40":
        m.submodules[name] = ports = Memory(memory)
        return ports.read_port(), ports.write_port(granularity=8 if byte_enables else None)
    mode, bits = next((mode, bits) for mode, words, bits in _SHAPES if memory.depth <= words)
    read = _Port(memory)
    write = _Port(memory, len(Value.cast(read.data)) // 8 if byte_enables else 1)
    read_data, write_data = Value.cast(read.data), Value.cast(write.data)
    for low in range(0, len(read_data), len(bits)):
        word = write_data[low : low + len(bits)]
        enables = write.en[low // 8 : low // 8 + 2] if byte_enables else write.en.replicate(2)
        output = Signal(_BLOCK_WIDTH, name=f"{name}_{low}")
        given = [Const(0)] * _BLOCK_WIDTH
        for bit, value in zip(bits, word, strict=False):
            given[bit] = value
        m.submodules[f"{name}_{low}"] = Instance(
            "SB_RAM40_4K",
            p_READ_MODE=mode,
            p_WRITE_MODE=mode,
            o_RDATA=output,
            i_RCLK=ClockSignal(),
            i_RCLKE=read.en,
            i_RE=Const(1),
            i_RADDR=_address(read.addr),
            i_WCLK=ClockSignal(),
            i_WCLKE=enables.any(),
            i_WE=Const(1),
            i_WADDR=_address(write.addr),
            i_WDATA=Cat(given),
            i_MASK=Const(0, 16) if mode else Cat(~enable.replicate(8) for enable in enables),
        )
        m.d.comb += read_data[low : low + len(bits)].eq(Cat(output[bit] for bit in bits))
    return read, write


def _address(address: Signal) -> Value:
    return Cat(address, Const(0, 11 - len(address)))
