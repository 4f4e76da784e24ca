"""The first stage: a packet's header, what its slot's context says of it, and its payload."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from driver.messages import HEADER_BYTES, Opcode
from hdl.block import BLOCK_BYTES
from hdl.block_ram import BlockRAM
from hdl.packet_stream import packet_signature
from hdl.pipeline.layouts import LENGTH_BITS, context_layout
from hdl.pipeline.plan import Header, Plan, Planner
from hdl.pipeline.queue import Queue
from hdl.profile import Profile

__all__ = ["Beat", "Lookup", "front_signature"]

#: How 16 bytes of a payload lie in it. ``bad``: the last ones, and the packet has more or fewer
#: bytes than its header says.
Beat = data.StructLayout({"last": 1, "bad": 1})


def front_signature() -> wiring.Signature:
    """Plans of requests and beats of their payloads, each in order.

    A plan is valid only if there was ``room`` in the cycle before. ``data`` are the 16 bytes of the
    first of ``beats`` for which there was no ``move`` yet, which comes once for each, after it was
    taken; or with ``prior`` of the one before.
    """
    return wiring.Signature(
        {
            "plans": Out(stream.Signature(Plan)),
            "room": In(1),
            "beats": Out(stream.Signature(Beat)),
            "data": Out(8 * BLOCK_BYTES),
            "move": In(1),
            "prior": In(1),
        }
    )


class Lookup(wiring.Component):
    """Gives the `Plan` of each request, and its payload in beats of 16 bytes.

    A beat a cycle, and a packet in 3 cycles. A plan comes 7 cycles after its header was taken.
    Beats begin with the payload, so that the first byte behind the packet's header is byte 0 of the
    first one; there is one in any case, even if the payload is empty.

    A request that changes a slot is a fence: the packet behind it is not let in before ``unfence``,
    so it is looked up after the change. Meanwhile all is cleared here that LOAD's payload has
    passed: `DEPTH` beats in memory, from when the last one has moved on. No request gets through
    the pipeline in so few cycles.
    """

    #: Beats that wait to be moved on.
    DEPTH = 16

    def __init__(self, profile: Profile):
        super().__init__(
            {
                "packets": In(packet_signature(BLOCK_BYTES)),
                "front": Out(front_signature()),
                "unfence": In(1),
                "write": In(1),
                "write_slot": In(range(profile.slots)),
                "write_context": In(context_layout()),
                #: In the middle of a packet, the next beat was not there in the cycle before.
                "starved": Out(1),
            }
        )
        self.contexts = BlockRAM(context_layout().size, profile.slots)
        self._room = Signal()
        # Behind reset as behind a LOAD, whose key may be in the memory.
        self._fenced = Signal(init=1)
        self._wiping = Signal()
        # The next beat begins a packet; and it is taken in this cycle, if it is there.
        self._begins = Signal(init=1)
        self._opens = Signal()
        self._header = Signal(Header, reset_less=True)
        self._planner = Planner(profile)
        # What stood at the port in the cycle before, and whether it was taken.
        self._arrived = Signal()
        self._data = Signal(8 * BLOCK_BYTES, reset_less=True)
        self._bytes = Signal(range(BLOCK_BYTES + 1), reset_less=True)
        self._first = Signal(reset_less=True)
        self._last = Signal(reset_less=True)

    def elaborate(self, platform):
        m = Module()
        m.submodules.contexts = self.contexts
        m.submodules.planner = self._planner
        self._enter(m)
        self._store(m)
        self._look_up(m)
        return m

    def _enter(self, m):
        """Whether a beat is taken is decided a cycle ahead; a fence behind LOAD, ZEROIZE and reset.

        Registers load what stands at the port, taken or not: what leads to so many of them is then
        a register too.
        """
        packets, beat, header = self.packets, self.packets.payload, self._header
        begins, may_open = Signal(), Signal()  # in the next cycle
        m.d.comb += [
            begins.eq(Mux(packets.valid & packets.ready, beat.last, self._begins)),
            may_open.eq(~(self._opens & packets.valid) & self._planner.free & ~self._fenced),
        ]
        m.d.sync += [
            packets.ready.eq(self._room & (~begins | may_open)),
            self._opens.eq(self._room & begins & may_open),
            self._begins.eq(begins),
            self._arrived.eq(packets.valid & packets.ready),
            self._data.eq(beat.data),
            self._bytes.eq(beat.bytes),
            self._first.eq(self._begins),
            self._last.eq(beat.last),
            self.starved.eq(packets.ready & ~packets.valid & ~self._begins),
        ]
        # It takes the header 2 cycles or more to move on: no other packet has been let in.
        changes = header.opcode.matches(Opcode.LOAD, Opcode.ZEROIZE) & (header.bytes != 0)
        m.d.sync += self._fenced.eq(
            (self._fenced | (self._arrived & self._first & changes)) & ~self.unfence
        )
        with m.If(self._wiping):
            m.d.sync += self._data.eq(0)

    def _store(self, m):
        """The payload goes to memory, from half of one beat to half of the next."""
        packets = self.packets
        m.submodules.memory = memory = Memory(
            shape=8 * BLOCK_BYTES,
            depth=self.DEPTH,
            init=[],
            attrs={"ram_style": "distributed"},
        )
        m.submodules.beats = beats = Queue(Beat, self.DEPTH)
        wiring.connect(m, beats.read, wiring.flipped(self.front.beats))
        write_port, read_port = memory.write_port(), memory.read_port(domain="comb")
        half = 8 * BLOCK_BYTES // 2
        high = Signal(half, reset_less=True)  # of the last beat
        free, place = Signal(range(self.DEPTH)), Signal(range(self.DEPTH))
        level = Signal(range(self.DEPTH + 1))
        ends_here, leaves_rest = Signal(), Signal()
        rest, stored = Signal(), Signal()
        m.d.comb += [
            # In the second half of the packet's last beat there is something too.
            ends_here.eq(self._last & (self._bytes <= BLOCK_BYTES // 2)),
            leaves_rest.eq(self._arrived & self._last & (self._first | ~ends_here)),
            write_port.en.eq(stored | self._wiping),
            write_port.addr.eq(free),
            write_port.data.eq(Cat(high, self._data[:half])),
            read_port.addr.eq(place - self.front.prior),
            self.front.data.eq(read_port.data),
        ]
        m.d.sync += [
            rest.eq(leaves_rest),
            stored.eq((packets.valid & packets.ready & ~self._begins) | leaves_rest),
            # Four more have been taken, or can be, until the level shows it, and the rest of one
            # before. The one before the first is still there.
            self._room.eq(level < self.DEPTH - 5),
            self._wiping.eq(
                self._fenced & self._begins & ~self._arrived & ~rest & (level == 0) & ~self.unfence
            ),
        ]
        with m.If(stored ^ self.front.move):
            m.d.sync += level.eq(Mux(stored, level + 1, level - 1))
        with m.If(stored | self._wiping):
            m.d.sync += free.eq(free + 1)
        with m.If(self.front.move | self._wiping):
            m.d.sync += place.eq(place + 1)
        with m.If(self._arrived | self._wiping):
            m.d.sync += high.eq(self._data[half:])
        self._measure_packet(m, beats.write, stored, rest, ends_here)

    def _measure_packet(self, m, write, stored, rest, ends_here):
        """Whether the packet ends where its header says, two cycles later."""
        size, few = self._bytes, self._bytes < HEADER_BYTES
        rest_bytes, lacks = Signal(4), Signal()
        m.d.sync += [
            rest_bytes.eq(Cat(size[:3], size[4])),  # less 8
            lacks.eq(self._first & few),
        ]
        # Payload that should still come; it stays below zero.
        expected = Signal(LENGTH_BITS + 1)
        with m.If(self._arrived & self._first):
            m.d.sync += expected.eq(Cat(self._data[56:64], self._data[48:56]))
        with m.Elif(stored & ~expected[-1]):
            m.d.sync += expected[4:].eq(expected[4:] - 1)
        here = Mux(rest, rest_bytes, Cat(size[:3], ~size[3], size[3]))  # or 8 more
        last, low, high, short = Signal(), Signal(), Signal(), Signal()
        m.d.sync += [
            write.valid.eq(stored),
            last.eq(rest | ends_here),
            low.eq(expected[:5] == here),
            high.eq(expected[5:] == 0),
            short.eq(rest & lacks),
        ]
        m.d.comb += [
            write.payload.last.eq(last),
            write.payload.bad.eq(last & ~(low & high & ~short)),
        ]

    def _look_up(self, m):
        """The header holds until the planner has it, and its slot's context with it."""
        planner, contexts = self._planner, self.contexts
        header, first = self._header, self.packets.payload
        with m.If(self._opens):
            m.d.sync += [
                header.opcode.eq(first.data[:8]),
                header.reserved.eq(first.data[8:16]),
                header.slot.eq(Cat(first.data[24:32], first.data[16:24])),
                header.request_id.eq(Cat(first.data[40:48], first.data[32:40])),
                header.length.eq(Cat(first.data[56:64], first.data[48:56])),
                header.flags.eq(first.data[64:72]),
                header.bytes.eq(first.bytes),
            ]
        m.d.comb += [
            planner.header.eq(header),
            planner.enters.eq(self._opens & self.packets.valid),
            planner.context.eq(contexts.read_data),
            planner.room.eq(self.front.room),
            contexts.read_address.eq(header.slot),
            contexts.write.eq(self.write),
            contexts.write_address.eq(self.write_slot),
            contexts.write_data.eq(self.write_context),
        ]
        wiring.connect(m, planner.plans, wiring.flipped(self.front.plans))
