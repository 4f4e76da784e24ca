"""The unified header of DTLSCiphertext (RFC 9147, 4, figure 3), a byte a cycle, in all forms.

Fields in the order of the wire: the first byte, the connection ID if C is set, the sequence number
in two bytes if S is set and in one if not, the length in two bytes if L is set. Multi-byte fields
are big-endian. The connection ID stands in a memory that answers a cycle after it was asked.
"""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import CONNECTION_ID_BYTES, TAG_BYTES
from hdl.packet_stream import PacketByte

__all__ = [
    "FIXED_BITS",
    "Flags",
    "HeaderBuilder",
    "HeaderParser",
    "ParsedHeader",
    "build_header",
    "parse_header",
]

#: The first byte of a header, lowest bits first: E E, L, S, C, 0 0 1.
Flags = data.StructLayout(
    {"epoch": 2, "length": 1, "sequence_number_16": 1, "connection_id": 1, "fixed": 3}
)
FIXED_BITS = 0b001

#: The shortest encrypted record: one byte of content type and the tag.
SHORTEST_BODY = 1 + TAG_BYTES


class _Field(enum.Enum, shape=3):
    """The byte of a header that is next."""

    FLAGS = 0
    CONNECTION_ID = 1
    NUMBER_HIGH = 2
    NUMBER_LOW = 3
    LENGTH_HIGH = 4
    LENGTH_LOW = 5


class _HeaderWalk(wiring.Component):
    """The order of a header's bytes. ``start`` goes to the first, ``step`` from one to the next."""

    start: In(1)
    step: In(1)
    #: Must be valid from the first byte on.
    flags: In(Flags)
    connection_id_bytes: In(range(CONNECTION_ID_BYTES + 1))
    field: Out(_Field)
    #: Which byte of the connection ID, in this cycle and in the next.
    index: Out(range(CONNECTION_ID_BYTES + 1))
    next_index: Out(range(CONNECTION_ID_BYTES + 1))
    #: This byte ends the header.
    last: Out(1)

    def elaborate(self, platform):
        m = Module()
        following = Signal(_Field)
        number = Mux(self.flags.sequence_number_16, _Field.NUMBER_HIGH, _Field.NUMBER_LOW)

        with m.Switch(self.field):
            with m.Case(_Field.FLAGS):
                with m.If(self.flags.connection_id & (self.connection_id_bytes != 0)):
                    m.d.comb += following.eq(_Field.CONNECTION_ID)
                with m.Else():
                    m.d.comb += following.eq(number)
            with m.Case(_Field.CONNECTION_ID):
                with m.If(self.index + 1 == self.connection_id_bytes):
                    m.d.comb += following.eq(number)
                with m.Else():
                    m.d.comb += following.eq(_Field.CONNECTION_ID)
            with m.Case(_Field.NUMBER_HIGH):
                m.d.comb += following.eq(_Field.NUMBER_LOW)
            with m.Case(_Field.NUMBER_LOW):
                m.d.comb += [following.eq(_Field.LENGTH_HIGH), self.last.eq(~self.flags.length)]
            with m.Case(_Field.LENGTH_HIGH):
                m.d.comb += following.eq(_Field.LENGTH_LOW)
            with m.Case(_Field.LENGTH_LOW):
                m.d.comb += self.last.eq(1)

        m.d.comb += self.next_index.eq(self.index)
        m.d.sync += self.index.eq(self.next_index)
        with m.If(self.start):
            m.d.sync += self.field.eq(_Field.FLAGS)
            m.d.comb += self.next_index.eq(0)
        with m.Elif(self.step):
            m.d.sync += self.field.eq(following)
            with m.If(self.field == _Field.CONNECTION_ID):
                m.d.comb += self.next_index.eq(self.index + 1)
        return m


