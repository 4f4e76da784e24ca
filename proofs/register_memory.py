"""A small memory in registers, for proofs with invariants over its words."""

from amaranth.hdl import Array, MemoryData, Module, Signal

__all__ = ["RegisterMemory"]


class RegisterMemory:
    """Stands for `hdl.memory_ports.memory_ports` in a block: ``words`` are those of the memory.

    What is read of a word that is written in the same cycle is the old one.
    """

    def __init__(self):
        self.words: list[Signal] = []

    def __call__(self, m: Module, name: str, memory: MemoryData, platform):
        self.words = [Signal(memory.shape, name=f"{name}_{i}") for i in range(memory.depth)]
        read, write = _Port(memory), _Port(memory)
        with m.If(read.en):
            m.d.sync += read.data.eq(Array(self.words)[read.addr])
        with m.If(write.en):
            m.d.sync += Array(self.words)[write.addr].eq(write.data)
        return read, write


class _Port:
    def __init__(self, memory: MemoryData):
        self.addr = Signal(range(memory.depth))
        self.data = Signal(memory.shape)
        self.en = Signal()
