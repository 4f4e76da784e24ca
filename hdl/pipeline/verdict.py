"""What becomes of each request, once its tag is known; and what it moves in its slot."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import Counter, Opcode, Status
from hdl.block_ram import BlockRAM
from hdl.pipeline.layouts import (
    LENGTH_BITS,
    NUMBER_BITS,
    mask_request_layout,
    pending_layout,
)
from hdl.profile import Profile

__all__ = ["Verdict", "judged_layout", "opening_layout"]


def judged_layout() -> data.StructLayout:
    """A request and its status; ``content_bytes`` of its text are for the host."""
    return data.StructLayout({"request": pending_layout(), "content_bytes": LENGTH_BITS})


def opening_layout(profile: Profile) -> data.StructLayout:
    """What opening moves in a slot.

    ``next`` is one above the highest number opened; bit i of ``seen`` says that record
    ``next - 1 - i`` has been opened; ``count`` is the number of records that failed authentication.
    """
    return data.StructLayout({"next": NUMBER_BITS + 1, "seen": profile.window, "count": 37})


class Verdict(wiring.Component):
    """Judges requests in order, one in 3 cycles, each in 4.

    A request of ``pending`` that is ``tagged`` waits for the next of ``digests``; by then the first
    of ``tag_keys`` is there, which added to it is the tag. To open, it is compared with
    ``received_tags``; then comes the replay window, read and moved in one go, so that of two copies
    in a row one is refused, however close they are. To seal, it goes to ``tags``, and the first 16
    bytes of the encrypted record to ``masks``.

    The checks come in the order of the contract: limit of the key, header, tag, window, content
    type (RFC 9147, 4.5). Whatever they find takes the same time.
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        always = {"always_ready": True}
        slot = range(profile.slots)
        super().__init__(
            {
                "pending": In(stream.Signature(pending_layout())),
                "digests": In(stream.Signature(128)),
                "tag_keys": In(stream.Signature(128)),
                "received_tags": In(stream.Signature(128)),
                "first_blocks": In(stream.Signature(128)),
                "contents": In(stream.Signature(LENGTH_BITS)),
                "judged": Out(stream.Signature(judged_layout(), **always)),
                "tags": Out(stream.Signature(128, **always)),
                "masks": Out(stream.Signature(mask_request_layout(profile), **always)),
                #: Fills a slot.
                "load": In(1),
                "load_slot": In(slot),
                "load_next": In(NUMBER_BITS),
                #: A record has been opened.
                "open": Out(1),
                "open_slot": Out(slot),
                "open_next": Out(NUMBER_BITS + 1),
                #: What STATS counts, in the cycle behind `judged`: one of ``counter``, ``amount``
                #: of ``bytes_counter``.
                "count": Out(1),
                "counter": Out(range(len(Counter))),
                "count_bytes": Out(1),
                "bytes_counter": Out(range(len(Counter))),
                "amount": Out(LENGTH_BITS),
            }
        )
        self.states = BlockRAM(opening_layout(profile).size, profile.slots)

    def elaborate(self, platform):
        m = Module()
        m.submodules.states = states = self.states
        profile = self._profile
        head = self.pending.payload
        head_sealing = head.echo.opcode.matches(Opcode.SEAL, Opcode.AEAD_SEAL)
        layout = opening_layout(profile)

        # First cycle: all that is needed goes into registers.
        pause = Signal(2)
        begins = Signal()
        settled = Signal(2)  # the head has been there so long that its state has been read
        tagged = head.tagged
        m.d.sync += settled.eq(Mux(begins, 0, Cat(self.pending.valid, settled)))
        free = settled[-1] & (pause == 0)
        m.d.comb += [
            begins.eq(self.pending.valid & free & (~tagged | self.digests.valid)),
            self.pending.ready.eq(begins),
            self.digests.ready.eq(begins & tagged),
            self.tag_keys.ready.eq(begins & tagged),
            self.received_tags.ready.eq(begins & tagged & ~head_sealing),
            self.contents.ready.eq(begins & tagged & ~head_sealing),
            self.first_blocks.ready.eq(begins & tagged & (head.echo.opcode == Opcode.SEAL)),
            states.read_address.eq(head.echo.slot),
        ]
        m.d.sync += pause.eq(Mux(begins, 2, pause - (pause != 0)))
        age = Signal(3)
        m.d.sync += age.eq(Cat(begins, age))

        request, tag, received = Signal(pending_layout()), Signal(128), Signal(128)
        first_block, content = Signal(128), Signal(LENGTH_BITS)
        state, new_state, newest = Signal(layout), Signal(layout), Signal(layout)
        newest_slot, newest_valid = Signal(range(profile.slots)), Signal()
        writes, writes_slot = Signal(), Signal(range(profile.slots))
        with m.If(begins):
            m.d.sync += [
                request.eq(head),
                tag.eq(self.digests.payload ^ self.tag_keys.payload),
                received.eq(self.received_tags.payload),
                first_block.eq(self.first_blocks.payload),
                content.eq(self.contents.payload),
                state.eq(states.read_data),
            ]
            # The memory may not show yet what was written in the last cycles.
            with m.If(newest_valid & (newest_slot == head.echo.slot)):
                m.d.sync += state.eq(newest)
            with m.If(writes & (writes_slot == head.echo.slot)):
                m.d.sync += state.eq(new_state)

        # Second: how far the number is from the window; are the tags the same?
        opcode = request.echo.opcode
        opens = opcode == Opcode.OPEN
        sealing = opcode.matches(Opcode.SEAL, Opcode.AEAD_SEAL)
        differences, distance = Signal(8), Signal(NUMBER_BITS + 2)
        limited = Signal()
        second = Signal(pending_layout())
        second_content = Signal(LENGTH_BITS)
        m.d.sync += [
            differences.eq(Cat((tag ^ received).word_select(i, 16).any() for i in range(8))),
            distance.eq(request.number - state.next),
            limited.eq(opens & (state.count >= profile.forgery_limit)),
            second.eq(request),
            second_content.eq(content),
        ]
        gives = age[0] & request.tagged & sealing & (request.status == Status.OK)
        self._give_tag(m, request, tag, first_block, gives)

        # Third: where in the window it is.
        state_2, state_3 = Signal(layout), Signal(layout)
        third, third_content = Signal(pending_layout()), Signal(LENGTH_BITS)
        behind, within, hit, forged = Signal(), Signal(), Signal(), Signal()
        moved, marked = Signal(profile.window), Signal(profile.window)
        third_limited = Signal()
        magnitude, near = Signal(NUMBER_BITS + 1), Signal(range(profile.window))
        bit = Signal(profile.window)
        m.d.comb += [
            magnitude.eq(Mux(distance[-1], ~distance, distance)),
            near.eq(magnitude),
            bit.eq(Const(1, 1) << near),
        ]
        m.d.sync += [
            state_2.eq(state),
            state_3.eq(state_2),
            third.eq(second),
            third_content.eq(second_content),
            third_limited.eq(limited),
            forged.eq(differences.any()),
            behind.eq(distance[-1]),
            within.eq(magnitude < profile.window),
            hit.eq((state_2.seen & bit).any()),
            moved.eq(Cat(1, (state_2.seen << near)[: profile.window])),
            marked.eq(state_2.seen | bit),
        ]

        # Fourth: the verdict.
        status, judged = Signal(4), self.judged.payload
        opens_3 = third.echo.opcode == Opcode.OPEN
        compares = opens_3 | (third.echo.opcode == Opcode.AEAD_OPEN)
        accepted, failed = Signal(), Signal()
        m.d.comb += status.eq(third.status)
        refused_late = third.status.matches(Status.OK, Status.MALFORMED_RECORD, Status.WRONG_EPOCH)
        with m.If(opens_3 & refused_late & third_limited):
            m.d.comb += status.eq(Status.KEY_LIMIT)
        with m.Elif(third.tagged & compares & forged):
            m.d.comb += [status.eq(Status.BAD_TAG), failed.eq(opens_3)]
        with m.Elif(third.tagged & opens_3):
            with m.If(behind & ~within):
                m.d.comb += status.eq(Status.TOO_OLD)
            with m.Elif(behind & hit):
                m.d.comb += status.eq(Status.REPLAYED)
            with m.Else():
                m.d.comb += accepted.eq(1)
                with m.If(third_content == 0):
                    m.d.comb += status.eq(Status.NO_CONTENT_TYPE)
        m.d.comb += [
            new_state.eq(state_3),
            writes.eq(age[2] & (accepted | failed)),
            writes_slot.eq(third.echo.slot),
            self.open.eq(age[2] & accepted),
            self.open_slot.eq(third.echo.slot),
            self.open_next.eq(new_state.next),
            self.judged.valid.eq(age[2]),
            judged.request.eq(third),
            judged.request.status.eq(status),
            judged.content_bytes.eq(Mux(opens_3, third_content, third.text_bytes)),
        ]
        with m.If(failed):
            m.d.comb += new_state.count.eq(state_3.count + 1)
        with m.If(accepted & behind):
            m.d.comb += new_state.seen.eq(marked)
        with m.Elif(accepted):
            m.d.comb += [
                new_state.next.eq(third.number + 1),
                new_state.seen.eq(Mux(within, moved, 1)),
            ]
        with m.If(writes):
            m.d.sync += [newest.eq(new_state), newest_slot.eq(writes_slot), newest_valid.eq(1)]
        m.d.comb += [
            states.write.eq(writes | self.load),
            states.write_address.eq(Mux(self.load, self.load_slot, writes_slot)),
            states.write_data.eq(new_state),
        ]
        with m.If(self.load):
            m.d.comb += [
                states.write_data.eq(Cat(self.load_next, Const(0, 1), ~Const(0, profile.window))),
            ]
            m.d.sync += [newest_valid.eq(0)]
        self._count(m, third, status, age[2])
        return m

    def _give_tag(self, m, request, tag, first_block, gives):
        """A tag that was computed to be sent, and the first 16 bytes of the encrypted record."""
        short = request.text_bytes < 16
        shifted = (tag << (request.text_bytes[:4] << 3))[:128]
        sample = self.masks.payload
        m.d.comb += [self.tags.valid.eq(gives), self.tags.payload.eq(tag)]
        m.d.sync += [
            self.masks.valid.eq(gives & (request.echo.opcode == Opcode.SEAL)),
            sample.block.eq(first_block | Mux(short, shifted, 0)),
            sample.slot.eq(request.echo.slot),
            sample.aes256.eq(request.aes256),
        ]

    def _count(self, m, request, status, counts):
        counter = {
            Opcode.SEAL: Counter.RECORDS_SEALED,
            Opcode.OPEN: Counter.RECORDS_OPENED,
            Opcode.AEAD_SEAL: Counter.AEAD_SEALED,
            Opcode.AEAD_OPEN: Counter.AEAD_OPENED,
        }
        m.d.sync += [self.count.eq(0), self.count_bytes.eq(0)]
        with m.Switch(request.echo.opcode):
            for opcode, messages in counter.items():
                with m.Case(opcode):
                    m.d.sync += [
                        self.count.eq(counts),
                        self.counter.eq(messages),
                        self.count_bytes.eq(counts & (status == Status.OK)),
                        self.bytes_counter.eq(messages + 1),
                    ]
        m.d.sync += self.amount.eq(request.text_bytes)
        with m.If(status != Status.OK):
            m.d.sync += [
                self.count.eq(counts),
                self.counter.eq(Counter.MALFORMED_REQUEST - 1 + status),
            ]