class HeaderParser(wiring.Component):
    """Takes the header off a record and checks all of it that needs no key.

    ``start`` begins a record; it is heeded when no header is being parsed. The parser consumes the
    header's bytes, one a cycle, and no more; ``done`` rises in the cycle after the last of them and
    stays, with every other output, until the next ``start``. The connection ID's inputs must not
    change in between.

    A header is ``malformed`` if its fixed bits are not 001, its C bit or its connection ID is not
    the slot's, the length field is not the length of the rest, or the rest is too short for a
    content type and a tag. A mismatch does not end the parse: bytes consumed and cycles taken
    depend on the form of the header and on lengths only. A record that ends within its header takes
    the same cycles with zeros in place of the bytes that it lacks.
    """

    start: In(1)
    #: Which byte of the connection ID is wanted in the next cycle, and that of the last cycle.
    index: Out(range(CONNECTION_ID_BYTES + 1))
    connection_id_byte: In(8)
    #: 0: the slot has no connection ID.
    connection_id_bytes: In(range(CONNECTION_ID_BYTES + 1))
    #: Length of the whole record in bytes; sampled at ``start``.
    remaining: In(16)
    bytes: In(stream.Signature(8))

    parsing: Out(1)
    done: Out(1)
    #: The first byte, as in `Flags`.
    flags: Out(8)
    #: The sequence number, still encrypted; the 8-bit form in the low byte, zeros above.
    wire: Out(16)
    #: The length field, 0 if there is none.
    length: Out(16)
    #: Bytes consumed: the size of the header, or of a record that is shorter than its header.
    size: Out(5)
    malformed: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = _HeaderWalk()
        parsing = self.parsing
        mismatch = Signal()
        rest = Signal(16)
        byte = Signal(8)
        step = Signal()
        flags = data.View(Flags, self.flags)
        first = data.View(Flags, byte)

        m.d.comb += [
            self.index.eq(walk.next_index),
            self.bytes.ready.eq(parsing & (rest != 0)),
            step.eq(parsing & (self.bytes.valid | (rest == 0))),
            byte.eq(Mux(rest == 0, 0, self.bytes.payload)),
            walk.start.eq(self.start & ~parsing),
            walk.step.eq(step),
            walk.flags.eq(Mux(walk.field == _Field.FLAGS, first, flags)),
            walk.connection_id_bytes.eq(self.connection_id_bytes),
            self.malformed.eq(
                mismatch | (rest < SHORTEST_BODY) | (flags.length & (self.length != rest))
            ),
        ]

        with m.If(walk.start):
            m.d.sync += [
                parsing.eq(1),
                self.done.eq(0),
                self.wire.eq(0),
                self.length.eq(0),
                self.size.eq(0),
                rest.eq(self.remaining),
                mismatch.eq(0),
            ]
        with m.If(self.bytes.valid & self.bytes.ready):
            m.d.sync += [rest.eq(rest - 1), self.size.eq(self.size + 1)]
        with m.If(step):
            with m.Switch(walk.field):
                with m.Case(_Field.FLAGS):
                    m.d.sync += self.flags.eq(byte)
                    expects_connection_id = self.connection_id_bytes != 0
                    with m.If(
                        (first.fixed != FIXED_BITS) | (first.connection_id != expects_connection_id)
                    ):
                        m.d.sync += mismatch.eq(1)
                with m.Case(_Field.CONNECTION_ID):
                    with m.If(byte != self.connection_id_byte):
                        m.d.sync += mismatch.eq(1)
                with m.Case(_Field.NUMBER_HIGH, _Field.NUMBER_LOW):
                    m.d.sync += self.wire.eq(Cat(byte, self.wire))
                with m.Case(_Field.LENGTH_HIGH, _Field.LENGTH_LOW):
                    m.d.sync += self.length.eq(Cat(byte, self.length))
            with m.If(walk.last):
                m.d.sync += [parsing.eq(0), self.done.eq(1)]
        return m


class HeaderBuilder(wiring.Component):
    """Emits the header that ``flags`` describes, one byte a cycle, from the cycle after ``start``.

    ``start`` is heeded when no header is being built. The other inputs must not change from then
    until the last byte has been taken.
    """

    start: In(1)
    #: The first byte, as in `Flags`.
    flags: In(8)
    #: As in `HeaderParser`.
    index: Out(range(CONNECTION_ID_BYTES + 1))
    connection_id_byte: In(8)
    connection_id_bytes: In(range(CONNECTION_ID_BYTES + 1))
    #: The sequence number's low bits; the 8-bit form is the low byte.
    wire: In(16)
    #: The length field, if ``flags`` has one.
    length: In(16)
    bytes: Out(stream.Signature(PacketByte))

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = _HeaderWalk()
        building = Signal()
        step = Signal()
        byte = Signal(8)

        with m.Switch(walk.field):
            with m.Case(_Field.FLAGS):
                m.d.comb += byte.eq(self.flags)
            with m.Case(_Field.CONNECTION_ID):
                m.d.comb += byte.eq(self.connection_id_byte)
            with m.Case(_Field.NUMBER_HIGH):
                m.d.comb += byte.eq(self.wire[8:])
            with m.Case(_Field.NUMBER_LOW):
                m.d.comb += byte.eq(self.wire[:8])
            with m.Case(_Field.LENGTH_HIGH):
                m.d.comb += byte.eq(self.length[8:])
            with m.Case(_Field.LENGTH_LOW):
                m.d.comb += byte.eq(self.length[:8])

        m.d.comb += [
            self.index.eq(walk.next_index),
            self.bytes.valid.eq(building),
            self.bytes.payload.data.eq(byte),
            self.bytes.payload.last.eq(walk.last),
            step.eq(building & self.bytes.ready),
            walk.start.eq(self.start & ~building),
            walk.step.eq(step),
            walk.flags.eq(self.flags),
            walk.connection_id_bytes.eq(self.connection_id_bytes),
        ]
        with m.If(walk.start):
            m.d.sync += building.eq(1)
        with m.If(step & walk.last):
            m.d.sync += building.eq(0)
        return m


@dataclass(frozen=True)
class ParsedHeader:
    """What a well-formed header says; ``wire`` is still encrypted, ``length`` is 0 without L."""

    flags: int
    wire: int
    length: int
    size: int


def parse_header(record: bytes, connection_id: bytes) -> ParsedHeader | None:
    """Software model of `HeaderParser`: the header of ``record``, or None if it is malformed."""
    if not record:
        return None
    flags = record[0]
    if flags >> 5 != FIXED_BITS or bool(flags & 0x10) != bool(connection_id):
        return None
    number_at = 1 + len(connection_id)
    length_at = number_at + (2 if flags & 0x08 else 1)
    size = length_at + (2 if flags & 0x04 else 0)
    rest = len(record) - size
    length = int.from_bytes(record[length_at:size], "big")
    if record[1:number_at] != connection_id or rest < SHORTEST_BODY:
        return None
    if flags & 0x04 and length != rest:
        return None
    return ParsedHeader(flags, int.from_bytes(record[number_at:length_at], "big"), length, size)


def build_header(flags: int, connection_id: bytes, wire: int, length: int) -> bytes:
    """Software model of `HeaderBuilder`."""
    header = bytes([flags])
    if flags & 0x10:
        header += connection_id
    header += wire.to_bytes(2, "big") if flags & 0x08 else bytes([wire & 0xFF])
    if flags & 0x04:
        header += length.to_bytes(2, "big")
    return header
