"""What becomes of a digest: the tag, and whether it is the one that came with the message."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.aes.history import History
from hdl.block import BLOCK_BYTES
from hdl.pipeline.layouts import Ticket, Ticketed, void_if

__all__ = ["CheckedTag", "Tag"]

#: The tag of a message, in the byte order of `hdl.block`, and the message's ticket: a void one, if
#: the message was to open and the received tag differs.
CheckedTag = data.StructLayout({"tag": 128, "ticket": Ticket})


class Tag(wiring.Component):
    """The last steps of GCM (SP 800-38D, 7.1, step 6, and 7.2, step 8) for one digest a cycle.

    By the time that one of ``digests`` comes, the first of ``tag_keys``, the encrypted counter
    block 1, and of ``received_tags`` are of its message; both are used. `CheckedTag` follows in 3
    cycles, whatever it is. If they are not of one message, the tag differs.
    """

    def __init__(self):
        block = stream.Signature(128)
        always = stream.Signature(128, always_ready=True)
        super().__init__(
            {
                "digests": In(always),
                "tag_keys": In(stream.Signature(Ticketed)),
                "received_tags": In(block),
                "tags": Out(stream.Signature(CheckedTag, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.tag_keys.ready.eq(self.digests.valid),
            self.received_tags.ready.eq(self.digests.valid),
        ]
        tag, received = Signal(128, reset_less=True), Signal(128, reset_less=True)
        differences = Signal(BLOCK_BYTES, reset_less=True)
        ticket = Value.cast(self.tag_keys.payload.ticket)
        ticket = Ticket(History(m, "ticket", ticket, 2)[2])
        voids = differences.any() & ticket.opening
        m.d.sync += [
            tag.eq(self.digests.payload ^ self.tag_keys.payload.block),
            received.eq(self.received_tags.payload),
            differences.eq(
                Cat((tag ^ received).word_select(i, 8).any() for i in range(BLOCK_BYTES))
            ),
            self.tags.payload.ticket.eq(void_if(voids, ticket)),
        ]
        m.d.comb += [
            self.tags.valid.eq(History(m, "valid", self.digests.valid, 3, reset_less=False)[3]),
            self.tags.payload.tag.eq(History(m, "tag", tag, 2)[2]),
        ]
        return m
