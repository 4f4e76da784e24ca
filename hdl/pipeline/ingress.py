"""From packets to requests: texts in blocks, and one entry for each packet."""

from amaranth.hdl import Cat, EnableInserter, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import TAG_BYTES, Status
from hdl.block import BLOCK_BYTES
from hdl.choose import choose, choose_word
from hdl.pipeline.layouts import mask_request_layout, request_layout
from hdl.pipeline.lookup import front_signature
from hdl.pipeline.record_header import HeaderReader, template
from hdl.pipeline.sections import Sections, Use
from hdl.profile import Profile
from hdl.registers import reset_less

__all__ = ["Ingress"]


class Ingress(wiring.Component):
    """Cuts packets into pieces, and keeps what belongs to a well-formed request.

    ``front`` gives plans and payloads as `hdl.pipeline.lookup.Lookup` does. For each packet there
    is one ``requests``, in order, 3 cycles after its last beat was taken, or one more. Before that
    the blocks of an accepted request go to ``block_address``: associated data, the text and the
    received tag, each beginning with a new block. The associated data of a record is its header:
    the received one, or a template. ``release`` says how many blocks belong to the request; those
    of a refused one are written over. ``masks`` asks for the mask of a number as soon as 16 bytes
    behind the header are there. ``staged`` gives the payload of LOAD in pieces of 16 bytes.

    Pieces are cut ``width`` bytes at a time: 16, a cycle for each command of `Sections`; or 4, and
    6 cycles, so that a request may come 10 cycles later than that.

    What is decided in a cycle, by lengths and not by data, is done 1 to 3 cycles later: the control
    sees beats before their data. Plans must come 3 cycles apart, or more.
    """

    #: Blocks that are on their way to the queue while the control does not know it, and some more.
    MARGIN = 12

    def __init__(self, profile: Profile, queue_depth: int, width: int = BLOCK_BYTES):
        self._depth = queue_depth
        super().__init__(
            {
                "front": In(front_signature()),
                "write": Out(1),
                "block_address": Out(range(queue_depth)),
                "block": Out(128),
                "release": Out(range(queue_depth + 1)),
                #: A block has left the queue.
                "block_read": In(1),
                #: Heeded only if there was ``masks_room`` when its record began: there must be room
                #: for the masks of two packets before it as well.
                "masks": Out(stream.Signature(mask_request_layout(profile), always_ready=True)),
                "masks_room": In(1),
                #: Likewise.
                "requests": Out(stream.Signature(request_layout(), always_ready=True)),
                "requests_room": In(1),
                "staged": Out(1),
                "staged_piece": Out(128),
                #: Wipes the registers here, which LOAD's payload has passed.
                "wipe": In(1),
                #: A packet is there, or a request is on its way out.
                "busy": Out(1),
            }
        )
        self.requests.payload = reset_less(self.requests.payload)
        self._width = width
        self._reader = HeaderReader(width)
        self._sections = Sections()
        self._room = Signal()
        self._turn = Signal()  # the last cycle of a command
        # A cycle later: the bytes in which a part of the piece stands, and how it is cut out.
        self._words = Signal(8 * (width + 3))
        self._at = Signal(2)
        self._use = Signal(Use)
        self._valid = Signal()  # there is a part in them
        self._number = Signal(range(BLOCK_BYTES // width))  # which one
        self._next_number = Signal.like(self._number)
        self._completes = Signal()  # the last one
        # The same part of a header that is to be built, or that should have come.
        self._template = Signal(8 * width, reset_less=True)
        self._done = Signal(Use)  # what `block` is for

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = self._reader
        m.submodules.sections = EnableInserter(self._turn)(self._sections)
        self._admit(m)
        if self._width == BLOCK_BYTES:
            self._choose_at_once(m)
        else:
            self._choose_in_steps(m)
        self._align(m)
        self._read_header(m)
        self._keep(m)
        return m

    def _admit(self, m):
        """Beats and plans are seen only if there is room."""
        front, sections = self.front, self._sections
        m.d.comb += [
            sections.plans.valid.eq(front.plans.valid),
            sections.plans.payload.eq(front.plans.payload),
            front.plans.ready.eq(sections.plans.ready & self._turn),
            sections.beats.valid.eq(front.beats.valid),
            sections.beats.payload.eq(front.beats.payload),
            front.beats.ready.eq(sections.beats.ready & self._turn),
            sections.room.eq(self._room),
            sections.data.eq(front.data),
            front.move.eq(sections.command.move & self._turn),
        ]
        m.d.sync += front.room.eq(self._room & self.requests_room & self.masks_room)

    def _choose_at_once(self, m):
        """A command a cycle: 19 bytes of the last beat and the one behind it."""
        command, beat, prior = self._sections.command, self.front.data, Signal(8 * BLOCK_BYTES)
        window = Cat(prior[8:], beat)
        size = len(self._words)
        m.d.comb += [self._turn.eq(1), self._valid.eq(1), self._completes.eq(1)]
        m.d.sync += self._words.eq(
            choose(command.at[2:], [window[32 * i :][:size] for i in range(4)])
        )
        with m.If(command.move):
            m.d.sync += prior.eq(beat)
        with m.If(self.wipe):
            m.d.sync += prior.eq(0)

    def _choose_in_steps(self, m):
        """A command in 6 cycles: first where its piece begins, then 5 words of 4 bytes from there.

        The second one completes the first part of the piece; the last part is there in the first
        cycle of the next command.
        """
        step, place = Signal(range(6)), Signal(3)
        word = choose_word(self.front.data, place[:2], 32)
        m.d.comb += [
            self._turn.eq(step == 5),
            self._next_number.eq(step[:2] ^ 2),
            self._completes.eq(step == 0),
            self.front.prior.eq(~place[2]),
        ]
        m.d.sync += [
            step.eq(Mux(self._turn, 0, step + 1)),
            place.eq(Mux(self._completes, self._sections.command.at[2:], place + 1)),
            self._words.eq(Cat(self._words[32:], word)),
            self._valid.eq(step >= 2),
        ]

    def _align(self, m):
        """A piece, or a part of it, is cut out of the words, or built; parts come together."""
        plan, words, use, done = self._sections.plan, self._words, self._use, self._done
        bits = 8 * self._width
        piece = choose(self._at, [words[8 * i :][:bits] for i in range(4)])
        part = Mux(use.template, self._template, piece)
        header = template(plan.flags, plan.connection_id)
        command = self._sections.command
        m.d.sync += [
            self._at.eq(command.at),
            use.eq(command.use),
            self._number.eq(self._next_number),
            self._template.eq(
                choose_word(header, Cat(self._next_number, command.use.second), bits)
            ),
            self.block.eq(Cat(self.block, part)[bits:]),
            done.eq(Mux(self._completes, use, 0)),
            self.masks.payload.slot.eq(plan.echo.slot),
            self.masks.payload.aes256.eq(plan.aes256),
        ]
        m.d.comb += [
            self.write.eq(done.write),
            self.staged.eq(done.stage),
            self.staged_piece.eq(self.block),
            self.masks.valid.eq(done.sample),
            self.masks.payload.block.eq(self.block),
        ]
        with m.If(self.wipe):
            m.d.sync += [words.eq(0), self.block.eq(0)]

    def _read_header(self, m):
        """Blocks of headers are whole beats: the end of the words, wherever these begin."""
        plan, reader = self._sections.plan, self._reader
        m.d.sync += reader.encrypted_bytes.eq(self._sections.text + TAG_BYTES)
        m.d.comb += [
            reader.read.eq(self._use.header & self._valid),
            reader.part.eq(Cat(self._number, self._use.second)),
            reader.received.eq(self._words[-8 * self._width :]),
            reader.template.eq(self._template),
            reader.connection_id_bytes.eq(plan.connection_id_bytes),
            reader.sixteen.eq(plan.flags.sequence_number_16),
            reader.has_length.eq(plan.flags.length),
        ]

    def _keep(self, m):
        """What becomes of a packet, when the header of its record has been read."""
        sections, reader, done = self._sections, self._reader, self._done
        plan, command = sections.plan, sections.command
        request, status, open_ = self.requests.payload, Signal(4), Signal()
        with m.If(command.use.end):
            m.d.sync += [
                status.eq(Mux(command.malformed, Status.MALFORMED_REQUEST, sections.refusal)),
                open_.eq(plan.open),
                request.echo.eq(plan.echo),
                request.aes256.eq(plan.aes256),
                request.sixteen.eq(plan.flags.sequence_number_16),
                request.length.eq(plan.flags.length),
                request.masked.eq(sections.masked),
                request.tail_at.eq(1 + plan.connection_id_bytes),
                request.epoch.eq(plan.epoch),
                request.text_bytes.eq(sections.text),
                request.associated_bytes.eq(sections.associated),
                request.nonce.eq(sections.iv),
            ]
        # Packets end 2 commands apart, or more.
        well_formed, genuine, refused, accepted = Signal(), Signal(), Signal(), Signal()
        m.d.sync += [
            well_formed.eq(status == Status.OK),
            genuine.eq(open_ & status.matches(Status.OK, Status.WRONG_EPOCH)),
        ]
        m.d.comb += [
            refused.eq(genuine & reader.malformed),
            request.status.eq(Mux(refused, Status.MALFORMED_RECORD, status)),
            request.wire.eq(reader.wire),
            self.requests.valid.eq(done.end),
            accepted.eq(done.end & well_formed & ~refused),
            self.busy.eq(sections.busy | command.use.end | self._use.end | done.end),
        ]
        self._count_blocks(m, done.end, accepted)

    def _count_blocks(self, m, ended, accepted):
        """Where blocks go; those of a request that was not accepted are written over."""
        places = range(self._depth)
        count, base, freed = Signal(range(self._depth + 1)), Signal(places), Signal(places)
        following, occupied = Signal(places), Signal(places)
        m.d.comb += [
            following.eq(self.block_address + self.write),
            self.release.eq(Mux(accepted, count, 0)),
        ]
        m.d.sync += [
            count.eq(Mux(ended, 0, count) + (self._use.write & self._completes)),
            self.block_address.eq(Mux(ended & ~accepted, base, following)),
            freed.eq(freed + self.block_read),
            occupied.eq(self.block_address - freed),
            self._room.eq(occupied < self._depth - self.MARGIN),
        ]
        with m.If(accepted):
            m.d.sync += base.eq(following)
