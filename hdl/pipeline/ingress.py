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

#: A beat of a payload: ``good`` is the last one of a packet that is not ``bad``.
_Beat = data.StructLayout({"last": 1, "bad": 1, "good": 1})

_STATES = (
    "start", "template end", "header end", "prefix", "associated data", "text", "tag", "drain",
)  # fmt: skip

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
    MARGIN = 12

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
        self._text_at = Signal(4)
        self._crosses = Signal()  # the last piece of the text does
        self._leaves = Signal()  # this is it, and it leaves something in the beat
        self._left = Signal(LENGTH_BITS - 4)  # pieces left of the section that is being taken
        self._last = Signal()  # and that is one
        self._samples = Signal()  # the next piece of text
        self._masked = Signal()
        # The last beat of the packet has been taken.
        self._ended = Signal()
        self._bad = Signal()

        self._beats = _Gate(_Beat)
        self._room = Signal()
        self._begins = Signal()  # the packet
        self._takes = Signal()  # a piece, and that is no header to build
        self._pops = Signal()  # a beat is taken
        self._ends = Signal()  # so does the packet
        self._next = Signal(_Command)
        self._command = Signal(_Command)
        self._use = Signal(_Use)  # a cycle later
        self._prior = Signal(8 * BLOCK_BYTES)  # the last beat
        self._states = {
            name: Signal(name=name.replace(" ", "_"), init=name == "start") for name in _STATES
        }

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = self._reader
        m.submodules.beats = self._beats
        self._admit(m)
        self._step(m)
        self._follow(m)
        self._go(m, *self._prefix(m))
        self._align(m)
        self._keep(m)
        return m

    def _admit(self, m):
        """Beats and plans are seen only if there is room."""
        beats, front, last = self._beats, self.front, self.front.beats.payload.last
        m.d.comb += [
            beats.write.valid.eq(front.beats.valid),
            beats.write.payload.bad.eq(front.beats.payload.bad),
            beats.write.payload.last.eq(last),
            beats.write.payload.good.eq(last & ~front.beats.payload.bad),
            front.beats.ready.eq(beats.write.ready),
            beats.open.eq(self._room),
            beats.read.ready.eq(self._pops),
        ]
        m.d.sync += front.room.eq(self._room & self.requests_room & self.masks_room)

    def _step(self, m):
        """What each state waits for, and what it does then."""
        state, plan, coming = self._states, self._plan, self.front.plans
        begun, command, beats = coming.payload, self._next, self._beats.read
        starts, rests = self._begins, Signal()
        m.d.comb += [
            coming.ready.eq(state["start"] & beats.valid),
            starts.eq(state["start"] & beats.valid & coming.valid),
            # No other beat is needed, but a sample goes on behind the piece.
            rests.eq(state["text"] & self._leaves & ~plan.open),
            self._takes.eq(
                (
                    beats.valid
                    & (
                        state["header end"]
                        | state["associated data"]
                        | state["tag"]
                        | state["text"]
                    )
                )
                | rests
            ),
            self._pops.eq(
                (starts & begun.takes)
                | (
                    beats.valid
                    & (
                        (
                            state["header end"]
                            | state["associated data"]
                            | (state["drain"] & ~self._ended)
                        )
                        | (state["tag"] | (state["text"] & ~self._leaves))
                    )
                )
            ),
        ]
        m.d.comb += [
            command.move.eq(self._pops),
            command.at.eq(
                Mux(state["text"], self._text_at, Mux(state["tag"], plan.tag_at, _WHOLE))
            ),
            command.header.eq((starts & begun.open) | (beats.valid & state["header end"])),
            command.header_end.eq(state["header end"]),
            command.end.eq(self._ends),
            command.malformed.eq(self._bad & state["drain"]),
            command.use.write.eq(
                (starts & begun.writes)
                | (self._takes & ~(state["text"] & plan.load))
                | state["template end"]
            ),
            command.use.template.eq((state["start"] & begun.seal) | state["template end"]),
            command.use.template_end.eq(state["template end"]),
            command.use.sample.eq(self._takes & state["text"] & self._samples),
            command.use.stage.eq(self._takes & state["text"] & plan.load),
        ]
        m.d.sync += self._command.eq(command)

    def _go(self, m, prefix, no_text):
        """From state to state. ``prefix`` says where its end leads to, for AEAD messages."""
        state, plan, beats = self._states, self._plan, self._beats.read
        begun, last = self.front.plans.payload, self._last
        leaves = state["text"] & self._leaves
        section_ends = (state["associated data"] & no_text | state["text"]) & last
        complete, bad, starts, takes = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            complete.eq((section_ends & ~plan.tagged) | state["tag"]),
            # More bytes than there should be, or fewer: nothing more of it is taken.
            bad.eq(beats.payload.bad & ~leaves),
            starts.eq(self._begins & ~beats.payload.bad),
            takes.eq(self._takes & ~bad),
            self._ends.eq(
                (self._takes & complete & Mux(leaves, self._ended, beats.payload.good))
                | (state["drain"] & self._ended)
            ),
        ]
        m.d.sync += [
            state["start"].eq((state["start"] & ~self._begins) | self._ends),
            state["prefix"].eq(starts & begun.to_prefix),
            state["template end"].eq(starts & begun.to_template_end),
            state["header end"].eq(
                (starts & begun.to_header_end) | (state["header end"] & ~self._takes)
            ),
            state["associated data"].eq(
                (takes & state["associated data"] & ~last)
                | (state["associated data"] & ~self._takes)
                | prefix["associated data"]
            ),
            state["text"].eq(
                (starts & begun.to_text)
                | state["template end"]
                | (takes & state["header end"])
                | (takes & state["associated data"] & last & ~no_text)
                | (takes & state["text"] & ~last)
                | (state["text"] & ~self._takes)
                | prefix["text"]
            ),
            state["tag"].eq(
                (takes & section_ends & plan.tagged) | (state["tag"] & ~self._takes) | prefix["tag"]
            ),
            state["drain"].eq(
                (self._begins & (begun.to_drain | beats.payload.bad))
                | (self._takes & (bad | complete) & ~self._ends)
                | (state["drain"] & ~self._ended)
                | prefix["drain"]
            ),
        ]

    def _follow(self, m):
        """What is known of the packet, and how far it is."""
        state, plan = self._states, self.front.plans.payload
        beats = self._beats.read.payload
        with m.If(state["start"]):
            m.d.sync += [
                self._plan.eq(plan),
                self._refusal.eq(plan.refusal),
                self._associated.eq(plan.header_bytes),
                # Of AEAD messages, these are not known yet.
                self._text.eq(plan.text_bytes),
                self._iv.eq(plan.iv),
                self._text_at.eq(plan.text_at),
                self._crosses.eq(plan.crosses),
                self._leaves.eq(plan.leaves),
                self._left.eq(plan.text_pieces),
                self._last.eq(plan.one_piece),
                self._samples.eq(plan.open & (plan.refusal == Status.OK)),
                self._masked.eq(0),
            ]
        with m.If(state["start"]):
            m.d.sync += [self._ended.eq(0), self._bad.eq(0)]
        with m.If(self._pops):
            m.d.sync += [self._ended.eq(beats.last), self._bad.eq(beats.bad)]
        with m.If(self._takes & ~state["header end"]):
            m.d.sync += [
                self._left.eq(self._left - 1),
                self._last.eq(self._left == 2),
                self._leaves.eq((self._left == 2) & ~self._crosses),
            ]
        with m.If(self._takes & state["text"]):
            m.d.sync += [self._samples.eq(0), self._masked.eq(self._masked | self._samples)]

    def _prefix(self, m):
        """AEAD messages: what stands before the associated data, and what it means.

        It is there in the second cycle; one more each for the length of the text, for how many
        pieces it has, and for what comes next. Where to go from there, and whether there is text.
        """
        state, plan, prefix, text = self._states, self._plan, self._prior, self._text
        age = Signal(4)
        reads, subtracts, measures, checks = age
        associated_pieces, text_pieces = Signal.like(self._left), Signal.like(self._left)
        associated_one, text_one = Signal(), Signal()
        reserved, no_associated, no_text = Signal(), Signal(), Signal()
        fits, accepted = Signal(), Signal()
        m.d.sync += [
            age.eq(Cat(state["prefix"], age)),
            associated_pieces.eq(pieces(self._associated)),
            associated_one.eq(one_piece(self._associated)),
            no_associated.eq(self._associated == 0),
            text_pieces.eq(pieces(text[:-1])),
            text_one.eq(one_piece(text)),
            no_text.eq(text == 0),
            fits.eq(~text[-1] & ~reserved),
            accepted.eq(~text[-1] & ~reserved & (self._refusal == Status.OK)),
        ]
        with m.If(reads):
            m.d.sync += [
                self._associated.eq(Cat(prefix[8:16], prefix[:8])),
                self._iv.eq(prefix[32:]),
                reserved.eq(prefix[16:32] != 0),
            ]
        with m.If(subtracts):
            m.d.sync += [
                text.eq(text - self._associated),
                self._text_at.eq(self._associated - 1),
            ]
        with m.If(measures):
            m.d.sync += [
                self._crosses.eq(plan.tag_at <= self._text_at),
                self._left.eq(associated_pieces),
                self._last.eq(associated_one),
            ]
        goes_on = Signal()
        m.d.comb += goes_on.eq(checks & accepted)
        with m.If(checks & ~fits):
            m.d.sync += self._refusal.eq(Status.MALFORMED_REQUEST)
        with m.If((checks & no_associated) | (state["associated data"] & self._takes & self._last)):
            m.d.sync += [
                self._left.eq(text_pieces),
                self._last.eq(text_one),
                self._leaves.eq(text_one & ~self._crosses),
            ]
        exits = {
            "associated data": goes_on & ~no_associated,
            "text": goes_on & no_associated & ~no_text,
            "tag": goes_on & no_associated & no_text & plan.tagged,
            "drain": checks & ~(goes_on & ~(no_associated & no_text & ~plan.tagged)),
        }
        return exits, no_text

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

    def _keep(self, m):
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
            self.busy.eq(
                ~self._states["start"] | self.front.plans.valid | command.end | ended.any()
            ),
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


class _Gate(wiring.Component):
    """Two registers: what is written can be read in the next cycle, and no ready goes through.

    Nothing comes in while it is not ``open``.
    """

    def __init__(self, shape):
        self._shape = shape
        super().__init__(
            {
                "write": In(stream.Signature(shape)),
                "read": Out(stream.Signature(shape)),
                "open": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        write, read = self.write, self.read
        spare, spared, comes = Signal(self._shape), Signal(), Signal()
        m.d.comb += [
            write.ready.eq(~spared & self.open),
            comes.eq(write.valid & self.open),
        ]
        with m.If(~spared):
            m.d.sync += spare.eq(write.payload)
        with m.If(read.ready | ~read.valid):
            m.d.sync += [
                read.payload.eq(Mux(spared, spare, write.payload)),
                read.valid.eq(spared | comes),
                spared.eq(0),
            ]
        with m.Else():
            m.d.sync += spared.eq(spared | comes)
        return m
