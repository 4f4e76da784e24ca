"""A component small enough to compile in a few seconds."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hdl.packet_stream import packet_signature


class Incrementer(wiring.Component):
    """Returns each packet with one added to every byte."""

    requests: In(packet_signature())
    completions: Out(packet_signature())

    @staticmethod
    def model(packet):
        return bytes((byte + 1) % 256 for byte in packet)

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=9, depth=16)
        m.d.comb += [
            fifo.w_data.eq(self.requests.payload),
            fifo.w_en.eq(self.requests.valid),
            self.requests.ready.eq(fifo.w_rdy),
            self.completions.payload.data.eq(fifo.r_data[:8] + 1),
            self.completions.payload.last.eq(fifo.r_data[8]),
            self.completions.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.completions.ready),
        ]
        return m
