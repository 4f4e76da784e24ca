"""From beats of packets to requests: texts in blocks, and one entry for each packet."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import AEAD_PREFIX_BYTES, HEADER_BYTES, TAG_BYTES, Status
from hdl.block import BLOCK_BYTES
from hdl.pipeline.layouts import LENGTH_BITS, mask_request_layout, request_layout
from hdl.pipeline.lookup import Beat, Plan
from hdl.pipeline.record_header import HeaderReader, template
from hdl.profile import Profile

__all__ = ["Ingress"]


class _Source(enum.Enum, shape=2):
    """Where a block for the queue comes from."""

    PIECE = 0
    #: A record's header, behind the packet's in the first beat.
    FIRST_BEAT = 1
    #: A header to build, blocks 0 and 1.
    TEMPLATE = 2
    TEMPLATE_END = 3


#: A piece of a packet: up to 16 bytes from byte 0 on, others behind them, and what it is for.
_Piece = data.StructLayout(
    {
        "data": 128,
        "write": 1,
        "source": _Source,
        "header": 1,  # a block of a record to open
        "header_end": 1,  # the second one
        "sample": 1,
        "stage": 1,  # for LOAD
        "end": 1,  # of the request
        "status": 4,
    }
)


class Ingress(wiring.Component):
    """Cuts packets into pieces, and keeps what belongs to a well-formed request.

    ``front`` gives beats as `hdl.pipeline.lookup.Lookup` does. For each packet there is one
    ``requests``, in order, 2 cycles after its last byte was taken. Before that the blocks of an
    accepted request go to ``block_address``: associated data, the text and the received tag, each
    beginning with a new block. The associated data of a record is its header: the received one, or
    a template. ``release`` says how many blocks belong to the request; those of a refused one are
    written over. ``masks`` asks for the mask of a number as soon as 16 bytes behind the header are
    there. ``staged`` gives the payload of LOAD in pieces of 16 bytes.

    A piece a cycle: a record to seal takes one cycle more than its text has blocks, one to open
    two, and up to two more if its header has 8 bytes or more. A refused one takes a cycle a beat.
    """

    def __init__(self, profile: Profile, queue_depth: int):
        self._depth = queue_depth
        super().__init__(
            {
                "front": In(stream.Signature(data.StructLayout({"beat": Beat, "plan": Plan}))),
                "write": Out(1),
                "block_address": Out(range(queue_depth)),
                "block": Out(128),
                "release": Out(range(queue_depth + 1)),
                #: A block has left the queue.
                "block_read": In(1),
                #: Heeded only if there was ``masks_room`` two cycles before.
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
        self._beat = Signal(Beat)
        #: Of the next byte in the beat; 16 behind the last one of a packet.
        self._offset = Signal(range(BLOCK_BYTES + 1))
        self._rest = Signal(LENGTH_BITS + 1)  # payload that the packet should still have
        self._left = Signal(LENGTH_BITS)  # bytes left of the section that is being taken
        self._last = Signal()  # and that is one piece
        self._nonce = Signal(96)
        self._associated = Signal(LENGTH_BITS)  # AEAD: bytes of associated data
        self._text = Signal(LENGTH_BITS + 1)  # AEAD: bytes of text, two's complement
        self._reserved = Signal()  # AEAD: reserved bytes that are not zero
        self._refusal = Signal(4)
        self._malformed = Signal()
        self._first_text = Signal()
        self._masked = Signal()
        self._piece = Signal(_Piece)

        self._room = Signal()
        self._follows = Signal()  # the next beat is there, and of the same packet
        self._empty = Signal()  # no beat is at hand
        self._here = Signal(5)
        self._available = Signal(6)
        self._final = Signal()  # no byte will come but those available
        self._starts = Signal()
        self._asks = Signal()  # for a piece of so many bytes
        self._count = Signal(5)
        self._samples = Signal()  # the piece is the first of a record to open
        self._takes = Signal()
        self._short = Signal()  # and the packet has fewer
        self._drops = Signal()
        self._next = Signal(_Piece)

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = self._reader
        m.d.comb += self.busy.eq(1)
        self._see(m)
        self._move(m)
        with m.FSM():
            self._start(m)
            self._header(m)
            self._prefix(m)
            self._sections(m)
            self._drain(m)
        self._keep(m)
        return m

    def _see(self, m):
        """What is there of the packet: in the beat at hand, and in the one behind it."""
        front, beat = self.front, self._beat
        behind = front.payload.beat
        enough = self._available >= self._count
        whole_sample = (self._available >= BLOCK_BYTES) | self._final
        m.d.comb += [
            self._follows.eq(front.valid & ~behind.first),
            self._empty.eq((beat.bytes == 0) & ~beat.last),
            self._here.eq(beat.bytes - self._offset),
            self._available.eq(self._here + Mux(self._follows, behind.bytes, 0)),
            self._final.eq(beat.last | (self._follows & behind.last)),
            self._takes.eq(
                self._asks & ~self._empty & self._room & enough
                & (whole_sample | ~self._samples)
            ),
            self._next.data.eq(Cat(beat.data, behind.data) >> (self._offset[:4] << 3)),
        ]  # fmt: skip
        m.d.comb += self._short.eq(self._asks & ~self._empty & self._final & ~enough)

    def _move(self, m):
        """The next beat is at hand once this one is used up."""
        front, beat = self.front, self._beat
        end = Signal(6)
        used_up = Signal()
        m.d.comb += [
            end.eq(self._offset + self._count),
            used_up.eq((self._takes & end[4:].any() & ~beat.last) | self._drops),
        ]
        with m.If(self._takes):
            within = Cat(end[:4], end[4] & beat.last)
            m.d.sync += [self._offset.eq(within), self._rest.eq(self._rest - self._count)]
        with m.If(self._drops):
            m.d.sync += [self._offset.eq(0), self._rest.eq(self._rest - self._here)]
        with m.If(self._starts | ((used_up | self._empty) & self._follows)):
            m.d.comb += front.ready.eq(1)
            m.d.sync += beat.eq(front.payload.beat)
        with m.Elif(used_up):
            m.d.sync += [beat.bytes.eq(0), beat.last.eq(0)]

    def _start(self, m):
        """The packet's header, with that of a record to open if it is short enough."""
        front, plan = self.front, self.front.payload.plan
        slot_refused = (plan.seal | plan.open) & (plan.slot_refusal != Status.OK)
        malformed_record = plan.open & plan.malformed_record
        refused = (plan.refusal != Status.OK) | slot_refused | malformed_record
        with_header = Signal()
        m.d.comb += with_header.eq(plan.open & (plan.header_bytes < HEADER_BYTES) & ~refused)
        count = HEADER_BYTES + Mux(with_header, plan.header_bytes, 0)
        short = front.payload.beat.bytes < count
        with m.State("start"):
            m.d.comb += [
                self.busy.eq(front.valid),
                self._starts.eq(front.valid & self.requests_room & self._room & self.masks_room),
                self._next.data.eq(front.payload.beat.data),
                self._next.header.eq(self._starts & with_header),
                self._next.source.eq(Mux(plan.seal, _Source.TEMPLATE, _Source.FIRST_BEAT)),
            ]
            m.d.sync += [
                self._plan.eq(plan),
                self._offset.eq(count),
                self._rest.eq(plan.length - Mux(with_header, plan.header_bytes, 0)),
                *self._begin(plan.text_bytes),
                self._malformed.eq(short),
                self._refusal.eq(plan.refusal),
                self._first_text.eq(1),
                self._masked.eq(0),
            ]
            with m.If(self._starts):
                with m.If(short | (plan.refusal != Status.OK)):
                    m.next = "drain"
                with m.Elif(slot_refused):
                    m.d.sync += self._refusal.eq(plan.slot_refusal)
                    m.next = "drain"
                with m.Elif(malformed_record):
                    m.d.sync += self._refusal.eq(Status.MALFORMED_RECORD)
                    m.next = "drain"
                with m.Elif(plan.seal):
                    m.d.comb += self._next.write.eq(1)
                    m.next = "text"
                    with m.If(plan.header_bytes > BLOCK_BYTES):
                        m.next = "template"
                with m.Elif(plan.open):
                    m.d.comb += self._next.write.eq(with_header)
                    m.next = "header"
                    with m.If(with_header):
                        m.next = "text"
                with m.Elif(plan.aead):
                    m.next = "prefix"
                with m.Elif(plan.load):
                    m.next = "text"
                with m.Else():
                    m.next = "drain"

    def _take(self, m, count):
        """Ask for a piece of so many bytes; the context in which it is taken."""
        m.d.comb += [self._asks.eq(1), self._count.eq(count)]
        with m.If(self._short):
            m.d.sync += self._malformed.eq(1)
            m.next = "drain"
        return m.If(self._takes)

    def _take_section(self, m):
        """Ask for 16 bytes of the section, or what is left; the context in which it is taken."""
        with self._take(m, Mux(self._last, self._left[:5], BLOCK_BYTES)):
            m.d.sync += [
                self._left.eq(self._left - BLOCK_BYTES),
                self._last.eq(self._left <= 2 * BLOCK_BYTES),
            ]
        return m.If(self._takes & self._last)

    def _begin(self, length):
        """A section of so many bytes begins."""
        return [self._left.eq(length), self._last.eq(length <= BLOCK_BYTES)]

    def _header(self, m):
        """A record's header that has over 8 bytes, received or to be built."""
        plan, piece = self._plan, self._next
        with m.State("template"):
            m.d.comb += [piece.write.eq(1), piece.source.eq(_Source.TEMPLATE_END)]
            m.next = "text"
        with m.State("header"):
            over = plan.header_bytes > BLOCK_BYTES
            with self._take(m, Mux(over, BLOCK_BYTES, plan.header_bytes)):
                m.d.comb += [piece.write.eq(1), piece.header.eq(1)]
                m.next = "text"
                with m.If(over):
                    m.next = "header end"
        with m.State("header end"):
            with self._take(m, plan.header_bytes - BLOCK_BYTES):
                m.d.comb += [piece.write.eq(1), piece.header.eq(1), piece.header_end.eq(1)]
                m.next = "text"

    def _prefix(self, m):
        """AEAD messages: what stands before the associated data, and what it means."""
        plan, prefix = self._plan, self._piece.data
        tag_bytes = Mux(plan.sealing, 0, TAG_BYTES)
        with m.State("prefix"):
            with self._take(m, AEAD_PREFIX_BYTES):
                m.next = "read prefix"
        with m.State("read prefix"):
            associated = Cat(prefix[8:16], prefix[:8])
            m.d.sync += [
                self._associated.eq(associated),
                *self._begin(associated),
                self._reserved.eq(prefix[16:32] != 0),
                self._nonce.eq(prefix[32:]),
                self._text.eq(self._rest - associated - tag_bytes),
            ]
            m.next = "check prefix"
        with m.State("check prefix"):
            m.next = "drain"
            with m.If(self._reserved | self._text[-1]):
                m.d.sync += self._refusal.eq(Status.MALFORMED_REQUEST)
            with m.Elif(plan.slot_refusal != Status.OK):
                m.d.sync += self._refusal.eq(plan.slot_refusal)
            with m.Elif(self._associated != 0):
                m.next = "associated data"
            with m.Else():
                self._begin_text(m)

    def _begin_text(self, m):
        """AEAD messages: what comes behind the associated data."""
        m.d.sync += self._begin(self._text)
        with m.If(self._text != 0):
            m.next = "text"
        with m.Else():
            self._begin_tag(m)

    def _begin_tag(self, m):
        m.next = "drain"
        with m.If(self._plan.open | (self._plan.aead & ~self._plan.sealing)):
            m.next = "tag"

    def _sections(self, m):
        plan, piece = self._plan, self._next
        with m.State("associated data"):
            with self._take_section(m):
                self._begin_text(m)
                self._end(m, (self._text == 0) & plan.sealing)
            m.d.comb += piece.write.eq(self._takes)
        with m.State("text"):
            m.d.comb += [
                self._samples.eq(plan.open & self._first_text & ~plan.wrong_epoch),
                piece.sample.eq(self._samples),
            ]
            with self._take_section(m):
                self._begin_tag(m)
                self._end(m, plan.sealing | plan.load)
            with m.If(self._takes):
                m.d.comb += [piece.write.eq(~plan.load), piece.stage.eq(plan.load)]
                m.d.sync += self._first_text.eq(0)
                with m.If(self._samples):
                    m.d.sync += self._masked.eq(1)
        with m.State("tag"):
            with self._take(m, TAG_BYTES):
                m.d.comb += piece.write.eq(1)
                m.next = "drain"
                self._end(m, 1)

    def _end(self, m, complete):
        """The request is complete; if its packet ends here too, the next one may begin."""
        wrong_epoch = self._plan.open & self._plan.wrong_epoch
        with m.If(complete):
            m.d.sync += self._refusal.eq(Mux(wrong_epoch, Status.WRONG_EPOCH, Status.OK))
        with m.If(complete & self._final & (self._available == self._count)):
            m.d.comb += [
                self._next.end.eq(1),
                self._next.status.eq(Mux(wrong_epoch, Status.WRONG_EPOCH, Status.OK)),
            ]
            m.next = "start"

    def _drain(self, m):
        """What is left of a packet is dropped; if it is not what the header says, all of it is."""
        with m.State("drain"):
            malformed = self._malformed | (self._rest != self._here)
            with m.If(self._beat.last):
                m.d.comb += [
                    self._next.end.eq(1),
                    self._next.status.eq(Mux(malformed, Status.MALFORMED_REQUEST, self._refusal)),
                ]
                m.next = "start"
            with m.Else():
                m.d.comb += self._drops.eq(1)

    def _keep(self, m):
        """Pieces become blocks, and the blocks of a request are released or forgotten."""
        plan, piece, reader = self._plan, self._piece, self._reader
        header = template(plan.flags, plan.connection_id)
        block = Signal(128)
        with m.Switch(piece.source):
            with m.Case(_Source.PIECE):
                m.d.comb += block.eq(piece.data)
            with m.Case(_Source.FIRST_BEAT):
                m.d.comb += block.eq(piece.data[8 * HEADER_BYTES :])
            with m.Case(_Source.TEMPLATE):
                m.d.comb += block.eq(header[:128])
            with m.Case(_Source.TEMPLATE_END):
                m.d.comb += block.eq(header[128:])
        m.d.sync += piece.eq(self._next)
        m.d.comb += [
            self.staged.eq(piece.stage),
            self.staged_piece.eq(piece.data),
            reader.read.eq(piece.header),
            reader.second.eq(piece.header_end),
            reader.block.eq(block),
            reader.connection_id.eq(plan.connection_id),
            reader.connection_id_bytes.eq(plan.connection_id_bytes),
            reader.sixteen.eq(plan.flags.sequence_number_16),
            reader.has_length.eq(plan.flags.length),
            reader.encrypted_bytes.eq(plan.text_bytes + TAG_BYTES),
            self.masks.valid.eq(piece.sample & piece.write),
            self.masks.payload.block.eq(piece.data),
            self.masks.payload.slot.eq(plan.echo.slot),
            self.masks.payload.aes256.eq(plan.aes256),
        ]

        # One cycle later, when a header has been read.
        address, count = Signal(range(self._depth)), Signal(range(self._depth + 1))
        write, end = Signal(), Signal()
        status, final_status = Signal(4), Signal(4)
        request = self.requests.payload
        open_ = Signal()
        m.d.sync += [
            write.eq(piece.write),
            self.block.eq(block),
            end.eq(piece.end),
            status.eq(piece.status),
        ]
        with m.If(self._next.end):
            m.d.sync += [
                open_.eq(plan.open),
                request.echo.eq(plan.echo),
                request.aes256.eq(plan.aes256),
                request.sixteen.eq(plan.flags.sequence_number_16),
                request.length.eq(plan.flags.length),
                request.masked.eq(self._masked),
                request.tail_at.eq(1 + plan.connection_id_bytes),
                request.epoch.eq(plan.epoch),
                request.text_bytes.eq(Mux(plan.aead, self._text, plan.text_bytes)),
                request.associated_bytes.eq(Mux(plan.aead, self._associated, plan.header_bytes)),
                request.nonce.eq(Mux(plan.aead, self._nonce, plan.iv)),
            ]
        genuine = status.matches(Status.OK, Status.WRONG_EPOCH)
        m.d.comb += [
            self.write.eq(write),
            self.block_address.eq(address + count),
            final_status.eq(
                Mux(open_ & genuine & reader.malformed, Status.MALFORMED_RECORD, status)
            ),
            request.status.eq(final_status),
            request.wire.eq(reader.wire),
            self.requests.valid.eq(end),
            self.release.eq(Mux(end & (final_status == Status.OK), count + write, 0)),
        ]
        m.d.sync += count.eq(Mux(end, 0, count + write))
        m.d.sync += address.eq(address + self.release)

        # Blocks that stand in the queue and on their way to it.
        occupied = Signal(range(self._depth + 1))
        forgotten = Mux(end & (final_status != Status.OK), count + write, 0)
        m.d.sync += [
            occupied.eq(occupied + write - self.block_read - forgotten),
            self._room.eq(occupied < self._depth - 8),
        ]
        self._wipe(m)

    def _wipe(self, m):
        with m.If(self.wipe):
            m.d.sync += [self._beat.eq(0), self._piece.eq(0), self.block.eq(0)]
