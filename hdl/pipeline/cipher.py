"""Behind the AES core: the exclusive or with the text, and what GHASH and the completion get."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.aes.history import History
from hdl.block import BLOCK_BYTES
from hdl.block_ram import BlockRAM
from hdl.hash_unit import power_address_layout
from hdl.pipeline.layouts import (
    LENGTH_BITS,
    PipelineSlot,
    SlotUse,
    Ticket,
    Ticketed,
    message_layout,
)
from hdl.profile import Profile
from hdl.registers import reset_less

__all__ = ["Cipher", "Content"]

#: Bytes of an opened text without the zeros at its end.
Content = data.StructLayout({"bytes": LENGTH_BITS, "ticket": Ticket})
#: What there is in a cycle: a result, lengths to be hashed, or anything to be hashed.
_Has = data.StructLayout({"result": 1, "lengths": 1, "hashed": 1})


class Cipher(wiring.Component):
    """Takes what comes out of the AES core, one block a cycle at the most.

    Each result belongs to the first of ``slots``, and each slot to the first of ``messages``. The
    blocks of a message come from ``blocks``: associated data, text and, to open, the received tag.
    A record's associated data gets its tail here. From there on:

    - associated data, ciphertext and lengths go to ``hashed``, 3 cycles later;
    - the header of a record to seal, and the other text, are written to ``address`` and up; behind
      a text that was sealed a place is left for its tag: ``tag_places``;
    - counter block 1 goes to ``tag_keys``, the received tag to ``received_tags``, which get
      something undefined of a message to seal;
    - the first block that was sealed goes to ``first_blocks``; ``contents`` is the length of an
      opened text without the zeros at its end;
    - the first two bytes of masks go to ``opening_masks`` and ``sealing_masks``.

    What leaves with a ticket has that of its slot.

    `hdl.pipeline.scheduler` leaves a slot without text or associated data behind each message, in
    whose cycle its lengths are hashed, or ``interval``, the hash unit's, cycles behind its last
    block. What is to be hashed comes as far apart as that, so nothing here ever waits.

    A ``hash_unit`` of one chain keeps the powers of H itself, and is given the slot. For another
    one they stand here, in `powers`.
    """

    def __init__(self, profile: Profile, hash_unit, depth: int):
        self._profile, self._chains, self._depth = profile, hash_unit.chains, depth
        self._interval = hash_unit.interval
        always = {"always_ready": True}
        power_address = power_address_layout(self._chains, profile.slots)
        super().__init__(
            {
                "results": In(stream.Signature(128, **always)),
                "slots": In(stream.Signature(PipelineSlot)),
                "messages": In(stream.Signature(message_layout(profile))),
                "blocks": In(stream.Signature(128)),
                "hashed": Out(stream.Signature(hash_unit.blocks.payload.shape(), **always)),
                "write": Out(1),
                #: The inverse of ``write``.
                "idle": Out(1, init=1),
                "address": Out(range(depth)),
                "data": Out(Ticketed),
                #: Writes a block of a report, zero outside of one; only while nothing else is
                #: under way.
                "append": In(1),
                "appended": In(Ticketed),
                "tag_places": Out(stream.Signature(range(depth), **always)),
                "tag_keys": Out(stream.Signature(Ticketed, **always)),
                "received_tags": Out(stream.Signature(128, **always)),
                "first_blocks": Out(stream.Signature(128, **always)),
                "contents": Out(stream.Signature(Content, **always)),
                "opening_masks": Out(stream.Signature(16, **always)),
                "sealing_masks": Out(stream.Signature(16, **always)),
                #: The write port of `powers`: H**(power + 1) of a slot.
                "write_power": In(1),
                "power_address": In(power_address),
                "power": In(128),
            }
        )
        self.hashed.payload = reset_less(self.hashed.payload)
        self.data = reset_less(self.data)
        self.powers = None
        if self._chains > 1:
            self.powers = BlockRAM(128, profile.slots << len(self.power_address.power))

    def elaborate(self, platform):
        m = Module()
        slot, message = self.slots.payload, self.messages.payload
        due, lengths = Signal(), Signal()  # the message's lengths; they are hashed now
        hashes = Signal()
        hash_free = self._hash_free(m, hashes)
        takes = Signal()
        left, begun = Signal(13), Signal()  # blocks still to be hashed behind this one
        now_left = Signal(13)
        power, final = Signal.like(self.power_address.power), Signal()
        next_power, next_final = Signal.like(power), Signal()
        m.d.comb += [
            takes.eq(self.results.valid),
            lengths.eq(due & hash_free),
            self.slots.ready.eq(takes),
            self.messages.ready.eq(lengths),
            hashes.eq((takes & slot.has_block) | lengths),
            now_left.eq(Mux(begun, left, message.more_blocks)),
            power.eq(Mux(begun, next_power, message.power)),
            final.eq(Mux(begun, next_final, message.final)),
        ]
        m.d.sync += due.eq((takes & slot.last) | (due & ~lengths))
        with m.If(hashes):
            m.d.sync += [
                left.eq(now_left - 1),
                begun.eq(~lengths),
                next_power.eq(Mux(now_left > self._chains, self._chains, now_left) - 1),
                next_final.eq(now_left <= self._chains),
            ]

        # First stage: all of it, as it came, but for the block, which follows.
        always = {"slot": PipelineSlot, "final": 1, "message": message_layout(self._profile)}
        first_has = Signal(_Has)
        first = Signal(
            data.StructLayout({**always, "power": power.shape(), "result": 128}),
            reset_less=True,
        )
        m.d.sync += [
            first_has.result.eq(takes),
            first_has.lengths.eq(lengths),
            first_has.hashed.eq(hashes),
            first.slot.eq(slot),
            first.final.eq(final),
            first.message.eq(message),
            first.power.eq(power),
            first.result.eq(self.results.payload),
            self.blocks.ready.eq((takes & slot.has_block) | (lengths & message.opening)),
        ]

        # Second stage: a header has its tail, and associated data has no key; the power of H is on
        # its way. ``keep``: bytes of text or associated data, not beyond the end.
        second_has = Signal(_Has)
        second = Signal(
            data.StructLayout({**always, "data": 128, "key": 128, "keep": BLOCK_BYTES}),
            reset_less=True,
        )
        slot, message, block = first.slot, first.message, self.blocks.payload
        follows = Signal()  # the second block of a header
        with m.If(first_has.result & slot.associated):
            m.d.sync += follows.eq(~slot.last_associated)
        rest = Mux(
            slot.associated,
            Mux(slot.last_associated, message.associated_bytes[:4], 0),
            Mux(slot.last_text, message.text_bytes[:4], 0),
        )
        lanes = Signal(BLOCK_BYTES)
        with m.If(first_has.result & slot.associated):
            m.d.comb += lanes.eq(message.tail_lanes.word_select(follows, BLOCK_BYTES))
        m.d.sync += [
            second_has.eq(first_has),
            *(second[name].eq(first[name]) for name in always),
            second.data.eq(
                Cat(
                    Mux(lane, message.tail.word_select(i % 4, 8), block.word_select(i, 8))
                    for i, lane in enumerate(lanes)
                )
            ),
            second.key.eq(Mux(slot.associated, 0, first.result)),
            second.keep.eq(
                Cat(
                    first_has.hashed & ~first_has.lengths & ((rest == 0) | (rest > i))
                    for i in range(BLOCK_BYTES)
                )
            ),
        ]
        self._give_results(m, first_has, first)
        self._combine(m, second_has, second)
        self._give_power(m, first, second)
        return m

    def _give_power(self, m, first, second):
        """What a block is multiplied by."""
        powers = self.powers
        if not powers:
            m.d.sync += self.hashed.payload.power.eq(second.message.slot)
            return
        m.submodules.powers = powers
        m.d.comb += [
            powers.read_address.eq(Cat(first.power, first.message.slot)),
            powers.write.eq(self.write_power),
            powers.write_address.eq(self.power_address),
            powers.write_data.eq(self.power),
            self.hashed.payload.power.eq(powers.read_data),
        ]

    def _hash_free(self, m, hashes):
        """Whether the hash unit can take the lengths: a register."""
        if self._interval == 1:
            return Const(1)
        wait, free = Signal(range(self._interval)), Signal(init=1)
        with m.If(hashes):
            m.d.sync += [wait.eq(self._interval - 1), free.eq(0)]
        with m.Elif(~free):
            m.d.sync += [wait.eq(wait - 1), free.eq(wait == 1)]
        return free

    def _give_results(self, m, has, at):
        """What leaves as it came from the AES core."""
        masks = has.result & (at.slot.use == SlotUse.MASK)
        m.d.comb += [
            self.tag_keys.valid.eq(has.result & (at.slot.use == SlotUse.TAG)),
            self.tag_keys.payload.block.eq(at.result),
            self.tag_keys.payload.ticket.eq(at.slot.ticket),
            self.opening_masks.valid.eq(masks & at.slot.opening),
            self.opening_masks.payload.eq(at.result),
            self.sealing_masks.valid.eq(masks & ~at.slot.opening),
            self.sealing_masks.payload.eq(at.result),
        ]

    def _combine(self, m, has, at):
        """Third stage: what is hashed and what is written."""
        slot, message = at.slot, at.message
        is_text = has.result & (slot.use == SlotUse.TEXT)
        is_associated = has.result & slot.associated
        # All of these are zero where there is nothing; so they need only be added.
        keep = Cat(keep.replicate(8) for keep in at.keep)
        lengths = Signal(128)
        with m.If(has.lengths):
            m.d.comb += lengths.eq(_lengths_block(message))
        writes = ((is_text | (is_associated & message.seal)) & ~message.refused) | self.append
        m.d.sync += [
            self.hashed.valid.eq(has.hashed),
            self.hashed.payload.block.eq(
                ((at.data ^ Mux(message.opening, 0, at.key)) & keep) | lengths
            ),
            self.hashed.payload.final.eq(at.final),
            self.hashed.payload.last.eq(has.lengths),
            self.write.eq(writes),
            self.idle.eq(~writes),
            self.data.block.eq(((at.data ^ at.key) & keep) | self.appended.block),
            self.data.ticket.eq(Mux(self.append, self.appended.ticket, slot.ticket)),
        ]

        place, sealed = Signal(range(self._depth)), Signal()
        m.d.sync += [
            sealed.eq(has.lengths & ~message.opening & ~message.refused),
            place.eq(place + (self.write | sealed)),
        ]
        m.d.comb += [
            self.address.eq(place),
            self.tag_places.valid.eq(sealed),
            self.tag_places.payload.eq(place),
            self.received_tags.valid.eq(has.lengths),
            self.received_tags.payload.eq(at.data),
        ]
        self._measure(m, has, at, is_text)

    def _measure(self, m, has, at, is_text):
        """Four more stages: where an opened text ends, and what a sealed record begins with."""
        slot, message = at.slot, at.message
        text, first, seals = Signal(), Signal(), Signal()
        m.d.sync += [text.eq(is_text), first.eq(slot.first_text), seals.eq(message.seal)]
        m.d.comb += [
            self.first_blocks.valid.eq(text & first & seals),
            self.first_blocks.payload.eq(self.data.block),
        ]
        flags = Cat(is_text, slot.first_text, has.lengths & message.opening)
        flags = History(m, "flags", flags, 4, reset_less=False)
        ticket = Signal(Ticket, reset_less=True)  # of the message whose lengths may come now
        with m.If(has.result & (slot.use != SlotUse.MASK)):
            m.d.sync += ticket.eq(slot.ticket)

        # Which bytes are not zero; the last one of each four; the last one of all.
        nonzero = Signal(BLOCK_BYTES, reset_less=True)
        places, quarters, end = Signal(8), Signal(4), Signal(5)
        block = self.data.block
        m.d.sync += nonzero.eq(Cat(block.word_select(i, 8).any() for i in range(BLOCK_BYTES)))
        for i in range(4):
            _, b, c, d = quarter = nonzero[4 * i : 4 * i + 4]
            m.d.sync += [
                places.word_select(i, 2).eq(Cat(d | (b & ~c), d | c)),
                quarters[i].eq(quarter.any()),
            ]
        m.d.sync += end.eq(0)
        for i in range(4):
            with m.If(quarters[i]):
                m.d.sync += end.eq(Cat(places.word_select(i, 2), Const(i, 2)) + 1)
        text, first, ends = flags[4]
        content, before = Signal(LENGTH_BITS), Signal(LENGTH_BITS)
        with m.If(text):
            m.d.sync += before.eq(Mux(first, 0, before) + BLOCK_BYTES)
            with m.If(first | (end != 0)):
                m.d.sync += content.eq(Mux(first, 0, before) + end)
        m.d.sync += self.contents.valid.eq(ends)
        m.d.comb += [
            self.contents.payload.bytes.eq(content),
            self.contents.payload.ticket.eq(History(m, "ticket", Value.cast(ticket), 5)[5]),
        ]


def _lengths_block(message: Value) -> Value:
    """The last block of GHASH's input: both lengths in bits, 64 bits each (SP 800-38D, 7.1)."""
    lengths = (message.associated_bytes, message.text_bytes)
    return Cat(_big_endian(Cat(Const(0, 3), length)) for length in lengths)


def _big_endian(value: Value) -> Value:
    """``value`` in 8 bytes, the most significant one first on the wire."""
    padded = Cat(value, Const(0, 64 - len(value)))
    return Cat(padded.word_select(i, 8) for i in reversed(range(8)))
