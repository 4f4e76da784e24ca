"""Who has the AES core in a cycle: the blocks of a message, or the mask of another one's number.

A message with a blocks of associated data and n of text takes these slots, one after the other:

    ====================  ===========================  =======================
    slots                 AES                          GHASH, when they come out
    ====================  ===========================  =======================
    a - 1, if a > 1       a mask, if one is wanted     associated data
    1                     counter 1                    the last associated data
    n                     counters 2 to n + 1          text
    1                     a mask, if one is wanted     lengths
    ====================  ===========================  =======================

A record has one block of associated data, its header, and wants one mask: n + 2 slots, in which
neither AES nor GHASH is idle. The mask in them belongs to an earlier record that was sealed or a
later one that will be opened. If masks are late, one takes a slot between two blocks of text as
well: a cycle, where waiting for it would cost as many as it takes to encrypt it.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import TAG_BYTES, Opcode, Status
from hdl.aes.core import request_layout as block_layout
from hdl.aes.core import rounds
from hdl.block import BLOCK_BYTES
from hdl.pipeline.layouts import (
    LENGTH_BITS,
    Echo,
    PipelineSlot,
    SlotUse,
    Ticket,
    mask_request_layout,
    message_layout,
    pending_layout,
)
from hdl.pipeline.numbering import numbered_layout
from hdl.pipeline.record_header import tail_lanes, turn_tail
from hdl.profile import AESCore, Profile
from hdl.registers import reset_less

__all__ = ["Scheduler", "pace"]

#: Masks of records to open that are begun before those of sealed records have their turn: as many
#: as the shortest records that pass while a mask is made.
MASKS_AHEAD = 20


def pace(profile: Profile, interval: int) -> int:
    """Cycles from one slot to the next: AES-128's in the core, or the hash unit's ``interval``."""
    return max(interval, rounds(aes256=False) if profile.aes is AESCore.RING else 1)


class Scheduler(wiring.Component):
    """Feeds the AES core, one message after the other, with masks in between.

    ``requests`` are taken in order, one in 3 cycles at the most. Each becomes one ``pending``; one
    whose status is OK also a ``messages`` and its ``slots``, in order; and so does a record to seal
    whose key is at its limit, since its blocks are in the queue. Requests that are not for
    the AES core (LOAD, ZEROIZE, INFO, STATS) wait until all before them have left, and are then
    carried out by whoever heeds ``control``, who says with ``control_done`` what came of them.

    A message begins only if there is room for what it will write: at most ``in_flight`` requests,
    and ``depth`` blocks, are under way to their completions. So nothing behind the core ever waits.
    ``chains`` are those of the hash unit, and ``interval`` is its interval.

    Each request gets the next `Ticket`, and so do the slots of its message. Of one that ``control``
    carries out it is ``ticket`` from `control` to `control_done`.

    Slots begin `pace` cycles apart: 1, if neither the AES core nor the hash unit needs more. Else
    each waits for the block of the one before to be taken, and blocks come at the hash unit as far
    apart as it needs. The slot behind a message takes its time with or without a mask; so the
    lengths never meet the next message.
    """

    def __init__(self, profile: Profile, depth: int, in_flight: int, chains: int, interval: int):
        self.pace = pace(profile, interval)
        self._depth, self._in_flight = depth, in_flight
        self._profile, self._chains = profile, chains
        masks = mask_request_layout(profile)
        super().__init__(
            {
                "requests": In(stream.Signature(numbered_layout())),
                "opening_masks": In(stream.Signature(masks)),
                "sealing_masks": In(stream.Signature(masks)),
                #: `hdl.pipeline.queue.Queue.more` of the two.
                "more_opening_masks": In(1),
                "more_sealing_masks": In(1),
                #: A mask of `opening_masks` has been used.
                "mask_used": In(1),
                "blocks": Out(stream.Signature(block_layout(2 * profile.slots))),
                "slots": Out(stream.Signature(PipelineSlot, always_ready=True)),
                "messages": Out(stream.Signature(message_layout(profile), always_ready=True)),
                "pending": Out(stream.Signature(pending_layout(), always_ready=True)),
                #: A strobe; ``control_echo`` holds from then until ``control_done``.
                "control": Out(1),
                "control_echo": Out(Echo),
                "control_done": In(1),
                "control_status": In(4),
                #: What its completion has, in blocks and in bytes.
                "control_blocks": In(5),
                "control_text_bytes": In(LENGTH_BITS),
                #: Of the next request to be taken.
                "ticket": Out(Ticket),
                #: A completion has left, and a block of those that wait for theirs.
                "left": In(1),
                "block_left": In(1),
                "busy": Out(1),
            }
        )
        self.messages.payload = reset_less(self.messages.payload)

    def elaborate(self, platform):
        m = Module()
        under_way = Signal(range(self._in_flight + 1))
        free = Signal(range(self._depth + 1), init=self._depth)

        # The request at hand; its lengths in blocks are there with it.
        request = self.requests.payload.request
        ready, takes, starts = Signal(), Signal(), Signal()
        head = Signal(self.requests.payload.shape(), reset_less=True)
        text_blocks, associated_blocks = (Signal(12, reset_less=True) for _ in range(2))
        encrypted_bytes, tail_bytes = Signal(LENGTH_BITS, reset_less=True), Signal(3)
        is_record, sealing, control = Signal(), Signal(), Signal()
        opening = Signal()
        accepted, has_blocks = Signal(), Signal()
        opcode = request.echo.opcode
        loads, loaded = ~ready | takes, Signal()
        m.d.sync += loaded.eq(loads & self.requests.valid)
        # A cycle later: what is loaded is taken two cycles after that, at the earliest.
        m.d.comb += self.requests.ready.eq(loaded)
        with m.If(loads):
            m.d.sync += [
                ready.eq(self.requests.valid),
                head.eq(self.requests.payload),
                text_blocks.eq(_blocks(request.text_bytes)),
                associated_blocks.eq(_blocks(request.associated_bytes)),
                encrypted_bytes.eq(request.text_bytes + TAG_BYTES),
                is_record.eq(opcode.matches(Opcode.SEAL, Opcode.OPEN)),
                tail_bytes.eq(
                    Mux(
                        opcode.matches(Opcode.SEAL, Opcode.OPEN),
                        1 + request.sixteen + (request.length << 1),
                        0,
                    )
                ),
                sealing.eq(opcode.matches(Opcode.SEAL, Opcode.AEAD_SEAL)),
                opening.eq(opcode.matches(Opcode.OPEN, Opcode.AEAD_OPEN)),
                accepted.eq(request.status == Status.OK),
                has_blocks.eq(request.status.matches(Status.OK, Status.KEY_LIMIT)),
                control.eq(
                    (request.status == Status.OK)
                    & opcode.matches(Opcode.LOAD, Opcode.ZEROIZE, Opcode.INFO, Opcode.STATS)
                ),
            ]
        # A cycle later, what is said of it; and another one later, whether there is room for it.
        more_blocks = self.messages.payload.more_blocks
        m.d.sync += more_blocks.eq(text_blocks + associated_blocks)
        self._describe(m, head, encrypted_bytes, tail_bytes, is_record, sealing)
        pending, described = self.pending.payload, Signal()
        released = Signal(13)  # blocks that the message will write
        self._describe_pending(m, head, has_blocks & ~control)
        number = Signal.like(self.ticket.number)
        m.d.comb += [self.ticket.number.eq(number), self.ticket.opening.eq(opening)]
        with m.If(takes):
            m.d.sync += number.eq(number + 1)
        with m.If(control):
            m.d.comb += [
                pending.status.eq(self.control_status),
                pending.text_bytes.eq(self.control_text_bytes),
            ]
        may_take, may_control = Signal(), Signal()
        empty, waits = Signal(), Signal()  # `waits` for the request that `control` has begun
        room = (under_way != self._in_flight) & ((free >= released) | ~accepted)
        m.d.sync += [
            described.eq(ready & ~takes),
            released.eq(text_blocks + sealing + Mux(is_record & sealing, associated_blocks, 0)),
            may_take.eq(described & ~takes & ~control & room),
            may_control.eq(described & ~takes & control & empty & ~waits & ~self.control),
            empty.eq((under_way == 0) & ~takes),
        ]

        # The message that has the core.
        associated_left, text_left = Signal(12), Signal(12)
        # What is asked of these two, each a register of its own.
        associated, more_associated = Signal(), Signal()  # associated_left > 0, > 1
        text, last_text = Signal(), Signal()  # text_left > 0, == 1
        tag_left, first = Signal(), Signal()
        aes256, key = Signal(), Signal(range(self._profile.slots))
        nonce = Signal(96, reset_less=True)
        ticket = Signal(Ticket)
        counter = Signal(12)
        late = Signal()  # a message without text, which would follow its predecessor too closely
        idle, ends = Signal(init=1), Signal()
        valid, advance = Signal(), Signal()
        m.d.comb += [
            takes.eq((may_take & idle & advance) | self.control_done),
            starts.eq(may_take & idle & advance & has_blocks),
            self.pending.valid.eq(takes),
            self.messages.valid.eq(starts),
            self.control_echo.eq(head.request.echo),
            self.control.eq(may_control & idle),
            self.busy.eq(ready | ~idle | ~empty),
        ]
        with m.If(self.control):
            m.d.sync += waits.eq(1)
        with m.If(self.control_done):
            m.d.sync += waits.eq(0)
        with m.If(starts):
            m.d.sync += idle.eq(0)
        with m.Elif(ends):
            m.d.sync += idle.eq(1)
        claimed = Signal(range(self._depth + 1))
        m.d.sync += [
            claimed.eq(
                Mux(self.control_done, self.control_blocks, Mux(starts & accepted, released, 0))
            ),
            under_way.eq(under_way + takes - self.left),
            free.eq(free - claimed + self.block_left),
        ]

        block = self.blocks.payload
        slot = self.slots.payload
        # Opening first until its masks are far enough ahead, so that no record waits for its nonce;
        # then sealing, whose records wait with all that stands behind them. Where those fill half
        # of their queue, records are long, and two masks ahead are far enough.
        opening_mask, sealing_mask = self.opening_masks, self.sealing_masks
        ahead = Signal(range(2 * MASKS_AHEAD + 64))  # masks to open that were begun and not used
        begun, enough, crowded, full = Signal(), Signal(), Signal(), Signal()
        # What is taken in a cycle goes into ``blocks`` in the next one.
        takes_mask, opens, masks_block = Signal(), Signal(), Signal()
        uses = Signal(2)  # each of the two, with the block at hand
        used = Cat(opening_mask.ready, sealing_mask.ready)
        if self.pace > 1:  # a cycle later, in which no other one is taken
            m.d.sync += used.eq(Mux(self.blocks.ready, uses, 0))
        else:
            m.d.comb += used.eq(uses)
        with m.If(advance | self.blocks.ready):
            m.d.sync += uses.eq(Mux(advance & takes_mask, Cat(opens, ~opens), 0))
        # Whether there is one, and of which kind: registers. So none follows another one at once.
        may_open = opening_mask.valid & (~uses[0] | self.more_opening_masks)
        may_seal = sealing_mask.valid & (~uses[1] | self.more_sealing_masks)
        some_mask = Signal()
        m.d.sync += [
            opens.eq(may_open & ~(may_seal & enough)),
            some_mask.eq((may_open | may_seal) & ~takes_mask),
            begun.eq(takes_mask & opens),
            ahead.eq(ahead + begun - self.mask_used),
            crowded.eq(free < self._depth // 2),
            full.eq(free < self._depth // 8),
            enough.eq((ahead >= MASKS_AHEAD) | (crowded & (ahead >= 2))),
        ]
        # Between two blocks of text a mask costs a cycle; having none when it is needed costs more.
        # Where it costs more cycles, the request that waits here gives it the time.
        urgent, inserted = Signal(), Signal(2)
        none_ahead = (ahead == 0) & ~(ready & (self.pace > 1))
        m.d.sync += [
            inserted.eq(Cat(takes_mask & text, inserted)),
            urgent.eq(
                ((opening_mask.valid & none_ahead) | (sealing_mask.valid & full))
                & ~(takes_mask | inserted.any())
            ),
        ]
        room_for_mask = Signal()
        m.d.comb += [
            room_for_mask.eq(idle | (~late & (more_associated | (urgent & text & ~tag_left)))),
            takes_mask.eq(advance & some_mask & room_for_mask),
            self.slots.valid.eq(valid),
            slot.ticket.eq(ticket),
            slot.opening.eq(opens),
            slot.has_block.eq(slot.associated | (slot.use == SlotUse.TEXT)),
        ]
        # No message begins behind a counter block.
        count = Signal.like(counter)
        mask = Signal(mask_request_layout(self._profile), reset_less=True)
        counter_block = Cat(nonce, Const(0, 16), count[8:], Const(0, 4), count[:8])
        m.d.comb += [
            block.block.eq(Mux(masks_block, mask.block, counter_block)),
            block.key.eq(Mux(masks_block, Cat(1, mask.slot), Cat(0, key))),
            block.aes256.eq(Mux(masks_block, mask.aes256, aes256)),
        ]
        self._follow(m, advance, valid, starts)
        with m.If(advance):
            m.d.sync += [
                self.blocks.valid.eq(valid),
                masks_block.eq(takes_mask),
                mask.eq(Mux(opens, opening_mask.payload, sealing_mask.payload)),
                count.eq(counter),
                late.eq(0),
            ]
            with m.If(late):
                m.d.sync += tag_left.eq(1)
            with m.Elif(more_associated):
                m.d.comb += [valid.eq(1), slot.associated.eq(1)]
                m.d.sync += [
                    associated_left.eq(associated_left - 1),
                    more_associated.eq(associated_left > 2),
                ]
            with m.Elif(tag_left):
                m.d.comb += [
                    valid.eq(1),
                    ends.eq(~text),
                    slot.use.eq(SlotUse.TAG),
                    slot.associated.eq(associated),
                    slot.last_associated.eq(1),
                    slot.last.eq(~text),
                ]
                m.d.sync += [tag_left.eq(0), associated.eq(0), counter.eq(2)]
            with m.Elif(text & ~takes_mask):
                m.d.comb += [
                    valid.eq(1),
                    ends.eq(last_text),
                    slot.use.eq(SlotUse.TEXT),
                    slot.first_text.eq(first),
                    slot.last_text.eq(last_text),
                    slot.last.eq(last_text),
                ]
                m.d.sync += [
                    text_left.eq(text_left - 1),
                    text.eq(~last_text),
                    last_text.eq(text_left == 2),
                    counter.eq(counter + 1),
                    first.eq(0),
                ]
            with m.Else():
                m.d.comb += valid.eq(takes_mask)
            with m.If(takes_mask):
                m.d.comb += slot.use.eq(SlotUse.MASK)
        with m.If(starts):
            m.d.sync += [
                associated_left.eq(associated_blocks),
                associated.eq(associated_blocks != 0),
                more_associated.eq(associated_blocks > 1),
                text_left.eq(text_blocks),
                text.eq(text_blocks != 0),
                last_text.eq(text_blocks == 1),
                tag_left.eq(text_blocks != 0),
                late.eq(text_blocks == 0),
                first.eq(1),
                counter.eq(1),
                aes256.eq(head.request.aes256),
                key.eq(head.request.echo.slot),
                nonce.eq(head.request.nonce),
                ticket.eq(self.ticket),
            ]
        return m

    def _follow(self, m, advance, valid, starts):
        """When the next slot may begin: what is given in one goes into ``blocks`` behind it."""
        if self.pace == 1:
            m.d.comb += advance.eq(1)
            return
        # A register; so whether the core takes a block has the rest of its cycle to itself.
        may_advance = Signal(init=1)
        least = max(self.pace, 4) - 4
        left = Signal(range(least + 3))
        m.d.comb += advance.eq(may_advance)
        with m.If(self.blocks.ready):
            m.d.sync += self.blocks.valid.eq(0)
        with m.If(may_advance):
            m.d.sync += may_advance.eq(~(valid | starts))
            # Without a block, none is on its way to the core, and taken, in the two cycles behind.
            m.d.sync += left.eq(least + Mux(valid, 0, 2))
        with m.Elif(~self.blocks.valid):
            m.d.sync += [may_advance.eq(left == 0), left.eq(left - 1)]

    def _describe(self, m, head, encrypted_bytes, tail_bytes, is_record, sealing):
        """What ``messages`` gets of the request at hand, from the third cycle on."""
        message, request = self.messages.payload, head.request
        # With a number of 8 bits, the lane before the tail is that of the missing byte.
        tail = Cat(
            *(head.number[8:16], head.number[:8]), *(encrypted_bytes[8:], encrypted_bytes[:8])
        )
        turn = Signal(2)
        m.d.sync += turn.eq(request.tail_at - ~request.sixteen)
        m.d.comb += [
            message.power.eq(Mux(message.final, message.more_blocks, self._chains - 1)),
            message.final.eq(message.more_blocks < self._chains),
        ]
        m.d.sync += [
            message.slot.eq(request.echo.slot),
            message.seal.eq(is_record & sealing),
            message.refused.eq(request.status != Status.OK),
            message.opening.eq(~sealing),
            message.associated_bytes.eq(request.associated_bytes),
            message.text_bytes.eq(request.text_bytes),
            message.tail_lanes.eq(Cat(tail_lanes(request.tail_at, tail_bytes))),
            message.tail.eq(turn_tail(tail, turn)),
        ]

    def _describe_pending(self, m, head, tagged):
        """What ``pending`` gets of it, control's answers excepted."""
        pending, request = self.pending.payload, head.request
        m.d.comb += [
            pending.ticket.eq(self.ticket),
            pending.echo.eq(request.echo),
            pending.status.eq(request.status),
            pending.tagged.eq(tagged),
            pending.aes256.eq(request.aes256),
            pending.sixteen.eq(request.sixteen),
            pending.length.eq(request.length),
            pending.tail_at.eq(request.tail_at),
            pending.epoch.eq(request.epoch),
            pending.number.eq(head.number),
            pending.text_bytes.eq(request.text_bytes),
        ]


def _blocks(length):
    return (length + BLOCK_BYTES - 1) >> 4
