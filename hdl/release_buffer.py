"""Store and forward: a packet is written in any order and leaves only once it is committed."""

from amaranth.hdl import MemoryData, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.memory_ports import memory_ports
from hdl.packet_stream import packet_signature

__all__ = ["ReleaseBuffer", "ReleaseBufferModel"]


class ReleaseBuffer(wiring.Component):
    """Holds completions until they may leave, ``depth_bytes`` in all, a power of two.

    Bytes are written at any ``address`` of the open packet, counted from its start. ``commit``
    releases the first ``length`` of them, including one that is written in the same cycle, as one
    packet, and opens the next one behind it; what was written beyond is forgotten. To roll back,
    just begin to write at 0 again: what is not committed never leaves.

    The writer keeps ``address`` and ``length`` within ``free``, and commits only while ``ready``;
    a commit while not ``ready``, or of no bytes, has no effect.

    Packets leave in order, one byte a cycle, without a pause between packets that are waiting. The
    first byte is valid 3 cycles after the commit. At most `WAITING_PACKETS` wait.
    """

    #: Committed packets that can wait behind the one that is leaving.
    WAITING_PACKETS = 16

    def __init__(self, depth_bytes: int):
        if depth_bytes < 2 or depth_bytes & (depth_bytes - 1):
            raise ValueError(f"release buffer of {depth_bytes} bytes is not a power of two over 1")
        self.depth_bytes = depth_bytes
        super().__init__(
            {
                "write": In(1),
                "address": In(16),
                "data": In(8),
                "commit": In(1),
                "length": In(16),
                #: A commit can be taken.
                "ready": Out(1),
                #: Bytes that the open packet may take.
                "free": Out(range(depth_bytes + 1), init=depth_bytes),
                "packets": Out(packet_signature()),
                #: A byte waits because the receiver is not ready.
                "stalled": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        memory = MemoryData(shape=8, depth=self.depth_bytes, init=[])
        m.submodules.lengths = lengths = _Lengths(self.depth_bytes, self.WAITING_PACKETS)
        read_port, write_port = memory_ports(m, "memory", memory, platform)

        start = Signal(range(self.depth_bytes))  # of the open packet
        committed = Signal()
        m.d.comb += [
            write_port.en.eq(self.write),
            write_port.addr.eq(start + self.address),
            write_port.data.eq(self.data),
            self.ready.eq(lengths.ready),
            committed.eq(self.commit & self.ready & (self.length != 0)),
            lengths.put.eq(committed),
            lengths.given.eq(self.length),
        ]
        with m.If(committed):
            m.d.sync += start.eq(start + self.length)

        # One read ahead: the memory's output register holds the byte that is offered.
        position = Signal(range(self.depth_bytes))
        left = Signal(range(self.depth_bytes + 1))  # of the packet that is leaving, 0 between two
        now_left = Signal.like(left)
        fetch = Signal()
        m.d.comb += [
            now_left.eq(Mux(left == 0, lengths.length, left)),
            fetch.eq(((left != 0) | lengths.valid) & (~self.packets.valid | self.packets.ready)),
            lengths.take.eq(fetch & (left == 0)),
            read_port.en.eq(fetch),
            read_port.addr.eq(position),
            self.packets.payload.data.eq(read_port.data),
            self.stalled.eq(self.packets.valid & ~self.packets.ready),
        ]
        with m.If(fetch):
            m.d.sync += [
                position.eq(position + 1),
                left.eq(now_left - 1),
                self.packets.valid.eq(1),
                self.packets.payload.last.eq(now_left == 1),
            ]
        with m.Elif(self.packets.ready):
            m.d.sync += self.packets.valid.eq(0)

        m.d.sync += self.free.eq(self.free - Mux(committed, self.length, 0) + fetch)
        return m


class _Lengths(wiring.Component):
    """A queue of the lengths of packets; one is ``valid`` 2 cycles after it was ``put``.

    What stands at the front is read anew in each cycle, so that nothing is kept beside the memory.
    """

    def __init__(self, longest: int, depth: int):
        self._depth = depth
        super().__init__(
            {
                #: Only while ``ready``.
                "put": In(1),
                "given": In(range(longest + 1)),
                "ready": Out(1),
                #: Only while ``valid``.
                "take": In(1),
                "length": Out(range(longest + 1)),
                "valid": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        memory = MemoryData(shape=len(self.given), depth=self._depth, init=[])
        read, write = memory_ports(m, "memory", memory, platform)
        front, end = Signal(range(self._depth)), Signal(range(self._depth))
        waiting, left = Signal(range(self._depth + 1)), Signal(range(self._depth + 1))
        m.d.comb += [
            left.eq(waiting - self.take),
            self.ready.eq(waiting != self._depth),
            self.length.eq(read.data),
            read.addr.eq(front + self.take),
            read.en.eq(1),
            write.addr.eq(end),
            write.data.eq(self.given),
            write.en.eq(self.put),
        ]
        m.d.sync += [
            front.eq(read.addr),
            end.eq(end + self.put),
            waiting.eq(left + self.put),
            self.valid.eq(left != 0),
        ]
        return m


class ReleaseBufferModel:
    """Software model: the committed packets, in order."""

    def __init__(self):
        self.packets: list[bytes] = []
        self._open: dict[int, int] = {}

    def write(self, address: int, byte: int) -> None:
        """Set one byte of the open packet."""
        self._open[address] = byte

    def commit(self, length: int) -> None:
        """Release the first ``length`` bytes of the open packet; all of them must be written."""
        self.packets.append(bytes(self._open[address] for address in range(length)))
        self._open.clear()
