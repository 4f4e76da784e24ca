"""Where a message's text goes: from GCM into the release buffer."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.unit import BufferWrite

__all__ = ["SAMPLE_BYTES", "MessageOutput", "write_message"]

#: RFC 9147, 4.2.3: the first 16 bytes of the encrypted record make the mask of its number.
SAMPLE_BYTES = 16


class MessageOutput(wiring.Component):
    """Writes the text byte by byte to ``address`` and up, in the cycle in which each comes.

    ``start`` begins a message. ``address`` is stable from then on. ``sampled`` says that the byte
    that is being written is one of the first 16. ``content_bytes`` is the length of the text up to
    its last byte that is not zero, which is how much is left of a DTLSInnerPlaintext without its
    padding (RFC 8446, 5.4). Lengths have ``length_bits`` bits.
    """

    def __init__(self, length_bits: int = 16):
        self._length_bits = length_bits
        super().__init__(
            {
                "start": In(1),
                "address": In(16),
                "text": In(stream.Signature(8, always_ready=True)),
                "write": Out(BufferWrite),
                "sampled": Out(1),
                "content_bytes": Out(length_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        written = Signal(self._length_bits)
        following = Signal(self._length_bits)
        m.d.comb += [
            following.eq(written + 1),
            self.write.enable.eq(self.text.valid),
            self.write.address.eq(self.address + written),
            self.write.data.eq(self.text.payload),
            self.sampled.eq(self.text.valid & (written < SAMPLE_BYTES)),
        ]
        with m.If(self.text.valid):
            m.d.sync += written.eq(following)
            with m.If(self.text.payload != 0):
                m.d.sync += self.content_bytes.eq(following)
        with m.If(self.start):
            m.d.sync += [written.eq(0), self.content_bytes.eq(0)]
        return m


def write_message(text: bytes) -> tuple[bytes, int]:
    """Software model of `MessageOutput`: the bytes ``sampled``, and ``content_bytes``."""
    return text[:SAMPLE_BYTES], len(text.rstrip(b"\0"))
