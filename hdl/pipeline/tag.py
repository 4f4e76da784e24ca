"""What becomes of a digest: the tag, and whether it is the one that came with the message."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.aes.history import History
from hdl.block import BLOCK_BYTES

__all__ = ["CheckedTag", "Tag"]

#: The tag of a message, in the byte order of `hdl.block`, and whether the received one ``differs``,
#: if the message was to open.
CheckedTag = data.StructLayout({"tag": 128, "differs": 1})


class Tag(wiring.Component):
    """The last steps of GCM (SP 800-38D, 7.1, step 6, and 7.2, step 8) for one digest a cycle.

    By the time that one of ``digests`` comes, the first of ``tag_keys``, the encrypted counter
    block 1, and of ``received_tags`` are of its message; both are used. `CheckedTag` follows in 3
    cycles, whatever it is.
    """

    def __init__(self):
        block = stream.Signature(128)
        always = stream.Signature(128, always_ready=True)
        super().__init__(
            {
                "digests": In(always),
                "tag_keys": In(block),
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
        m.d.sync += [
            tag.eq(self.digests.payload ^ self.tag_keys.payload),
            received.eq(self.received_tags.payload),
            differences.eq(
                Cat((tag ^ received).word_select(i, 8).any() for i in range(BLOCK_BYTES))
            ),
            self.tags.payload.differs.eq(differences.any()),
        ]
        m.d.comb += [
            self.tags.valid.eq(History(m, "valid", self.digests.valid, 3, reset_less=False)[3]),
            self.tags.payload.tag.eq(History(m, "tag", tag, 2)[2]),
        ]
        return m
