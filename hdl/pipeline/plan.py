"""What is known of a request before its payload is looked at: its plan."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import (
    AEAD_PREFIX_BYTES,
    ALL_SLOTS,
    CONNECTION_ID_BYTES,
    LOAD_BYTES,
    TAG_BYTES,
    Opcode,
    Status,
    Usage,
)
from hdl.block import BLOCK_BYTES
from hdl.header import FIXED_BITS, Flags
from hdl.pipeline.layouts import LENGTH_BITS, Echo, context_layout
from hdl.profile import Profile

__all__ = ["Found", "Header", "Plan", "Planner", "one_piece", "pieces"]

#: What is known of a request from its header and its slot.
Plan = data.StructLayout(
    {
        "echo": Echo,
        "seal": 1,
        "open": 1,
        "aead": 1,
        "load": 1,
        "tagged": 1,  # OPEN or AEAD_OPEN: a tag stands behind the text
        # What comes behind the start of the packet, one of these. "drain": it is refused, whatever
        # it holds, if it is well-formed.
        "to_drain": 1,
        "to_text": 1,
        "to_prefix": 1,
        "to_template_end": 1,
        "to_header_end": 1,
        "takes": 1,  # the first beat, at the start
        "writes": 1,  # a block of the header, at the start
        # If it is not refused at once: WRONG_EPOCH, or for AEAD messages that of the slot.
        "refusal": 4,
        # Of AEAD messages, whose prefix says more: associated data and text. Two's complement.
        "text_bytes": LENGTH_BITS + 1,
        "text_pieces": LENGTH_BITS - 4,  # of 16 bytes
        "one_piece": 1,
        # Bytes of a beat that stand before the text, and before the tag: 1 to 16, less 1.
        "text_at": 4,
        "tag_at": 4,
        "crosses": 1,  # the last piece of the text goes on to the end of a beat, or beyond
        "leaves": 1,  # it does not, and is the first one
        "flags": Flags,  # the record header's first byte: to build, or as it came
        "header_bytes": 5,
        "aes256": 1,
        "epoch": 16,
        "iv": 96,
        "connection_id_bytes": range(CONNECTION_ID_BYTES + 1),
        "connection_id": 8 * CONNECTION_ID_BYTES,
    }
)

#: A packet's header, as it came: ``bytes`` of the first beat are valid.
Header = data.StructLayout(
    {
        "opcode": 8,
        "reserved": 8,
        "slot": 16,
        "request_id": 16,
        "length": LENGTH_BITS,
        "flags": Flags,
        "bytes": 5,
    }
)

#: What the header alone says.
_Kind = data.StructLayout(
    {
        "seal": 1,
        "open": 1,
        "aead_seal": 1,
        "aead_open": 1,
        "load": 1,
        # Refusals, those above before those below.
        "reserved": 1,
        "unknown": 1,
        "no_slot": 1,
        "wrong_length": 1,
        "too_long": 1,
    }
)

#: With the context of its slot.
Found = data.StructLayout(
    {
        "echo": Echo,
        "kind": _Kind,
        "length": LENGTH_BITS,
        "flags": Flags,
        "context": context_layout(),
    }
)


class Planner(wiring.Component):
    """Makes the `Plan` of a request of its header and the context of its slot.

    A request ``enters`` if ``free`` was high in the cycle before, and none entered in that one. Its
    ``header`` is there from the next cycle on, and holds until the end of the cycle behind the next
    one with ``free``. ``context`` is that of the slot which ``header`` gave two cycles before.

    A request in 3 cycles; its plan comes 7 cycles after it entered. A plan is valid only if there
    was ``room`` in the cycle before.
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        super().__init__(
            {
                "header": In(Header),
                "context": In(context_layout()),
                "enters": In(1),
                "free": Out(1),
                "plans": Out(stream.Signature(Plan)),
                "room": In(1),
            }
        )

    def elaborate(self, platform):
        """Header, context and plan: each in registers for 3 cycles, or until there is room.

        What is found out about them in the first cycles is in registers in the last one, in which
        they move on. That is decided a cycle before.
        """
        m = Module()
        found, plan = Signal(Found, reset_less=True), Signal(Plan, reset_less=True)
        waits, read, header_goes, header_moves = Signal(), Signal(), Signal(), Signal()
        found_waits, found_goes, found_moves = Signal(), Signal(), Signal()
        plan_full, leaves = Signal(), Signal()
        plans = self.plans
        m.d.comb += [
            header_goes.eq(read & ~found_waits),
            found_goes.eq(found_waits & (~plan_full | leaves)),
            leaves.eq(plans.valid & plans.ready),
            self.free.eq(~waits | header_goes),
        ]
        m.d.sync += [
            waits.eq(self.enters | (waits & ~header_goes)),
            read.eq(waits & ~header_goes),
            header_moves.eq(header_goes),
            found_waits.eq(header_moves | (found_waits & ~found_goes)),
            found_moves.eq(found_goes),
            plan_full.eq(found_moves | (plan_full & ~leaves)),
            plans.valid.eq(plan_full & self.room & ~leaves),
        ]
        self._read_header(m, found, header_moves)
        refused, unfit = Signal(), Signal(2)
        self._read_context(m, found, plan, refused, unfit, found_moves)
        self._finish(m, plan, refused, unfit)
        return m

    def _move_wide(self, m, source, sink, moves):
        """IV and connection ID move a cycle later: nobody looks at them before.

        Each is moved by a register of its own, which leads to no more than them. One is inverted,
        or synthesis would make one of both.
        """
        moved, stays = Signal(), Signal(init=1)
        m.d.sync += [moved.eq(moves), stays.eq(~moves)]
        with m.If(moved):
            m.d.sync += sink.iv.eq(source.iv)
        with m.If(~stays):
            m.d.sync += sink.connection_id.eq(source.connection_id)

    def _read_header(self, m, found, moves):
        header, context = self.header, self.context
        # What a packet lacks of its header reads as zeros.
        present = Signal(6)
        m.d.sync += present.eq(Cat(header.bytes > i for i in range(6)))

        def byte(value, number):
            return value & present[number].replicate(8)

        kind = Signal(_Kind)
        self._classify(m, header, kind)
        with m.If(moves):
            m.d.sync += [
                found.echo.opcode.eq(byte(header.opcode, 0)),
                found.echo.slot.eq(Cat(byte(header.slot[:8], 3), byte(header.slot[8:], 2))),
                found.echo.request_id.eq(
                    Cat(byte(header.request_id[:8], 5), byte(header.request_id[8:], 4))
                ),
                found.kind.eq(kind),
                found.length.eq(header.length),
                found.flags.eq(header.flags),
            ]
            m.d.sync += [
                found.context[name].eq(context[name])
                for name, _ in context_layout()
                if name not in ("iv", "connection_id")
            ]
        self._move_wide(m, context, found.context, moves)

    def _classify(self, m, header, kind):
        """What the request is, and whether its header alone refuses it."""
        profile, length = self._profile, header.length
        opcodes = {code: Signal(name=code.name.lower()) for code in Opcode}
        m.d.sync += [signal.eq(header.opcode == code) for code, signal in opcodes.items()]
        messages = {
            Opcode.SEAL: (1, profile.largest_seal),
            Opcode.OPEN: (0, profile.largest_open),
            Opcode.AEAD_SEAL: (AEAD_PREFIX_BYTES, profile.largest_aead),
            Opcode.AEAD_OPEN: (AEAD_PREFIX_BYTES + TAG_BYTES, profile.largest_aead),
        }
        too_short, too_long, wrong = [], [], []
        for code in Opcode:
            if code not in messages:
                # These take one length only.
                size = LOAD_BYTES if code is Opcode.LOAD else 0
                wrong.append(opcodes[code] & self._registered(m, length != size))
                continue
            least, most = messages[code]
            too_short.append(opcodes[code] & self._registered(m, length < least))
            too_long.append(opcodes[code] & self._registered(m, length > most))
        reserved = self._registered(m, header.reserved != 0)
        all_slots = self._registered(m, header.slot == ALL_SLOTS)
        no_slot = self._registered(m, header.slot >= profile.slots)
        no_slot &= ~(opcodes[Opcode.INFO] | opcodes[Opcode.STATS])
        no_slot &= ~(opcodes[Opcode.ZEROIZE] & all_slots)
        m.d.comb += [
            kind.reserved.eq(reserved),
            kind.unknown.eq(~Cat(opcodes.values()).any()),
            kind.no_slot.eq(no_slot),
            kind.wrong_length.eq(Cat(too_short, wrong).any()),
            kind.too_long.eq(Cat(too_long).any()),
            kind.seal.eq(opcodes[Opcode.SEAL]),
            kind.open.eq(opcodes[Opcode.OPEN]),
            kind.aead_seal.eq(opcodes[Opcode.AEAD_SEAL]),
            kind.aead_open.eq(opcodes[Opcode.AEAD_OPEN]),
            kind.load.eq(opcodes[Opcode.LOAD]),
        ]

    def _registered(self, m, value, name="registered"):
        signal = Signal.like(value, name=name, reset_less=True)
        m.d.sync += signal.eq(value)
        return signal

    def _read_context(self, m, found, plan, refused_at_once, unfit, moves):
        """Form and length of the record's header, as the slot has it or as it came."""
        kind, context, received = found.kind, found.context, found.flags
        flags = Signal(Flags)
        m.d.comb += flags.eq(received)
        with m.If(~kind.open):
            m.d.comb += [
                flags.fixed.eq(FIXED_BITS),
                flags.connection_id.eq(context.connection_id_bytes != 0),
                flags.sequence_number_16.eq(context.sixteen),
                flags.length.eq(context.length),
                flags.epoch.eq(context.epoch),
            ]
        fields = context.connection_id_bytes + Cat(flags.sequence_number_16, flags.length)
        came = context.connection_id_bytes + Cat(received.sequence_number_16, received.length)
        overhead = Signal(6)  # bytes that are neither associated data nor text
        with m.If(kind.open):
            m.d.comb += overhead.eq(2 + TAG_BYTES + came)
        with m.Elif(kind.aead_open):
            m.d.comb += overhead.eq(AEAD_PREFIX_BYTES + TAG_BYTES)
        with m.Elif(kind.aead_seal):
            m.d.comb += overhead.eq(AEAD_PREFIX_BYTES)
        usage = Mux(kind.seal, Usage.SEAL, Mux(kind.open, Usage.OPEN, Usage.AEAD))
        flags = self._registered(m, flags)
        overhead = self._registered(m, overhead)
        header_bytes = self._registered(m, (2 + fields)[:5])
        empty = self._registered(m, ~context.valid)
        wrong_usage = self._registered(m, context.usage != usage)
        malformed = self._registered(
            m,
            kind.open
            & (
                (received.fixed != FIXED_BITS)
                | (received.connection_id != (context.connection_id_bytes != 0))
            ),
        )
        wrong_epoch = self._registered(m, kind.open & (received.epoch != context.epoch[:2]))

        least = self._registered(m, 2 + TAG_BYTES + came + 1, "least")
        most = self._registered(m, 2 + TAG_BYTES + came + self._profile.largest_seal, "most")
        header_refusal = Signal(4)
        with m.If(kind.reserved):
            m.d.comb += header_refusal.eq(Status.MALFORMED_REQUEST)
        with m.Elif(kind.unknown):
            m.d.comb += header_refusal.eq(Status.UNKNOWN_OPCODE)
        with m.Elif(kind.no_slot):
            m.d.comb += header_refusal.eq(Status.NO_SUCH_SLOT)
        with m.Elif(kind.wrong_length):
            m.d.comb += header_refusal.eq(Status.MALFORMED_REQUEST)
        with m.Elif(kind.too_long):
            m.d.comb += header_refusal.eq(Status.TOO_LONG)
        header_refused = self._registered(m, header_refusal != Status.OK, "header_refused")
        record = self._registered(m, kind.seal | kind.open)
        message = self._registered(m, kind.seal | kind.open | kind.aead_seal | kind.aead_open)
        header_refusal = self._registered(m, header_refusal, "header_refusal")

        refused, refusal = Signal(), Signal(4)
        with m.If(header_refused):
            m.d.comb += [refused.eq(1), refusal.eq(header_refusal)]
        with m.Elif(message):
            # Of AEAD messages, the prefix is looked at before.
            with m.If(empty):
                m.d.comb += [refused.eq(record), refusal.eq(Status.SLOT_EMPTY)]
            with m.Elif(wrong_usage):
                m.d.comb += [refused.eq(record), refusal.eq(Status.WRONG_USAGE)]
            with m.Elif(malformed):
                m.d.comb += [refused.eq(1), refusal.eq(Status.MALFORMED_RECORD)]
            with m.Elif(wrong_epoch):
                m.d.comb += refusal.eq(Status.WRONG_EPOCH)
        with m.Elif(~kind.load):
            m.d.comb += refused.eq(1)
        with m.If(moves):
            m.d.sync += [
                plan.echo.eq(found.echo),
                plan.seal.eq(kind.seal),
                plan.open.eq(kind.open),
                plan.aead.eq(kind.aead_seal | kind.aead_open),
                plan.load.eq(kind.load),
                plan.tagged.eq(kind.open | kind.aead_open),
                refused_at_once.eq(refused),
                unfit.eq(Cat((found.length - least)[-1], (most - found.length)[-1])),
                plan.refusal.eq(refusal),
                plan.text_bytes.eq(found.length - overhead),
                plan.text_at.eq(Mux(kind.open, header_bytes - 1, BLOCK_BYTES - 1)),
                plan.tag_at.eq(found.length - 1),
                plan.flags.eq(flags),
                plan.header_bytes.eq(header_bytes),
                plan.aes256.eq(context.aes256),
                plan.epoch.eq(context.epoch),
                plan.connection_id_bytes.eq(context.connection_id_bytes),
            ]
        self._move_wide(m, context, plan, moves)

    def _finish(self, m, plan, refused, unfit):
        """The way of the packet, and what follows from the length of the text."""
        complete, text = self.plans.payload, plan.text_bytes
        going = ~(refused | (plan.open & unfit.any()))
        long_header = plan.header_bytes > BLOCK_BYTES
        record = plan.seal | plan.open
        too_long_or_short = self._registered(m, plan.open & unfit.any() & ~refused)
        m.d.comb += complete.eq(plan)
        with m.If(too_long_or_short):
            m.d.comb += complete.refusal.eq(Status.MALFORMED_RECORD)
        derived = {
            "to_drain": ~going,
            "to_text": going & (plan.load | (record & ~long_header)),
            "to_prefix": going & plan.aead,
            "to_template_end": going & plan.seal & long_header,
            "to_header_end": going & plan.open & long_header,
            "takes": plan.open | plan.aead,
            "writes": going & record,
            "text_pieces": pieces(text[:-1]),
            "one_piece": one_piece(text),
            "crosses": plan.tag_at <= plan.text_at,
            "leaves": one_piece(text) & (plan.tag_at > plan.text_at),
        }
        for name, value in derived.items():
            m.d.comb += complete[name].eq(self._registered(m, value))


def pieces(length):
    """How many pieces of 16 bytes so many bytes are."""
    return (length[4:] + (length[:4] != 0))[: len(length) - 4]


def one_piece(length):
    """Whether so many bytes are no more than one piece."""
    return (length[5:] == 0) & (~length[4] | (length[:4] == 0))
