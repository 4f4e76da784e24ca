"""The first stage: a packet's header, and what its slot's context says of it."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from driver.messages import (
    AEAD_PREFIX_BYTES,
    ALL_SLOTS,
    CONNECTION_ID_BYTES,
    HEADER_BYTES,
    LOAD_BYTES,
    TAG_BYTES,
    Opcode,
    Status,
    Usage,
)
from hdl.block import BLOCK_BYTES
from hdl.header import FIXED_BITS, SHORTEST_BODY, Flags
from hdl.packet_stream import packet_signature
from hdl.pipeline.layouts import LENGTH_BITS, Echo, context_layout
from hdl.profile import Profile

__all__ = ["Beat", "Lookup", "Plan"]

#: Up to 16 bytes of a packet; ``bytes`` of them, the lowest ones, are valid.
Beat = data.StructLayout({"data": 128, "bytes": 5, "first": 1, "last": 1})

#: What is known of a request from its first beat and its slot.
Plan = data.StructLayout(
    {
        "echo": Echo,
        "seal": 1,
        "open": 1,
        "aead": 1,
        "sealing": 1,  # SEAL or AEAD_SEAL
        "load": 1,
        "length": LENGTH_BITS,  # of the payload
        "text_bytes": LENGTH_BITS,  # not for AEAD messages, whose prefix says it
        "refusal": 4,  # whatever else the packet holds, if it is well-formed
        "slot_refusal": 4,  # SLOT_EMPTY and WRONG_USAGE
        "wrong_epoch": 1,
        "malformed_record": 1,
        "flags": Flags,  # the record header's first byte: to build, or as it came
        "header_bytes": 5,
        "aes256": 1,
        "epoch": 16,
        "iv": 96,
        "connection_id_bytes": range(CONNECTION_ID_BYTES + 1),
        "connection_id": 8 * CONNECTION_ID_BYTES,
    }
)


class Lookup(wiring.Component):
    """Gives every beat of a packet 3 cycles later, the first one with the `Plan` for its request.

    One beat a cycle, as long as ``front`` is ready. A request that changes a slot is a fence: the
    packet behind it is not let in before ``unfence``, so it is looked up after the change. With
    ``unfence`` all registers here are cleared, because LOAD's payload has passed through them.
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        super().__init__(
            {
                "packets": In(packet_signature(BLOCK_BYTES)),
                "front": Out(stream.Signature(data.StructLayout({"beat": Beat, "plan": Plan}))),
                "unfence": In(1),
                "write": In(1),
                "write_slot": In(range(profile.slots)),
                "write_context": In(context_layout()),
                #: In the middle of a packet, the next beat is not there.
                "starved": Out(1),
            }
        )
        self.contexts = Memory(shape=context_layout(), depth=profile.slots, init=[])

    def elaborate(self, platform):
        m = Module()
        m.submodules.contexts = self.contexts
        read, write = self.contexts.read_port(), self.contexts.write_port()
        packets, front = self.packets, self.front
        begins, fenced, advance = Signal(init=1), Signal(), Signal()
        taken = Signal()
        m.d.comb += [
            advance.eq(~front.valid | front.ready),
            packets.ready.eq(advance & ~(begins & fenced)),
            taken.eq(packets.valid & packets.ready),
            self.starved.eq(packets.ready & ~packets.valid & ~begins),
            write.en.eq(self.write),
            write.addr.eq(self.write_slot),
            write.data.eq(self.write_context),
            read.en.eq(advance),
        ]

        entering = Signal(Beat)
        opcode = Signal(8)
        m.d.comb += [
            entering.data.eq(packets.payload.data),
            entering.bytes.eq(packets.payload.bytes),
            entering.first.eq(begins),
            entering.last.eq(packets.payload.last),
            opcode.eq(entering.data[:8]),
            read.addr.eq(Cat(entering.data[24:32], entering.data[16:24])),
        ]
        with m.If(taken):
            m.d.sync += begins.eq(entering.last)
            fence = opcode.matches(Opcode.LOAD, Opcode.ZEROIZE) & (entering.bytes != 0)
            with m.If(begins & fence):
                m.d.sync += fenced.eq(1)

        valid = Signal(2)
        at_read, at_context = Signal(Beat), Signal(Beat)
        context = Signal(context_layout())
        plan = Signal(Plan)
        self._plan(m, at_context, context, plan)
        with m.If(advance):
            m.d.sync += [
                Cat(valid, front.valid).eq(Cat(taken, valid)),
                at_read.eq(entering),
                at_context.eq(at_read),
                context.eq(read.data),
                front.payload.beat.eq(at_context),
                front.payload.plan.eq(plan),
            ]
        with m.If(self.unfence):
            m.d.sync += [
                fenced.eq(0),
                at_read.eq(0),
                at_context.eq(0),
                context.eq(0),
                front.payload.eq(0),
            ]
        return m

    def _plan(self, m, beat, context, plan):
        """Each step in signals of its own: `Plan` is one value to simulators, and may not loop."""
        # What a packet lacks of its header reads as zeros.
        header = [Mux(beat.bytes > i, beat.data.word_select(i, 8), 0) for i in range(HEADER_BYTES)]
        opcode, slot, length = Signal(8), Signal(16), Signal(LENGTH_BITS)
        seal, open_, aead = Signal(), Signal(), Signal()
        received, flags = Signal(Flags), Signal(Flags)
        m.d.comb += [
            opcode.eq(header[0]),
            slot.eq(Cat(header[3], header[2])),
            length.eq(Mux(beat.bytes >= HEADER_BYTES, Cat(header[7], header[6]), 0)),
            seal.eq(opcode == Opcode.SEAL),
            open_.eq(opcode == Opcode.OPEN),
            aead.eq(opcode.matches(Opcode.AEAD_SEAL, Opcode.AEAD_OPEN)),
            received.eq(beat.data[8 * HEADER_BYTES :]),
            flags.eq(received),
        ]
        with m.If(~open_):
            m.d.comb += [
                flags.fixed.eq(FIXED_BITS),
                flags.connection_id.eq(context.connection_id_bytes != 0),
                flags.sequence_number_16.eq(context.sixteen),
                flags.length.eq(context.length),
                flags.epoch.eq(context.epoch),
            ]
        m.d.comb += [
            plan.echo.opcode.eq(opcode),
            plan.echo.slot.eq(slot),
            plan.echo.request_id.eq(Cat(header[5], header[4])),
            plan.seal.eq(seal),
            plan.open.eq(open_),
            plan.aead.eq(aead),
            plan.sealing.eq(opcode.matches(Opcode.SEAL, Opcode.AEAD_SEAL)),
            plan.load.eq(opcode == Opcode.LOAD),
            plan.length.eq(length),
            plan.flags.eq(flags),
            plan.aes256.eq(context.aes256),
            plan.epoch.eq(context.epoch),
            plan.iv.eq(context.iv),
            plan.connection_id_bytes.eq(context.connection_id_bytes),
            plan.connection_id.eq(context.connection_id),
        ]
        self._measure(m, plan, open_, length, flags, context)
        self._refuse(m, plan, header[1], opcode, slot, length)
        self._refuse_slot(m, plan, seal, open_, context)

    def _measure(self, m, plan, open_, length, flags, context):
        """Lengths of header and text; a record to open that cannot be one of its slot's."""
        longest = self._profile.largest_seal + TAG_BYTES
        header_bytes = Signal(5)
        encrypted = Signal(LENGTH_BITS + 1)  # bytes behind the header, two's complement
        fields = flags.sequence_number_16 + (flags.length << 1)
        m.d.comb += [
            header_bytes.eq(2 + context.connection_id_bytes + fields),
            encrypted.eq(length - header_bytes),
            plan.header_bytes.eq(header_bytes),
            plan.text_bytes.eq(Mux(open_, encrypted - TAG_BYTES, length)),
            plan.malformed_record.eq(
                (flags.fixed != FIXED_BITS)
                | (flags.connection_id != (context.connection_id_bytes != 0))
                | encrypted[-1]
                | (encrypted < SHORTEST_BODY)
                | (encrypted > longest)
            ),
            plan.wrong_epoch.eq(flags.epoch != context.epoch[:2]),
        ]

    def _refuse(self, m, plan, reserved, opcode, slot, length):
        profile, status = self._profile, plan.refusal
        messages = {
            Opcode.SEAL: (1, profile.largest_seal),
            Opcode.OPEN: (0, profile.largest_open),
            Opcode.AEAD_SEAL: (AEAD_PREFIX_BYTES, profile.largest_aead),
            Opcode.AEAD_OPEN: (AEAD_PREFIX_BYTES, profile.largest_aead),
        }
        least, most = Signal(LENGTH_BITS), Signal(LENGTH_BITS)
        with m.Switch(opcode):
            for code, (lowest, highest) in messages.items():
                with m.Case(code):
                    m.d.comb += [least.eq(lowest), most.eq(highest)]
            with m.Case(Opcode.LOAD):
                m.d.comb += [least.eq(LOAD_BYTES), most.eq(LOAD_BYTES)]
        no_slot = ~opcode.matches(Opcode.INFO, Opcode.STATS) & (slot >= profile.slots)
        all_slots = (opcode == Opcode.ZEROIZE) & (slot == ALL_SLOTS)
        # The other opcodes take one length only.
        too_long = Mux(opcode.matches(*messages), Status.TOO_LONG, Status.MALFORMED_REQUEST)
        with m.If(reserved != 0):
            m.d.comb += status.eq(Status.MALFORMED_REQUEST)
        with m.Elif(~opcode.matches(*Opcode)):
            m.d.comb += status.eq(Status.UNKNOWN_OPCODE)
        with m.Elif(no_slot & ~all_slots):
            m.d.comb += status.eq(Status.NO_SUCH_SLOT)
        with m.Elif(length < least):
            m.d.comb += status.eq(Status.MALFORMED_REQUEST)
        with m.Elif(length > most):
            m.d.comb += status.eq(too_long)

    def _refuse_slot(self, m, plan, seal, open_, context):
        usage = Mux(seal, Usage.SEAL, Mux(open_, Usage.OPEN, Usage.AEAD))
        with m.If(~context.valid):
            m.d.comb += plan.slot_refusal.eq(Status.SLOT_EMPTY)
        with m.Elif(context.usage != usage):
            m.d.comb += plan.slot_refusal.eq(Status.WRONG_USAGE)
