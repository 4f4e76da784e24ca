"""Components small enough to compile in a few seconds."""

from amaranth.hdl import Cat, Module, Signal
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


class Crossing(wiring.Component):
    """Returns each packet at once; ``valid`` crosses two submodules, which cross each other.

    No loop, but no order of whole signals either: CXXRTL needs several delta cycles for it.
    """

    requests: In(packet_signature())
    completions: Out(packet_signature())

    def elaborate(self, platform):
        m = Module()
        m.submodules.one = one = _Pass()
        m.submodules.other = other = _Pass()
        beats = Signal(8)
        m.d.sync += beats.eq(beats + one.o[1])
        m.d.comb += [
            one.i.eq(Cat(self.requests.valid, other.o[0])),
            other.i.eq(Cat(one.o[0], one.i[0])),
            self.completions.valid.eq(one.o[1]),
            self.completions.payload.last.eq(self.requests.payload.last),
            self.completions.payload.data.eq(self.requests.payload.data + beats),
            self.requests.ready.eq(self.completions.ready),
        ]
        return m


class _Pass(wiring.Component):
    i: In(2)
    o: Out(2)

    def elaborate(self, platform):
        m = Module()
        for bit in range(2):
            with m.If(self.i[bit]):
                m.d.comb += self.o[bit].eq(1)
        return m
