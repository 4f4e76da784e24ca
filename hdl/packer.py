"""Bytes to blocks and back: what byte-wide ports need before and after a 128-bit datapath."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.gcm import TextBlock
from hdl.packet_stream import PacketByte

__all__ = ["BlockPacker", "BlockUnpacker", "pack_blocks", "unpack_blocks"]


def pack_blocks(section: bytes) -> list[bytes]:
    """The model of `BlockPacker`: blocks of 16 bytes, the last one filled with zeros."""
    return [section[i : i + 16].ljust(16, b"\0") for i in range(0, len(section), 16)]


def unpack_blocks(blocks: list[tuple[bytes, int]]) -> bytes:
    """The model of `BlockUnpacker`: the first ``count`` bytes of each block."""
    return b"".join(block[:count] for block, count in blocks)


class BlockPacker(wiring.Component):
    """Packs sections of bytes into 128-bit blocks, byte n of a block in bits 8n .. 8n+7.

    ``last`` ends a section; its last block is filled with zeros. One byte a cycle as long as each
    block is taken within 16 cycles; a block comes out the cycle after its last byte went in.
    """

    bytes: In(stream.Signature(PacketByte))
    blocks: Out(stream.Signature(128))

    def elaborate(self, platform):
        m = Module()
        filling = Signal(128)
        position = Signal(4)
        full = Signal(128)
        ends = Signal()
        m.d.comb += [
            full.eq(filling | (self.bytes.payload.data << Cat(0, 0, 0, position))),
            ends.eq(self.bytes.payload.last | (position == 15)),
            self.bytes.ready.eq(~ends | ~self.blocks.valid | self.blocks.ready),
        ]
        with m.If(self.blocks.ready):
            m.d.sync += self.blocks.valid.eq(0)
        with m.If(self.bytes.valid & self.bytes.ready):
            with m.If(ends):
                m.d.sync += [
                    self.blocks.payload.eq(full),
                    self.blocks.valid.eq(1),
                    filling.eq(0),
                    position.eq(0),
                ]
            with m.Else():
                m.d.sync += [filling.eq(full), position.eq(position + 1)]
        return m


class BlockUnpacker(wiring.Component):
    """Gives the first ``bytes`` (1 to 16) of each block, byte 0 first, one a cycle.

    The next block is taken in the cycle of the last byte: 16 cycles a full block. A block's first
    byte comes out the cycle after the block was taken. ``idle`` says that no byte is left.
    """

    blocks: In(stream.Signature(TextBlock))
    bytes: Out(stream.Signature(8))
    idle: Out(1)

    def elaborate(self, platform):
        m = Module()
        block = Signal(128)
        left = Signal(range(17))
        m.d.comb += [
            self.idle.eq(left == 0),
            self.bytes.valid.eq(left != 0),
            self.bytes.payload.eq(block[:8]),
            self.blocks.ready.eq(self.idle | ((left == 1) & self.bytes.ready)),
        ]
        with m.If(self.bytes.valid & self.bytes.ready):
            m.d.sync += [block.eq(block >> 8), left.eq(left - 1)]
        with m.If(self.blocks.valid & self.blocks.ready):
            m.d.sync += [block.eq(self.blocks.payload.block), left.eq(self.blocks.payload.bytes)]
        return m
