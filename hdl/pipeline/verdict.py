"""What becomes of each request, once its tag is known; and what it moves in its slot."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import Counter, Opcode, Status
from hdl.block import BLOCK_BYTES
from hdl.block_ram import BlockRAM
from hdl.pipeline.cipher import Content
from hdl.pipeline.layouts import (
    LENGTH_BITS,
    NUMBER_BITS,
    Ticket,
    Ticketed,
    mask_request_layout,
    pending_layout,
    void_if,
)
from hdl.pipeline.tag import CheckedTag
from hdl.pipeline.window import RingUpdate, ring_bits
from hdl.profile import Profile
from hdl.registers import reset_less

__all__ = ["Verdict", "judged_layout", "opening_layout"]


def judged_layout() -> data.StructLayout:
    """A request and its status; ``content_bytes`` of its text are for the host.

    Its ticket is the one that came with its tag, or its own, if it has none; void if it is refused.
    """
    return data.StructLayout({"request": pending_layout(), "content_bytes": LENGTH_BITS})


def opening_layout(profile: Profile) -> data.StructLayout:
    """What opening moves in a slot.

    ``next`` is one above the highest number opened; ``seen`` are the bits of those opened in the
    window, a ring (`hdl.pipeline.window`); ``count`` is the number of records that failed
    authentication.
    """
    seen = ring_bits(profile.window)
    return data.StructLayout({"next": NUMBER_BITS + 1, "seen": seen, "count": 37})


class Verdict(wiring.Component):
    """Judges requests in order, one in 3 cycles, each in 7.

    A request of ``pending`` that is ``tagged`` waits for the next of ``checked_tags``. To open,
    that decides; then comes the replay window, read and moved in one go, so that of two copies
    in a row one is refused, however close they are. To seal, the tag goes to ``tags``, and the
    first 16 bytes of the encrypted record to ``masks``.

    The window's part takes 3 cycles, so what one request has moved is in a register when the next
    one needs it. How it moves depends on the distance of the number alone: of a number that was
    seen, the bit is there already, so whether it was is found out at leisure.

    Where requests that are ``tagged`` come as far ``apart`` in cycles as `APART`, there is less of
    it: no way around the memory for what the request before has moved, so that behind one with a
    tag none begins for 6 cycles; and what ``masks`` get of a tag behind a short text is shifted a
    byte a cycle, and until then none with a tag begins.

    A tag that has another ticket than the request, or a length of content, counts as one that
    differs. What was found of a tag goes on as its ticket, beside the status: only if both say so
    is anything given out (`hdl.pipeline.egress`).

    The checks come in the order of the contract: limit of the key, header, tag, window, content
    type (RFC 9147, 4.5). Whatever they find takes the same time.
    """

    #: From a tag to the next one: what one moves is written before the next one reads.
    APART = 20

    def __init__(self, profile: Profile, apart: int = 1):
        self._profile = profile
        self._far_apart = apart >= self.APART
        always = {"always_ready": True}
        slot = range(profile.slots)
        super().__init__(
            {
                "pending": In(stream.Signature(pending_layout())),
                "checked_tags": In(stream.Signature(CheckedTag)),
                "first_blocks": In(stream.Signature(128)),
                "contents": In(stream.Signature(Content)),
                "judged": Out(stream.Signature(judged_layout(), **always)),
                "tags": Out(stream.Signature(Ticketed, **always)),
                "masks": Out(stream.Signature(mask_request_layout(profile), **always)),
                #: Fills a slot.
                "load": In(1),
                "load_slot": In(slot),
                "load_next": In(NUMBER_BITS),
                #: A record has been opened, or a slot was filled: its ``next`` is this.
                "open": Out(1),
                "open_slot": Out(slot),
                "open_next": Out(NUMBER_BITS + 1),
                #: What STATS counts, two cycles behind `judged`: one of ``counter``, ``amount`` of
                #: ``bytes_counter``.
                "count": Out(1),
                "counter": Out(range(len(Counter))),
                "count_bytes": Out(1),
                "bytes_counter": Out(range(len(Counter))),
                "amount": Out(LENGTH_BITS),
            }
        )
        self.judged.payload = reset_less(self.judged.payload)
        self.masks.payload = reset_less(self.masks.payload)
        self.states = BlockRAM(opening_layout(profile).size, profile.slots)

    def elaborate(self, platform):
        m = Module()
        m.submodules.states = self.states
        age = Signal(6)  # a one wanders up, for each request
        request = Signal(pending_layout(), reset_less=True)
        second = Signal(pending_layout(), reset_less=True)
        content, differs = Signal(LENGTH_BITS, reset_less=True), Signal()
        tag_ticket = Signal(Ticket, reset_less=True)
        self._begin(m, age, request, content, differs, tag_ticket)

        # In the third cycle all is known but the window, which has the request from then on.
        opens, compares, may_be_limited = Signal(), Signal(), Signal()
        lacks_tag = Signal()
        genuine, failed, bad_tag = Signal(), Signal(), Signal()
        opcode, status = request.echo.opcode, request.status
        m.d.sync += [
            opens.eq(opcode == Opcode.OPEN),
            compares.eq(request.tagged),
            lacks_tag.eq(request.ticket.opening & ~request.tagged & (status == Status.OK)),
            may_be_limited.eq(
                (opcode == Opcode.OPEN)
                & status.matches(Status.OK, Status.MALFORMED_RECORD, Status.WRONG_EPOCH)
            ),
            genuine.eq(age[1] & opens & compares & ~differs),
            failed.eq(age[1] & opens & compares & differs),
            bad_tag.eq((compares & differs) | lacks_tag),
        ]
        content_bytes, no_content = Signal(LENGTH_BITS, reset_less=True), Signal()
        after = Signal(NUMBER_BITS + 1, reset_less=True)
        second_bad_tag, in_window = Signal(), Signal()  # in_window: the window has to accept it
        second_may_be_limited = Signal()
        with m.If(age[2]):
            m.d.sync += [
                second.eq(request),
                second.ticket.eq(Mux(request.tagged, tag_ticket, request.ticket)),
                second_bad_tag.eq(bad_tag),
                in_window.eq(opens & compares),
                second_may_be_limited.eq(may_be_limited),
                content_bytes.eq(Mux(opens, content, request.text_bytes)),
                no_content.eq(content == 0),
                after.eq(request.number + 1),
            ]
        window = self._judge(m, age, request, second, after, genuine, failed)

        # Fifth: the verdict, but for whether the number was seen, which takes a cycle more.
        # ``voids``: the ticket is to become void, as it does in any other cycle; that of a tag that
        # differs is already.
        verdict, voids = Signal(4), Signal()
        m.d.sync += [
            verdict.eq(second.status),
            voids.eq(~age[4] | (second.status != Status.OK) | (in_window & ~window.accepted)),
        ]
        with m.If(window.limited & second_may_be_limited):
            m.d.sync += [verdict.eq(Status.KEY_LIMIT), voids.eq(~second_bad_tag)]
        with m.Elif(second_bad_tag):
            m.d.sync += [verdict.eq(Status.BAD_TAG), voids.eq(0)]
        with m.Elif(window.too_old):
            m.d.sync += [verdict.eq(Status.TOO_OLD), voids.eq(1)]
        with m.Elif(window.accepted & no_content):
            m.d.sync += [verdict.eq(Status.NO_CONTENT_TYPE), voids.eq(1)]
        judged = self.judged.payload
        m.d.sync += self.judged.valid.eq(age[5])
        with m.If(age[5]):
            m.d.sync += [
                judged.request.eq(second),
                judged.request.ticket.eq(void_if(window.hits.any() | voids, second.ticket)),
                judged.request.status.eq(Mux(window.hits.any(), Status.REPLAYED, verdict)),
                judged.content_bytes.eq(content_bytes),
            ]
        self._count(m, judged.request, self.judged.valid)
        return m

    def _begin(self, m, age, request, content, differs, tag_ticket):
        """First and second cycle: all goes into registers."""
        head = self.pending.payload
        begins = Signal()
        free = Signal()  # two cycles since a request has begun, and more if that may write
        writes = Signal(4)
        uses_tag = Signal()  # one that began in the cycle before does
        shifts = Signal()  # the tag, by as many bytes as the text has
        m.d.comb += [
            begins.eq(
                self.pending.valid & (~head.tagged | (self.checked_tags.valid & ~shifts)) & free
            ),
            # Two cycles later: nothing else may begin for two.
            self.pending.ready.eq(age[1]),
        ]
        m.d.sync += [
            free.eq(~begins & ~age[0] & ~writes.any()),
            age.eq(Cat(begins, age)),
            uses_tag.eq(begins & head.tagged),
            self.checked_tags.ready.eq(uses_tag),
        ]

        # What stands here before a request begins does not matter, nor what stands in the others
        # behind the cycle in which their queues move on.
        new_tag = self.checked_tags.payload.tag
        tag, first_block = Signal(128, reset_less=True), self.first_blocks.payload
        with m.If(free):
            m.d.sync += request.eq(head)
        opcode = request.echo.opcode
        checked, length = self.checked_tags.payload, self.contents.payload
        m.d.sync += [
            differs.eq(
                (checked.ticket != request.ticket)
                | ((opcode == Opcode.OPEN) & (length.ticket != request.ticket))
            ),
            tag_ticket.eq(checked.ticket),
            content.eq(length.bytes),
        ]
        tagged = age[0] & request.tagged
        sealing = opcode.matches(Opcode.SEAL, Opcode.AEAD_SEAL)
        opening, sealed, first_used = Signal(), Signal(), Signal()
        m.d.comb += self.contents.ready.eq(opening)
        m.d.sync += [
            opening.eq(tagged & ~sealing),
            sealed.eq(tagged & sealing & (request.status == Status.OK)),
        ]
        m.d.comb += [
            self.tags.valid.eq(sealed),
            self.tags.payload.block.eq(tag),
            self.tags.payload.ticket.eq(tag_ticket),
        ]
        if self._far_apart:
            m.d.sync += writes.eq(Cat(begins & head.tagged, writes))
            refused = tagged & (request.status != Status.OK)
            moves, moved = self._sample_slowly(m, request, tag, sealed, shifts)
            m.d.sync += first_used.eq(refused & (opcode == Opcode.SEAL))
            with m.If(moves | (free & ~shifts)):
                m.d.sync += tag.eq(Mux(moves, moved, new_tag))
            m.d.comb += self.first_blocks.ready.eq(first_used | self.masks.valid)
        else:
            kept, full = Signal(128, reset_less=True), Signal()
            m.d.sync += [
                tag.eq(new_tag),
                kept.eq(first_block),
                full.eq(head.text_bytes >= BLOCK_BYTES),
            ]
            self._sample(m, request, tag, kept, full, sealed)
            m.d.sync += first_used.eq(tagged & (opcode == Opcode.SEAL))
            m.d.comb += self.first_blocks.ready.eq(first_used)

    def _judge(self, m, age, request, second, after, genuine, failed):
        """Third to fifth cycle: the state of the slot, and where in the window the number is."""
        profile, states = self._profile, self.states
        layout = opening_layout(profile)
        bits = ring_bits(profile.window)
        near_bits = (bits - 1).bit_length()
        # Third: what the request before has left, or the memory, in which that is not yet.
        newest = Signal(layout)
        newest_valid = Signal()
        stays = Signal()
        state, first = Signal(layout), Signal(layout, reset_less=True)
        distance, limited = Signal(NUMBER_BITS + 2, reset_less=True), Signal()
        first_genuine, first_failed = Signal(), Signal()
        slot = request.echo.slot[: len(self.open_slot)]
        m.d.comb += [
            states.read_address.eq(slot),
            state.eq(Mux(stays, newest, data.View(layout, states.read_data))),
        ]
        if not self._far_apart:
            m.d.sync += stays.eq(newest_valid & (slot == second.echo.slot[: len(slot)]))
        m.d.sync += [
            first.eq(state),
            distance.eq(request.number - state.next),
            limited.eq(state.count >= profile.forgery_limit),
            first_genuine.eq(genuine),
            first_failed.eq(failed),
        ]

        # Fourth: how far the number is from the window, and which bits of the ring change.
        behind, within, accepted, counted = Signal(), Signal(), Signal(), Signal()
        kept = Signal(layout, init={"seen": (1 << bits) - 1}, reset_less=True)
        is_behind, far, is_within, accepts = distance[-1], Signal(), Signal(), Signal()
        high = distance[near_bits:-1]
        m.d.comb += [
            far.eq(Mux(is_behind, ~high.all(), high.any())),
            is_within.eq(~far & (~distance[:near_bits] < profile.window)),
            accepts.eq(first_genuine & ~limited),
        ]
        m.d.sync += [
            kept.eq(first),
            kept.count.eq(first.count + (first_failed & ~limited)),
            behind.eq(is_behind),
            within.eq(is_within),
            accepted.eq(accepts),
            counted.eq(first_failed & ~limited),
        ]
        ring = RingUpdate(
            m,
            bits,
            first.next,
            second.number,
            marks=accepts & (~is_behind | is_within),
            moves=accepts & ~is_behind,
            around=far,
        )

        # Fifth: the state is as the request leaves it.
        new_state, loads, load_slot = Signal(layout), Signal(), Signal.like(self.load_slot)
        m.d.comb += [
            new_state.next.eq(Mux(accepted & ~behind, after, kept.next)),
            new_state.seen.eq(ring.apply(kept.seen)),
            new_state.count.eq(kept.count),
            # A cycle later: two before the second request behind it reads.
            states.write_address.eq(self.open_slot),
            states.write_data.eq(newest),
            self.open_next.eq(newest.next),
        ]
        m.d.sync += [
            states.write.eq(accepted | counted | loads),
            self.open.eq(accepted | loads),
            self.open_slot.eq(Mux(loads, load_slot, second.echo.slot)),
        ]
        m.d.sync += [loads.eq(self.load), load_slot.eq(self.load_slot)]
        with m.If(age[2]):
            m.d.sync += newest_valid.eq(1)  # when it is needed
        with m.If(age[4] | loads):
            m.d.sync += newest.eq(new_state)
        # While nothing is judged, a slot is filled from here.
        with m.If(self.load):
            m.d.sync += [
                kept.next.eq(self.load_next),
                kept.seen.eq(~Const(0, bits)),
                kept.count.eq(0),
                newest_valid.eq(0),
            ]

        # What is said of it: ``hits`` in the sixth cycle, the others in the fifth.
        found = Signal(data.StructLayout({"limited": 1, "accepted": 1, "too_old": 1, "hits": 8}))
        m.d.comb += [
            found.accepted.eq(accepted),
            found.too_old.eq(accepted & behind & ~within),
        ]
        m.d.sync += [
            found.limited.eq(limited),
            found.hits.eq(ring.hits(kept.seen) & behind.replicate(len(found.hits))),
        ]
        return found

    def _sample(self, m, request, tag, first_block, full, gives):
        """The first 16 bytes of an encrypted record, which are ``full`` of text or not.

        From the second cycle on: a text of less than 16 bytes is followed by its tag, which is
        shifted in two cycles.
        """
        sample = self.masks.payload
        length = request.text_bytes
        shifted = Signal(128, reset_less=True)
        behind = (shifted << (length[2:4] << 5))[:128]
        m.d.sync += [
            shifted.eq(tag << (length[:2] << 3)),
            self.masks.valid.eq(gives & (request.echo.opcode == Opcode.SEAL)),
            sample.block.eq(first_block | behind),
            sample.slot.eq(request.echo.slot),
            sample.aes256.eq(request.aes256),
        ]
        with m.If(full):
            m.d.sync += shifted.eq(0)

    def _sample_slowly(self, m, request, tag, gives, shifts):
        """The same: one by one, up to 16 bytes of the text are moved in before those of the tag.

        Returns whether the tag moves, and the tag, moved by one.
        """
        sample, length = self.masks.payload, request.text_bytes
        left = Signal(range(BLOCK_BYTES + 1))
        place, byte = Signal(range(BLOCK_BYTES)), Signal(8, reset_less=True)
        moves, last = Signal(), Signal()
        m.d.comb += [sample.block.eq(tag), self.masks.valid.eq(last)]
        m.d.sync += [
            moves.eq(shifts & ~last),
            byte.eq(self.first_blocks.payload.word_select(place, 8)),
        ]
        with m.If(shifts):
            m.d.sync += place.eq(place - 1)
            with m.If(moves):
                m.d.sync += [shifts.eq(~last), last.eq((left == 1) & ~last), left.eq(left - 1)]
        with m.Elif(gives & (request.echo.opcode == Opcode.SEAL)):
            m.d.sync += [
                shifts.eq(1),
                left.eq(Mux(length[4:].any(), BLOCK_BYTES, length[:4])),
                place.eq(Mux(length[4:].any(), BLOCK_BYTES, length[:4]) - 1),
                sample.slot.eq(request.echo.slot),
                sample.aes256.eq(request.aes256),
            ]
        return moves, Cat(byte, tag)[: len(tag)]

    def _count(self, m, request, judged):
        """In two cycles; the request stays for three."""
        messages = {
            Opcode.SEAL: Counter.RECORDS_SEALED,
            Opcode.OPEN: Counter.RECORDS_OPENED,
            Opcode.AEAD_SEAL: Counter.AEAD_SEALED,
            Opcode.AEAD_OPEN: Counter.AEAD_OPENED,
        }
        counts, ok, is_opcode = Signal(), Signal(), Signal(len(messages))
        refusals = Signal.like(self.counter)
        m.d.sync += [
            counts.eq(judged),
            ok.eq(request.status == Status.OK),
            is_opcode.eq(Cat(request.echo.opcode == opcode for opcode in messages)),
            refusals.eq(Counter.MALFORMED_REQUEST - 1 + request.status),
            self.count.eq(counts & (~ok | is_opcode.any())),
            self.count_bytes.eq(counts & ok & is_opcode.any()),
            self.amount.eq(request.text_bytes),
            self.counter.eq(refusals),
        ]
        for is_this, counter in zip(is_opcode, messages.values(), strict=True):
            with m.If(is_this):
                m.d.sync += self.bytes_counter.eq(counter + 1)
                with m.If(ok):
                    m.d.sync += self.counter.eq(counter)
