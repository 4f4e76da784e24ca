"""From any stream of bytes to well-formed requests (the request packet of `driver.messages`)."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import HEADER_BYTES
from hdl.packet_stream import packet_signature

__all__ = ["RequestEnd", "RequestHeader", "RequestReader", "read_request"]

#: The header of a request; big-endian on the wire, integers here.
RequestHeader = data.StructLayout(
    {"opcode": 8, "reserved": 8, "slot": 16, "request_id": 16, "length": 16}
)

#: What is known once the whole packet has been seen.
RequestEnd = data.StructLayout({"well_formed": 1})


class RequestReader(wiring.Component):
    """Makes every packet one header, as many payload bytes as the header says, and one verdict.

    For each packet, whatever it holds, there is one transfer on ``requests``, then exactly
    ``length`` on ``payload``, then one on ``end`` after the packet's last byte was consumed.
    A packet that does not hold what its header says is not ``well_formed``:

    - bytes that are missing from header or payload read as zeros;
    - a packet that ends within the header has ``length`` 0;
    - bytes beyond ``length`` are consumed and dropped.

    One byte a cycle. A packet takes two cycles more than its bytes, one for each of the
    transfers on ``requests`` and ``end``. Payload bytes pass through combinationally.

    The payload of ``requests`` holds until the transfer on ``end``. Reset leaves the reader as if
    it had read ``at_reset``, a well-formed request of 8 bytes: the first transfer is its ``end``.
    """

    def __init__(self, at_reset: bytes):
        self._at_reset = at_reset
        super().__init__()

    packets: In(packet_signature())
    requests: Out(stream.Signature(RequestHeader))
    payload: Out(stream.Signature(8))
    end: Out(stream.Signature(RequestEnd))
    #: High in a cycle in which the reader, in the middle of a packet, waits for its next byte.
    starved: Out(1)

    def elaborate(self, platform):
        m = Module()
        position = Signal(range(HEADER_BYTES))
        # The latest byte in the lowest bits.
        header = Signal(8 * HEADER_BYTES, init=int.from_bytes(self._at_reset, "big"))
        remaining = Signal(16)
        ended = Signal(init=1)  # the packet's last byte has been consumed
        well_formed = Signal(init=1)

        # The next byte of the packet, or a zero in its place once the packet has ended.
        wanted = Signal()
        available = Signal()
        byte = Signal(8)
        m.d.comb += [
            self.packets.ready.eq(wanted & ~ended),
            available.eq(self.packets.valid | ended),
            byte.eq(Mux(ended, 0, self.packets.payload.data)),
        ]
        taken = wanted & available
        with m.If(self.packets.valid & self.packets.ready & self.packets.payload.last):
            m.d.sync += ended.eq(1)

        begun = Signal()
        m.d.comb += self.starved.eq(self.packets.ready & ~self.packets.valid & begun)

        m.d.comb += [
            self.requests.payload.opcode.eq(header[56:64]),
            self.requests.payload.reserved.eq(header[48:56]),
            self.requests.payload.slot.eq(header[32:48]),
            self.requests.payload.request_id.eq(header[16:32]),
            self.requests.payload.length.eq(header[0:16]),
            self.payload.payload.eq(byte),
            self.end.payload.well_formed.eq(well_formed),
        ]

        with m.FSM(init="SURPLUS"):
            with m.State("HEADER"):
                m.d.comb += [wanted.eq(1), begun.eq(position != 0)]
                with m.If(taken):
                    m.d.sync += [
                        header.eq(Cat(byte, header)),
                        position.eq(position + 1),
                        well_formed.eq(~ended),
                    ]
                    with m.If(position == HEADER_BYTES - 1):
                        with m.If(ended):  # perhaps in the middle of the length
                            m.d.sync += header[8:16].eq(0)
                        m.next = "REQUEST"

            with m.State("REQUEST"):
                m.d.comb += self.requests.valid.eq(1)
                m.d.sync += remaining.eq(self.requests.payload.length)
                with m.If(self.requests.ready):
                    with m.If(self.requests.payload.length == 0):
                        m.next = "SURPLUS"
                    with m.Else():
                        m.next = "PAYLOAD"

            with m.State("PAYLOAD"):
                m.d.comb += [
                    wanted.eq(self.payload.ready),
                    begun.eq(1),
                    self.payload.valid.eq(available),
                ]
                with m.If(taken):
                    m.d.sync += remaining.eq(remaining - 1)
                    with m.If(ended):
                        m.d.sync += well_formed.eq(0)
                    with m.If(remaining == 1):
                        m.next = "SURPLUS"

            with m.State("SURPLUS"):
                m.d.comb += [wanted.eq(~ended), begun.eq(1)]
                with m.If(ended):
                    m.d.comb += self.end.valid.eq(1)
                    with m.If(self.end.ready):
                        m.d.sync += ended.eq(0)
                        m.next = "HEADER"
                with m.Elif(self.packets.valid):
                    m.d.sync += well_formed.eq(0)

        return m


def read_request(packet: bytes) -> tuple[dict[str, int], bytes, bool]:
    """Software model: the header's fields by name, the payload, and whether it is well-formed."""
    header = packet[:HEADER_BYTES].ljust(HEADER_BYTES, b"\0")
    complete = len(packet) >= HEADER_BYTES
    fields = {
        "opcode": header[0],
        "reserved": header[1],
        "slot": int.from_bytes(header[2:4], "big"),
        "request_id": int.from_bytes(header[4:6], "big"),
        "length": int.from_bytes(header[6:8], "big") if complete else 0,
    }
    payload = packet[HEADER_BYTES:]
    well_formed = complete and len(payload) == fields["length"]
    return fields, payload[: fields["length"]].ljust(fields["length"], b"\0"), well_formed
