"""From packets to requests: texts in blocks, and one entry for each packet."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import TAG_BYTES, Status
from hdl.block import BLOCK_BYTES
from hdl.pipeline.layouts import LENGTH_BITS, mask_request_layout, request_layout
from hdl.pipeline.lookup import Plan, front_signature, one_piece, pieces
from hdl.pipeline.record_header import HeaderReader, template
from hdl.profile import Profile

__all__ = ["Ingress"]

#: What a piece of 16 bytes is for.
_Use = data.StructLayout(
    {
        "write": 1,
        "template": 1,  # not of the packet: a header to build
        "template_end": 1,  # its second block
        "sample": 1,
        "stage": 1,  # for LOAD
    }
)

#: A cycle of the control: a piece that begins behind ``at`` + 1 bytes of the last beat.
_Command = data.StructLayout(
    {
        "use": _Use,
        "at": 4,
        "move": 1,  # the last beat is used up
        "header": 1,  # a block of a record to open
        "header_end": 1,  # the second one
        "end": 1,  # of the request
        "malformed": 1,
    }
)

#: A piece that begins with a beat.
_WHOLE = BLOCK_BYTES - 1


class Ingress(wiring.Component):
    """Cuts packets into pieces, and keeps what belongs to a well-formed request.

    ``front`` gives plans and payloads as `hdl.pipeline.lookup.Lookup` does. For each packet there
    is one ``requests``, in order, 3 cycles after its last beat was taken, or one more. Before that
    the blocks of an accepted request go to ``block_address``: associated data, the text and the
    received tag, each beginning with a new block. The associated data of a record is its header:
    the received one, or a template. ``release`` says how many blocks belong to the request; those
    of a refused one are written over. ``masks`` asks for the mask of a number as soon as 16 bytes
    behind the header are there. ``staged`` gives the payload of LOAD in pieces of 16 bytes.

    A piece a cycle: a record to seal takes one cycle more than its text has blocks, one to open
    two, and each one more if its header has over 16 bytes. A refused one takes a cycle a beat, and
    one or two more.

    What is decided in a cycle, by lengths and not by data, is done 1 to 3 cycles later: the control
    sees beats before their data. Plans must come 3 cycles apart, or more.
    """

    #: Blocks that are on their way to the queue while the control does not know it, and some more.
    MARGIN = 10

    def __init__(self, profile: Profile, queue_depth: int):
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
        self._reader = HeaderReader()
        self._plan = Signal(Plan)
        self._refusal = Signal(4)
        self._text = Signal(LENGTH_BITS + 1)  # bytes of text, two's complement
        self._associated = Signal(LENGTH_BITS)  # and of associated data
        self._iv = Signal(96)
        self._left = Signal(LENGTH_BITS - 4)  # pieces left of the section that is being taken
        self._last = Signal()  # and that is one
        # Of the text.
        self._text_pieces = Signal(LENGTH_BITS - 4)
        self._one_piece = Signal()
        self._no_text = Signal()
        self._text_at = Signal(4)
        self._text_crosses = Signal()
        self._first_text = Signal()
        self._masked = Signal()
        # The last beat of the packet has been taken.
        self._ended = Signal()
        self._bad = Signal()

        self._room = Signal()
        self._may_start = Signal()
        self._starts = Signal()
        self._pops = Signal()  # the beat is taken
        self._next = Signal(_Command)
        self._command = Signal(_Command)
        self._use = Signal(_Use)  # a cycle later
        self._prior = Signal(8 * BLOCK_BYTES)  # the last beat

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = self._reader
        self._take(m)
        with m.FSM() as fsm:
            self._start(m)
            self._header(m)
            self._prefix(m)
            self._sections(m)
            self._drain(m)
            waits = fsm.ongoing("start")
        self._align(m)
        self._keep(m, waits)
        return m

    def _take(self, m):
        """Plans and beats, as soon as they are needed."""
        beats, plans = self.front.beats, self.front.plans
        m.d.comb += [beats.ready.eq(self._pops), plans.ready.eq(self._starts)]
        with m.If(self._starts):
            m.d.sync += [
                self._plan.eq(plans.payload),
                self._refusal.eq(plans.payload.refusal),
                self._associated.eq(plans.payload.header_bytes),
                self._first_text.eq(1),
                self._masked.eq(0),
                self._ended.eq(0),
                self._bad.eq(0),
            ]
        with m.If(self._pops):
            m.d.sync += [self._ended.eq(beats.payload.last), self._bad.eq(beats.payload.bad)]
        m.d.comb += [
            self._next.move.eq(self._pops),
            self._next.at.eq(_WHOLE),
        ]
        m.d.sync += [
            self._command.eq(self._next),
            self._may_start.eq(self._room & self.requests_room & self.masks_room),
        ]

    def _start(self, m):
        """What the packet's header says; of a record to open, the first 16 bytes are taken."""
        front, plan, command = self.front, self.front.plans.payload, self._next
        with m.State("start"):
            m.d.comb += [
                self._starts.eq(front.plans.valid & front.beats.valid & self._may_start),
                self._pops.eq(self._starts & (plan.open | plan.aead)),
                command.use.template.eq(plan.seal),
                command.header.eq(self._starts & plan.open),
                command.use.write.eq(self._starts & (plan.seal | plan.open) & ~plan.refused),
            ]
            # For AEAD messages they are not known yet.
            m.d.sync += [
                self._text.eq(plan.text_bytes),
                self._iv.eq(plan.iv),
                self._left.eq(plan.text_pieces),
                self._last.eq(plan.one_piece),
                self._text_pieces.eq(plan.text_pieces),
                self._one_piece.eq(plan.one_piece),
                self._no_text.eq(0),
                self._text_at.eq(plan.text_at),
                self._text_crosses.eq(plan.text_crosses),
            ]
            with m.If(self._starts):
                with m.If(plan.refused):
                    m.next = "drain"
                with m.Elif(plan.aead):
                    m.next = "prefix"
                with m.Elif(plan.seal & plan.long_header):
                    m.next = "template end"
                with m.Elif(plan.open & plan.long_header):
                    m.next = "header end"
                with m.Else():
                    m.next = "text"
            with m.If(self._pops):
                self._give_up(m)

    def _header(self, m):
        """What a record's header has over 16 bytes, to be built or received."""
        command = self._next
        with m.State("template end"):
            m.d.comb += [
                command.use.write.eq(1),
                command.use.template.eq(1),
                command.use.template_end.eq(1),
            ]
            m.next = "text"
        with m.State("header end"):
            m.d.comb += [
                self._pops.eq(self.front.beats.valid & self._room),
                command.use.write.eq(self._pops),
                command.header.eq(self._pops),
                command.header_end.eq(1),
            ]
            with m.If(self._pops):
                m.next = "text"
                self._give_up(m)

    def _give_up(self, m):
        """A beat has been taken; if the packet has more or fewer bytes than it should, no more."""
        with m.If(self.front.beats.payload.bad):
            m.next = "drain"

    def _prefix(self, m):
        """AEAD messages: what stands before the associated data, and what it means."""
        plan, prefix = self._plan, self._prior
        no_associated, reserved = Signal(), Signal()
        with m.State("prefix"):
            m.next = "read prefix"
        with m.State("read prefix"):
            m.d.sync += [
                self._associated.eq(Cat(prefix[8:16], prefix[:8])),
                reserved.eq(prefix[16:32] != 0),
                self._iv.eq(prefix[32:]),
            ]
            m.next = "subtract"
        with m.State("subtract"):
            m.d.sync += [
                self._text.eq(self._text - self._associated),
                self._left.eq(pieces(self._associated)),
                self._last.eq(one_piece(self._associated)),
                self._text_at.eq(self._associated - 1),
                no_associated.eq(self._associated == 0),
            ]
            m.next = "measure"
        with m.State("measure"):
            m.d.sync += [
                self._text_pieces.eq(pieces(self._text[:-1])),
                self._one_piece.eq(one_piece(self._text)),
                self._text_crosses.eq(plan.tag_at <= self._text_at),
                self._no_text.eq(self._text == 0),
            ]
            m.next = "check prefix"
        with m.State("check prefix"):
            m.next = "drain"
            with m.If(reserved | self._text[-1]):
                m.d.sync += self._refusal.eq(Status.MALFORMED_REQUEST)
            with m.Elif(self._refusal == Status.OK):
                with m.If(no_associated):
                    self._begin_text(m)
                with m.Else():
                    m.next = "associated data"

    def _begin_text(self, m):
        """AEAD messages: what comes behind the associated data."""
        m.d.sync += [self._left.eq(self._text_pieces), self._last.eq(self._one_piece)]
        m.next = "text"
        with m.If(self._no_text):
            m.next = "drain"
            with m.If(self._plan.tagged):
                m.next = "tag"

    def _count(self, m):
        """A piece of the section has been taken."""
        m.d.sync += [self._left.eq(self._left - 1), self._last.eq(self._left == 2)]

    def _sections(self, m):
        plan, command, beats = self._plan, self._next, self.front.beats
        ends = beats.payload.last & ~beats.payload.bad
        with m.State("associated data"):
            m.d.comb += [
                self._pops.eq(beats.valid & self._room),
                command.use.write.eq(self._pops),
            ]
            with m.If(self._pops):
                self._count(m)
                with m.If(self._last):
                    self._begin_text(m)
                    self._end(m, self._no_text & ~plan.tagged & ends)
                self._give_up(m)
        with m.State("text"):
            # The last piece may leave something in the beat.
            crosses = ~self._last | self._text_crosses
            takes = Signal()
            m.d.comb += [
                # A sample goes on behind the piece.
                takes.eq((beats.valid | ~(crosses | plan.open)) & self._room),
                self._pops.eq(takes & crosses),
                command.at.eq(self._text_at),
                command.use.write.eq(takes & ~plan.load),
                command.use.stage.eq(takes & plan.load),
                command.use.sample.eq(
                    takes & plan.open & self._first_text & (self._refusal == Status.OK)
                ),
            ]
            with m.If(takes):
                self._count(m)
                m.d.sync += self._first_text.eq(0)
                with m.If(self._last):
                    m.next = "drain"
                    with m.If(plan.tagged):
                        m.next = "tag"
                    self._end(m, ~plan.tagged & Mux(crosses, ends, self._ended))
            with m.If(self._pops):
                self._give_up(m)
            with m.If(command.use.sample):
                m.d.sync += self._masked.eq(1)
        with m.State("tag"):
            m.d.comb += [
                self._pops.eq(beats.valid & self._room),
                command.at.eq(plan.tag_at),
                command.use.write.eq(self._pops),
            ]
            with m.If(self._pops):
                m.next = "drain"
                self._end(m, ends)

    def _end(self, m, ends):
        """The request is complete; if its packet ends here too, the next one may begin."""
        with m.If(ends):
            m.d.comb += self._next.end.eq(1)
            m.next = "start"

    def _drain(self, m):
        """What is left of a packet is dropped; if it is not what the header says, all of it is."""
        with m.State("drain"):
            m.d.comb += [
                self._pops.eq(self.front.beats.valid & ~self._ended),
                self._next.end.eq(self._ended),
                self._next.malformed.eq(self._bad),
            ]
            with m.If(self._ended):
                m.next = "start"

    def _align(self, m):
        """In two cycles, a piece is cut out of the last beat and the one behind it."""
        command, prior, beat = self._command, self._prior, self.front.data
        plan, done = self._plan, Signal(_Use)
        window = Cat(prior[8:], beat)
        words, at = Signal(8 * (BLOCK_BYTES + 3)), Signal(2)
        header = template(plan.flags, plan.connection_id)
        m.d.sync += [
            words.eq(_choose(command.at[2:], [window[32 * i :][: len(words)] for i in range(4)])),
            at.eq(command.at[:2]),
            self._use.eq(command.use),
        ]
        m.d.comb += self.front.move.eq(command.move)
        with m.If(command.move):
            m.d.sync += prior.eq(beat)

        piece = _choose(at, [words[8 * i :][:128] for i in range(4)])
        built = Mux(self._use.template_end, header[128:], header[:128])
        m.d.sync += [
            self.block.eq(Mux(self._use.template, built, piece)),
            done.eq(self._use),
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
            m.d.sync += [prior.eq(0), words.eq(0), self.block.eq(0)]

    def _keep(self, m, waits):
        """What becomes of a packet, when the header of its record has been read."""
        plan, command, reader = self._plan, self._command, self._reader
        m.d.sync += [
            reader.read.eq(command.header),
            reader.second.eq(command.header_end),
            reader.encrypted_bytes.eq(self._text + TAG_BYTES),
        ]
        m.d.comb += [
            reader.block.eq(self._prior),
            reader.connection_id.eq(plan.connection_id),
            reader.connection_id_bytes.eq(plan.connection_id_bytes),
            reader.sixteen.eq(plan.flags.sequence_number_16),
            reader.has_length.eq(plan.flags.length),
        ]

        request, status, open_ = self.requests.payload, Signal(4), Signal()
        with m.If(command.end):
            m.d.sync += [
                status.eq(Mux(command.malformed, Status.MALFORMED_REQUEST, self._refusal)),
                open_.eq(plan.open),
                request.echo.eq(plan.echo),
                request.aes256.eq(plan.aes256),
                request.sixteen.eq(plan.flags.sequence_number_16),
                request.length.eq(plan.flags.length),
                request.masked.eq(self._masked),
                request.tail_at.eq(1 + plan.connection_id_bytes),
                request.epoch.eq(plan.epoch),
                request.text_bytes.eq(self._text),
                request.associated_bytes.eq(self._associated),
                request.nonce.eq(self._iv),
            ]
        # Packets end 2 cycles apart, or more.
        ended, well_formed, genuine = Signal(2), Signal(), Signal()
        refused, accepted = Signal(), Signal()
        m.d.sync += [
            ended.eq(Cat(command.end, ended)),
            well_formed.eq(status == Status.OK),
            genuine.eq(open_ & status.matches(Status.OK, Status.WRONG_EPOCH)),
        ]
        m.d.comb += [
            refused.eq(genuine & reader.malformed),
            request.status.eq(Mux(refused, Status.MALFORMED_RECORD, status)),
            request.wire.eq(reader.wire),
            self.requests.valid.eq(ended[1]),
            accepted.eq(ended[1] & well_formed & ~refused),
            self.busy.eq(~waits | self.front.plans.valid | command.end | ended.any()),
        ]
        self._count_blocks(m, ended[1], accepted)

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
            count.eq(Mux(ended, 0, count) + self._use.write),
            self.block_address.eq(Mux(ended & ~accepted, base, following)),
            freed.eq(freed + self.block_read),
            occupied.eq(self.block_address - freed),
            self._room.eq(occupied < self._depth - self.MARGIN),
        ]
        with m.If(accepted):
            m.d.sync += base.eq(following)


def _choose(select, choices):
    """One of four values, in two LUTs a bit: the first one also says which of the last two."""
    first = Mux(select[1], select[0].replicate(len(choices[0])), Mux(select[0], *choices[1::-1]))
    last = (first & choices[3]) | (~first & choices[2])
    return Mux(select[1], last, first)
