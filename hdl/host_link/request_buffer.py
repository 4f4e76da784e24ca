"""Store and forward: a request waits here until the CRC of its frame has been seen."""

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from driver.frames import CRC_BYTES
from hdl.block_ram import BlockRAM
from hdl.packet_stream import packet_signature

__all__ = ["RequestBuffer"]

#: Words of an SB_SPRAM256KA, of 16 bits each.
_SPRAM_WORDS = 1 << 14


class RequestBuffer(wiring.Component):
    """A ring of ``depth`` bytes, a power of two; raises ValueError for another.

    Bytes are appended to the open packet by ``write``. ``commit`` makes a packet of all but the
    last four, which are the frame's CRC; ``drop`` forgets them. Packets leave in order, a byte
    every six cycles at most. The first byte of each is marked in the memory, and so a byte is the
    last one if the next is marked, or not there. The CRC is overwritten by what comes next.
    """

    def __init__(self, depth: int):
        if depth not in (1 << n for n in range(6, 16)):
            raise ValueError(f"buffer of {depth} bytes is not a power of two from 64 to 32,768")
        self._depth = depth
        super().__init__(
            {
                "write": In(1),
                #: With ``write``: ``data`` is the first byte of its packet.
                "first": In(1),
                "data": In(8),
                "commit": In(1),
                "drop": In(1),
                #: No byte may be written.
                "full": Out(1),
                #: Bytes in all committed packets so far, and those that no longer take room: modulo
                #: twice the depth.
                "taken": Out(range(2 * depth)),
                "freed": Out(range(2 * depth)),
                "packets": Out(packet_signature()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        end = Signal.like(self.taken)  # of the open packet
        committed = Signal()
        m.d.comb += self.full.eq(end == self.freed ^ self._depth)
        m.d.sync += committed.eq(self.commit)
        with m.If(self.drop):
            m.d.sync += end.eq(self.taken)
        with m.Elif(self.write | self.commit):
            m.d.sync += end.eq(end + Mux(self.write, 1, -CRC_BYTES))  # one adder
        with m.If(committed):
            m.d.sync += self.taken.eq(end)

        word = self._add_memory(m, platform, end, self.freed)
        # Cycles in which the memory has read the same word, and nothing was written: two suffice.
        age = Signal(range(3))
        held = self.packets.payload.data
        empty, settled, fetch = Signal(), Signal(), Signal()
        m.d.comb += [empty.eq(self.freed == self.taken), settled.eq(age == 2)]
        with m.If(self.write | fetch):
            m.d.sync += age.eq(0)
        with m.Elif(~settled):
            m.d.sync += age.eq(age + 1)

        waits, known = Signal(), Signal()  # the byte in `held`; and whether it is the last one
        leaves = Signal()
        m.d.comb += [
            self.packets.valid.eq(waits & known),
            leaves.eq(self.packets.valid & self.packets.ready),
            fetch.eq(settled & ~empty & ~waits),
        ]
        with m.If(fetch):
            m.d.sync += [waits.eq(1), held.eq(word[:8]), self.freed.eq(self.freed + 1)]
        with m.Elif(leaves):
            m.d.sync += [waits.eq(0), known.eq(0)]
        with m.Elif(waits & (empty | settled) & ~known):
            m.d.sync += [known.eq(1), self.packets.payload.last.eq(empty | word[8])]
        return m

    def _add_memory(self, m: Module, platform, write_address, read_address):
        """The word that is read; on an iCE40 from an SPRAM, which does one thing a cycle."""
        width = (self._depth - 1).bit_length()
        given = Cat(self.data, self.first)
        if getattr(platform, "family", None) == "ice40":
            output = Signal(16)
            address = Signal(range(_SPRAM_WORDS))
            m.d.comb += address.eq(read_address[:width])
            with m.If(self.write):
                m.d.comb += address.eq(write_address[:width])
            m.submodules.memory = Instance(
                "SB_SPRAM256KA",
                i_CLOCK=ClockSignal(),
                i_ADDRESS=address,
                i_DATAIN=Cat(given, Const(0, 7)),
                i_MASKWREN=Const(0b1111, 4),
                i_WREN=self.write,
                i_CHIPSELECT=Const(1),
                i_STANDBY=Const(0),
                i_SLEEP=Const(0),
                i_POWEROFF=Const(1),
                o_DATAOUT=output,
            )
            return output[:9]
        m.submodules.memory = memory = BlockRAM(9, self._depth)
        m.d.comb += [
            memory.write.eq(self.write),
            memory.write_address.eq(write_address),
            memory.write_data.eq(given),
            memory.read_address.eq(read_address),
        ]
        return memory.read_data
