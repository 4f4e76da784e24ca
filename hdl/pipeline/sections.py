"""Which pieces a packet is cut into, section by section: header, associated data, text, tag."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import Status
from hdl.block import BLOCK_BYTES
from hdl.pipeline.layouts import LENGTH_BITS
from hdl.pipeline.lookup import Beat
from hdl.pipeline.plan import Plan, one_piece, pieces
from hdl.pipeline.queue import SkidBuffer
from hdl.registers import reset_less

__all__ = ["Command", "Sections", "Use"]

#: What a piece of 16 bytes is for.
Use = data.StructLayout(
    {
        "write": 1,
        "template": 1,  # not of the packet: a header to build
        "header": 1,  # a block of the header of a record to open
        "second": 1,  # of both: the second block
        "sample": 1,
        "stage": 1,  # for LOAD
        "end": 1,  # of the request
    }
)

#: A cycle of the control: a piece that begins behind ``at`` + 1 bytes of the last beat.
Command = data.StructLayout(
    {
        "use": Use,
        "at": 4,
        "move": 1,  # the last beat is used up
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


class Sections(wiring.Component):
    """Goes through packets, and says of each cycle what is cut out: ``command``, a cycle later.

    Takes the ``plans`` of requests and the ``beats`` of their payloads. A piece a cycle: a record
    to seal takes one cycle more than its text has blocks, one to open two, and each one more if its
    header has over 16 bytes; an AEAD message takes four more. A refused one takes a cycle a beat,
    and one or two more. A cycle here may be several outside (`hdl.pipeline.ingress`).

    What belongs to a request holds until the cycle after the ``command`` that ends it.
    """

    def __init__(self):
        super().__init__(
            {
                "plans": In(stream.Signature(Plan)),
                "beats": In(stream.Signature(Beat)),
                #: There is room for a piece: nothing is taken before.
                "room": In(1),
                #: The beat that a command moves.
                "data": In(8 * BLOCK_BYTES),
                "command": Out(Command),
                "plan": Out(Plan),
                "refusal": Out(4),
                "text": Out(LENGTH_BITS + 1),  # bytes of text, two's complement
                "associated": Out(LENGTH_BITS),  # and of associated data
                "iv": Out(96),
                "masked": Out(1),
                "busy": Out(1),
            }
        )
        self.plan = reset_less(self.plan)
        self.text = reset_less(self.text)
        self.associated = reset_less(self.associated)
        self.iv = reset_less(self.iv)
        self._text_at = Signal(4)
        self._crosses = Signal()  # the last piece of the text does
        self._leaves = Signal()  # this is it, and it leaves something in the beat
        self._left = Signal(LENGTH_BITS - 4)  # pieces left of the section that is being taken
        self._last = Signal()  # and that is one
        self._samples = Signal()  # the next piece of text
        # The last beat of the packet has been taken.
        self._ended = Signal()
        self._bad = Signal()

        self._gate = SkidBuffer(_Beat)
        self._begins = Signal()  # the packet
        self._takes = Signal()  # a piece, and that is no header to build
        self._pops = Signal()  # a beat is taken
        self._ends = Signal()  # so does the packet
        self._next = Signal(Command)
        self._states = {
            name: Signal(name=name.replace(" ", "_"), init=name == "start") for name in _STATES
        }

    def elaborate(self, platform):
        m = Module()
        m.submodules.gate = self._gate
        self._admit(m)
        self._step(m)
        self._follow(m)
        self._go(m, *self._prefix(m))
        m.d.sync += self.command.eq(self._next)
        m.d.comb += self.busy.eq(~self._states["start"] | self.plans.valid)
        return m

    def _admit(self, m):
        """Beats are seen only if there is room."""
        gate, beats = self._gate, self.beats
        bad, last = beats.payload.bad, beats.payload.last
        m.d.comb += [
            gate.write.valid.eq(beats.valid & self.room),
            gate.write.payload.bad.eq(bad),
            gate.write.payload.last.eq(last),
            gate.write.payload.good.eq(last & ~bad),
            beats.ready.eq(gate.write.ready & self.room),
            gate.read.ready.eq(self._pops),
        ]

    def _step(self, m):
        """What each state waits for, and what it does then."""
        state, plan, coming = self._states, self.plan, self.plans
        begun, command, beats = coming.payload, self._next, self._gate.read
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
            command.malformed.eq(self._bad & state["drain"]),
            command.use.write.eq(
                (starts & begun.writes)
                | (self._takes & ~(state["text"] & plan.load))
                | state["template end"]
            ),
            command.use.template.eq((state["start"] & begun.seal) | state["template end"]),
            command.use.header.eq((starts & begun.open) | (beats.valid & state["header end"])),
            command.use.second.eq(state["template end"] | state["header end"]),
            command.use.sample.eq(self._takes & state["text"] & self._samples),
            command.use.stage.eq(self._takes & state["text"] & plan.load),
            command.use.end.eq(self._ends),
        ]

    def _go(self, m, prefix, no_text):
        """From state to state. ``prefix`` says where its end leads to, for AEAD messages."""
        state, plan, beats = self._states, self.plan, self._gate.read
        begun, last = self.plans.payload, self._last
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
        state, plan = self._states, self.plans.payload
        beats = self._gate.read.payload
        with m.If(state["start"]):
            m.d.sync += [
                self.plan.eq(plan),
                self.refusal.eq(plan.refusal),
                self.associated.eq(plan.header_bytes),
                # Of AEAD messages, these are not known yet.
                self.text.eq(plan.text_bytes),
                self.iv.eq(plan.iv),
                self._text_at.eq(plan.text_at),
                self._crosses.eq(plan.crosses),
                self._leaves.eq(plan.leaves),
                self._left.eq(plan.text_pieces),
                self._last.eq(plan.one_piece),
                self._samples.eq(plan.open & (plan.refusal == Status.OK)),
                self.masked.eq(0),
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
            m.d.sync += [self._samples.eq(0), self.masked.eq(self.masked | self._samples)]

    def _prefix(self, m):
        """AEAD messages: what stands before the associated data, and what it means.

        It is moved in this state; a cycle more each for the length of the text, for how many pieces
        it has, and for what comes next. Where to go from there, and whether there is text.
        """
        state, plan, prefix, text = self._states, self.plan, self.data, self.text
        reads, age = state["prefix"], Signal(3)
        subtracts, measures, checks = age
        associated_pieces, text_pieces = Signal.like(self._left), Signal.like(self._left)
        associated_one, text_one = Signal(), Signal()
        reserved, no_associated, no_text = Signal(), Signal(), Signal()
        fits, accepted = Signal(), Signal()
        m.d.sync += [
            age.eq(Cat(reads, age)),
            associated_pieces.eq(pieces(self.associated)),
            associated_one.eq(one_piece(self.associated)),
            no_associated.eq(self.associated == 0),
            text_pieces.eq(pieces(text[:-1])),
            text_one.eq(one_piece(text)),
            no_text.eq(text == 0),
            fits.eq(~text[-1] & ~reserved),
            accepted.eq(~text[-1] & ~reserved & (self.refusal == Status.OK)),
        ]
        with m.If(reads):
            m.d.sync += [
                self.associated.eq(Cat(prefix[8:16], prefix[:8])),
                self.iv.eq(prefix[32:]),
                reserved.eq(prefix[16:32] != 0),
            ]
        with m.If(subtracts):
            m.d.sync += [
                text.eq(text - self.associated),
                self._text_at.eq(self.associated - 1),
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
            m.d.sync += self.refusal.eq(Status.MALFORMED_REQUEST)
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
