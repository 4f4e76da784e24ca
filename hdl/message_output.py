"""Where a message's text goes: from the blocks of GCM into the release buffer."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import TAG_BYTES
from hdl.gcm import TextBlock
from hdl.packer import BlockUnpacker
from hdl.unit import BufferWrite

__all__ = ["SAMPLE_BYTES", "MessageOutput", "write_message"]

#: RFC 9147, 4.2.3: the first 16 bytes of the encrypted record make the mask of its number.
SAMPLE_BYTES = 16


class MessageOutput(wiring.Component):
    """Writes text, and when sealing the tag behind it, byte by byte to ``address`` and up.

    ``start`` samples ``address`` and begins a message; it is settled when its tag is known and its
    last byte written. ``tag`` is then the computed tag. When sealing, ``sample`` is the first 16
    bytes written. When opening, ``content_bytes`` is the length of the text up to its last byte
    that is not zero, which is how much is left of a DTLSInnerPlaintext without its padding (RFC
    8446, 5.4). A block takes 16 cycles; cycles depend on nothing but lengths.
    """

    start: In(1)
    address: In(16)
    sealing: In(1)
    text: In(stream.Signature(TextBlock))
    tags: In(stream.Signature(8 * TAG_BYTES))

    write: Out(BufferWrite)
    settled: Out(1)
    sample: Out(8 * SAMPLE_BYTES)
    tag: Out(8 * TAG_BYTES)
    content_bytes: Out(16)

    def elaborate(self, platform):
        m = Module()
        m.submodules.unpacker = unpacker = BlockUnpacker()
        tag_known = Signal()
        base = Signal(16)
        written = Signal(16)
        byte = unpacker.bytes.payload

        m.d.comb += [
            unpacker.blocks.payload.eq(self.text.payload),
            unpacker.blocks.valid.eq(self.text.valid | (self.tags.valid & self.sealing)),
            self.text.ready.eq(unpacker.blocks.ready),
            self.tags.ready.eq(unpacker.blocks.ready),
            unpacker.bytes.ready.eq(1),
            self.write.enable.eq(unpacker.bytes.valid),
            self.write.address.eq(base + written),
            self.write.data.eq(byte),
            self.settled.eq(tag_known & unpacker.idle),
        ]
        with m.If(self.tags.valid):
            # The tag comes after all text, so the two never ask for the unpacker at once.
            m.d.comb += [
                unpacker.blocks.payload.block.eq(self.tags.payload),
                unpacker.blocks.payload.bytes.eq(TAG_BYTES),
            ]
            with m.If(self.tags.ready):
                m.d.sync += [self.tag.eq(self.tags.payload), tag_known.eq(1)]
        with m.If(unpacker.bytes.valid):
            m.d.sync += written.eq(written + 1)
            with m.If(written < SAMPLE_BYTES):
                m.d.sync += self.sample.eq(Cat(self.sample[8:], byte))
            m.d.sync += self.content_bytes.eq(Mux(byte != 0, written + 1, self.content_bytes))
        with m.If(self.start):
            m.d.sync += [
                base.eq(self.address),
                written.eq(0),
                tag_known.eq(0),
                self.content_bytes.eq(0),
            ]
        return m


def write_message(text: bytes, tag: bytes, sealing: bool) -> tuple[bytes, bytes, int]:
    """Software model of `MessageOutput`: the bytes written, ``sample`` and ``content_bytes``."""
    written = text + tag if sealing else text
    return written, written[:SAMPLE_BYTES], len(text.rstrip(b"\0"))
